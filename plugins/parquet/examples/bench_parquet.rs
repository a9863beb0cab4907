//! Measures the sink: a wide slow stream (processor time and memory of a row group) and a narrow fast one against a bare
//! `ArrowWriter` with the same properties. It knows nothing of the engine; the pipeline's own figures are in `benches/`.
#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "a benchmark prints what it timed"
)]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use rustix::time::{ClockId, clock_gettime};
use tapedeck_sdk::batch::arrow_schema;
use tapedeck_sdk::testing::{FakeHost, open_sink};
use tapedeck_sdk::{Batch, BatchPool, DataType, Kind, StreamSchema, Timestamp};

/// Processor time of this process so far, in milliseconds.
fn processor_ms() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

/// The most memory that this process had, in MB.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) / 1e3
}

fn schema(columns: usize) -> Arc<StreamSchema> {
    let builder = StreamSchema::builder("bench", Kind::Attributes);
    (0..columns)
        .fold(builder, |builder, index| builder.nullable(&format!("c{index}"), DataType::Float64))
        .build()
        .expect("names differ")
}

fn batch(pool: &mut BatchPool, first: usize, rows: usize) -> Batch {
    let columns = pool.schema().payload().len();
    let mut builder = pool.builder(rows);
    for row in first..first + rows {
        let mut writer = builder.push_row(Timestamp(1_700_000_000_000_000_000 + row as i64 * 16_666_667));
        for column in 0..columns {
            let value = if column % 2 == 0 {
                (row as f64 * 0.01 * (column + 1) as f64).sin()
            } else {
                (row / (column % 60 + 1)) as f64
            };
            writer.set(column, value);
        }
    }
    let mut batch = builder.finish();
    batch.stamp(first as u64, Timestamp(0));
    batch
}

fn wide(folder: &Path, seconds: usize) {
    let host = FakeHost::new(folder);
    let schema = schema(1000);
    let mut sink = open_sink(
        &tapedeck_parquet::factory(),
        &serde_json::json!({}),
        std::slice::from_ref(&schema),
        &host,
        "wide",
    )
    .expect("the folder is writable");
    let mut pool = BatchPool::new(schema);
    let before = peak_mb();
    let (mut spent, mut longest) = (0.0, 0.0_f64);
    for row in 0..60 * seconds {
        let batch = batch(&mut pool, row, 1);
        let begin = processor_ms();
        sink.write(0, batch).expect("the disk has room");
        let took = processor_ms() - begin;
        spent += took;
        longest = longest.max(took);
    }
    let begin = processor_ms();
    sink.finish().expect("the disk has room");
    spent += processor_ms() - begin;
    let size = std::fs::metadata(folder.join("wide.parquet")).expect("it was just written").len();
    println!(
        "1,000 columns at 60 Hz, {seconds} s: {:.2} % of a core, longest call {longest:.0} ms",
        spent / 10.0 / seconds as f64
    );
    println!(
        "  peak memory {before:.0} MB -> {:.0} MB, file {:.1} MB of {:.1}",
        peak_mb(),
        size as f64 / 1e6,
        (480 * seconds) as f64 / 1e3
    );
}

/// Processor time in nanoseconds a row: ours and the bare writer's.
fn narrow(folder: &Path, batches: &[Batch], compression: &str) -> (f64, f64) {
    let rows: usize = batches.iter().map(Batch::rows).sum();
    let schema = batches[0].schema().clone();
    let host = FakeHost::new(folder);
    let options = serde_json::json!({ "compression": compression, "row_group_time": "100h" });
    let begin = processor_ms();
    let mut sink =
        open_sink(&tapedeck_parquet::factory(), &options, std::slice::from_ref(&schema), &host, "narrow")
            .expect("the folder is writable");
    for batch in batches {
        sink.write(0, batch.clone()).expect("the disk has room");
    }
    sink.finish().expect("the disk has room");
    let ours = (processor_ms() - begin) * 1e6 / rows as f64;

    let zstd = Compression::ZSTD(ZstdLevel::try_new(1).expect("1 is a level"));
    let arrow = Arc::new(arrow_schema(&schema));
    let records: Vec<_> =
        batches.iter().map(|batch| batch.to_arrow(&arrow).expect("the schema is the batch's")).collect();
    let properties = WriterProperties::builder()
        .set_compression(if compression == "zstd" { zstd } else { Compression::UNCOMPRESSED })
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(Some((64 << 20) / 96));
    let begin = processor_ms();
    let file = File::create(folder.join("bare.parquet")).expect("the folder is writable");
    let mut writer = ArrowWriter::try_new(file, arrow, Some(properties.build())).expect("the schema is fine");
    records.iter().for_each(|record| writer.write(record).expect("the disk has room"));
    writer.close().expect("the disk has room");
    (ours, (processor_ms() - begin) * 1e6 / rows as f64)
}

fn main() {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(folder).expect("the folder is writable");
    wide(folder.path(), 120);
    for rows in [4096, 256, 1] {
        let mut pool = BatchPool::new(schema(10));
        let batches: Vec<_> =
            (0..(1 << 20) / rows).map(|number| batch(&mut pool, number * rows, rows)).collect();
        for compression in ["zstd", "none"] {
            for pass in ["first", "second", "third"] {
                let (ours, bare) = narrow(folder.path(), &batches, compression);
                let ratio = bare / ours;
                println!(
                    "10 f64, {rows:4}-row batches, {compression}, {pass} pass: {ours:6.1} ns/row, bare ArrowWriter {bare:6.1}: {ratio:.2} x"
                );
            }
        }
    }
}

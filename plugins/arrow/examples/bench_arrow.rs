//! Measures the sink's write path: small frames against a bare loop over the `mcap` writer, and wide streams a message a second.
//! It knows nothing of the engine; the pipeline's own figures are in `benches/`.
#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a benchmark prints what it timed")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};
use tapedeck_sdk::testing::{FakeHost, open_sink, sample};
use tapedeck_sdk::{DataType, Kind, StreamSchema};

const FRAMES: usize = 1 << 20;

/// Processor time of this process so far, in nanoseconds: unlike the wall's, it bears other programs on the machine.
fn processor_ns() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn schema(columns: usize) -> Arc<StreamSchema> {
    let builder = StreamSchema::builder("bench", Kind::Attributes);
    (0..columns)
        .fold(builder, |builder, index| builder.field(&format!("c{index}"), DataType::Float64))
        .build()
        .expect("names differ")
}

/// Nanoseconds a frame of 64 `f64`, uncompressed, one message a frame.
fn mcap(folder: &Path) -> f64 {
    let file = BufWriter::new(File::create(folder.join("bench.mcap")).expect("the folder is writable"));
    let options = mcap::WriteOptions::new().compression(None);
    let mut writer = options.create(file).expect("the file is writable");
    let channel = writer.add_channel(0, "bench", "raw", &BTreeMap::new()).expect("the channel is new");
    let frame = [7_u8; 512];
    let begin = processor_ns();
    for sequence in 0..FRAMES {
        let time = sequence as u64;
        let header = mcap::records::MessageHeader {
            channel_id: channel,
            sequence: 0,
            log_time: time,
            publish_time: time,
        };
        writer.write_to_known_channel(&header, &frame).expect("the disk has room");
    }
    writer.finish().expect("the disk has room");
    (processor_ns() - begin) / FRAMES as f64
}

/// Nanoseconds a frame through the sink, in batches of `rows`.
fn sink(folder: &Path, columns: usize, rows: usize, frames: usize, flush_each: usize) -> f64 {
    let host = FakeHost::new(folder);
    let schema = schema(columns);
    let mut sink = open_sink(
        &tapedeck_arrow::factory(),
        &serde_json::json!({}),
        std::slice::from_ref(&schema),
        &host,
        "bench",
    )
    .expect("the folder is writable");
    let batch = sample(&schema, 0, rows, 1);
    let begin = processor_ns();
    for number in 1..=frames / rows {
        sink.write(0, batch.clone()).expect("the disk has room");
        if number % flush_each == 0 {
            sink.flush().expect("the disk has room");
        }
    }
    sink.finish().expect("the disk has room");
    (processor_ns() - begin) / frames as f64
}

fn main() {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(folder).expect("the folder is writable");
    let folder = folder.path();
    for pass in ["first pass (fresh files)", "second pass"] {
        println!("{pass}: {FRAMES} frames of 64 f64, processor time");
        let peer = mcap(folder);
        println!("  mcap, a message a frame     {peer:8.1} ns/frame");
        for rows in [1, 16, 64, 256, 1024, 4096] {
            let ours = sink(folder, 64, rows, FRAMES, usize::MAX);
            println!(
                "  arrow, batches of {rows:5} rows {ours:8.1} ns/frame, {:5.2} x mcap's rate",
                peer / ours
            );
        }
    }
    let seconds = 200;
    let wide = sink(folder, 1000, 1, 60 * seconds, 60) * 60.0 / 1e6;
    println!("1,000 columns x 60 rows, one message: {wide:.3} ms a second of recording (gathering included)");
}

//! What a second of recording costs this sink: `flush_cost COLUMNS RATE_HZ SECONDS [OPTIONS_JSON [BATCH_ROWS]]`. Rows come one at a time, or in batches, and are flushed
//! once a second of their own time; the program does not wait in between. Prints processor time and peak memory.

use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;
use tapedeck_sdk::testing::FakeHost;
use tapedeck_sdk::{BatchPool, DataType, Field, Kind, Opener, StreamSchema, Timestamp};

#[expect(clippy::cast_precision_loss, reason = "milliseconds for people")]
fn processor_ms() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 * 1e3 + now.tv_nsec as f64 / 1e6
}

fn schema(columns: usize, only_doubles: bool) -> Arc<StreamSchema> {
    let mixed = [DataType::Int32, DataType::Float32, DataType::Float64];
    let types = if only_doubles { &mixed[2..] } else { &mixed[..] };
    let builder = (0..columns).fold(StreamSchema::builder("game", Kind::Attributes), |builder, index| {
        let field = Field::new(format!("attribute_{index:04}"), types[index % types.len()]);
        builder.push(Field { nullable: !only_doubles, ..field })
    });
    builder.build().expect("the schema is well formed")
}

#[expect(clippy::print_stdout, reason = "a program that measures")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| {
        arguments.get(index).map_or(default, |text| text.parse().expect("a number"))
    };
    let (columns, rate, seconds) = (number(0, 1000), number(1, 60), number(2, 60));
    let options: Value =
        serde_json::from_str(arguments.get(3).map_or("{}", String::as_str)).expect("options are JSON");
    let batch_rows = usize::try_from(number(4, 1)).expect("a number of rows");
    let directory = tempfile::tempdir().expect("there is a folder for temporary files");
    let host = FakeHost::new(directory.path());
    let schema = schema(usize::try_from(columns).expect("a number of columns"), batch_rows > 1);
    let factory = tapedeck_hdf5::factory();
    let Opener::Sink(open) = factory.opener() else { unreachable!("the factory makes a sink") };

    let begun = processor_ms();
    let mut sink = open(&options, std::slice::from_ref(&schema), host.context("h5")).expect("the sink opens");
    println!("open        {:8.2} ms", processor_ms() - begun);
    let mut pool = BatchPool::new(schema.clone());
    let (mut write, mut flush, mut worst) = (0.0, 0.0, 0.0_f64);
    for second in 0..seconds {
        let mut batches = Vec::new();
        for begin in (0..rate).step_by(batch_rows) {
            let mut builder = pool.builder(batch_rows);
            for tick in begin..rate.min(begin + batch_rows as u64) {
                let mut row = builder
                    .push_row(Timestamp(i64::try_from((second * rate + tick) * 16_666_667).expect("a time")));
                for column in 0..schema.payload().len() {
                    match schema.payload()[column].data_type {
                        DataType::Int32 => row.set(column, i32::try_from(tick).expect("a small number")),
                        DataType::Float32 => row.set(column, 0.5_f32),
                        _ => row.set(column, 0.25_f64),
                    };
                }
            }
            batches.push(builder.finish());
        }
        let first = processor_ms();
        for batch in batches {
            sink.write(0, batch).expect("the rows are written");
        }
        let second = processor_ms();
        sink.flush().expect("the rows are flushed");
        let third = processor_ms();
        write += second - first;
        flush += third - second;
        worst = worst.max(third - first);
    }
    let begun = processor_ms();
    sink.finish().expect("the file is closed");
    #[expect(clippy::cast_precision_loss, reason = "milliseconds for people")]
    let each = |total: f64| total / seconds as f64;
    println!("write       {:8.2} ms a second", each(write));
    println!("flush       {:8.2} ms a second", each(flush));
    println!("worst second{worst:8.2} ms");
    println!("finish      {:8.2} ms", processor_ms() - begun);
    let status = std::fs::read_to_string("/proc/self/status").expect("the system tells of the process");
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!("peak memory {}", peak.trim_start_matches("VmHWM:").trim());
    let file = std::fs::metadata(&host.artifacts()[0]).expect("the file is there");
    println!("file        {:8} bytes", file.len());
}

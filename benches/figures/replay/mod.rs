//! Recordings given back: how true to their timing, whether whole, how fast, and how fast a moment or a session is found. This file has
//! what the figures share: recordings of known frames, and a sink that notes when each frame arrives.

mod arrivals;
mod crates;
mod delivery;
mod jitter;
mod moments;
mod reading;
mod sessions;
mod taps;
mod together;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tapedeck_engine::Registry;
use tapedeck_sdk::testing::{FakeHost, open_sink};
use tapedeck_sdk::{BatchPool, DataType, Factory, Kind, StreamSchema, Timestamp};

use crate::{Figure, parts};
use arrivals::Arrivals;
pub(crate) use jitter::spin;

/// The time of the first frame of each recording: 2024-01-01, as the peers have it.
const EPOCH: i64 = 1_704_067_200_000_000_000;
/// Columns of `f64` in a recording that is read for its bulk.
const COLUMNS: usize = 10;

/// Every built-in that plays or keeps a recording here, and the sink that notes arrivals.
fn registry(arrivals: &Arrivals) -> Registry {
    let factories = [
        tapedeck_arrow::factory(),
        tapedeck_csv::factory(),
        tapedeck_hdf5::factory(),
        tapedeck_parquet::factory(),
        tapedeck_null::factory(),
        tapedeck_synthetic::factory(),
        arrivals.factory(),
    ];
    Registry::new(factories).with_journal("arrow")
}

/// The formats whose figures are wanted.
fn formats() -> [(&'static str, Factory); 3] {
    [
        ("arrow", tapedeck_arrow::factory()),
        ("hdf5", tapedeck_hdf5::factory()),
        ("parquet", tapedeck_parquet::factory()),
    ]
}

/// A recording to be written.
struct Recorded {
    /// Of its stream.
    name: &'static str,
    hz: i64,
    frames: i64,
    columns: usize,
    /// Frames after which the sink flushes, as it does each second while it records.
    flush_frames: i64,
}

impl Recorded {
    /// Frames at a steady rate, one column.
    fn at(hz: i64, frames: i64) -> Self {
        Self { name: "s", hz, frames, columns: 1, flush_frames: hz }
    }

    fn time(&self, frame: i64) -> i64 {
        EPOCH + frame * 1_000_000_000 / self.hz
    }

    /// Writes it into a folder and returns its one file.
    fn write(&self, factory: &Factory, folder: &Path) -> PathBuf {
        let schema = (0..self.columns)
            .fold(StreamSchema::builder(self.name, Kind::Attributes), |schema, column| {
                schema.field(&format!("c{column}"), DataType::Float64)
            })
            .build()
            .expect("the names differ");
        let host = FakeHost::new(folder);
        let mut sink = open_sink(factory, &json!({}), &[Arc::clone(&schema)], &host, "made").expect("a sink");
        let mut pool = BatchPool::new(schema);
        let mut frame = 0;
        while frame < self.frames {
            let end = self.frames.min(frame + self.flush_frames);
            let rows = usize::try_from(end - frame).expect("it is a few");
            let mut builder = pool.builder(rows);
            builder.push_rows(rows);
            for (row, number) in (frame..end).enumerate() {
                builder.timestamps_mut()[row] = self.time(number);
                builder.seq_mut()[row] = number.cast_unsigned();
            }
            for column in 0..self.columns {
                let values = builder.column_mut::<f64>(column);
                values.iter_mut().zip(frame..).for_each(|(value, number)| *value = f64_of(number));
            }
            sink.write(0, builder.finish()).expect("the disk has room");
            sink.flush().expect("the disk has room");
            frame = end;
        }
        sink.finish().expect("the disk has room");
        folder.join(host.artifacts().first().expect("it makes a file"))
    }
}

/// A pipeline that plays a file into one sink.
fn pipeline(path: &Path, session: &str, replay: &str, sink: &str) -> String {
    format!(
        "{session}\n[sources.again]\nplugin = \"replay\"\npath = {:?}\n{replay}\n[sinks.out]\nplugin = \"{sink}\"\n\
         inputs = [\"again\"]\n",
        path.display().to_string()
    )
}

#[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
fn f64_of(number: i64) -> f64 {
    number as f64
}

/// The time between two moments in nanoseconds, as a number to calculate with.
fn between(from: Timestamp, to: Timestamp) -> f64 {
    f64_of(to.0 - from.0)
}

/// The figures. `REPLAY=quiet,busy` in the environment picks some of them.
pub(crate) fn measure() -> Vec<Figure> {
    parts(
        "REPLAY",
        &[
            ("quiet", jitter::quiet),
            ("busy", jitter::busy),
            ("delivery", delivery::measure),
            ("moments", moments::measure),
            ("reading", reading::measure),
            ("taps", taps::measure),
            ("together", together::measure),
            ("sessions", sessions::measure),
        ],
    )
}

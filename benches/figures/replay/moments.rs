//! How long the closest frame to a moment takes to find, in a long recording that is open.

use std::fs::File;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tapedeck_engine::replay::Reel;
use tapedeck_sdk::Timestamp;

use super::arrivals::Arrivals;
use super::{COLUMNS, Recorded, formats, registry};
use crate::engine::folder;
use crate::{Figure, median};

const FRAMES: i64 = 1_000_000;
const MOMENTS: i64 = 2000;
const RUNS: usize = 5;

/// Microseconds of the first look, which may read an index, and of a later one, at moments all over the recording.
fn look(path: &Path, recorded: &Recorded) -> (f64, f64) {
    let registry = registry(&Arrivals::default());
    let mut reel = Reel::open(&registry, &[path.to_owned()], &[]).expect("it was just written");
    let mut closest = |frame: i64| {
        let begun = Instant::now();
        let found = reel.closest(0, Timestamp(recorded.time(frame) + 100)).expect("it can be read");
        let micros = begun.elapsed().as_secs_f64() * 1e6;
        let (batch, row) = found.expect("there are frames");
        assert_eq!(batch.seq()[row], frame.cast_unsigned());
        micros
    };
    let first = closest(FRAMES / 2);
    // A step that shares no factor with the count comes everywhere.
    let all = (1..=MOMENTS).map(|step| closest(step * 611_953 % FRAMES)).collect();
    (first, median(all))
}

/// Microseconds to read the first row group with the format's own library.
fn row_group(path: &Path) -> f64 {
    let begun = Instant::now();
    let file = File::open(path).expect("it was just written");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("it is one");
    let reader = reader.with_row_groups(vec![0]).build().expect("it has one");
    reader.for_each(|batch| drop(black_box(batch.expect("it can be read"))));
    begun.elapsed().as_secs_f64() * 1e6
}

/// The figures.
pub(super) fn measure() -> Vec<Figure> {
    let figure = |(name, factory): (&str, tapedeck_sdk::Factory)| {
        let folder = folder();
        let recorded = Recorded { name: "s", hz: 60, frames: FRAMES, columns: COLUMNS, flush_frames: 3600 };
        let path = recorded.write(&factory, folder.path());
        let (first, later) = look(&path, &recorded);
        let title = format!("closest frame in 1 M of {COLUMNS} columns, {name}, file open");
        let found = format!("{later:.1} us (the first time {first:.0} us)");
        if name == "parquet" {
            let group = median((0..RUNS).map(|_| row_group(&path)).collect());
            let measured = format!("{found}; a row group takes {group:.0} us");
            Figure::new(title, measured, "<= one row group", later <= group)
        } else {
            Figure::new(title, found, "<= 10 us", later <= 10.0)
        }
    };
    formats().into_iter().map(figure).collect()
}

//! Three recordings of different formats and rates, played together: whether frames of different streams are as far apart as recorded.

use std::path::PathBuf;

use super::arrivals::{Arrival, Arrivals};
use super::{Recorded, between, registry};
use crate::engine::{folder, run_with};
use crate::{Figure, median};

/// Rates and frames of the three: three seconds each.
const RECORDINGS: [(i64, i64); 3] = [(60, 180), (97, 291), (250, 750)];
const RUNS: usize = 3;
const AWAY_US_MAX: f64 = 1000.0;

fn write(folder: &std::path::Path) -> Vec<PathBuf> {
    let factories = [tapedeck_csv::factory(), tapedeck_hdf5::factory(), tapedeck_arrow::factory()];
    let write = |(number, (factory, (hz, frames))): (usize, (_, (i64, i64)))| {
        let folder = folder.join(number.to_string());
        std::fs::create_dir(&folder).expect("the disk has room");
        let name: &'static str = ["one", "two", "three"][number];
        Recorded { name, ..Recorded::at(hz, frames) }.write(&factory, &folder)
    };
    factories.into_iter().zip(RECORDINGS).enumerate().map(write).collect()
}

/// Of all frames of all streams: how far each is from the median distance to its recorded time, in microseconds, sorted.
fn away(paths: &[PathBuf]) -> Vec<f64> {
    let arrivals = Arrivals::default();
    let text = format!(
        "[sources.again]\nplugin = \"replay\"\npath = {paths:?}\n[sinks.out]\nplugin = \"arrivals\"\ninputs = [\"again\"]\n"
    );
    let report = run_with(&registry(&arrivals), &text);
    let arrived = arrivals.take();
    let frames: i64 = RECORDINGS.iter().map(|(_, frames)| frames).sum();
    assert!(report.streams.len() == RECORDINGS.len() && !report.loss.any(), "{report:?}");
    assert_eq!(arrived.len() as u64, frames.unsigned_abs());
    let first = arrived[0];
    let late =
        |Arrival { recorded, at, .. }: &Arrival| between(first.at, *at) - between(first.recorded, *recorded);
    let late: Vec<f64> = arrived.iter().map(late).collect();
    let middle = median(late.clone());
    let mut away: Vec<f64> = late.iter().map(|late| (late - middle).abs() / 1e3).collect();
    away.sort_by(f64::total_cmp);
    away
}

/// The figures.
pub(super) fn measure() -> Vec<Figure> {
    let folder = folder();
    let paths = write(folder.path());
    let runs: Vec<Vec<f64>> = (0..RUNS).map(|_| away(&paths)).collect();
    let p99 = median(runs.iter().map(|away| away[(away.len() - 1) * 99 / 100]).collect());
    let furthest = median(runs.iter().map(|away| away[away.len() - 1]).collect());
    let measured = format!("p99 {p99:.0} us, at most {furthest:.0} us");
    let title = "csv, hdf5 and arrow replayed together, offsets at a sink against those recorded";
    vec![Figure::new(title, measured, "p99 <= 1 ms", p99 <= AWAY_US_MAX)]
}

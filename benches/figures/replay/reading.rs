//! A replay as fast as possible against a loop around the format's crate, and around the same reader: what pacing, reading ahead and the edge
//! cost.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use tapedeck_sdk::Format;

use super::arrivals::Arrivals;
use super::crates;
use super::{COLUMNS, Recorded, formats, pipeline, registry};
use crate::engine::{folder, run_with};
use crate::{Figure, median};

const FRAMES: i64 = 3_000_000;
const RUNS: usize = 5;

/// Seconds to read a file to its end.
fn alone(format: &dyn Format, path: &Path) -> f64 {
    let begun = Instant::now();
    let mut recording = format.open(path).expect("it was just written");
    while let Some((_, batch)) = recording.next().expect("it can be read") {
        drop(black_box(batch));
    }
    begun.elapsed().as_secs_f64()
}

/// Seconds to play it to its end into a sink that keeps nothing.
fn played(path: &Path) -> f64 {
    let text = pipeline(path, "journal = \"off\"", "timing = \"none\"", "null");
    let report = run_with(&registry(&Arrivals::default()), &text);
    assert!(report.streams[0].frames == FRAMES.unsigned_abs() && !report.loss.any(), "{report:?}");
    report.wall_seconds
}

/// The figures.
pub(super) fn measure() -> Vec<Figure> {
    let figure = |(name, factory): (&str, tapedeck_sdk::Factory)| {
        let folder = folder();
        let recorded = Recorded { name: "s", hz: 1000, frames: FRAMES, columns: COLUMNS, flush_frames: 4096 };
        let path = recorded.write(&factory, folder.path());
        let format = factory.format().expect("it reads what it writes").clone();
        let turn = || [crates::read(name, &path), alone(format.as_ref(), &path), played(&path)];
        // The first turn fills the page cache.
        turn();
        let runs: Vec<[f64; 3]> = (0..RUNS).map(|_| turn()).collect();
        let against = |which: usize| median(runs.iter().map(|run| run[which] / run[2]).collect());
        let rate =
            |which: usize| super::f64_of(FRAMES) / median(runs.iter().map(|run| run[which]).collect()) / 1e6;
        let ratio = against(0);
        let title = format!("replay as fast as possible, {COLUMNS} columns, {name}, against its crate alone");
        let measured = format!(
            "{ratio:.2} x ({:.2} M frames/s against {:.2} M; {:.2} x our reader alone)",
            rate(2),
            rate(0),
            against(1)
        );
        Figure::new(title, measured, ">= 0.9 x", ratio >= 0.9)
    };
    formats().into_iter().map(figure).collect()
}

//! Runs pipelines in this process, into a folder that is thrown away.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tapedeck_engine::pipeline::{Pipeline, Variables, parse};
use tapedeck_engine::report::Report;
use tapedeck_engine::{Registry, RunOptions, begin};

/// Where recordings of a run go: the same disk for us and for the peers.
pub(crate) fn folder() -> tempfile::TempDir {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    tempfile::tempdir_in(target).expect("the target folder can be written")
}

/// Every built-in that the figures use.
fn registry() -> Registry {
    Registry::new([
        tapedeck_memory::factory(),
        tapedeck_synthetic::factory(),
        tapedeck_arrow::factory(),
        tapedeck_hdf5::factory(),
        tapedeck_parquet::factory(),
        tapedeck_null::factory(),
    ])
    .with_journal("arrow")
}

/// Runs a pipeline's text to its end.
pub(crate) fn run(text: &str) -> Report {
    run_with(&registry(), text)
}

/// The same with other plugins.
pub(crate) fn run_with(registry: &Registry, text: &str) -> Report {
    run_into(registry, text, folder().path())
}

/// A pipeline's text, checked. It begins with keys of the session, if it has any.
pub(crate) fn parsed(registry: &Registry, text: &str) -> Pipeline {
    let text = format!("[session]\ndisk_free_min = \"0B\"\n{text}");
    parse("bench.toml", &text, &Variables::none(), registry).unwrap_or_else(|error| panic!("{error}"))
}

/// The same into a folder that is kept.
pub(crate) fn run_into(registry: &Registry, text: &str, folder: &Path) -> Report {
    let pipeline = parsed(registry, text);
    let options = RunOptions { directory: Some(folder.to_owned()), ..RunOptions::default() };
    let session = begin(pipeline, registry, &options).unwrap_or_else(|error| panic!("{error:?}"));
    session.wait(Duration::from_secs(3600), |_| {}).expect("the manifest can be written")
}

/// Frames a second of a run that must lose nothing.
pub(crate) fn frames_per_second(text: &str) -> f64 {
    let report = run(text);
    assert!(report.outcome() == tapedeck_engine::report::Outcome::Complete, "{report:?}");
    let frames: u64 = report.streams.iter().map(|stream| stream.frames).sum();
    to_f64(frames) / report.wall_seconds
}

#[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
pub(crate) fn to_f64(number: u64) -> f64 {
    number as f64
}

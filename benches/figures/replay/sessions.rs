//! How long the list of many sessions takes, from their manifests alone.

use std::path::Path;
use std::time::Instant;

use tapedeck_engine::session::{MANIFEST, Manifest, list};

use super::arrivals::Arrivals;
use super::registry;
use crate::engine::{folder, run_into};
use crate::{Figure, median};

const SESSIONS: i64 = 10_000;
const RUNS: usize = 5;
const PIPELINE: &str = "[sources.made]\nplugin = \"synthetic\"\ncolumns = 10\ncount = 100\n\
    [sinks.rows]\nplugin = \"arrow\"\ninputs = [\"made\"]\n[sinks.file]\nplugin = \"parquet\"\ninputs = [\"made\"]\n";

/// So many sessions with the manifest of a real one.
fn make(folder: &Path) {
    let one = folder.join("one");
    let report = run_into(&registry(&Arrivals::default()), PIPELINE, &one);
    let mut manifest = Manifest::read(&report.folder).expect("the session has ended");
    for number in 0..SESSIONS {
        manifest.session = format!("session-{number}");
        manifest.started_at_ns += 1_000_000_000;
        let folder = folder.join("all").join(&manifest.session);
        std::fs::create_dir_all(&folder).expect("the disk has room");
        // As the engine writes it, but for the wait until each is on the disk.
        let text = serde_json::to_vec_pretty(&manifest).expect("it is JSON");
        std::fs::write(folder.join(MANIFEST), text).expect("the disk has room");
    }
}

/// The figures.
pub(super) fn measure() -> Vec<Figure> {
    let folder = folder();
    make(folder.path());
    let all = folder.path().join("all");
    let turn = || {
        let begun = Instant::now();
        let listed = list(&all).expect("the folder can be listed");
        assert!(
            listed.len() as u64 == SESSIONS.unsigned_abs() && listed.iter().all(|one| one.error.is_none())
        );
        begun.elapsed().as_secs_f64()
    };
    let cold = turn();
    let warm = median((0..RUNS).map(|_| turn()).collect());
    let measured = format!("{warm:.2} s (the first time {cold:.2} s)");
    vec![Figure::new("list of 10,000 sessions, warm", measured, "<= 0.3 s", warm <= 0.3)]
}

//! How long `tapedeck run` takes until the first frame, beyond the start of the program that it records.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::engine::folder;
use crate::{Figure, budget, median};

const RUNS: usize = 9;

/// Milliseconds from the start of the program to the timestamp of the first frame.
fn start(attributes: usize) -> f64 {
    let folder = folder();
    let mut game = budget::Game::start(attributes, budget::STRIDES[0]);
    std::fs::write(folder.path().join("p.toml"), game.pipeline(60.0, &["hdf5", "parquet"]))
        .expect("the folder can be written");
    let before =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("the clock is past 1970");
    let begin = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_tapedeck"))
        .args(["run", "p.toml", "--duration", "50ms", "--session", "s", "--quiet"])
        .current_dir(folder.path())
        .stderr(Stdio::inherit())
        .output()
        .expect("the program can be started");
    assert!(
        output.status.code() == Some(0) || output.status.code() == Some(3),
        "{output:?} after {:?}",
        begin.elapsed()
    );
    game.stop();
    let text = std::fs::read_to_string(folder.path().join("recordings/s/session.json"))
        .expect("there is a manifest");
    let manifest: serde_json::Value = serde_json::from_str(&text).expect("the manifest is JSON");
    let first = manifest["streams"][0]["timestamps"][0].as_i64().expect("there was a frame");
    let before = i64::try_from(before.as_nanos()).expect("the year is before 2262");
    #[expect(clippy::cast_precision_loss, reason = "some milliseconds")]
    let millis = (first - before) as f64 / 1e6;
    millis
}

/// The figures.
pub(crate) fn measure() -> Vec<Figure> {
    let figure = |attributes: usize| {
        let millis = median((0..RUNS).map(|_| start(attributes)).collect());
        let name =
            format!("start to first frame, {attributes} attributes of a running process, HDF5 and Parquet");
        Figure::new(name, format!("{millis:.1} ms"), "<= 50 ms", millis <= 50.0)
    };
    vec![figure(10), figure(1000)]
}

//! How long `tapedeck check` takes for large pipelines, right and wrong ones.

use std::process::Command;
use std::time::Instant;

use crate::engine::folder;
use crate::{Figure, median};

const RUNS: usize = 5;
const STAGES: usize = 20_000;
const VARIABLES: usize = 100_000;

/// Seconds that the check takes.
fn check(text: &str, code: i32) -> f64 {
    let folder = folder();
    std::fs::write(folder.path().join("p.toml"), text).expect("the folder can be written");
    let begin = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_tapedeck"))
        .args(["check", "p.toml"])
        .current_dir(folder.path())
        .output()
        .expect("the program can be started");
    let took = begin.elapsed().as_secs_f64();
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    took
}

/// Each stage reads the one before it.
fn chain() -> String {
    let mut text = String::from("[sources.t0]\nplugin = \"synthetic\"\nrate = 60\n");
    for at in 1..STAGES - 1 {
        text += &format!("[transforms.t{at}]\nplugin = \"select\"\ninputs = [\"t{}\"]\n", at - 1);
    }
    text + &format!("[sinks.k]\nplugin = \"null\"\ninputs = [\"t{}\"]\n", STAGES - 2)
}

/// One sink that reads all sources, or what is called nearly like them.
fn inputs(id: &str) -> String {
    let sources: String =
        (0..STAGES).map(|at| format!("[sources.s{at}]\nplugin = \"synthetic\"\nrate = 60\n")).collect();
    let names: Vec<String> = (0..STAGES).map(|at| format!("\"{id}{at}\"")).collect();
    format!("{sources}[sinks.k]\nplugin = \"null\"\ninputs = [{}]\n", names.join(", "))
}

/// A string of many variables, and as many strings of one.
fn variables() -> String {
    let many: String = (0..VARIABLES / 2).map(|at| format!("${{A{at}:-x}}")).collect();
    let each: Vec<String> = (0..VARIABLES / 2).map(|at| format!("\"${{B{at}:-x}}\"")).collect();
    format!("a = \"{many}\"\nb = [{}]\n", each.join(", "))
}

/// The figures.
pub(crate) fn measure() -> Vec<Figure> {
    let figure = |name: String, text: String, code: i32| {
        let seconds = median((0..RUNS).map(|_| check(&text, code)).collect());
        Figure::new(name, format!("{seconds:.2} s"), "<= 1 s", seconds <= 1.0)
    };
    vec![
        figure(format!("check of {STAGES} stages in a row"), chain(), 0),
        figure(format!("check of a sink with {STAGES} inputs"), inputs("s"), 0),
        figure(format!("check of {STAGES} unknown names"), inputs("t"), 2),
        figure(format!("check of {VARIABLES} variables"), variables(), 2),
    ]
}

//! The guide is true: what `sdk/README.md` shows in C, in Python and in JSON is taken out of it and run. Its Rust is a doctest. Does not know
//! what the text around the examples says.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails, helpers included")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tapedeck_sdk::door::{ContextText, read_descriptor, read_streams};
use tapedeck_sdk::testing::FakeHost;
use tapedeck_sdk::{BatchPool, PluginKind, StreamSchema, Timestamp};

const GUIDE: &str = include_str!("../README.md");

/// The examples of a language, in order.
fn examples(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    let found: Vec<&str> =
        GUIDE.split(begin.as_str()).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect();
    assert!(!found.is_empty(), "the guide shows no {language}");
    found
}

/// The stream that the guide describes.
fn stream() -> Arc<StreamSchema> {
    read_streams(examples("json")[2]).unwrap().remove(0)
}

/// A file with frames of that stream, and the lines that stand for them.
fn frames(folder: &Path) -> (PathBuf, String) {
    let mut pool = BatchPool::new(stream());
    let mut batch = pool.builder(20);
    let mut lines = String::new();
    for row in 0..20_i64 {
        let timestamp = 1_700_000_000_000_000_000 + row;
        let name = "é".repeat(usize::try_from(row % 4).unwrap());
        let mut frame = batch.push_row(Timestamp(timestamp));
        frame.set_str(1, &name);
        let health = if row % 3 == 1 {
            frame.set_null(0);
            "null".to_owned()
        } else {
            let health = f64::from(i32::try_from(row).unwrap()) * -1.5;
            frame.set(0, health);
            format!("{health:.3}")
        };
        lines.push_str(&format!("{} {timestamp} {health} {name}\n", 100 + row));
    }
    let mut batch = batch.finish();
    batch.stamp(100, Timestamp(0));
    let path = folder.join("frames.slab");
    std::fs::write(&path, batch.as_bytes()).unwrap();
    (path, lines)
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guide").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// What the program prints.
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_reader_in_c_reads_a_batch() {
    let folder = folder("c");
    let (file, lines) = frames(&folder);
    let (source, program) = (folder.join("read.c"), folder.join("read"));
    std::fs::write(&source, examples("c")[0]).unwrap();
    let mut compile = Command::new("cc");
    compile.args(["-std=c99", "-Wall", "-Wextra", "-Werror"]).arg(&source).arg("-o").arg(&program);
    printed(&mut compile);
    assert_eq!(printed(Command::new(program).arg(file)), lines);
}

#[test]
fn the_reader_in_python_reads_a_batch() {
    let folder = folder("python");
    let (file, lines) = frames(&folder);
    let source = folder.join("read.py");
    std::fs::write(&source, examples("python")[0]).unwrap();
    assert_eq!(printed(Command::new("python3").arg(source).arg(file).env("PYTHONUTF8", "1")), lines);
}

#[test]
fn the_json_that_is_shown_is_what_crosses_a_door() {
    let shown = examples("json");
    assert_eq!(shown.len(), 3);
    let descriptor = read_descriptor(shown[0], PluginKind::Transform).unwrap();
    let shown_again: serde_json::Value = serde_json::from_str(shown[0]).unwrap();
    assert_eq!(serde_json::to_value(&descriptor).unwrap(), shown_again);
    let context = ContextText::read(shown[1], FakeHost::new(Path::new("."))).unwrap();
    let shown_again: serde_json::Value = serde_json::from_str(shown[1]).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&ContextText::of(&context)).unwrap(), shown_again);
    let shown_again: serde_json::Value = serde_json::from_str(shown[2]).unwrap();
    assert_eq!(serde_json::to_value([stream().as_ref()]).unwrap(), shown_again);
}

#[test]
fn the_guide_fits_ten_minutes() {
    assert!(GUIDE.lines().count() <= 350, "{} lines", GUIDE.lines().count());
}

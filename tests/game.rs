//! A live process is recorded, and the files say what the process's own log says.

use std::process::{Command, Stdio};

use crate::util::{Dir, example, python, root, wait_until};

/// The attributes of `arcade` that have an entry in its log, with the two frame counters that tell a torn row.
fn pipeline(arguments: &str) -> String {
    let arcade = example("arcade");
    let mut text = format!(
        "[session]\ndisk_free_min = \"0B\"\n[sources.game]\nplugin = \"memory\"\nrate = 60\nspawn = [\"{}\", {arguments}]\n",
        arcade.display()
    );
    for (name, offset, kind, more) in [
        ("frame_end", 0x00, "u64", ""),
        ("health", 0x08, "int", ""),
        ("mana", 0x0C, "float", ""),
        ("position", 0x10, "array", "length = 12"),
        ("x", 0x10, "f32", ""),
        ("speed", 0x20, "f64", ""),
        ("score", 0x28, "u64", ""),
        ("combo", 0x30, "i64", ""),
        ("alive", 0x38, "bool", ""),
        ("level", 0x3A, "u16", ""),
        ("temperature", 0x3C, "i8", ""),
        ("depth", 0x3E, "i16", ""),
        ("ticks", 0x40, "u32", ""),
        ("inventory", 0x48, "array", "length = 16"),
        ("name", 0x58, "string", "length = 16"),
        ("frame_begin", 0x68, "u64", ""),
    ] {
        text.push_str(&format!(
            "[sources.game.attributes.{name}]\npattern = \"48 8B 05 ?? ?? ?? ?? 54 41 50 45 44 45 43 4B\"\noffsets = [0x18, 0x10, {offset}]\ntype = \"{kind}\"\n{more}\n"
        ));
    }
    for (id, plugin) in
        [("h5", "hdf5"), ("rows", "parquet"), ("journal", "arrow"), ("text", "csv"), ("lines", "jsonl")]
    {
        text.push_str(&format!("[sinks.{id}]\nplugin = \"{plugin}\"\ninputs = [\"game\"]\n"));
    }
    text
}

#[test]
fn every_format_says_what_the_games_own_log_says() {
    let dir = Dir::new();
    let truth = dir.path("truth.csv");
    let report = dir.record(&pipeline(&format!("\"--truth\", \"{}\"", truth.display())), "3s", 0);
    let frames = report["streams"][0]["frames"].as_u64().unwrap();
    assert_eq!(frames + report["loss"]["late"].as_u64().unwrap(), 180, "{report}");
    // The game is told to end when the recording does; its log is whole a moment later.
    wait_until("the log is written", || {
        std::fs::read_to_string(&truth).is_ok_and(|log| log.lines().count() > 150)
    });
    for file in ["h5.h5", "rows.parquet", "journal.arrows", "text.csv", "lines.jsonl"] {
        let found = python("truth.py", &[&dir.path("out/s").join(file), &truth]);
        assert_eq!(found["rows"], frames, "{file}: {found}");
        assert_eq!(found["wrong"], serde_json::json!([]), "{file}");
        assert!(found["compared"].as_u64().unwrap() > 100, "{file}: {found}");
    }
    // The lines of the recording guide, unchanged.
    let guide = python("guide.py", &[&dir.path("out/s/h5.h5")]);
    assert_eq!(guide["frames"], frames);
    assert!((guide["duration"].as_f64().unwrap() - 3.0).abs() < 0.1, "{guide}");
    assert!(guide["attributes"].as_array().unwrap().contains(&"health".into()));
}

#[test]
fn a_game_that_exits_ends_the_session_and_keeps_what_was_recorded() {
    let dir = Dir::new();
    let report = dir.record(&pipeline("\"--die-after\", \"1\""), "20s", 0);
    assert_eq!(report["ended_by"], "sources");
    let frames = report["streams"][0]["frames"].as_u64().unwrap();
    let late = report["streams"][0]["late"].as_u64().unwrap();
    assert!(frames > 0 && frames + late <= 70, "60 a second for a second at most: {report}");
}

#[test]
fn ticks_without_a_game_are_counted_by_reason_and_shown() {
    let dir = Dir::new();
    let game = dir.path("arcade-absent");
    // Another process copies it: a child that another test starts meanwhile would inherit our file, open for writing.
    assert!(Command::new("cp").arg(example("arcade")).arg(&game).status().unwrap().success());
    let attributes = pipeline("").split_once("[sources.game.attributes").unwrap().1.to_owned();
    let text = format!(
        "[session]\ndisk_free_min = \"0B\"\n[sources.game]\nplugin = \"memory\"\nrate = 60\nprocess = \"arcade-absent\"\n\
         reattach = true\nattach_timeout = \"20s\"\n[sources.game.attributes{attributes}"
    );
    let mut arcade = Command::new(&game).args(["--die-after", "1"]).stdout(Stdio::null()).spawn().unwrap();
    let report = dir.record(&text, "2s", 3);
    arcade.wait().unwrap();
    let stream = &report["streams"][0];
    let count = |key: &str| stream[key].as_u64().unwrap();
    assert!(count("absent") > 0 && count("absent") <= count("late"), "{report}");
    assert_eq!(count("frames") + count("late"), 120, "every tick is a frame or missed: {report}");
    assert_eq!(report["loss"]["partial"], 0, "{report}");
    let manifest = std::fs::read_to_string(dir.path("out/s/session.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["streams"][0]["absent"], stream["absent"], "{manifest}");
    let shown = dir.tapedeck(&["inspect", "out/s"]).run();
    let reason = format!("(late because the source's target was absent: {})", stream["absent"]);
    assert!(shown.stdout.contains(&reason), "{shown:?}");
    // The gap in the numbers is the loss.
    let rows = std::fs::read_to_string(dir.path("out/s/text.csv")).unwrap();
    let last: u64 = rows.lines().last().unwrap().split(',').next().unwrap().parse().unwrap();
    assert!(last < 120 && rows.lines().count() as u64 == count("frames") + 1, "{rows}");
}

#[test]
fn a_broken_pointer_gives_nulls_that_are_counted_and_never_stale_values() {
    let dir = Dir::new();
    let truth = dir.path("truth.csv");
    let game = pipeline(&format!(
        "\"--truth\", \"{}\", \"--null-pointer-after\", \"60\", \"--null-frames\", \"30\"",
        truth.display()
    ));
    let report = dir.record(&game, "2s", 3);
    let failed = report["loss"]["partial"].as_u64().unwrap();
    assert_eq!(report["loss"]["failed"], 0, "a frame with a null is written: {report}");
    assert!((10..=40).contains(&failed), "{report}");
    let found = python("truth.py", &[&dir.path("out/s/rows.parquet"), &truth]);
    assert_eq!(found["wrong"], serde_json::json!([]));
    assert_eq!(found["null_rows"].as_u64().unwrap(), failed);
    let hdf5 = python("truth.py", &[&dir.path("out/s/h5.h5"), &truth]);
    assert_eq!(hdf5["wrong"], serde_json::json!([]), "the HDF5 file tells nulls apart");
}

#[test]
fn the_demo_pipeline_is_the_one_that_is_shown() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let pipeline = std::fs::read_to_string(root().join("pipelines/game.toml")).unwrap();
    for line in
        ["offsets = [0x18, 0x10, 0x08]", "type = \"int\"", "plugin = \"hdf5\"", "plugin = \"parquet\""]
    {
        assert!(readme.contains(line) && pipeline.contains(line), "{line}");
    }
}

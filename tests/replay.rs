//! Recordings that are given back: played into another recording, looked at by the moment, cut and merged.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::util::{Dir, Done};

const FORMATS: [(&str, &str); 6] = [
    ("arrow", "arrows"),
    ("parquet", "parquet"),
    ("hdf5", "h5"),
    ("csv", "csv"),
    ("jsonl", "jsonl"),
    ("mcap", "mcap"),
];

/// Records `frames` frames of one source at 500 Hz in every format, as session `first`.
fn recorded(dir: &Dir, frames: u64) {
    let mut text = format!(
        "[session]\ndisk_free_min = \"0B\"\n[sources.made]\nplugin = \"synthetic\"\nrate = 500\ncount = {frames}\nseed = 3\n\
         [sources.made.fields.a]\ntype = \"f64\"\npattern = \"random\"\nnulls = 0.1\n\
         [sources.made.fields.b]\ntype = \"i64\"\n[sources.made.fields.c]\ntype = \"utf8\"\n"
    );
    for (plugin, _) in FORMATS {
        text.push_str(&format!("[sinks.{plugin}]\nplugin = \"{plugin}\"\ninputs = [\"made\"]\n"));
    }
    run(dir, &text, "first", &[0, 3]);
}

/// Runs a pipeline to its end.
fn run(dir: &Dir, pipeline: &str, session: &str, codes: &[i32]) -> Value {
    dir.write(&format!("{session}.toml"), pipeline);
    let file = format!("{session}.toml");
    let done = dir.tapedeck(&["run", &file, "--directory", "out", "--session", session, "--json"]).run();
    assert!(codes.contains(&done.code), "{done:?}");
    let last = done.stdout.lines().last().unwrap_or_default();
    serde_json::from_str::<Value>(last).unwrap_or_else(|error| panic!("{error}: {done:?}"))["report"].clone()
}

/// A pipeline that plays `path` into one sink called `plugin`.
fn replay(path: &str, options: &str, session: &str, plugin: &str) -> String {
    format!(
        "[session]\ndisk_free_min = \"0B\"\n{session}\n[sources.again]\nplugin = \"replay\"\npath = \"{path}\"\n{options}\n\
         [sinks.{plugin}]\nplugin = \"{plugin}\"\ninputs = [\"again\"]\n"
    )
}

/// The frames of a file as text.
fn rows(dir: &Dir, path: &str) -> Vec<String> {
    let name = format!("{}.text.csv", path.replace('/', "-"));
    let done = dir.tapedeck(&["convert", path, &name]).run();
    assert_eq!(done.code, 0, "{path}: {done:?}");
    std::fs::read_to_string(dir.path(&name)).unwrap().lines().map(str::to_owned).collect()
}

fn json(done: &Done) -> Value {
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

#[test]
fn every_format_gives_every_frame_back_with_its_number_its_time_and_its_nulls() {
    let dir = Dir::new();
    recorded(&dir, 300);
    let original = rows(&dir, "out/first/arrow.arrows");
    assert_eq!(original.len(), 301);
    for (plugin, extension) in FORMATS {
        let session = format!("again-{plugin}");
        let from = format!("out/first/{plugin}.{extension}");
        let report = run(&dir, &replay(&from, "timing = \"none\"", "", "arrow"), &session, &[0]);
        assert_eq!(report["streams"][0]["frames"], 300, "{plugin}: {report}");
        let again = rows(&dir, &format!("out/{session}/arrow.arrows"));
        assert_eq!(again[1..], original[1..], "{plugin}");
    }
}

#[test]
fn a_replay_as_recorded_writes_the_same_bytes_again() {
    let dir = Dir::new();
    recorded(&dir, 400);
    for (plugin, extension) in FORMATS {
        let file = format!("{plugin}.{extension}");
        let bytes = |session: &str| std::fs::read(dir.path(&format!("out/{session}/{file}"))).unwrap();
        let (one, two) = (format!("one-{plugin}"), format!("two-{plugin}"));
        for (from, to) in [("first", &one), (&one, &two)] {
            let pipeline = replay(&format!("out/{from}"), "timing = \"none\"", "as_recorded = true", plugin);
            // A recording that was late has gaps; that is no loss of its replay.
            run(&dir, &pipeline, to, &[0]);
        }
        assert!(bytes(&one) == bytes(&two), "{plugin}: a replay of a replay is the same");
        if matches!(plugin, "csv" | "jsonl") {
            assert!(bytes("first") == bytes(&one), "{plugin}: and the same as the recording");
        }
    }
}

/// The time of a row, in ns since midnight.
fn nanos_of_day(row: &str) -> i64 {
    let time = row.split(',').nth(1).unwrap().split('T').nth(1).unwrap().trim_end_matches('Z');
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    let seconds = whole.split(':').fold(0, |sum, part| sum * 60 + part.parse::<i64>().unwrap());
    seconds * 1_000_000_000 + format!("{fraction:0<9}").parse::<i64>().unwrap()
}

#[test]
fn frames_are_given_when_they_are_due_and_windows_are_kept() {
    let dir = Dir::new();
    recorded(&dir, 500);
    let from = "out/first/arrow.arrows";
    let report = run(&dir, &replay(from, "speed = 2.0", "", "csv"), "twice", &[0]);
    let seconds = report["duration_seconds"].as_f64().unwrap();
    assert_eq!(report["streams"][0]["frames"], 500);
    assert!(seconds >= 0.49, "one second at double speed takes half of one: {report}");
    let window = "start = \"300ms\"\nduration = \"200ms\"\ntiming = \"none\"";
    run(&dir, &replay(from, window, "", "csv"), "window", &[0]);
    let (all, cut) = (rows(&dir, from), rows(&dir, "out/window/csv.csv"));
    // However many there are: a machine that pauses us records fewer.
    let begin = nanos_of_day(&all[1]);
    let inside = |row: &&String| {
        let after = (nanos_of_day(row) - begin).rem_euclid(86_400_000_000_000);
        (300_000_000..500_000_000).contains(&after)
    };
    assert_eq!(cut[1..], all[1..].iter().filter(inside).cloned().collect::<Vec<_>>());
    assert!(cut.len() > 1, "200 ms at 500 Hz");
    let manifest = json(&dir.tapedeck(&["inspect", "out/window", "--json"]).run())["manifest"].clone();
    assert_eq!(manifest["loss"]["late"], 0, "what is before the window is skipped, and not lost: {manifest}");
    assert!(manifest["streams"][0]["skipped"].as_u64().unwrap() >= 100, "{manifest}");
}

#[test]
fn what_is_too_late_is_dropped_and_counted_where_the_pipeline_asks_for_it() {
    let dir = Dir::new();
    recorded(&dir, 1000);
    for (behind, codes) in [("drop", [3]), ("slip", [0]), ("catch_up", [0])] {
        let options = format!("behind = \"{behind}\"\nlate_max = \"50ms\"");
        dir.write(
            "late.toml",
            &replay("out/first/arrow.arrows", &options, "flush_interval = \"20ms\"", "csv"),
        );
        let child =
            dir.tapedeck(&["run", "late.toml", "--directory", "out", "--session", behind, "--json"]).pipe();
        crate::util::wait_until("frames are given", || {
            std::fs::metadata(dir.path(&format!("out/{behind}/csv.csv"))).is_ok_and(|file| file.len() > 500)
        });
        let signal = |signal| {
            rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
        };
        signal(rustix::process::Signal::STOP);
        crate::util::wait_until_stopped(&child);
        // Many times `late_max`.
        std::thread::park_timeout(std::time::Duration::from_millis(400));
        signal(rustix::process::Signal::CONT);
        let done = crate::util::ended(child);
        assert!(codes.contains(&done.code), "{behind}: {done:?}");
        let last: Value = serde_json::from_str(done.stdout.lines().last().unwrap()).unwrap();
        let dropped = last["report"]["loss"]["dropped"].as_u64().unwrap();
        assert_eq!(dropped > 0, behind == "drop", "{behind}: {last}");
        let lines = std::fs::read_to_string(dir.path(&format!("out/{behind}/csv.csv"))).unwrap();
        let kept = lines.lines().count() as u64 - 1;
        assert_eq!(kept + dropped, 1000, "{behind}: {last}");
    }
}

#[test]
fn a_loop_goes_on_with_rising_numbers_and_times() {
    let dir = Dir::new();
    recorded(&dir, 50);
    let options = "loop = 3\ntiming = \"none\"";
    let report = run(&dir, &replay("out/first/parquet.parquet", options, "", "jsonl"), "loop", &[0]);
    assert_eq!(report["streams"][0]["frames"], 150, "{report}");
    let text = std::fs::read_to_string(dir.path("out/loop/jsonl.jsonl")).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for pair in rows.windows(2) {
        assert!(pair[0]["seq"].as_u64() < pair[1]["seq"].as_u64(), "{pair:?}");
        assert!(pair[0]["timestamp"].as_str() < pair[1]["timestamp"].as_str(), "{pair:?}");
    }
    for (one, next) in rows[..50].iter().zip(&rows[50..100]) {
        assert_eq!(one["b"], next["b"], "the frames themselves are the same");
    }
}

#[test]
fn streams_of_several_recordings_are_merged_in_the_order_of_time() {
    let dir = Dir::new();
    let mut text = "[session]\ndisk_free_min = \"0B\"\n".to_owned();
    for (id, rate) in [("one", 500), ("two", 70), ("three", 200)] {
        text.push_str(&format!("[sources.{id}]\nplugin = \"synthetic\"\nrate = {rate}\n"));
    }
    for (id, plugin) in [("one", "hdf5"), ("two", "parquet"), ("three", "csv")] {
        text.push_str(&format!("[sinks.of_{id}]\nplugin = \"{plugin}\"\ninputs = [\"{id}\"]\n"));
    }
    dir.write("three.toml", &text);
    let arguments =
        ["run", "three.toml", "--duration", "1s", "--directory", "out", "--session", "first", "-q"];
    assert!(matches!(dir.tapedeck(&arguments).run().code, 0 | 3));
    let done = dir.tapedeck(&["convert", "out/first", "merged.h5", "--json"]).run();
    let frames = json(&done)["frames"].as_u64().unwrap();
    assert!(frames > 600, "{done:?}");
    let inspected = json(&dir.tapedeck(&["inspect", "merged.h5", "--json"]).run());
    let names: Vec<&str> = inspected["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["schema"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["one", "two", "of_three"], "{inspected}");
    let only = dir.tapedeck(&["convert", "out/first", "two.csv", "--stream", "tw*"]).run();
    assert_eq!(only.code, 0, "{only:?}");
    let absent = dir.tapedeck(&["convert", "out/first", "x.csv", "--stream", "four"]).run();
    assert_eq!(absent.code, 2);
    assert!(
        absent.stderr.contains("no stream is called \"four\"") && absent.stderr.contains("two"),
        "{absent:?}"
    );
}

#[test]
fn streams_of_three_formats_are_played_on_one_clock() {
    let dir = Dir::new();
    let mut text = "[session]\ndisk_free_min = \"0B\"\n".to_owned();
    for (id, rate, plugin) in [("one", 60, "csv"), ("two", 97, "hdf5"), ("three", 250, "arrow")] {
        text.push_str(&format!("[sources.{id}]\nplugin = \"synthetic\"\nrate = {rate}\ncount = {rate}\n"));
        text.push_str(&format!("[sinks.{plugin}]\nplugin = \"{plugin}\"\ninputs = [\"{id}\"]\n"));
    }
    run(&dir, &text, "first", &[0, 3]);
    let shown = |session: &str| {
        let done = dir.tapedeck(&["inspect", &format!("out/{session}"), "--json"]).run();
        json(&done)["manifest"]["streams"].clone()
    };
    let recorded = shown("first");
    // The first time of each is another one; which stream is first does not matter.
    let times = |streams: &Value| -> BTreeSet<String> {
        streams.as_array().unwrap().iter().map(|stream| stream["timestamps"].to_string()).collect()
    };
    // How late they are given on the clock that all three share is measured by the bench group `replay`.
    let report = run(&dir, &replay("out/first", "", "", "jsonl"), "again", &[0]);
    assert_eq!(times(&shown("again")), times(&recorded));
    let streams = report["streams"].as_array().unwrap();
    assert!(
        streams.len() == 3 && streams.iter().all(|stream| !stream["tick_lateness"].is_null()),
        "{report}"
    );
    let given: u64 = streams.iter().map(|stream| stream["frames"].as_u64().unwrap()).sum();
    assert_eq!(given, 60 + 97 + 250, "{report}");
}

#[test]
fn the_nearest_frame_is_shown_as_a_line_of_json() {
    let dir = Dir::new();
    recorded(&dir, 200);
    let text = std::fs::read_to_string(dir.path("out/first/jsonl.jsonl")).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let wanted = &rows[123];
    for (plugin, extension) in FORMATS {
        let file = format!("out/first/{plugin}.{extension}");
        let found = json(&dir.tapedeck(&["at", &file, wanted["timestamp"].as_str().unwrap()]).run());
        assert_eq!((&found["seq"], &found["timestamp"]), (&wanted["seq"], &wanted["timestamp"]), "{plugin}");
        assert_eq!((&found["values"]["a"], &found["values"]["c"]), (&wanted["a"], &wanted["c"]), "{plugin}");
    }
    let session = dir.tapedeck(&["at", "out/first", "100ms", "--tolerance", "50ms"]).run();
    assert_eq!(session.code, 0, "{session:?}");
    assert!(json(&session)["distance_seconds"].as_f64().unwrap().abs() <= 0.05);
    let far = dir.tapedeck(&["at", "out/first", "1h", "--tolerance", "1s"]).run();
    assert_eq!((far.code, far.stdout.as_str()), (1, ""), "{far:?}");
    assert_eq!(dir.tapedeck(&["at", "out/first", "soon"]).run().code, 2);
}

#[test]
fn what_can_not_be_played_is_said_before_a_file_is_made() {
    let dir = Dir::new();
    dir.write("text.txt", "hello\n");
    for (path, options, said) in [
        ("nowhere.parquet", "", "there is no such file or folder"),
        ("text.txt", "", "of no known format"),
        ("text.txt", "speed = 0.0", "speed"),
        ("text.txt", "start = \"soon\"", "a moment is"),
    ] {
        dir.write("p.toml", &replay(path, options, "", "csv"));
        let done = dir.tapedeck(&["run", "p.toml", "--directory", "out", "--session", "s"]).run();
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.stderr.contains(said), "{said}: {done:?}");
        assert!(!dir.path("out").exists(), "{done:?}");
    }
}

#[test]
fn sessions_are_listed_by_their_manifests() {
    let dir = Dir::new();
    recorded(&dir, 20);
    std::fs::create_dir_all(dir.path("out/broken")).unwrap();
    dir.write("out/broken/session.json", "{");
    std::fs::create_dir_all(dir.path("out/other")).unwrap();
    let listed = json(&dir.tapedeck(&["sessions", "out", "--json"]).run());
    let sessions = listed.as_array().unwrap();
    assert_eq!(sessions.len(), 2, "{listed}");
    assert_eq!((&sessions[0]["session"], &sessions[0]["status"]), (&"first".into(), &"complete".into()));
    assert_eq!(sessions[0]["streams"][0], "made");
    assert!(sessions[0]["bytes"].as_u64().unwrap() > 1000, "{listed}");
    assert!(sessions[1]["error"]["message"].as_str().unwrap().contains("manifest"), "{listed}");
    let shown = dir.tapedeck(&["sessions", "out"]).run();
    assert!(shown.stdout.contains("first") && shown.stdout.contains("unreadable"), "{shown:?}");
    assert_eq!(dir.tapedeck(&["sessions", "nowhere"]).run().code, 2);
}

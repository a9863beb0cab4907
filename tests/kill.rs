//! `kill -9` at random moments of a recording, then `inspect` and `recover`: every format reads back, at most `flush_interval` of
//! frames is missing, and the program says exactly how many.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::util::{Dir, python, wait_until};

const RATE_HZ: u64 = 200;
const FLUSH_MS: u64 = 400;
const KILLS: u64 = 20;
const FILES: [(&str, &str, &str); 6] = [
    ("h5", "hdf5", "h5.h5"),
    ("rows", "parquet", "rows.parquet"),
    ("stream", "arrow", "stream.arrows"),
    ("text", "csv", "text.csv"),
    ("lines", "jsonl", "lines.jsonl"),
    ("bag", "mcap", "bag.mcap"),
];

fn pipeline() -> String {
    let mut text = format!(
        "[session]\nflush_interval = \"{FLUSH_MS}ms\"\ndisk_free_min = \"0B\"\n[sources.made]\nplugin = \"synthetic\"\nrate = {RATE_HZ}\ncolumns = 6\nseed = 7\n"
    );
    for (id, plugin, _) in FILES {
        text.push_str(&format!("[sinks.{id}]\nplugin = \"{plugin}\"\ninputs = [\"made\"]\n"));
    }
    text
}

/// Moments from 0.2 to 2.2 s, the same in each run.
fn moment(kill: u64) -> std::time::Duration {
    let mixed = (kill + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
    std::time::Duration::from_millis(200 + mixed % 2000)
}

fn json(done: &crate::util::Done) -> Value {
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

/// Kills one recording and recovers it. Returns the frames lost in each file.
fn kill_and_recover(kill: u64) -> BTreeMap<String, u64> {
    let dir = Dir::new();
    dir.write("pipeline.toml", &pipeline());
    let mut child =
        dir.tapedeck(&["run", "pipeline.toml", "--directory", "out", "--session", "s", "--quiet"]).spawn();
    wait_until("the session runs", || dir.path("out/s/session.json").exists());
    std::thread::park_timeout(moment(kill));
    child.kill().unwrap();
    child.wait().unwrap();

    let before = json(&dir.tapedeck(&["inspect", "out/s", "--json"]).run());
    assert_eq!(before["manifest"]["status"], "interrupted", "kill {kill}");

    let recovered = dir.tapedeck(&["recover", "out/s", "--json"]).run();
    let recovery = json(&recovered);
    balances(&dir, "out/s");
    let lost: BTreeMap<String, u64> = recovery["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stream| (stream["sink"].as_str().unwrap().to_owned(), stream["lost"].as_u64().unwrap()))
        .collect();
    assert_eq!(lost.len(), FILES.len(), "{recovery}");
    let after = json(&dir.tapedeck(&["inspect", "out/s", "--json"]).run());
    // A machine that paused us made ticks late before the kill: that is loss too.
    let loss = lost.values().any(|&lost| lost > 0) || after["manifest"]["loss"]["late"] != 0;
    assert_eq!(recovered.code, if loss { 3 } else { 0 }, "kill {kill}: {recovery}");
    assert_eq!(after["manifest"]["status"], "recovered");
    for file in after["files"].as_array().unwrap() {
        assert_eq!(file["error"], Value::Null, "kill {kill}: {file}");
        let stream = &file["streams"][0];
        let late = after["manifest"]["loss"]["late"].as_u64().unwrap();
        assert!(
            stream["missing"].as_u64().unwrap() <= late,
            "kill {kill}: a gap that nobody counted: {file}"
        );
    }
    assert_eq!(dir.tapedeck(&["recover", "out/s"]).run().code, recovered.code, "twice is as once");
    if kill.is_multiple_of(5) {
        read_with_others(&dir, &after);
    }
    lost
}

/// Somebody else's reader finds the same rows.
fn read_with_others(dir: &Dir, after: &Value) {
    let files = after["files"].as_array().unwrap();
    for (id, _, name) in FILES {
        let file = files.iter().find(|file| file["path"].as_str().unwrap().ends_with(name)).unwrap();
        let summary = python("summary.py", &[&dir.path("out/s").join(name)]);
        assert_eq!(summary["rows"], file["streams"][0]["frames"], "{id}");
    }
}

#[test]
fn a_killed_recording_loses_at_most_a_flush_interval_and_says_so() {
    let mut all: Vec<BTreeMap<String, u64>> = Vec::new();
    std::thread::scope(|scope| {
        // Two at a time: the machine may be small, and a flush that waits for the processor is late.
        let lanes = [0, 1].map(|lane| {
            scope.spawn(move || {
                (0..KILLS).filter(|kill| kill % 2 == lane).map(kill_and_recover).collect::<Vec<_>>()
            })
        });
        for lane in lanes {
            all.extend(lane.join().unwrap());
        }
    });
    assert_eq!(all.len() as u64, KILLS);
    let allowed = RATE_HZ * FLUSH_MS / 1000;
    for lost in &all {
        for (sink, &frames) in lost {
            assert!(
                frames <= allowed,
                "{sink} lost {frames} frames, {allowed} are a flush interval: {all:?}"
            );
        }
    }
}

#[test]
fn a_running_session_is_not_recovered() {
    let dir = Dir::new();
    dir.write("pipeline.toml", &pipeline());
    let mut child =
        dir.tapedeck(&["run", "pipeline.toml", "--directory", "out", "--session", "s", "--quiet"]).spawn();
    wait_until("the session runs", || dir.path("out/s/session.json").exists());
    let refused = dir.tapedeck(&["recover", "out/s"]).run();
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("still recording"), "{refused:?}");
    let inspected = json(&dir.tapedeck(&["inspect", "out/s", "--json"]).run());
    assert_eq!(inspected["manifest"]["status"], "recording");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// For each input of each sink: given = written + dropped + failed, by the manifest, and what was written can be read.
fn balances(dir: &Dir, session: &str) -> Value {
    let inspected = json(&dir.tapedeck(&["inspect", session, "--json"]).run());
    let manifest = &inspected["manifest"];
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{value} in {manifest}"));
    for sink in manifest["sinks"].as_array().unwrap() {
        let own = |file: &&Value| {
            let name = file["path"].as_str().unwrap();
            manifest["artifacts"].as_array().unwrap().iter().any(|artifact| {
                artifact["sink"] == sink["id"] && name.ends_with(artifact["path"].as_str().unwrap())
            })
        };
        let files: Vec<&Value> = inspected["files"].as_array().unwrap().iter().filter(own).collect();
        let [input] = sink["inputs"].as_array().unwrap().as_slice() else { panic!("one input: {sink}") };
        let (written, loss) = (number(&input["written"]), &input["loss"]);
        let given: u64 = input["origins"]
            .as_array()
            .unwrap()
            .iter()
            .map(|origin| number(&manifest["streams"][usize::try_from(number(origin)).unwrap()]["frames"]))
            .sum();
        assert_eq!(given, written + number(&loss["dropped"]) + number(&loss["failed"]), "{sink}");
        let read: u64 = files
            .iter()
            .flat_map(|file| file["streams"].as_array().unwrap())
            .map(|s| number(&s["frames"]))
            .sum();
        assert_eq!(read, written, "{sink}");
    }
    manifest.clone()
}

/// Starts a pipeline, lets it run until it has made a file and a bit longer, and kills it.
fn killed(dir: &Dir, pipeline: &str, millis: u64) {
    dir.write("pipeline.toml", pipeline);
    let mut child =
        dir.tapedeck(&["run", "pipeline.toml", "--directory", "out", "--session", "s", "--quiet"]).spawn();
    wait_until("the session runs", || dir.path("out/s/session.json").exists());
    std::thread::park_timeout(std::time::Duration::from_millis(millis));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_a_queue_dropped_before_a_kill_is_no_mystery() {
    let dir = Dir::new();
    let pipeline = "[session]\nflush_interval = \"100ms\"\ndisk_free_min = \"0B\"\n\
        [sources.made]\nplugin = \"synthetic\"\nbatch_rows = 16\ncolumns = 64\n\
        [sinks.text]\nplugin = \"csv\"\ninputs = [{ from = \"made\", queue = { frames = 32, when_full = \"drop_newest\" } }]\n";
    killed(&dir, pipeline, 700);
    let recovered = dir.tapedeck(&["recover", "out/s", "--json"]).run();
    let recovery = json(&recovered);
    assert_eq!(recovered.code, 3, "{recovery}");
    let stream = &recovery["streams"][0];
    assert!(stream["dropped"].as_u64().unwrap() > 0, "{recovery}");
    let sum =
        ["frames", "dropped", "failed", "lost"].map(|key| stream[key].as_u64().unwrap()).iter().sum::<u64>();
    assert_eq!(stream["given"].as_u64().unwrap(), sum, "{recovery}");
    let manifest = balances(&dir, "out/s");
    assert_eq!(manifest["loss"]["dropped"], stream["dropped"], "{manifest}");
}

#[test]
fn without_a_ledger_what_is_lost_is_not_known_and_never_none() {
    let dir = Dir::new();
    killed(&dir, &pipeline(), 900);
    for (copy, ledger) in [("missing", None), ("empty", Some("")), ("rubbish", Some("not a ledger"))] {
        let from = dir.path("out/s");
        let to = dir.path(copy);
        std::fs::create_dir_all(to.join("journal")).unwrap();
        for folder in ["", "journal"] {
            for entry in std::fs::read_dir(from.join(folder)).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_file() {
                    std::fs::copy(entry.path(), to.join(folder).join(entry.file_name())).unwrap();
                }
            }
        }
        std::fs::remove_file(to.join("session.ledger")).unwrap();
        ledger.into_iter().for_each(|text| std::fs::write(to.join("session.ledger"), text).unwrap());
        let recovered = dir.tapedeck(&["recover", copy]).run();
        assert_eq!(recovered.code, 3, "{recovered:?}");
        assert!(recovered.stdout.contains("session.ledger: can't be read"), "{recovered:?}");
        assert!(recovered.stdout.contains("how many are lost is not known"), "{recovered:?}");
        assert!(!recovered.stdout.contains("none lost"), "{recovered:?}");
        let manifest = json(&dir.tapedeck(&["inspect", copy, "--json"]).run())["manifest"].clone();
        assert_eq!(manifest["streams"][0]["unknown"], true, "{manifest}");
        assert_eq!(manifest["sinks"][0]["inputs"][0]["unknown"], true, "{manifest}");
    }
}

#[test]
fn ticks_that_were_late_are_not_lost_once_more() {
    let dir = Dir::new();
    dir.write("pipeline.toml", &pipeline());
    let mut child =
        dir.tapedeck(&["run", "pipeline.toml", "--directory", "out", "--session", "s", "--quiet"]).spawn();
    wait_until("something is recorded", || {
        std::fs::metadata(dir.path("out/s/text.csv")).is_ok_and(|file| file.len() > 2000)
    });
    let signal =
        |signal| rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
    signal(rustix::process::Signal::STOP);
    std::thread::park_timeout(std::time::Duration::from_millis(600));
    signal(rustix::process::Signal::CONT);
    std::thread::park_timeout(std::time::Duration::from_millis(30));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(dir.tapedeck(&["recover", "out/s"]).run().code, 3);
    let manifest = balances(&dir, "out/s");
    assert!(manifest["loss"]["late"].as_u64().unwrap() >= 60, "{manifest}");
}

#[test]
fn several_streams_in_files_of_their_own_are_each_held_against_their_source() {
    let dir = Dir::new();
    let mut text = "[session]\nflush_interval = \"100ms\"\ndisk_free_min = \"0B\"\n".to_owned();
    for id in ["one", "two"] {
        text.push_str(&format!("[sources.{id}]\nplugin = \"synthetic\"\nrate = 200\ncolumns = 3\n"));
    }
    // Names without the usual extensions, one beside the other: what a file is stands in the manifest.
    for (id, plugin) in [("text", "csv"), ("rows", "parquet"), ("all", "hdf5"), ("plain", "arrow")] {
        let path = format!("path = \"{id}.data\"");
        text.push_str(&format!("[sinks.{id}]\nplugin = \"{plugin}\"\ninputs = [\"one\", \"two\"]\n{path}\n"));
    }
    killed(&dir, &text, 800);
    let recovered = dir.tapedeck(&["recover", "out/s", "--json"]).run();
    assert!(matches!(recovered.code, 0 | 3), "{recovered:?}");
    let recovery = json(&recovered);
    assert_eq!(recovery["streams"].as_array().unwrap().len(), 8, "{recovery}");
    for stream in recovery["streams"].as_array().unwrap() {
        let number = |key: &str| stream[key].as_u64().unwrap_or_else(|| panic!("{key} of {stream}"));
        assert_eq!(number("given"), number("frames") + number("lost"), "{stream}");
        assert!(number("frames") > 50 && number("lost") <= 60, "{stream}");
    }
}

#[test]
fn a_value_of_the_environment_is_kept_by_name_and_looked_up_again() {
    let dir = Dir::new();
    dir.write(
        "pipeline.toml",
        "[session]\nflush_interval = \"100ms\"\ndisk_free_min = \"0B\"\n\
        [sources.made]\nplugin = \"synthetic\"\nrate = 200\n\
        [sinks.rows]\nplugin = \"parquet\"\ninputs = [\"made\"]\ncompression = \"${TAPEDECK_TEST_SECRET}\"\nlevel = \"${TAPEDECK_TEST_LEVEL:-3}\"\n",
    );
    let run = ["run", "pipeline.toml", "--directory", "out", "--session", "s", "--quiet"];
    let secret = |command: crate::util::Tapedeck| command.set("TAPEDECK_TEST_SECRET", "snappy");
    let mut child = secret(dir.tapedeck(&run)).spawn();
    wait_until("more than 20 frames are in the journal", || {
        let mut files = std::fs::read_dir(dir.path("out/s/journal")).into_iter().flatten().flatten();
        files.any(|file| file.metadata().is_ok_and(|found| found.len() > 20_000))
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let text = std::fs::read_to_string(dir.path("out/s/session.json")).unwrap();
    assert!(
        !text.contains("snappy") && text.contains("\"compression\": \"${TAPEDECK_TEST_SECRET}\""),
        "{text}"
    );
    assert!(text.contains("\"level\": 3"), "{text}");

    let refused = dir.tapedeck(&["recover", "out/s"]).run();
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stdout.contains("came from the variable \"TAPEDECK_TEST_SECRET\""), "{refused:?}");
    let recovered = secret(dir.tapedeck(&["recover", "out/s", "--json"])).run();
    let recovery = json(&recovered);
    assert!(recovery["streams"][0]["frames"].as_u64() > Some(20), "{recovery}");
    balances(&dir, "out/s");
}

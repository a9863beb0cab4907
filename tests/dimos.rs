//! SQLite recordings as a program sees them that knows only SQLite.

use crate::util::{Dir, wait_until};

#[test]
fn what_was_flushed_is_there_after_a_kill_and_is_counted() {
    let dir = Dir::new();
    dir.write(
        "fake.toml",
        "[session]\nflush_interval = \"100ms\"\n[sources.fake]\nplugin = \"synthetic\"\nrate = 500\n\n\
         [sinks.base]\nplugin = \"dimos\"\ninputs = [\"fake\"]\n",
    );
    let mut child = dir.tapedeck(&["run", "fake.toml", "--directory", "out", "--session", "s"]).spawn();
    let log = dir.path("out/s/base.db-wal");
    wait_until("some frames", || log.metadata().is_ok_and(|found| found.len() > 200_000));
    child.kill().unwrap();
    child.wait().unwrap();
    for _ in 0..2 {
        let done = dir.tapedeck(&["recover", "out/s"]).run();
        // What was given and not yet flushed is lost.
        assert!([0, 3].contains(&done.code), "{done:?}");
    }
    assert!(!log.exists(), "it is part of the file now");
    let done = dir.tapedeck(&["inspect", "out/s", "--json"]).run();
    let said: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let stream = &said["files"][0]["streams"][0];
    let frames = stream["frames"].as_u64().unwrap();
    assert!(frames > 50 && stream["schema"]["name"] == "fake", "{said}");
    // Back and forth everything stays what it is.
    let copy = |from: &str, to: &str| {
        assert_eq!(dir.tapedeck(&["convert", from, to]).run().code, 0, "{from} to {to}")
    };
    copy("out/s", "a.mcap");
    copy("a.mcap", "b.db");
    copy("b.db", "b.jsonl");
    copy("a.mcap", "a.jsonl");
    let lines = |name: &str| std::fs::read_to_string(dir.path(name)).unwrap();
    let values = |text: String| -> Vec<serde_json::Value> {
        text.lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["c7"].clone())
            .collect()
    };
    assert_eq!(values(lines("b.jsonl")), values(lines("a.jsonl")));
}

//! `recover` of sessions that somebody has had in hands: nothing that can be read is lost, nothing is written outside, and twice is as once.

use std::path::Path;

use serde_json::{Value, json};

use crate::util::{Dir, wait_until};

/// A session with two streams in Parquet files of their own, killed.
fn killed(dir: &Dir, session: &str) {
    let text = format!(
        "[session]\nflush_interval = \"50ms\"\ndisk_free_min = \"0B\"\n{session}\
        [sources.one]\nplugin = \"synthetic\"\nrate = 200\n[sources.two]\nplugin = \"synthetic\"\nrate = 200\n\
        [sinks.rows]\nplugin = \"parquet\"\ninputs = [\"one\", \"two\"]\npath = \"kept/rows.parquet\"\n"
    );
    dir.write("pipeline.toml", &text);
    let mut child =
        dir.tapedeck(&["run", "pipeline.toml", "--directory", "out", "--session", "s", "--quiet"]).spawn();
    let journals = || walk(&dir.path("out/s/journal"));
    let long = |path: &String| std::fs::metadata(path).is_ok_and(|file| file.len() > 20_000);
    wait_until("both journals grow", || journals().len() == 2 && journals().iter().all(long));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The files below a folder, by name.
fn walk(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<String> = entries
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path) } else { vec![path.to_str().unwrap().to_owned()] }
        })
        .collect();
    files.sort();
    files
}

fn manifest(dir: &Dir) -> Value {
    serde_json::from_str(&std::fs::read_to_string(dir.path("out/s/session.json")).unwrap()).unwrap()
}

fn change(dir: &Dir, change: impl FnOnce(&mut Value)) {
    let mut value = manifest(dir);
    change(&mut value);
    std::fs::write(dir.path("out/s/session.json"), value.to_string()).unwrap();
}

fn recover(dir: &Dir) -> (i32, Value) {
    let done = dir.tapedeck(&["recover", "out/s", "--json"]).run();
    (done.code, serde_json::from_str(&done.stdout).unwrap_or_else(|_| json!(done.stderr)))
}

/// The frames that can be read from a file.
fn frames(dir: &Dir, file: &str) -> u64 {
    let done = dir.tapedeck(&["inspect", file, "--json"]).run();
    let said: Value = serde_json::from_str(&done.stdout).unwrap();
    said["streams"][0]["frames"].as_u64().unwrap_or_else(|| panic!("{said}"))
}

#[test]
fn a_journal_that_is_to_be_kept_is_kept() {
    let dir = Dir::new();
    killed(&dir, "journal = \"keep\"\n");
    let journals = walk(&dir.path("out/s/journal"));
    assert!(matches!(recover(&dir).0, 0 | 3));
    assert_eq!(walk(&dir.path("out/s/journal")), journals);
    assert_eq!(manifest(&dir)["journals"].as_array().unwrap().len(), 2);
}

#[test]
fn the_journal_of_a_sink_that_nobody_can_read_is_kept() {
    let dir = Dir::new();
    killed(&dir, "");
    let journals = walk(&dir.path("out/s/journal"));
    change(&dir, |manifest| manifest["sinks"][0]["plugin"] = json!("their_own"));
    let (code, said) = recover(&dir);
    assert_eq!(code, 3, "{said}");
    assert_eq!(walk(&dir.path("out/s/journal")), journals);
    assert_eq!(recover(&dir).0, 3, "twice is as once");
}

#[test]
fn a_file_that_can_be_read_is_not_replaced_by_a_shorter_journal() {
    let dir = Dir::new();
    killed(&dir, "");
    // One of the two files as it would be, had its writer ended; and little of its journal.
    let copy = dir.path("copy");
    for file in walk(&dir.path("out/s")) {
        let to = copy.join(Path::new(&file).strip_prefix(dir.path("out/s")).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(file, to).unwrap();
    }
    let done = dir.tapedeck(&["recover", "copy"]).run();
    assert!(matches!(done.code, 0 | 3), "{done:?}");
    let whole = dir.path("copy/kept/rows.one.parquet");
    let place = dir.path("out/s/kept/rows.one.parquet");
    std::fs::copy(&whole, &place).unwrap();
    let journal = walk(&dir.path("out/s/journal")).into_iter().find(|path| path.contains("one")).unwrap();
    let file = std::fs::File::options().write(true).open(&journal).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let (code, said) = recover(&dir);
    assert!(matches!(code, 0 | 3), "{said}");
    assert!(std::fs::read(&place).unwrap() == std::fs::read(&whole).unwrap(), "{said}");
    assert_eq!(frames(&dir, "out/s/kept/rows.two.parquet"), frames(&dir, "copy/kept/rows.two.parquet"));
}

#[test]
fn a_file_that_was_made_and_not_yet_listed_is_listed() {
    let dir = Dir::new();
    killed(&dir, "");
    change(&dir, |manifest| {
        let artifacts = manifest["artifacts"].as_array_mut().unwrap();
        artifacts.retain(|artifact| !artifact["path"].as_str().unwrap().contains("two"));
    });
    let (code, said) = recover(&dir);
    assert!(matches!(code, 0 | 3), "{said}");
    let listed = manifest(&dir)["artifacts"].as_array().unwrap().clone();
    let two = listed.iter().find(|artifact| artifact["path"] == "kept/rows.two.parquet").unwrap();
    assert!(two["sha256"].is_string() && two["input"] == 1, "{two}");
    assert_eq!(recover(&dir).0, code, "twice is as once");
}

#[test]
fn nothing_is_written_behind_a_link() {
    let dir = Dir::new();
    killed(&dir, "");
    let outside = dir.path("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("rows.one.parquet"), "precious").unwrap();
    std::os::unix::fs::symlink(&outside, dir.path("out/s/link")).unwrap();
    change(&dir, |manifest| manifest["sinks"][0]["options"]["path"] = json!("link/rows.parquet"));
    let (code, said) = recover(&dir);
    assert_eq!(code, 1, "{said}");
    assert!(said.to_string().contains("behind a symbolic link"), "{said}");
    assert_eq!(walk(&outside), [outside.join("rows.one.parquet").to_str().unwrap()]);
    assert_eq!(std::fs::read(outside.join("rows.one.parquet")).unwrap(), b"precious");
    assert_eq!(walk(&dir.path("out/s/journal")).len(), 2, "what is left is kept");
}

#[test]
fn what_a_source_could_not_give_before_a_kill_is_counted() {
    let dir = Dir::new();
    dir.write("made.toml", "[sources.made]\nplugin = \"synthetic\"\nrate = 200\n[sinks.plain]\nplugin = \"arrow\"\ninputs = [\"made\"]\n");
    let made = dir
        .tapedeck(&["run", "made.toml", "--duration", "2s", "--directory", "out", "--session", "made"])
        .run();
    assert!(matches!(made.code, 0 | 3), "{made:?}");
    dir.write(
        "again.toml",
        "[session]\nflush_interval = \"20ms\"\n[sources.again]\nplugin = \"replay\"\npath = \"out/made\"\nloop = true\nbehind = \"drop\"\n\
        late_max = \"20ms\"\n[sinks.text]\nplugin = \"csv\"\ninputs = [\"again.made\"]\n",
    );
    let mut child =
        dir.tapedeck(&["run", "again.toml", "--directory", "out", "--session", "s", "--quiet"]).spawn();
    let length = || std::fs::metadata(dir.path("out/s/text.csv")).map_or(0, |file| file.len());
    wait_until("something is recorded", || length() > 1000);
    let signal =
        |signal| rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
    signal(rustix::process::Signal::STOP);
    std::thread::park_timeout(std::time::Duration::from_millis(400));
    let before = length();
    signal(rustix::process::Signal::CONT);
    wait_until("it goes on", || length() > before + 1000);
    child.kill().unwrap();
    child.wait().unwrap();
    let (code, said) = recover(&dir);
    assert_eq!(code, 3, "{said}");
    let manifest = manifest(&dir);
    let dropped = |value: &Value| value["loss"]["dropped"].as_u64().unwrap();
    assert!(dropped(&manifest["streams"][0]) > 20, "{manifest}");
    assert_eq!(dropped(&manifest), dropped(&manifest["streams"][0]));
}

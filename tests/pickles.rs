//! Folders of timed pickles before Python, and Python's before us.

use std::path::Path;

use crate::util::{Dir, python, wait_until};

#[test]
fn python_reads_the_same_from_what_we_read_and_wrote_again() {
    let dir = Dir::new();
    for protocol in ["0", "1", "2", "3", "4", "5"] {
        let (from, to) = (format!("from{protocol}"), format!("to{protocol}.pickles"));
        python("pickles.py", &[Path::new("make"), &dir.path(&from), Path::new(protocol)]);
        // Through a file of another format, and back.
        for arguments in [["convert", &from, "middle.mcap"], ["convert", "middle.mcap", &to]] {
            let done = dir.tapedeck(&arguments).run();
            assert_eq!(done.code, 0, "{done:?}");
        }
        std::fs::remove_file(dir.path("middle.mcap")).unwrap();
        let read = |folder: &str| python("pickles.py", &[Path::new("read"), &dir.path(folder)]);
        assert_eq!(read(&from), read(&to), "protocol {protocol}");
        for (name, bytes) in frames(&dir.path(&from)) {
            let again = std::fs::read(dir.path(&to).join(&name)).unwrap();
            // CPython puts large values outside of frames, and small ones of protocol 1 look as in protocol 0.
            assert!(
                again == bytes || bytes.len() > 64 << 10 || protocol == "1",
                "protocol {protocol}, {name}"
            );
        }
    }
}

fn frames(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

#[test]
fn a_recording_that_was_killed_has_whole_frames_only() {
    let dir = Dir::new();
    dir.write(
        "fake.toml",
        "[sources.fake]\nplugin = \"synthetic\"\nrate = 500\n\n[sinks.frames]\nplugin = \"pickles\"\ninputs = [\"fake\"]\n",
    );
    let mut child = dir.tapedeck(&["run", "fake.toml", "--directory", "out", "--session", "s"]).spawn();
    let folder = dir.path("out/s/frames.pickles");
    wait_until("some frames", || folder.join("050.pickle").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    for _ in 0..2 {
        let done = dir.tapedeck(&["recover", "out/s"]).run();
        // What was given and not yet written is lost.
        assert!([0, 3].contains(&done.code), "{done:?}");
    }
    let read = python("pickles.py", &[Path::new("read"), &folder]);
    let done = dir.tapedeck(&["inspect", "out/s", "--json"]).run();
    let said: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let frames = read["frames"].as_array().unwrap().len();
    assert!(frames > 0 && said.to_string().contains(&format!("\"frames\":{frames},")), "{frames}: {said}");
}

#[test]
fn nothing_in_a_pickle_is_executed() {
    let dir = Dir::new();
    std::fs::create_dir(dir.path("evil")).unwrap();
    let owned = dir.path("owned");
    let bytes = format!("(F1.5\ncos\nsystem\n(S'touch {}'\ntRt.", owned.display());
    std::fs::write(dir.path("evil/000.pickle"), bytes).unwrap();
    for arguments in [&["inspect", "evil"][..], &["at", "evil", "0s"], &["convert", "evil", "evil.mcap"]] {
        let done = dir.tapedeck(arguments).run();
        assert_eq!(done.code, 0, "{done:?}");
    }
    let done = dir.tapedeck(&["convert", "evil.mcap", "again.pickles"]).run();
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(
        std::fs::read(dir.path("evil/000.pickle")).unwrap().len(),
        frames(&dir.path("again.pickles"))[0].1.len() - 3
    );
    assert!(!owned.exists());
}

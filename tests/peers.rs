//! asciinema 3.2 as a program: it reads what we record, and we read what it records. Neither loses or adds a byte.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::gateway::{Gateway, recorded};
use crate::seat::Seat;
use crate::util::{Dir, root};

/// Text that is hard to keep: two bytes, four bytes, a colour, a tab, a quote, a control character, and a byte that is no text.
const HARD: &str =
    "printf 'caf\\303\\251 \\360\\237\\230\\200 \\033[31mred\\033[0m\\t\"\\\\\\007 \\377 end\\n'";

/// What a reader of the recording sees of it.
const SEEN: &str = "caf\u{e9} \u{1f600} \u{1b}[31mred\u{1b}[0m\t\"\\\u{7} \u{fffd} end\r\n";

fn asciinema() -> Command {
    let default = || root().join(".tools/asciinema-3.2.0/bin/asciinema").into_os_string();
    let program = PathBuf::from(std::env::var_os("TAPEDECK_ASCIINEMA").unwrap_or_else(default));
    assert!(program.is_file(), "run `make peers` once, it builds asciinema 3.2: {}", program.display());
    let mut command = Command::new(program);
    // Nothing of the user's own is found or changed.
    command.env("ASCIINEMA_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR")).env("TERM", "xterm-256color");
    command
}

/// What asciinema makes of a recording.
fn converted(cast: &Path, format: &str, dir: &Dir) -> String {
    let to = dir.path(&format!("converted.{format}"));
    let mut command = asciinema();
    let output =
        command.args(["convert", "--overwrite", "--output-format", format]).args([cast, &to]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{format} of {}: {output:?}", cast.display());
    std::fs::read_to_string(&to).unwrap()
}

/// The output alone, as asciinema reads it. It puts the terminal's size in front.
fn raw(cast: &Path, dir: &Dir) -> String {
    let text = converted(cast, "raw", dir);
    let (size, output) = text.split_once('t').unwrap();
    assert!(size.starts_with("\u{1b}[8;"), "{size}");
    output.to_owned()
}

/// The data of all events with this code, one by one, and the header.
fn events(text: &str, code: &str) -> (Value, Vec<String>) {
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let header = lines.next().unwrap();
    let of_code = lines.filter(|event| event[1] == code);
    (header, of_code.map(|event| event[2].as_str().unwrap().to_owned()).collect())
}

/// asciinema reads the recording, and finds the same output, marks and sizes in it that we have written.
fn read_by_asciinema(cast: &Path, dir: &Dir) {
    let ours = std::fs::read_to_string(cast).unwrap();
    let output = events(&ours, "o").1.concat();
    assert!(!output.is_empty());
    assert_eq!(raw(cast, dir), output, "{}", cast.display());
    for (format, version) in [("asciicast-v2", 2), ("asciicast-v3", 3)] {
        let text = converted(cast, format, dir);
        let (header, theirs) = events(&text, "o");
        assert_eq!((&header["version"], theirs.concat()), (&json!(version), output.clone()), "{text}");
        for code in ["m", "r"] {
            assert_eq!(events(&text, code).1, events(&ours, code).1, "{code} of {format}: {text}");
        }
    }
    let shown = converted(cast, "txt", dir);
    assert!(shown.contains("caf\u{e9} \u{1f600} red") && !shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn asciinema_reads_a_recording_with_marks_resizes_and_an_exit_status() {
    for version in ["2", "3"] {
        let dir = Dir::new();
        let script = format!("{HARD}; echo begun; read line; {HARD}; stty size; exit 7");
        let rec = [
            "rec",
            "x.cast",
            "--format",
            version,
            "--quiet",
            "--mark-key",
            "ctrl-x",
            "--",
            "sh",
            "-c",
            &script,
        ];
        let program = pty_process::blocking::Command::new(env!("CARGO_BIN_EXE_tapedeck"));
        let mut seat = Seat::start(program.args(rec).current_dir(dir.path(".")));
        seat.until("begun");
        seat.resize(101, 31);
        // Ctrl-X is a mark, and goes no further. It is a key of its own, so the recorder has taken it before the next one comes.
        seat.write("\u{18}");
        crate::util::wait_until("the mark is in the recording", || {
            let text = std::fs::read_to_string(dir.path(".x.cast.recording/x.cast")).unwrap_or_default();
            text.contains(", \"m\", ") && text.contains("101x31")
        });
        seat.write("go\n");
        assert_eq!(seat.end(), Some(7), "{}", String::from_utf8_lossy(&seat.seen));
        let cast = dir.path("x.cast");
        let text = std::fs::read_to_string(&cast).unwrap();
        assert_eq!(events(&text, "r").1, ["101x31"], "{text}");
        assert_eq!(events(&text, "m").1.len(), 1, "{text}");
        assert!(events(&text, "o").1.concat().starts_with(SEEN), "{text}");
        assert!(events(&text, "o").1.concat().contains("31 101"), "{text}");
        read_by_asciinema(&cast, &dir);
        let exit = events(&converted(&cast, "asciicast-v3", &dir), "x").1;
        assert_eq!(exit, if version == "3" { vec!["7"] } else { vec![] });
    }
}

#[test]
fn asciinema_reads_a_recording_with_facts_in_its_header() {
    let dir = Dir::new();
    let pipeline = format!(
        "[sources.shell]\nplugin = \"terminal\"\nwidth = 120\nheight = 40\ncommand = [\"sh\", \"-c\", {}]\n\
         [sinks.cast]\nplugin = \"asciicast\"\ninputs = [\"shell\"]\ntitle = \"it's a \\\"title\\\"\"\ncommand = \"sh\"\n\
         idle_time_limit = 1.5\nenv = {{ LINES = \"24\", SHELL = \"/bin/sh\" }}\n",
        json!(HARD)
    );
    dir.record(&pipeline, "20s", 0);
    let cast = dir.path("out/s/cast.cast");
    read_by_asciinema(&cast, &dir);
    let (header, _) = events(&converted(&cast, "asciicast-v3", &dir), "o");
    assert_eq!((&header["term"]["cols"], &header["term"]["rows"]), (&json!(120), &json!(40)), "{header}");
    assert_eq!(header["title"], "it's a \"title\"", "{header}");
    assert_eq!(
        (&header["env"]["LINES"], &header["idle_time_limit"]),
        (&json!("24"), &json!(1.5)),
        "{header}"
    );
}

#[test]
fn asciinema_reads_what_the_gateway_records() {
    let dir = Dir::new();
    // A byte of the output is not text: recorded as what asciinema would show.
    let mut gateway = Gateway::start_as_text(&dir);
    for (user, options) in [("alice", &["-tt"][..]), ("bob", &[])] {
        let output = gateway.ssh(user, options, &format!("{HARD}; exit 4")).output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{output:?}");
        let seen = String::from_utf8_lossy(&output.stdout);
        assert_eq!(seen.replace("\r\n", "\n"), SEEN.replace("\r\n", "\n"));
    }
    assert_eq!(gateway.stop(), Some(0));
    for user in ["alice", "bob"] {
        let recording = recorded(&dir.path("out/s/sessions"), user);
        assert_eq!(recording.data("o").replace("\r\n", "\n"), SEEN.replace("\r\n", "\n"), "{recording:?}");
        read_by_asciinema(&recording.cast, &dir);
    }
}

/// The output in a recording, as our reader finds it: exact bytes, from the lossless rows of `convert`.
fn read_by_us(cast: &str, dir: &Dir) -> String {
    let inspected = dir.tapedeck(&["inspect", cast, "--json"]).run();
    assert_eq!(inspected.code, 0, "{inspected:?}");
    let again = format!("{cast}.again.cast");
    let done = dir.tapedeck(&["convert", cast, &again]).run();
    assert_eq!(done.code, 0, "{done:?}");
    let text = std::fs::read_to_string(dir.path(&again)).unwrap();
    events(&text, "o").1.concat()
}

#[test]
fn we_read_what_asciinema_records() {
    for format in ["asciicast-v2", "asciicast-v3"] {
        let dir = Dir::new();
        let mut command = asciinema();
        command.args(["rec", "--quiet", "--headless", "--window-size", "90x20", "--output-format", format]);
        let script = format!("{HARD}; seq 1 2000; {HARD}; exit 3");
        let output = command.args(["--return", "-c", &script]).arg(dir.path("theirs.cast")).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let theirs = raw(&dir.path("theirs.cast"), &dir);
        let whole = theirs.starts_with(SEEN) && theirs.ends_with(SEEN) && theirs.contains("\n1999\r\n");
        assert!(whole, "{theirs}");
        assert_eq!(read_by_us("theirs.cast", &dir), theirs, "{format}");
        // And asciinema reads what we have made of it.
        assert_eq!(raw(&dir.path("theirs.cast.again.cast"), &dir), theirs, "{format}");
    }
}

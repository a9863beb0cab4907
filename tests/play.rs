//! `play` in a terminal, as a person has it before him: what is shown when, and what the keys do; and `convert` to text.

use serde_json::json;

use crate::seat::Seat;
use crate::util::{Dir, python, wait_until};

/// `tapedeck` in a terminal.
fn sit(dir: &Dir, arguments: &[&str]) -> Seat {
    let command = pty_process::blocking::Command::new(env!("CARGO_BIN_EXE_tapedeck"));
    Seat::start(command.args(arguments).current_dir(dir.path(".")))
}

/// Four things that happen, an hour between them, with a mark before the second and the third.
const HOURS: &str = r#"{"version":3,"term":{"cols":80,"rows":24}}
[0.0, "o", "first\r\n"]
[3600.0, "m", "a"]
[0.0, "o", "second\r\n"]
[3600.0, "m", "b"]
[0.0, "o", "third\r\n"]
[3600.0, "o", "fourth\r\n"]
[0.0, "x", "0"]
"#;

#[test]
fn keys_pause_step_seek_and_go_to_marks() {
    let dir = Dir::new();
    dir.write("demo.cast", HOURS);
    let mut seat = sit(&dir, &["play", "demo.cast"]);
    seat.past("first");
    assert!(seat.is_raw());
    seat.write("]");
    seat.past("second");
    seat.write("]");
    seat.past("third");
    // Back to the mark before: the screen is as it was then.
    seat.write("[");
    seat.past("second");
    assert!(!seat.shown().contains("third"), "{}", seat.shown());
    // Paused, one event after the other: the mark, which shows nothing, and what follows.
    seat.write(" ");
    seat.write("..");
    seat.past("third");
    // To the last tenth, from where it is an hour to the end; five seconds on are not enough.
    seat.write("9\x1b[C");
    seat.past("third");
    assert!(!seat.shown().contains("fourth"), "{}", seat.shown());
    seat.write(".");
    seat.past("fourth");
    seat.write("0");
    seat.past("first");
    seat.write("q");
    assert_eq!(seat.end(), Some(0));
    assert!(!seat.shown().contains("second"), "{}", seat.shown());
}

#[test]
fn what_the_terminal_answers_is_no_key_and_the_end_is_the_end() {
    let dir = Dir::new();
    let asks = [
        r#"{"version":2,"width":60,"height":10}"#,
        r#"[0.1,"o","one\r\n"]"#,
        r#"[0.2,"o","\u001b]11;?\u0007\u001b[?1004h\u001b[ctwo\r\n"]"#,
        r#"[1.2,"o","the end\r\n"]"#,
    ];
    dir.write("asks.cast", &asks.join("\n"));
    let mut seat = sit(&dir, &["play", "asks.cast"]);
    seat.until("\x1b[c");
    // A colour, a report of focus, the attributes, a paste: each would be keys that go elsewhere; some in pieces.
    for piece in ["\x1b]11;rgb:1e1e", "/1e1e/1e1e\x1b\\\x1b[", "I\x1b[?62;1", ";4c\x1b[200~q0\x1b[201~"] {
        seat.write(piece);
    }
    seat.until("the end");
    assert_eq!(seat.end(), Some(0));
    assert_eq!(seat.shown().matches("two").count(), 1, "nothing was gone back to: {}", seat.shown());
}

#[test]
fn speed_and_idle_limit_shorten_what_is_long_and_a_loop_begins_again() {
    let dir = Dir::new();
    dir.write("demo.cast", HOURS);
    let mut seat = sit(&dir, &["play", "demo.cast", "--idle-limit", "1s", "--speed", "50", "--loop"]);
    for text in ["first", "second", "third", "fourth", "first", "second"] {
        seat.past(text);
    }
    seat.write("\x03");
    assert_eq!(seat.end(), Some(0));
    // What the recording itself asks for.
    dir.write("short.cast", &HOURS.replacen("\"version\":3", "\"version\":3,\"idle_time_limit\":0.01", 1));
    let mut seat = sit(&dir, &["play", "short.cast"]);
    seat.past("fourth");
    assert_eq!(seat.end(), Some(0));
}

#[test]
fn what_is_shown_is_what_was_recorded_with_its_timing() {
    let dir = Dir::new();
    let script = "printf 'a\\033[31mb'; sleep 0.4; printf '\\303\\251\\033[0m\\n'";
    let rec = dir.tapedeck(&["rec", "demo.cast", "-q", "--", "sh", "-c", script]).run();
    assert_eq!(rec.code, 0, "{rec:?}");
    // Without a terminal there are no keys: the bytes and the time they take.
    let clock = tapedeck_engine::clock::SessionClock::anchored_now();
    let played = dir.tapedeck(&["play", "demo.cast"]).run();
    let took = clock.now().since(clock.anchor());
    assert_eq!((played.code, played.stdout.as_str()), (0, "a\u{1b}[31mb\u{e9}\u{1b}[0m\r\n"), "{played:?}");
    assert!(took.as_millis() >= 390, "{took:?}");
    // The same from another format.
    assert_eq!(dir.tapedeck(&["convert", "demo.cast", "demo.parquet"]).run().code, 0);
    let again = dir.tapedeck(&["play", "demo.parquet", "--speed", "10"]).run();
    assert_eq!((again.code, again.stdout), (0, played.stdout));
}

#[test]
fn a_playback_that_is_ended_from_outside_puts_the_terminal_back() {
    let dir = Dir::new();
    let begun = HOURS.replacen("first", "\\u001b[?1049h\\u001b[?25lfirst", 1);
    dir.write("demo.cast", &begun);
    let mut seat = sit(&dir, &["play", "demo.cast"]);
    seat.past("first");
    let child = rustix::process::Pid::from_child(&seat.child);
    rustix::process::kill_process(child, rustix::process::Signal::TERM).unwrap();
    assert_eq!(seat.end(), Some(0));
    let shown = seat.shown();
    assert!(shown.contains("\u{1b}[?1049l") && shown.contains("\u{1b}[?25h"), "{shown:?}");
}

#[test]
fn what_can_not_be_played_is_told() {
    let dir = Dir::new();
    dir.write("demo.cast", HOURS);
    dir.write("empty.cast", "");
    dir.write("false.cast", "hello\n");
    dir.write("rows.csv", "seq,timestamp,a\n0,1,2\n");
    for (call, words) in [
        (&["play", "gone.cast"][..], "gone.cast"),
        (&["play", "empty.cast"], "nothing is recorded in it"),
        (&["play", "false.cast"], "not an asciicast"),
        (&["play", "rows.csv", "--idle-limit", "1s"], "--idle-limit is for recordings of terminals"),
        (&["play", "rows.csv", "--stream", "row"], "did you mean \"rows\"?"),
        (&["play", "demo.cast", "--connection", "bob"], "its connections are: demo"),
        (&["play", "demo.cast", "--speed", "0"], "from 0.01 to 1000, or max"),
        (&["play", "demo.cast", "--speed", "fast"], "neither a number nor max"),
        (&["play", "demo.cast", "--start", "soon"], "a moment is"),
        (&["play", "demo.cast", "--session", "s"], "--into"),
        (&["play", "demo.cast", "--resize", "--into", "p.toml"], "cannot be used with"),
        (&["play", "demo.cast", "--idle-limit", "soon"], "duration"),
    ] {
        let done = dir.tapedeck(call).run();
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.stderr.contains(words), "{call:?}: {done:?}");
    }
    // A line that is damaged costs itself only.
    dir.write("torn.cast", &HOURS.replacen("[0.0, \"o\", \"second", "[0.0, \"o\" \"second", 1));
    let done = dir.tapedeck(&["play", "torn.cast", "--idle-limit", "1ms"]).run();
    assert_eq!((done.code, done.stdout.as_str()), (3, "first\r\nthird\r\nfourth\r\n"), "{done:?}");
    let damage = "line 4 can't be read: expected `,` or `]` at column 11: torn.cast";
    assert!(done.stderr.contains(damage), "{done:?}");
}

#[test]
fn a_mark_and_a_pause_by_key_are_in_the_recording() {
    let dir = Dir::new();
    let mut seat = sit(&dir, &["rec", "demo.cast", "--", "cat"]);
    seat.past("ctrl-] sets a mark");
    wait_until("the terminal is the command's", || seat.is_raw());
    seat.write("begun\r");
    seat.past("begun\r\nbegun");
    // A key that comes together with others was pasted: somebody who presses one takes his time.
    let clock = tapedeck_engine::clock::SessionClock::anchored_now();
    let pause = || {
        let until = clock.now() + std::time::Duration::from_millis(300);
        wait_until("some time has passed", || clock.now() >= until);
    };
    let begun = clock.now();
    for key in ["\x1d", "\x1c"] {
        seat.write(key);
        pause();
    }
    seat.write("secret\r");
    seat.past("secret\r\nsecret");
    seat.write("\x1c");
    pause();
    seat.write("open\r");
    seat.past("open\r\nopen");
    let took = clock.now().since(begun).as_secs_f64();
    seat.write("\x04");
    assert_eq!(seat.end(), Some(0));
    let text = std::fs::read_to_string(dir.path("demo.cast")).unwrap();
    assert!(text.contains("\"m\", \"\"") && text.contains("open") && !text.contains("secret"), "{text}");
    // The pause takes no time in the recording.
    let after: Vec<serde_json::Value> = text
        .lines()
        .skip_while(|line| !line.contains("\"m\""))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(after[1][0].as_f64().unwrap() < took - 0.3, "{took}: {text}");
}

/// What another terminal emulator has on its screen, and above it.
#[test]
fn a_text_is_what_another_emulator_shows() {
    let dir = Dir::new();
    let script = "ls -la --color=always /; for n in 1 20 100; do printf '\\r%s%%' $n; done; echo; \
        printf 'one\\ntwo\\nthree\\033[2A\\r\\033[KTWO\\033[2B\\n'; printf '\\033[1;32mgreen\\033[0m \\303\\251 \\342\\234\\223\\n'; \
        seq 1 200; printf '\\tTab\\b\\b!\\n'; printf 'end without a line end'";
    let pipeline = format!(
        "[sources.shell]\nplugin = \"terminal\"\nwidth = 120\nheight = 20\ncommand = [\"sh\", \"-c\", {}]\n\
         [sinks.cast]\nplugin = \"asciicast\"\ninputs = [\"shell\"]\n\
         [sinks.text]\nplugin = \"text\"\ninputs = [\"shell\"]\n",
        json!(script)
    );
    dir.write("p.toml", &pipeline);
    let run = dir.tapedeck(&["run", "p.toml", "--directory", "out", "--session", "s", "-q"]).run();
    assert_eq!(run.code, 0, "{run:?}");
    let cast = dir.path("out/s/cast.cast");
    let done = dir.tapedeck(&["convert", "out/s/cast.cast", "demo.txt"]).run();
    assert_eq!(done.code, 0, "{done:?}");
    let text = std::fs::read_to_string(dir.path("demo.txt")).unwrap();
    let shown = python("screen.py", &[&cast]);
    assert_eq!(shown["text"], text.as_str());
    assert!(
        text.contains("\n100%\n") && text.contains("\nTWO\ntwo\nthree\n") && text.contains("green é ✓"),
        "{text}"
    );
    assert_eq!(std::fs::read_to_string(dir.path("out/s/text.txt")).unwrap(), text, "recorded live, the same");
}

/// A second of two streams: one each 100 ms, one each 250 ms.
fn two_streams(dir: &Dir) {
    let mut fast = "seq,timestamp,a,name\n".to_owned();
    for seq in 0..11 {
        fast.push_str(&format!("{seq},{},{}.5,\"row {seq}\"\n", 1_000_000_000 + seq * 100_000_000, seq));
    }
    let mut slow = "seq,timestamp,on\n".to_owned();
    for seq in 0..4 {
        slow.push_str(&format!("{seq},{},{}\n", 1_100_000_000 + seq * 250_000_000, seq % 2 == 0));
    }
    dir.write("fast.csv", &fast);
    dir.write("slow.csv", &slow);
    dir.write(
        "both.toml",
        "[session]\ndisk_free_min = \"0B\"\n[sources.both]\nplugin = \"replay\"\npath = [\"fast.csv\", \"slow.csv\"]\ntiming = \"none\"\n\
         [sinks.rows]\nplugin = \"arrow\"\ninputs = [\"both\"]\n",
    );
    let made = dir.tapedeck(&["run", "both.toml", "--directory", ".", "--session", "both", "-q"]).run();
    assert_eq!(made.code, 0, "{made:?}");
}

#[test]
fn any_other_recording_is_a_table_of_its_streams() {
    let dir = Dir::new();
    two_streams(&dir);
    let played = dir.tapedeck(&["play", "both", "--speed", "10"]).run();
    assert_eq!((played.code, played.stderr.as_str()), (0, ""), "{played:?}");
    insta::assert_snapshot!("play-table", played.stdout);
    let part = dir.tapedeck(&[
        "play",
        "both",
        "--speed",
        "max",
        "--start",
        "300ms",
        "--duration",
        "400ms",
        "--stream",
        "f*",
    ]);
    insta::assert_snapshot!("play-table-part", part.run().stdout);
    let past = dir.tapedeck(&["play", "both", "--start", "1h", "--loop"]).run();
    assert_eq!(past.code, 0, "{past:?}");
    // What is recorded does nothing to a terminal.
    dir.write("evil.csv", "seq,timestamp,a\n0,1,\"\u{1b}[2Jx\"\n");
    let evil = dir.tapedeck(&["play", "evil.csv"]).run();
    assert!(evil.stdout.contains("a=\\u{1b}[2Jx") && !evil.stdout.contains('\u{1b}'), "{evil:?}");
}

#[test]
fn a_table_pauses_steps_and_seeks_by_key_and_the_terminal_is_put_back() {
    let dir = Dir::new();
    two_streams(&dir);
    let mut seat = sit(&dir, &["play", "both", "--speed", "0.01"]);
    seat.past("\u{1b}[?1049h");
    seat.past("fast");
    assert!(seat.is_raw());
    seat.write(" ");
    seat.past("paused");
    seat.write(".");
    seat.past("row 1");
    // Half of it: the values are those of then, also of the stream whose next frame is nearer than its last one.
    seat.write("5");
    seat.past("row 5");
    seat.past("1  on=false");
    seat.write("q");
    assert_eq!(seat.end(), Some(0));
    let shown = seat.shown();
    assert!(shown.contains("\u{1b}[?1049l") && shown.contains("\u{1b}[?25h"), "{shown:?}");
    // To the end by itself; the last picture stays.
    let mut seat = sit(&dir, &["play", "both", "--speed", "5"]);
    seat.past("\u{1b}[?1049l");
    assert_eq!(seat.end(), Some(0));
    assert!(seat.shown().contains("row 10"), "{:?}", seat.shown());
    // And so it does when it is ended from outside.
    let mut seat = sit(&dir, &["play", "both", "--speed", "0.01"]);
    seat.past("\u{1b}[?1049h");
    let child = rustix::process::Pid::from_child(&seat.child);
    rustix::process::kill_process(child, rustix::process::Signal::TERM).unwrap();
    assert_eq!(seat.end(), Some(0));
    assert!(seat.shown().contains("\u{1b}[?1049l"), "{:?}", seat.shown());
}

#[test]
fn a_terminal_is_played_in_part_and_from_the_folder_of_its_session() {
    let dir = Dir::new();
    dir.write("demo.cast", HOURS);
    let mut seat = sit(&dir, &["play", "demo.cast", "--start", "1h", "--duration", "90m", "--speed", "1000"]);
    seat.past("second");
    seat.past("third");
    assert_eq!(seat.end(), Some(0));
    assert!(!seat.shown().contains("fourth"), "{}", seat.shown());
    let max = dir.tapedeck(&["play", "demo.cast", "--speed", "max"]).run();
    assert_eq!((max.code, max.stdout.as_str()), (0, "first\r\nsecond\r\nthird\r\nfourth\r\n"), "{max:?}");
    let pipeline = "[session]\ndisk_free_min = \"0B\"\n[sources.shell]\nplugin = \"terminal\"\ncommand = [\"echo\", \"hello\"]\n\
         [sinks.rows]\nplugin = \"parquet\"\ninputs = [\"shell\"]\n";
    dir.write("p.toml", pipeline);
    let run = dir.tapedeck(&["run", "p.toml", "--directory", "out", "--session", "s", "-q"]).run();
    assert_eq!(run.code, 0, "{run:?}");
    let played = dir.tapedeck(&["play", "out/s"]).run();
    assert_eq!((played.code, played.stdout.as_str()), (0, "hello\r\n"), "{played:?}");
}

#[test]
fn a_recording_is_played_into_a_pipeline() {
    let dir = Dir::new();
    two_streams(&dir);
    // A name that TOML and the variables of a pipeline would take for something else.
    let odd = "odd \"${name}\" \\ \u{7f}";
    std::fs::rename(dir.path("both"), dir.path(odd)).unwrap();
    dir.write(
        "into.toml",
        "[session]\ndisk_free_min = \"0B\"\n[sinks.rows]\nplugin = \"csv\"\ninputs = [\"replay\"]",
    );
    let into = ["--into", "into.toml", "--directory", "out", "--json"];
    let play = |arguments: &[&str]| {
        let done = dir.tapedeck(&[&["play", odd][..], arguments, &into].concat()).run();
        let last = done.stdout.lines().last().unwrap_or_default();
        let report: serde_json::Value =
            serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {done:?}"));
        (done.code, report["report"].clone())
    };
    let frames = |report: &serde_json::Value| -> Vec<u64> {
        report["streams"]
            .as_array()
            .unwrap()
            .iter()
            .map(|stream| stream["frames"].as_u64().unwrap())
            .collect()
    };
    let (code, report) = play(&["--speed", "max", "--session", "all"]);
    assert_eq!((code, frames(&report)), (0, vec![11, 4]), "{report}");
    let text = std::fs::read_to_string(dir.path("out/all/session.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let pipeline = manifest["pipeline"].as_str().unwrap();
    insta::assert_snapshot!("play-into-pipeline", pipeline);
    // What the manifest says makes the same again.
    dir.write("again.toml", pipeline);
    let again = dir.tapedeck(&["run", "again.toml", "--directory", "out", "--session", "again", "-q"]).run();
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(dir.names("out/again"), dir.names("out/all"));
    let part =
        ["--start", "300ms", "--duration", "400ms", "--stream", "fast", "--speed", "4", "--session", "part"];
    let (code, report) = play(&part);
    assert_eq!((code, frames(&report)), (0, vec![4]), "{report}");
}

#[test]
fn what_can_not_be_played_into_a_pipeline_is_told_and_nothing_is_made() {
    let dir = Dir::new();
    dir.write("rows.csv", "seq,timestamp,a\n0,1,2\n");
    let sink = "[sinks.x]\nplugin = \"csv\"\ninputs = [\"*\"]\n";
    dir.write("into.toml", sink);
    dir.write("taken.toml", &format!("[sources.replay]\nplugin = \"synthetic\"\nrate = 1\n{sink}"));
    dir.write("wrong.toml", "[sinks.x]\nplugin = \"cvs\"\ninputs = [\"*\"]\n");
    dir.write("unread.toml", "[sinks.x]\nplugin = \"csv\"\ninputs = [\"rows\"]\n");
    let mut told = String::new();
    for call in [
        &["gone.csv", "--into", "into.toml"][..],
        &["rows.csv", "--stream", "row", "--into", "into.toml"],
        &["rows.csv", "--into", "gone.toml"],
        &["rows.csv", "--into", "taken.toml"],
        &["rows.csv", "--into", "wrong.toml"],
        &["rows.csv", "--into", "unread.toml"],
    ] {
        let done = dir.tapedeck(&[&["play"][..], call].concat()).run();
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{done:?}");
        told.push_str(&format!("$ tapedeck play {}\n{}\n", call.join(" "), done.stderr));
    }
    insta::assert_snapshot!("play-into-refused", told);
    assert!(!dir.path("recordings").exists());
}

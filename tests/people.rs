//! What a person meets on a bad day: a mistyped command, a recording that was interrupted or is damaged, signals in any order, limits, a
//! log that fills up; and the first minute: `new`, `check -`.

use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::util::{Dir, python, wait_until, wait_until_stopped};

/// A cast with what was typed.
const TYPED: &str = r#"{"version":2,"width":40,"height":10,"title":"t","x-made-by":"me"}
[0.1,"o","$ "]
[0.5,"i","d"]
[0.5,"o","d"]
[0.9000000001,"i","u"]
[1.234567891,"o","u"]
[1.3,"o","\r\n12K .\r\n"]
"#;

fn json(done: &crate::util::Done) -> Value {
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn convert_keeps_what_a_recording_has_and_tells_what_it_leaves_out() {
    let dir = Dir::new();
    dir.write("typed.cast", TYPED);
    let done = dir.tapedeck(&["convert", "typed.cast", "out.cast", "--option", "version=2"]).run();
    assert_eq!((done.code, done.stdout.as_str()), (0, "out.cast: 7 frames read, 7 written\n"), "{done:?}");
    let text = std::fs::read_to_string(dir.path("out.cast")).unwrap();
    assert_eq!(text.matches("\"i\"").count(), 2, "{text}");
    assert!(text.contains("1.234567891") && text.contains("\"x-made-by\":\"me\""), "{text}");

    // Through another format, and by a pipeline, what was typed stays, too.
    for call in [
        &["convert", "typed.cast", "rows.arrows"][..],
        &["convert", "rows.arrows", "again.cast"],
        &["play", "typed.cast", "--speed", "max", "--into", "p.toml", "--session", "s", "-q"],
    ] {
        dir.write(
            "p.toml",
            "[session]\ndisk_free_min = \"0B\"\n[sinks.c]\nplugin = \"asciicast\"\ninputs = [\"replay\"]\n",
        );
        let done = dir.tapedeck(call).run();
        assert_eq!(done.code, 0, "{call:?}: {done:?}");
    }
    for name in ["again.cast", "recordings/s/c.cast"] {
        let text = std::fs::read_to_string(dir.path(name)).unwrap();
        assert_eq!(text.matches("\"i\"").count(), 2, "{name}: {text}");
    }

    let without = ["convert", "typed.cast", "less.cast", "--option", "input=false"];
    let done = dir.tapedeck(&without).run();
    assert_eq!((done.code, done.stdout.as_str()), (0, "less.cast: 7 frames read, 5 written, 2 left out\n"));
    let done = dir.tapedeck(&["convert", "typed.cast", "t.txt", "--json"]).run();
    let counts = ["frames", "written", "left_out", "refused"].map(|key| json(&done)[key].as_u64().unwrap());
    assert_eq!((done.code, counts), (0, [7, 5, 2, 0]), "a text has no input: {done:?}");
}

#[test]
fn what_is_refused_or_damaged_is_counted_and_the_rest_is_kept() {
    let dir = Dir::new();
    let odd = "{\"version\":2,\"width\":40,\"height\":10}\n[0.1,\"o\",\"before\"]\n[0.2,\"r\",\"0x0\"]\n[0.4,\"o\",\"after\"]\n";
    dir.write("odd.cast", odd);
    let done = dir.tapedeck(&["convert", "odd.cast", "out.cast"]).run();
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (3, "out.cast: 4 frames read, 3 written, 1 refused\n"),
        "{done:?}"
    );
    dir.write("bad.cast", &odd.replace("[0.2,\"r\",\"0x0\"]", "[0.2,\"o\" \"x\"]"));
    let done = dir.tapedeck(&["convert", "bad.cast", "kept.cast"]).run();
    assert_eq!((done.code, done.stdout.as_str()), (3, "kept.cast: 3 frames read, 3 written\n"), "{done:?}");
    assert!(
        done.stderr.contains("line 3 can't be read: expected `,` or `]` at column 10: bad.cast"),
        "{done:?}"
    );
    let kept = std::fs::read_to_string(dir.path("kept.cast")).unwrap();
    assert!(kept.contains("before") && kept.contains("after"), "{kept}");
}

#[test]
fn exit_codes_are_the_same_for_all_that_read() {
    let dir = Dir::new();
    dir.write(
        "whole.json",
        r#"{"version":1,"width":9,"height":9,"duration":1,"stdout":[[0.01,"one"],[0.02,"two"]]}"#,
    );
    dir.write(
        "bad.txt",
        "{\"version\":2,\"width\":9,\"height\":9}\n[0.01,\"o\",\"a\"]\n[0.02]\n[0.03,\"o\",\"b\"]\n",
    );
    dir.write("future.cast", "{\"version\":9,\"width\":9,\"height\":9}\n[0.01,\"o\",\"a\"]\n");
    dir.write("none.txt", "hello\n");
    for (file, code, words) in [
        ("whole.json", 0, ""),
        ("bad.txt", 3, "line 3 can't be read"),
        ("future.cast", 2, "asciicast version 9 is not known"),
        ("none.txt", 2, "of no known format"),
        ("gone.cast", 2, "no such file"),
    ] {
        let at = if code == 3 { "1h" } else { "0s" };
        let to = format!("{file}.jsonl");
        for call in [&["inspect", file][..], &["play", file], &["at", file, at], &["convert", file, &to]] {
            let done = dir.tapedeck(call).run();
            // What `at` is asked for may be what the damage hides: then it gives nothing.
            let expected = if call[0] == "at" && code == 3 { 1 } else { code };
            assert_eq!(done.code, expected, "{call:?}: {done:?}");
            assert!(done.stderr.contains(words) || done.stdout.contains(words), "{call:?}: {done:?}");
        }
    }
    for verb in ["inspect", "play", "recover", "sessions"] {
        assert_eq!(dir.tapedeck(&[verb, "nowhere"]).run().code, 2, "{verb}");
    }
}

#[test]
fn what_is_piped_into_rec_goes_to_the_command_and_ends_with_it() {
    let dir = Dir::new();
    let script = dir.write("script", "echo from standard input\nexit 3\n");
    let done = dir.tapedeck(&["rec", "a.cast", "--", "sh"]).input(&script).run();
    assert_eq!(done.code, 3, "{done:?}");
    assert!(done.stdout.contains("from standard input") && !done.stderr.contains("ctrl-"), "{done:?}");
    // A line longer than a terminal takes, without an end; the output stays on the terminal.
    let text = dir.write("text", &"x".repeat(10_000));
    let command = "wc -c; cat; [ -t 1 ] && echo terminal; exit 4";
    let done = dir.tapedeck(&["rec", "b.cast", "--input", "--", "sh", "-c", command]).input(&text).run();
    assert_eq!((done.code, done.stdout.as_str()), (4, "10000\r\nterminal\r\n"), "{done:?}");
    let cast = std::fs::read_to_string(dir.path("b.cast")).unwrap();
    assert_eq!(cast.matches('x').count(), 10_001, "every letter, and the code of the exit: {cast}");
    let done = dir.tapedeck(&["rec", "c.cast", "-q", "--", "cat"]).run();
    assert_eq!(done.code, 0, "/dev/null is at its end: {done:?}");
}

#[test]
fn a_command_that_can_not_be_started_is_told_as_a_shell_does() {
    let dir = Dir::new();
    dir.write("plain", "no program");
    for (command, code) in [("no-such-command", 127), ("./nowhere", 127), ("./plain", 126)] {
        let done = dir.tapedeck(&["rec", "x.cast", "--", command]).run();
        assert_eq!(done.code, code, "{done:?}");
        assert!(done.stderr.contains(&format!("error: can't start \"{command}\": ")), "{done:?}");
        assert!(!done.stderr.contains("plugin") && !done.stderr.contains("-->"), "no pipeline: {done:?}");
    }
    let done = dir.tapedeck(&["rec", "x.cast", "--mark-key", "F1", "--", "true"]).run();
    assert!(done.code == 2 && !done.stderr.contains("mark_key ="), "no pipeline: {done:?}");
    assert_eq!(dir.names("."), ["plain"], "nothing is left");
    let nested =
        ["rec", "out.cast", "-q", "--", env!("CARGO_BIN_EXE_tapedeck"), "rec", "in.cast", "--", "true"];
    let done = dir.tapedeck(&nested).run();
    assert!(done.code == 0 && done.stdout.contains("this terminal is recorded already"), "{done:?}");
}

#[test]
fn a_recording_that_was_interrupted_is_not_in_the_way_and_comes_to_its_place() {
    let dir = Dir::new();
    for (name, by_folder) in [("demo.cast", false), ("demo.txt", true)] {
        let script = "echo $PPID; exec sleep 1000";
        let mut child = dir.tapedeck(&["rec", name, "-q", "--", "sh", "-c", script]).spawn();
        let folder = format!(".{name}.recording");
        let file = dir.path(&folder).join(if by_folder { "demo.txt.cast" } else { name });
        wait_until("something is recorded", || {
            std::fs::read_to_string(&file).is_ok_and(|text| text.lines().count() > 1)
        });
        let again = dir.tapedeck(&["rec", name, "--", "true"]).run();
        assert!(again.code == 2 && again.stderr.contains("is being recorded now"), "{again:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        let again = dir.tapedeck(&["rec", name, "--", "true"]).run();
        assert!(
            again.code == 2 && again.stderr.contains(&format!("tapedeck recover ./{folder}")),
            "{again:?}"
        );
        let recovered = dir.tapedeck(&["recover", if by_folder { &folder } else { name }]).run();
        // How much of a cast is lost is not known, and not taken for none.
        assert_eq!(recovered.code, 3, "{recovered:?}");
        assert!(dir.path(name).exists() && !dir.path(&folder).exists(), "{recovered:?}");
        assert_eq!(dir.tapedeck(&["inspect", name]).run().code, 0);
    }
}

#[test]
fn every_tick_is_in_a_count_whatever_signals_come() {
    let dir = Dir::new();
    dir.write(
        "p.toml",
        "[session]\ndisk_free_min = \"0B\"\n[sources.made]\nplugin = \"synthetic\"\nrate = \"100Hz\"\n\
         [sinks.x]\nplugin = \"csv\"\ninputs = [\"made\"]\n",
    );
    for (session, signals) in [
        ("a", [Signal::STOP, Signal::TERM, Signal::CONT]),
        ("b", [Signal::TERM, Signal::STOP, Signal::CONT]),
        ("c", [Signal::STOP, Signal::CONT, Signal::TERM]),
    ] {
        let mut child = dir.tapedeck(&["run", "p.toml", "--session", session, "-q"]).spawn();
        let folder = dir.path(&format!("recordings/{session}"));
        wait_until("frames are written", || {
            std::fs::read_to_string(folder.join("x.csv")).is_ok_and(|text| text.lines().count() > 20)
        });
        let clock = tapedeck_engine::clock::SessionClock::anchored_now();
        for (index, signal) in signals.into_iter().enumerate() {
            send(&child, signal);
            if signal == Signal::STOP && signals[..index].is_empty() {
                wait_until_stopped(&child);
            }
            clock.sleep_until(clock.now() + std::time::Duration::from_millis(300));
        }
        assert!(matches!(child.wait().unwrap().code(), Some(0 | 3)), "{session}");
        let manifest = std::fs::read_to_string(folder.join("session.json")).unwrap();
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        let stream = &manifest["streams"][0];
        let [frames, late] =
            [&stream["frames"], &stream["loss"]["late"]].map(|count| count.as_u64().unwrap());
        let text = std::fs::read_to_string(folder.join("x.csv")).unwrap();
        let last = text.lines().last().unwrap().split(',').next().unwrap().parse::<u64>().unwrap();
        let late_at_the_end = frames + late - (last + 1);
        // 300 ms of 100 Hz went by while the process stood still; once it is told to end, no tick is due any more.
        if session == "b" {
            assert!(late_at_the_end < 29, "{late_at_the_end} are late after the end: {manifest}");
        } else {
            assert!(late >= 29, "{session}: {late} are late of {frames}: {manifest}");
        }
        let rows = text.lines().count() as u64 - 1;
        assert_eq!((rows, &manifest["status"]), (frames, &"complete".into()), "{session}");
    }
}

/// Two sinks.
const SINKS: &str = "[session]\ndisk_free_min = \"0B\"\n[sources.made]\nplugin = \"synthetic\"\nrate = 500\nbatch_rows = 8\ncolumns = 16\n\
    [sinks.text]\nplugin = \"csv\"\ninputs = [\"made\"]\n[sinks.rows]\nplugin = \"arrow\"\ninputs = [\"made\"]\n";

#[test]
fn a_limit_on_the_size_of_files_and_a_ledger_that_is_cut_end_no_session() {
    let dir = Dir::new();
    dir.write("p.toml", SINKS);
    let program = env!("CARGO_BIN_EXE_tapedeck");
    let limited = format!("ulimit -f 200; exec {program} run p.toml --session s --duration 2s --json");
    let output = std::process::Command::new("bash")
        .args(["-c", &limited])
        .current_dir(dir.path("."))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "every sink reached the limit: {output:?}");
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(report.contains("File too large") && report.contains("\"report\""), "{report}");

    let mut child = dir.tapedeck(&["run", "p.toml", "--session", "t", "-q"]).spawn();
    let ledger = dir.path("recordings/t/session.ledger");
    wait_until("frames are written", || {
        dir.path("recordings/t/text.csv").metadata().is_ok_and(|found| found.len() > 10_000)
    });
    std::fs::File::options().write(true).open(&ledger).unwrap().set_len(0).unwrap();
    let size = || dir.path("recordings/t/text.csv").metadata().unwrap().len();
    let before = size();
    wait_until("it goes on", || size() > before + 10_000);
    send(&child, Signal::TERM);
    assert!(matches!(child.wait().unwrap().code(), Some(0 | 3)));
    let inspected = dir.tapedeck(&["inspect", "recordings/t"]).run();
    assert!(inspected.code == 0 && inspected.stdout.contains(": complete"), "{inspected:?}");
}

#[test]
fn a_killed_session_says_what_its_files_show() {
    let dir = Dir::new();
    dir.write("p.toml", SINKS);
    let mut child = dir.tapedeck(&["run", "p.toml", "--session", "s", "-q"]).spawn();
    wait_until("frames are written", || {
        dir.path("recordings/s/rows.arrows").metadata().is_ok_and(|found| found.len() > 100_000)
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let inspected = dir.tapedeck(&["inspect", "recordings/s"]).run();
    assert_eq!(inspected.code, 3, "{inspected:?}");
    let line = |sink: &str| {
        let lead = format!("    made in {sink}: ");
        let line = inspected.stdout.lines().find_map(|line| line.strip_prefix(&lead));
        line.unwrap_or_else(|| panic!("{sink}: {inspected:?}")).to_owned()
    };
    let (text, rows) = (line("text"), line("rows"));
    assert!([&text, &rows].iter().all(|line| line.contains(" lost")), "{text}, {rows}");
    let again = dir.tapedeck(&["inspect", "recordings/s"]).run();
    assert_eq!(again.stdout, inspected.stdout, "nothing was changed");
    let recovered = dir.tapedeck(&["recover", "recordings/s"]).run();
    assert!(recovered.stdout.contains(&rows), "what it said is what is so: {recovered:?}");
}

#[test]
fn a_log_gets_few_lines_and_what_is_asked_for() {
    let dir = Dir::new();
    dir.write("p.toml", &SINKS.replace("rate = 500", "rate = \"20Hz\""));
    let run = |more: &[&str]| {
        let call = [&["run", "p.toml", "--duration", "1500ms"], more].concat();
        let done = dir.tapedeck(&call).run();
        let progress = done.stderr.lines().filter(|line| line.contains(" frames ")).count();
        (progress, done)
    };
    let (lines, done) = run(&[]);
    let late = usize::from(done.code == 3);
    assert!(lines <= 2 * late, "a minute has not passed: {done:?}");
    let mut child = dir.tapedeck(&["run", "p.toml", "--progress", "200ms"]).pipe();
    let told = std::io::BufReader::new(child.stderr.take().unwrap());
    let progress = std::io::BufRead::lines(told).map(Result::unwrap).filter(|line| line.contains(" frames "));
    assert_eq!(progress.take(3).count(), 3, "it goes on to tell until it is ended");
    send(&child, Signal::TERM);
    assert!(matches!(child.wait().unwrap().code(), Some(0 | 3)));
}

#[test]
fn a_starter_pipeline_passes_the_check_for_every_plugin() {
    let dir = Dir::new();
    let listed = json(&dir.tapedeck(&["plugins", "--json"]).run());
    let all: Vec<&Value> =
        listed.as_array().or_else(|| listed["plugins"].as_array()).unwrap().iter().collect();
    let of = |kind: &'static str| all.iter().filter(move |plugin| plugin["kind"] == kind);
    let mut made = 0;
    for source in of("source") {
        let gives = source["gives"].as_array().unwrap();
        // What is played has any kind.
        let fits = |sink: &&&Value| {
            let takes = sink["takes"].as_array().unwrap();
            gives.is_empty() || gives.iter().any(|kind| takes.contains(kind))
        };
        let sinks: Vec<&str> = of("sink").filter(fits).map(|sink| sink["name"].as_str().unwrap()).collect();
        let (source, sinks) = (source["name"].as_str().unwrap(), sinks.join(","));
        let file = format!("{source}.toml");
        let done = dir.tapedeck(&["new", &file, "--source", source, "--sink", &sinks]).run();
        assert_eq!(done.code, 0, "{source}: {done:?}");
        let done = dir.tapedeck(&["check", &file]).run();
        assert_eq!(done.code, 0, "{source}: {done:?}");
        made += 1;
    }
    assert!(made >= 5, "{made}");
    let text = std::fs::read_to_string(dir.path("memory.toml")).unwrap();
    insta::assert_snapshot!("new-memory", text.split("\n# Writes ").next().unwrap());
    let done = dir.tapedeck(&["new", "memory.toml", "--source", "memory", "--sink", "csv"]).run();
    assert!(done.code == 2 && done.stderr.contains("already there"), "{done:?}");
    let done = dir.tapedeck(&["new", "x.toml", "--source", "memory", "--sink", "hdf"]).run();
    assert!(done.code == 2 && done.stderr.contains("did you mean"), "{done:?}");
}

#[test]
fn a_pipeline_comes_from_standard_input_and_options_are_words() {
    let dir = Dir::new();
    let good = dir.write("good", "[sources.a]\nplugin = \"synthetic\"\nrate = \"1kHz\"\n[sinks.b]\nplugin = \"null\"\ninputs = [\"a\"]\n");
    let done = dir.tapedeck(&["check", "-"]).input(&good).run();
    assert_eq!((done.code, done.stdout.as_str()), (0, "standard input: 2 stages, no errors\n"), "{done:?}");
    let bad = dir.write("bad", "[sources.a]\nplugin = \"synthetic\"\nrate = \"fast\"\n");
    let done = dir.tapedeck(&["check", "-"]).input(&bad).run();
    assert!(done.code == 2 && done.stderr.contains("standard input:3:"), "{done:?}");
    dir.write("rows.csv", "seq,timestamp,a\n0,1,2\n");
    let done = dir.tapedeck(&["convert", "rows.csv", "x.jsonl", "--option", "timestamps=ns"]).run();
    assert_eq!(done.code, 0, "{done:?}");
    assert!(std::fs::read_to_string(dir.path("x.jsonl")).unwrap().contains("\"timestamp\":1,"));
}

#[test]
fn numbers_are_numbers_to_other_readers_and_nulls_are_known() {
    let dir = Dir::new();
    dir.write("rows.csv", "seq,timestamp,a,b\n0,1,2.5,1\n1,2,inf,\n2,3,NaN,3\n3,4,,\n");
    for to in ["x.jsonl", "x.h5"] {
        let done = dir.tapedeck(&["convert", "rows.csv", to]).run();
        assert_eq!(done.code, 0, "{done:?}");
    }
    let lines = dir.path("x.jsonl");
    let found = python("non_finite.py", &[&lines, "a".as_ref(), &dir.path("x.h5"), "b".as_ref()]);
    let expected = serde_json::json!({ "type": "double", "rows": 4, "nulls": 2, "counted": 2 });
    assert_eq!(found, expected);
}

//! What was recorded plays in other players, reads back, and is written again the same; whatever the bytes, names and cuts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};
use tapedeck_sdk::kinds::terminal::SINGLE_KEY;
use tapedeck_sdk::testing::conformance;
use tapedeck_sdk::testing::{FakeHost, joined, open_sink, read_all, samples};

use super::*;
use crate::header::Version;

const SECOND: i64 = 1_000_000_000;
const BEGIN: i64 = 1_700_000_000 * SECOND;

/// A frame: nanoseconds since the start, connection, code, data.
type Frame<'a> = (i64, &'a str, &'a str, &'a [u8]);

fn schema(single: bool) -> Arc<StreamSchema> {
    let builder = StreamSchema::builder("shell", Kind::Terminal)
        .field("connection", DataType::Utf8)
        .field("code", DataType::Utf8)
        .field("data", DataType::Binary);
    if single { builder.metadata(SINGLE_KEY, "true") } else { builder }.build().unwrap()
}

fn batch(schema: &Arc<StreamSchema>, frames: &[Frame<'_>]) -> Batch {
    let mut pool = BatchPool::new(schema.clone());
    let mut builder = pool.builder(frames.len());
    for (at, connection, code, data) in frames {
        builder.push_row(Timestamp(BEGIN + at)).set_str(0, connection).set_str(1, code).set_bytes(2, data);
    }
    let mut batch = builder.finish();
    batch.stamp(0, Timestamp(0));
    batch
}

struct Run {
    folder: tempfile::TempDir,
    refused: u64,
}

impl Run {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).unwrap()
    }

    /// The files of a folder, sorted.
    fn files(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(folder)) else { return Vec::new() };
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn record_batches(options: &Value, batches: &[Batch]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let host = FakeHost::new(folder.path());
    let mut sink = open_sink(&factory(), options, &[batches[0].schema().clone()], &host, "demo").unwrap();
    let mut written = Written::ALL;
    for batch in batches {
        written = written.and(sink.write(0, batch.clone()).unwrap());
    }
    written = written.and(sink.finish().unwrap());
    Run { refused: written.refused_frames(), folder }
}

fn record(options: &Value, frames: &[Frame<'_>]) -> Run {
    record_batches(options, &[batch(&schema(false), frames)])
}

fn record_single(options: &Value, frames: &[Frame<'_>]) -> Run {
    record_batches(options, &[batch(&schema(true), frames)])
}

/// A frame that was read: nanoseconds since the start, code, data.
type Row = (i64, String, Vec<u8>);

fn read_text(text: impl AsRef<[u8]>) -> Result<(Arc<StreamSchema>, Vec<Row>), Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.cast");
    std::fs::write(&path, text).unwrap();
    let (schema, batches) = read_all(&AsciicastFormat, &path)?;
    let begin = batches.first().map_or(0, |batch| batch.timestamps()[0]);
    let row = |batch: &Batch, row: usize| {
        let code = batch.column(1).str_at(row).to_owned();
        (batch.timestamps()[row] - begin, code, batch.column(2).bytes_at(row).to_vec())
    };
    let rows = batches.iter().flat_map(|batch| (0..batch.rows()).map(move |at| row(batch, at))).collect();
    Ok((schema, rows))
}

/// All output of a file, as text.
fn output(text: &str) -> String {
    let rows = read_text(text).unwrap().1;
    let output = rows.iter().filter(|row| row.1 == "o").flat_map(|row| row.2.clone());
    String::from_utf8(output.collect()).unwrap()
}

const SESSION: [Frame<'static>; 7] = [
    (0, "local", "r", b"100x30"),
    (248_848_400, "local", "o", b"\x1b[1;31mHello \"you\"\x1b[0m\r\n\\ \x7f\x01 \xe2\x98\x83"),
    (248_849_300, "local", "i", b"q"),
    (1_001_376_000, "local", "m", b"here"),
    (1_500_000_000, "local", "r", b"90x40"),
    (2_000_000_600, "local", "o", b"bye"),
    (2_000_000_600, "local", "x", b"3"),
];

#[test]
fn version_3_looks_as_its_specification_says() {
    let options = json!({ "title": "Demo", "command": "bash -l", "env": { "TERM": "xterm", "PORT": "54321" },
        "idle_time_limit": 2.0, "input": true });
    let run = record_single(&options, &SESSION);
    let expected = concat!(
        r#"{"version":3,"term":{"cols":100,"rows":30},"timestamp":1700000000,"idle_time_limit":2.0,"command":"bash -l","#,
        r#""title":"Demo","env":{"PORT":"54321","TERM":"xterm"}}"#,
        "\n",
        r#"[0.248848, "o", "\u001b[1;31mHello \"you\"\u001b[0m\r\n\\ "#,
        "\u{7f}",
        r#"\u0001 ☃"]"#,
        "\n",
        r#"[0.000001, "i", "q"]"#,
        "\n",
        r#"[0.752527, "m", "here"]"#,
        "\n",
        r#"[0.498624, "r", "90x40"]"#,
        "\n",
        r#"[0.500001, "o", "bye"]"#,
        "\n",
        r#"[0.0, "x", "3"]"#,
        "\n",
    );
    assert_eq!((run.text("demo.cast").as_str(), run.refused), (expected, 0));
    assert_eq!(run.files(""), ["demo.cast"]);
}

#[test]
fn version_2_looks_as_its_specification_says_and_input_is_not_written_unasked() {
    let run = record_single(&json!({ "version": 2, "path": "folder/a.cast" }), &SESSION);
    let expected = concat!(
        r#"{"version":2,"width":100,"height":30,"timestamp":1700000000}"#,
        "\n",
        r#"[0.248848, "o", "\u001b[1;31mHello \"you\"\u001b[0m\r\n\\ "#,
        "\u{7f}",
        r#"\u0001 ☃"]"#,
        "\n",
        r#"[1.001376, "m", "here"]"#,
        "\n",
        r#"[1.5, "r", "90x40"]"#,
        "\n",
        r#"[2.000001, "o", "bye"]"#,
        "\n",
    );
    assert_eq!((run.text("folder/a.cast").as_str(), run.refused), (expected, 0));
}

#[test]
fn the_sidecar_says_who_how_long_and_how_much() {
    let facts = br#"{"username":"alice","source_ip":"10.0.0.2","source_port":54321,"authentication_method":"publickey",
        "client":"OpenSSH_9.7","status":"made up"}"#;
    let mut frames = vec![(0, "local", "c", &facts[..])];
    frames.extend(SESSION);
    let run = record(&json!({}), &frames);
    assert_eq!(run.files("demo"), ["local.cast", "local.json"]);
    assert_eq!(
        run.json("demo/local.json"),
        json!({
            "connection": "local", "status": "complete", "username": "alice", "source_ip": "10.0.0.2", "source_port": 54321,
            "authentication_method": "publickey", "started_at": "2023-11-14T22:13:20.000000000Z",
            "ended_at": "2023-11-14T22:13:22.000000600Z", "duration": 2.000_000_6, "width": 100, "height": 30,
            "events": { "o": 2, "i": 0, "m": 1, "r": 1, "x": 1 }, "bytes_in": 1, "bytes_out": 35, "exit_status": 3,
            "client": "OpenSSH_9.7"
        })
    );
    // The facts came first, and the frame that came next is still the first event.
    assert!(run.text("demo/local.cast").starts_with("{\"version\":3,\"term\":{\"cols\":100,\"rows\":30},"));
}

#[test]
fn bytes_that_the_source_counted_are_true_and_unknown_ones_are_null() {
    let told = br#"{"bytes_in":1000000,"bytes_out":7}"#;
    let run = record(&json!({}), &[(0, "a", "o", b"12"), (1, "a", "c", told), (2, "a", "x", b"0")]);
    let facts = run.json("demo/a.json");
    assert_eq!((&facts["bytes_in"], &facts["bytes_out"]), (&json!(1_000_000), &json!(7)));
    let run = record(&json!({}), &[(0, "a", "o", b"12"), (2, "a", "x", b"0")]);
    let facts = run.json("demo/a.json");
    assert_eq!((&facts["bytes_in"], &facts["bytes_out"]), (&Value::Null, &json!(2)));
}

#[test]
fn bytes_of_a_transfer_lie_beside_the_recording_and_make_no_events() {
    let facts = br#"{"output_as":"bytes","input_as":"bytes"}"#;
    let noise: &[u8] = &[0, 255, 0xc3, b'a', 0xe2, 0x82];
    let frames = [
        (0, "a", "c", &facts[..]),
        (1, "a", "o", noise),
        (1, "a", "i", b"in\xff"),
        (2, "a", "o", noise),
        (3, "a", "x", b"0"),
        (4, "b", "o", b"text\xe2"),
        (5, "b", "c", br#"{"output_as":"bytes"}"#),
        (6, "b", "o", noise),
        (7, "b", "x", b"0"),
    ];
    for (input, files) in [(true, 7), (false, 6)] {
        let run = record(&json!({ "input": input }), &frames);
        assert_eq!((run.refused, run.files("demo").len()), (0, files), "{:?}", run.files("demo"));
        let bytes = |name: &str| std::fs::read(run.folder.path().join("demo").join(name)).unwrap();
        assert_eq!(bytes("a.out"), [noise, noise].concat());
        assert_eq!(bytes("b.out"), [b"\xe2", noise].concat(), "half a character is the first of them");
        if input {
            assert_eq!(bytes("a.in"), b"in\xff");
        }
        let facts = run.json("demo/a.json");
        assert_eq!((&facts["output_file"], &facts["events"]["o"]), (&json!("a.out"), &json!(0)));
        assert_eq!((&facts["bytes_out"], &facts["bytes_in"]), (&json!(12), &json!(3)));
        assert!(!["a", "b"].map(|name| run.text(&format!("demo/{name}.cast"))).concat().contains('\u{fffd}'));
        assert!(run.text("demo/b.cast").contains("\"text\""));
    }
}

#[test]
fn a_sidecar_says_recording_from_the_first_frame_and_interrupted_without_an_exit() {
    let folder = tempfile::tempdir().unwrap();
    let host = FakeHost::new(folder.path());
    let mut sink = open_sink(&factory(), &json!({}), &[schema(false)], &host, "demo").unwrap();
    let read = || -> Value {
        serde_json::from_slice(&std::fs::read(folder.path().join("demo/a.json")).unwrap()).unwrap()
    };
    sink.write(0, batch(&schema(false), &[(0, "a", "c", br#"{"username":"alice"}"#)])).unwrap();
    assert_eq!((&read()["status"], &read()["username"]), (&json!("recording"), &json!("alice")));
    sink.write(0, batch(&schema(false), &[(SECOND, "a", "c", br#"{"username":"bob"}"#)])).unwrap();
    sink.flush().unwrap();
    assert_eq!((&read()["username"], &read()["ended_at"]), (&json!("bob"), &Value::Null));
    sink.finish().unwrap();
    assert_eq!((&read()["status"], &read()["duration"]), (&json!("interrupted"), &json!(1.0)));
    assert_eq!(&read()["exit_status"], &Value::Null);
    assert_eq!(host.artifacts().len(), 2);
}

#[test]
fn a_character_that_is_split_is_joined_for_each_connection_and_direction() {
    let emoji = "a😀é☃".as_bytes();
    for at in 0..=emoji.len() {
        let (head, tail) = emoji.split_at(at);
        let run = record(
            &json!({ "input": true }),
            &[
                (0, "a", "o", head),
                (1000, "b", "o", &emoji[..at]),
                (2000, "a", "i", head),
                (3000, "a", "o", tail),
                (4000, "a", "i", tail),
                (5000, "b", "o", &emoji[at..]),
            ],
        );
        for name in ["demo/a.cast", "demo/b.cast"] {
            assert_eq!(output(&run.text(name)), "a😀é☃", "split at {at}");
        }
        let rows = read_text(run.text("demo/a.cast")).unwrap().1;
        let input: Vec<u8> = rows.iter().filter(|row| row.1 == "i").flat_map(|row| row.2.clone()).collect();
        assert_eq!(input, emoji, "split at {at}");
    }
}

#[test]
fn bytes_that_are_no_text_are_replacements_and_what_is_left_at_the_end_too() {
    let run = record_single(&json!({}), &[(0, "a", "o", b"a\xff\xe2\x98"), (SECOND, "a", "o", b"z\xf0\x9f")]);
    assert_eq!(output(&run.text("demo.cast")), "a\u{fffd}\u{fffd}z\u{fffd}");
    let lines: Vec<_> = run.text("demo.cast").lines().map(str::to_owned).collect();
    assert_eq!(lines[3], "[0.0, \"o\", \"\u{fffd}\"]");
    // An exit comes last, whatever was held back.
    let run = record_single(&json!({}), &[(0, "a", "o", b"\xf0\x9f"), (SECOND, "a", "x", b"0")]);
    let lines: Vec<_> = run.text("demo.cast").lines().skip(1).map(str::to_owned).collect();
    assert_eq!(lines, ["[1.0, \"o\", \"\u{fffd}\"]", "[0.0, \"x\", \"0\"]"]);
}

#[test]
fn the_rounding_error_of_intervals_is_carried_on() {
    let frames: Vec<Frame<'_>> = (0..30_000).map(|row| (row * 333, "a", "o", &b"."[..])).collect();
    let run = record_single(&json!({}), &frames);
    let rows = read_text(run.text("demo.cast")).unwrap().1;
    for (row, (at, _, _)) in rows.iter().skip(1).enumerate() {
        assert!((at - i64::try_from(row).unwrap() * 333).abs() <= 500, "row {row} at {at}");
    }
}

#[test]
fn names_from_strangers_make_files_of_their_own_and_only_there() {
    let long = "x".repeat(5000);
    let snow = "☃".repeat(200);
    let hostile = [
        "../../etc/passwd",
        "..",
        ".",
        "",
        "/",
        "a/b",
        "a\\b",
        "nul\0byte",
        "new\nline",
        ".hidden",
        "-rf",
        "a b",
        "A_B",
        "tab\t\u{1b}[31m",
        "\u{202e}cod",
        &long,
        &snow,
        "a_b",
        "a_b-2",
        "alice@10.0.0.2:50022",
    ];
    let frames: Vec<Frame<'_>> = hostile.iter().map(|name| (0, *name, "o", name.as_bytes())).collect();
    let run = record(&json!({}), &frames);
    let files = run.files("demo");
    assert_eq!(files.len(), hostile.len() * 2);
    assert_eq!(run.files(""), ["demo"]);
    let mut found = Vec::new();
    let mut folded: Vec<String> = files.iter().map(|name| name.to_lowercase()).collect();
    folded.dedup();
    assert_eq!(folded.len(), files.len());
    for name in &files {
        assert!(name.len() <= 128 && !name.starts_with(['.', '-']), "{name}");
        assert!(
            !name.contains(|letter: char| letter.is_control() || "/\\\u{202e}".contains(letter)),
            "{name}"
        );
        if name.ends_with(".cast") {
            found.push(output(&run.text(&format!("demo/{name}"))));
        }
    }
    let mut expected: Vec<String> = hostile.iter().map(|name| (*name).to_owned()).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert!(files.contains(&"alice@10.0.0.2:50022.cast".to_owned()), "{files:?}");
}

#[test]
fn a_connection_that_comes_again_after_its_end_gets_a_file_of_its_own() {
    let frames = [
        (0, "a", "o", &b"one"[..]),
        (1, "a", "x", b"0"),
        (2, "a", "o", b"two"),
        (3, "a", "x", b"1"),
        (4, "a-2", "o", b"three"),
    ];
    let run = record(&json!({ "sidecar": false }), &frames);
    assert_eq!(run.files("demo"), ["a-2-2.cast", "a-2.cast", "a.cast"]);
    assert_eq!(output(&run.text("demo/a-2.cast")), "two");
    let run = record_single(&json!({ "sidecar": true }), &frames[..4]);
    assert_eq!(run.files(""), ["demo-2.cast", "demo-2.json", "demo.cast", "demo.json"]);
}

#[test]
fn ten_thousand_short_connections_and_a_thousand_at_once_do_not_run_out_of_handles() {
    let open_files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let folder = tempfile::tempdir().unwrap();
    let host = FakeHost::new(folder.path());
    let options = json!({ "sidecar": false });
    let mut sink = open_sink(&factory(), &options, &[schema(false)], &host, "demo").unwrap();
    let before = open_files();
    for number in 0..10_000 {
        let name = number.to_string();
        let frames = [(number, name.as_str(), "o", &b"hi"[..]), (number, &name, "x", b"0")];
        sink.write(0, batch(&schema(false), &frames)).unwrap();
    }
    // Other tests of this process open files too.
    assert!(open_files() < before + 100);
    let names: Vec<String> = (0..1000).map(|number| format!("at-once-{number}")).collect();
    for round in 0..2 {
        let frames: Vec<Frame<'_>> =
            names.iter().map(|name| (round, name.as_str(), "o", name.as_bytes())).collect();
        sink.write(0, batch(&schema(false), &frames)).unwrap();
        sink.flush().unwrap();
        assert!(open_files() < before + 400);
    }
    sink.finish().unwrap();
    let text = |name: &str| std::fs::read_to_string(folder.path().join("demo").join(name)).unwrap();
    assert_eq!(output(&text("9999.cast")), "hi");
    assert_eq!(output(&text("at-once-999.cast")), "at-once-999at-once-999");
}

#[test]
fn frames_that_are_not_what_their_code_says_are_counted_and_left_out() {
    let bad: [Frame<'_>; 8] = [
        (0, "a", "r", b"0x0"),
        (0, "a", "r", b"80"),
        (0, "a", "r", b"+8x9"),
        (0, "a", "r", b"80x70000"),
        (0, "a", "c", b"[1]"),
        (0, "a", "z", b""),
        (0, "a", "", b"x"),
        (0, "a", "e", b"off"),
    ];
    let run = record(&json!({}), &bad);
    assert_eq!((run.refused, run.text("demo/a.cast").lines().count()), (7, 1));
    // Readers want a number; the sidecar has what there was.
    let run = record(&json!({}), &[(0, "a", "x", b"TERM")]);
    assert_eq!((run.refused, run.text("demo/a.cast").lines().count()), (0, 1));
    assert_eq!(run.json("demo/a.json")["exit_status"], "TERM");
}

#[test]
fn a_mebibyte_of_noise_and_a_storm_of_resizes_read_back() {
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(1 << 20)
    .collect();
    let sizes: Vec<String> = (1..2000).map(|size| format!("{size}x{}", size + 1)).collect();
    let mut frames: Vec<Frame<'_>> = Vec::new();
    for (at, (piece, size)) in (0..).zip(noise.chunks(1 << 10).zip(&sizes)) {
        frames.push((at * 1000, "a", "o", piece));
        frames.push((at * 1000, "a", "r", size.as_bytes()));
    }
    for options in [json!({ "version": 2 }), json!({})] {
        let run = record_single(&options, &frames);
        let text = run.text("demo.cast");
        assert_eq!(output(&text), String::from_utf8_lossy(&noise));
        let resizes = read_text(&text).unwrap().1.into_iter().filter(|row| row.1 == "r").skip(1);
        assert!(resizes.map(|row| row.2).eq(sizes[..1024].iter().map(|size| size.as_bytes().to_vec())));
    }
}

/// Reads a file and records what it has.
fn again(path: &Path, options: &Value) -> String {
    let (_, batches) = read_all(&AsciicastFormat, path).unwrap();
    record_batches(options, &batches).text("demo.cast")
}

fn code() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["o", "o", "o", "i", "m", "r"])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_written_is_read_and_written_again_the_same(
        frames in prop::collection::vec((code(), prop::collection::vec(any::<u8>(), 0..40), 0..5_000_000_000_i64), 1..60),
        version in 2..=3_u8, ns: bool, title in prop::option::of(".{0,20}"),
    ) {
        let options = json!({ "version": version, "precision": if ns { "ns" } else { "us" }, "input": true, "title": title });
        let mut at = 0;
        let frames: Vec<Frame<'_>> = frames.iter().map(|(code, data, step)| {
            at += step;
            (at, "a", *code, if *code == "r" { &b"70x20"[..] } else { data })
        }).collect();
        let run = record_single(&options, &frames);
        let first = run.text("demo.cast");
        prop_assert_eq!(&again(&run.path("demo.cast"), &options), &first);
        // The title is in the file, so the second recording needs no option for it.
        let plain = json!({ "version": version, "precision": options["precision"], "input": true });
        prop_assert_eq!(&again(&run.path("demo.cast"), &plain), &first);
        // Through the other version and back.
        let other = record_batches(&json!({ "version": 5 - version, "precision": "ns", "input": true }),
            &read_all(&AsciicastFormat, &run.path("demo.cast")).unwrap().1);
        prop_assert_eq!(again(&other.path("demo.cast"), &plain), first);
    }

    #[test]
    fn any_moment_is_found(pauses in prop::collection::vec(0..3_u32, 0..40), version in 1..=3_u8) {
        let folder = tempfile::tempdir().unwrap();
        write_pauses(&folder.path().join("x.cast"), version, &pauses);
        prop_assert_eq!(conformance::recording(&AsciicastFormat, &folder.path().join("x.cast")), Ok(()));
    }

    #[test]
    fn text_survives_however_it_is_cut(text in "[a-z😀é\u{1b}\r\n\"\\\\]{0,80}", sizes in prop::collection::vec(1..7_usize, 1..20)) {
        let (mut rest, mut frames) = (text.as_bytes(), Vec::new());
        for size in sizes.iter().cycle() {
            let (piece, tail) = rest.split_at(rest.len().min(*size));
            frames.push((0, "a", "o", piece));
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
        let run = record_single(&json!({}), &frames);
        prop_assert_eq!(output(&run.text("demo.cast")), text);
    }

    #[test]
    fn escapes_are_those_of_serde_json(text in any::<String>(), pad in 0..70_usize) {
        let text = format!("{}{text}", "x".repeat(pad));
        let mut escaped = vec![b'"'];
        crate::escape::escape(&text, &mut escaped);
        escaped.push(b'"');
        prop_assert_eq!(String::from_utf8(escaped).unwrap(), serde_json::to_string(&text).unwrap());
    }

    #[test]
    fn times_are_read_as_they_were_written(nanos in 0..=u64::MAX / 2) {
        let mut text = Vec::new();
        crate::seconds::write(nanos, &mut text);
        prop_assert_eq!(crate::seconds::parse(std::str::from_utf8(&text).unwrap()), Some(nanos));
    }

    #[test]
    fn no_file_panics(text in "[0-9oixr\\[\\]{}:,\"#\n .-]{0,80}", damage in prop::collection::vec(any::<u8>(), 0..8)) {
        for lead in ["", "{\"version\":2,\"width\":1,\"height\":1}\n", "{\"version\":1,\"width\":1,\"height\":1,\"stdout\":["] {
            drop(read_text([lead.as_bytes(), text.as_bytes(), &damage].concat()));
        }
    }
}

#[test]
fn recordings_that_asciinema_made_are_read() {
    let one = r#"{
      "version": 1, "width": 80, "height": 24, "duration": 1.515658, "command": "/bin/zsh", "title": "", "env": {},
      "stdout": [[0.248848, "\u001b[1;31mHello \u001b[32mWorld!\u001b[0m\n"], [1.001376, "I am \rThis is on the next line."]]
    }"#;
    let (schema, rows) = read_text(one).unwrap();
    assert_eq!(
        (schema.name(), schema.kind(), schema.metadata()[SINGLE_KEY].as_str()),
        ("text", Kind::Terminal, "true")
    );
    assert_eq!(rows[0], (0, "r".to_owned(), b"80x24".to_vec()));
    assert_eq!(rows[2], (1_250_224_000, "o".to_owned(), b"I am \rThis is on the next line.".to_vec()));
    assert_eq!(read_text(one.replace('\n', "")).unwrap().1, rows);

    let two = concat!(
        r#"{"version": 2, "width": 80, "height": 24, "timestamp": 1504467315, "title": "Demo", "env": {"TERM": "xterm-256color", "SHELL": "/bin/zsh", "PORT": 54321, "NONE": null}}"#,
        "\n[0.248848, \"o\", \"Hello\"]\n[1.001376, \"z\", {\"unknown\": 1}]\n[1, \"i\", \"\\u0003\\ud83d\"]\n[2.5e0, \"m\", \"\"]\n[3.5, \"r\", \"100x50\", 7]\n",
    );
    let (schema, rows) = read_text(two).unwrap();
    let rows: Vec<(i64, &str, &[u8])> = rows.iter().map(|row| (row.0, row.1.as_str(), &row.2[..])).collect();
    assert_eq!(
        rows[1..3],
        [(248_848_000, "o", &b"Hello"[..]), (SECOND, "i", "\u{3}\u{fffd}\u{fffd}\u{fffd}".as_bytes())]
    );
    assert_eq!(rows[3..], [(2_500_000_000, "m", &b""[..]), (3_500_000_000, "r", b"100x50")]);
    let header = crate::decode::header(&schema.metadata()[HEADER_KEY]).unwrap();
    assert_eq!(
        (header.version, header.timestamp, header.facts.env["PORT"].as_str()),
        (Version::Two, Some(1_504_467_315), Some("54321"))
    );
    assert!(!header.facts.env.contains_key("NONE"));

    let three = concat!(
        r##"{"version":3,"term":{"cols":80,"rows":24,"type":"xterm-256color","version":"iTerm2","theme":{"fg":"#d0d0d0","bg":"#212121","palette":"#151515:#ac4142"}},"timestamp":1504467315,"title":"Demo","tags":["a"],"future":1}"##,
        "\n# a comment\n[0.25, \"o\", \"Hel\"]\n[1, \"o\", \"lo\"]\n\n[0.5, \"x\", \"0\"]",
    );
    let rows = read_text(three).unwrap().1;
    assert_eq!(
        rows[1..].iter().map(|row| row.0).collect::<Vec<_>>(),
        [250_000_000, 1_250_000_000, 1_750_000_000]
    );
    assert_eq!(rows[3].1, "x");
    // What the header says goes along, also into the other version.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("three.cast");
    std::fs::write(&path, three).unwrap();
    let header = |options| again(&path, &options).lines().next().unwrap().to_owned();
    assert_eq!(header(json!({})), three.lines().next().unwrap());
    let expected = r##"{"version":2,"width":80,"height":24,"timestamp":1504467315,"title":"Demo","theme":{"fg":"#d0d0d0","bg":"#212121","palette":"#151515:#ac4142"},"future":1}"##;
    assert_eq!(header(json!({ "version": 2 })), expected);
}

#[test]
fn what_is_no_asciicast_says_so() {
    for (text, reason) in [
        ("hello\n", "expected value"),
        ("{\"version\":4}\n", "asciicast version 4 is not known; versions 1 to 3 are read"),
        ("{\n\"version\": -1\n}\n", "asciicast version -1 is not known; versions 1 to 3 are read"),
        ("{\n\"version\": 1,\n", "EOF while parsing a value at line 3 column 0"),
        ("{\"version\": 1, \"wid", "EOF while parsing a string"),
        ("{\"version\":2,\"width\":80}\n", "no size"),
        ("{\"version\":3,\"width\":80,\"height\":24}\n", "no terminal"),
        ("[1, 2]\n", "invalid type"),
    ] {
        let error = read_text(text).unwrap_err();
        assert!(error.message.contains(reason) && error.message.ends_with(".cast"), "{error}");
    }
    for (line, reason) in [
        ("[0.5, \"o\"", "EOF while parsing a list at column 9"),
        ("[0.5, \"o\"]", "it has no data at column 10"),
        (" [\"a\", \"o\", \"b\"]", "its time is not a number at column 3"),
        ("[0.5, \"o\", 7]", "its data is not text at column 12"),
        ("[0.5, \"o\", \"a\"] x", "trailing characters at column 17"),
    ] {
        let text = format!(
            "{{\"version\":2,\"width\":1,\"height\":1}}\n[0.5, \"o\", \"a\"]\n{line}\n[1, \"o\", \"b\"]\n"
        );
        let error = read_text(&text).unwrap_err();
        assert!(error.message.contains(&format!("line 3 can't be read: {reason}")), "{line}: {error}");
    }
}

#[test]
fn a_file_cut_anywhere_reads_back_every_whole_event_and_is_mended_once() {
    // Version 2 has no exit status.
    for (version, rows) in [(2, 6), (3, 7)] {
        let run = record_single(&json!({ "input": true, "version": version }), &SESSION);
        let text = run.text("demo.cast");
        let head = text.find('\n').unwrap();
        let path = run.path("cut.cast");
        let all = joined(&read_all(&AsciicastFormat, &run.path("demo.cast")).unwrap().1).unwrap();
        let mut counts = BTreeMap::new();
        for length in 0..=text.len() {
            std::fs::write(&path, &text.as_bytes()[..length]).unwrap();
            let before = joined(&read_all(&AsciicastFormat, &path).unwrap().1);
            let repair = AsciicastFormat.repair(&path).unwrap();
            match &repair {
                Repair::Intact => {}
                Repair::Mended(what) => {
                    assert_eq!(what.contains("torn first line"), length < head, "{length}")
                }
                Repair::Unreadable(why) => panic!("{length}: {why}"),
            }
            let after = joined(&read_all(&AsciicastFormat, &path).unwrap().1);
            assert!(before == after, "{length}: {repair:?}");
            assert_eq!(AsciicastFormat.repair(&path).unwrap(), Repair::Intact, "{length}");
            let seqs = after.as_ref().map_or(&[][..], Batch::seq);
            assert!(all.seq().starts_with(seqs));
            *counts.entry(seqs.len()).or_insert(0) += 1;
        }
        assert_eq!(counts.keys().copied().collect::<Vec<_>>(), (0..=rows).collect::<Vec<_>>());
    }
}

#[test]
fn a_recording_that_was_begun_and_holds_nothing_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cast");
    let torn = |bytes: u32| Repair::Mended(format!("cut {bytes} bytes of a torn first line"));
    for (text, repair) in [
        ("", Repair::Intact),
        ("{\"vers", torn(6)),
        ("{\"version\":3,\"term\":{\"co", torn(24)),
        ("{\"version\": 2, \"width\": 80", torn(26)),
    ] {
        std::fs::write(&path, text).unwrap();
        let (schema, rows) = read_all(&AsciicastFormat, &path).unwrap();
        assert_eq!((schema.kind(), schema.payload().len(), rows), (Kind::Terminal, 3, Vec::new()));
        assert_eq!(AsciicastFormat.repair(&path).unwrap(), repair, "{text}");
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }
    // The facts beside it are mended all the same.
    std::fs::write(path.with_extension("json"), "{\"status\":\"recording\",\"connection\":\"x\"}").unwrap();
    assert!(matches!(AsciicastFormat.repair(&path).unwrap(), Repair::Mended(_)));
    assert_eq!(AsciicastFormat.repair(&path).unwrap(), Repair::Intact);
    // What is not ours is not cut.
    std::fs::write(&path, "{\"version\": 1, \"stdout\": [[0.5, \"a\"]").unwrap();
    assert!(matches!(AsciicastFormat.repair(&path).unwrap(), Repair::Unreadable(_)));
}

/// A version 2 or 3 file, or a version 1 document, with an output after each of these pauses in milliseconds.
fn write_pauses(path: &Path, version: u8, pauses: &[u32]) {
    let events = |absolute: bool| {
        let mut at = 0;
        pauses.iter().enumerate().map(move |(row, pause)| {
            at += pause;
            let comment = if row % 7 == 0 { "# no event\n\n" } else { "" };
            (comment, f64::from(if absolute { at } else { *pause }) / 1000.0)
        })
    };
    let lines = |absolute| -> String {
        events(absolute)
            .map(|(comment, time)| format!("{comment}[{time}, \"o\", \"\\u00e9\\u001b\"]\n"))
            .collect()
    };
    let text = match version {
        1 => {
            let outputs: Vec<String> = events(false).map(|(_, time)| format!("[{time}, \"a\"]")).collect();
            format!(
                "{{\n\"version\": 1, \"width\": 80, \"height\": 24, \"stdout\": [{}]}}",
                outputs.join(",\n")
            )
        }
        2 => format!(
            "{{\"version\": 2, \"width\": 80, \"height\": 24, \"timestamp\": 1700000000}}\n{}",
            lines(true)
        ),
        _ => format!("{{\"version\": 3, \"term\": {{\"cols\": 80, \"rows\": 24}}}}\n{}", lines(false)),
    };
    std::fs::write(path, text).unwrap();
}

#[test]
fn a_recording_is_read_in_any_order_in_each_version() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cast");
    let pauses: Vec<u32> = (0..3456).map(|row| row % 3 * 250).collect();
    for version in 1..=3 {
        for pauses in [&pauses[..], &[1], &[0; 2345], &[]] {
            write_pauses(&path, version, pauses);
            conformance::recording(&AsciicastFormat, &path).unwrap();
            if version > 1 {
                // A torn end changes nothing.
                let text = std::fs::read_to_string(&path).unwrap();
                std::fs::write(&path, format!("{text}[9, \"o")).unwrap();
                conformance::recording(&AsciicastFormat, &path).unwrap();
            }
        }
    }
    // Times of a version 2 file that go back stand still.
    let header = "{\"version\": 2, \"width\": 80, \"height\": 24}\n";
    std::fs::write(&path, format!("{header}[2, \"o\", \"a\"]\n[1, \"o\", \"b\"]\n[3, \"o\", \"c\"]\n"))
        .unwrap();
    conformance::recording(&AsciicastFormat, &path).unwrap();
    // So do those that no timestamp has room for.
    std::fs::write(&path, format!("{header}[1, \"o\", \"a\"]\n[1e30, \"o\", \"b\"]\n[1e30, \"o\", \"c\"]\n"))
        .unwrap();
    conformance::recording(&AsciicastFormat, &path).unwrap();
}

#[test]
fn opening_reads_no_more_than_the_header_and_the_end_tells_the_extent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cast");
    write_pauses(&path, 3, &[1000; 3000]);
    let mut recording = AsciicastFormat.open(&path).unwrap();
    assert_eq!(recording.extent(0), None);
    recording.seek(Timestamp(1500 * SECOND)).unwrap();
    assert_eq!(recording.next().unwrap().unwrap().1.seq()[0], 1500);
    assert_eq!(recording.extent(0), None, "a moment in the middle needs no more than what is before it");
    recording.seek(Timestamp(i64::MAX)).unwrap();
    assert!(recording.next().unwrap().is_none());
    let expected = Extent { frames: 3001, seq: Some((0, 3000)), timestamps: Some((0, 3000 * SECOND)) };
    assert_eq!(recording.extent(0), Some(expected));
    assert_eq!(recording.extent(1), None);
    assert!(recording.closest(1, Timestamp(0)).is_err());
}

#[test]
fn of_a_damaged_recording_every_line_is_read_that_can_be_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cast");
    write_pauses(&path, 3, &[1000; 1500]);
    let text = std::fs::read_to_string(&path).unwrap();
    let line = text.lines().count() + 1;
    std::fs::write(&path, format!("{text}[1, \"o\"\n[1, \"o\", \"a\"]\n")).unwrap();
    let mut recording = AsciicastFormat.open(&path).unwrap();
    for _ in 0..2 {
        recording.seek(Timestamp(1400 * SECOND)).unwrap();
        assert_eq!(recording.next().unwrap().unwrap().1.rows(), 102, "also the line after the damage");
        let error = recording.next().unwrap_err();
        assert!(error.message.contains(&format!("line {line} can't be read")), "{error}");
        recording.seek(Timestamp(i64::MAX)).unwrap();
        assert!(recording.next().is_err(), "nobody knows what comes after the damage");
    }
    let (nearest, row) = recording.closest(0, Timestamp(1500 * SECOND)).unwrap().unwrap();
    assert_eq!(nearest.seq()[row], 1500);
    assert!(
        recording.closest(0, Timestamp(1501 * SECOND + 1)).is_err(),
        "what the damage hides may be nearer"
    );
}

#[test]
fn asciicasts_are_known_by_their_content() {
    let long = format!("{{\"version\": 2, \"width\": 80, \"title\": \"{}", "x".repeat(5000));
    for (head, expected) in [
        ("{\"version\":2,\"width\":80,\"height\":24}\n[0.5, \"o\", \"a\"]\n", true),
        ("{\"version\":3,\"term\":{\"cols\":80,\"rows\":24}}\n", true),
        ("{\n  \"width\": 80,\n  \"version\": 1,\n  \"stdout\": [[0.1, \"a\"]", true),
        (&long, true),
        ("{\"version\":4,\"term\":{}}\n", true),
        ("{\"version\":\"2\",\"width\":80}\n", false),
        ("{\"version\":1,\"name\":\"settings\"}\n", false),
        ("[1, 2]\n", false),
        ("hello\n", false),
        ("", false),
    ] {
        assert_eq!(AsciicastFormat.matches(head.as_bytes(), Path::new("x.txt")), expected, "{head}");
    }
}

#[test]
fn a_killed_recording_is_mended_and_so_is_its_sidecar() {
    let folder = tempfile::tempdir().unwrap();
    let host = FakeHost::new(folder.path());
    let mut sink = open_sink(&factory(), &json!({}), &[schema(false)], &host, "demo").unwrap();
    sink.write(0, batch(&schema(false), &SESSION[..5])).unwrap();
    sink.flush().unwrap();
    drop(sink);
    let path = folder.path().join("demo/local.cast");
    let mut torn = std::fs::read(&path).unwrap();
    torn.extend_from_slice(b"[0.5, \"o");
    std::fs::write(&path, torn).unwrap();
    let Repair::Mended(what) = AsciicastFormat.repair(&path).unwrap() else { panic!("it is torn") };
    assert_eq!(what, "cut 8 bytes of a torn last line; the facts beside it say that it was interrupted");
    assert_eq!(AsciicastFormat.repair(&path).unwrap(), Repair::Intact);
    let facts: Value = serde_json::from_slice(&std::fs::read(path.with_extension("json")).unwrap()).unwrap();
    assert_eq!((&facts["status"], &facts["duration"]), (&json!("interrupted"), &json!(1.5)));
    assert_eq!(facts["ended_at"], "2023-11-14T22:13:21.500000000Z");
    assert_eq!(AsciicastFormat.repair(&path.with_extension("json")).unwrap(), Repair::Intact);
}

#[test]
fn a_recording_without_room_is_lost_and_counted_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let host = FakeHost::new(folder.path());
    let mut sink = open_sink(&factory(), &json!({}), &[schema(false)], &host, "demo").unwrap();
    std::fs::create_dir(folder.path().join("demo")).unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.path().join("demo/local.cast")).unwrap();
    sink.write(0, batch(&schema(false), &[(0, "other", "o", b"safe")])).unwrap();
    sink.write(0, batch(&schema(false), &SESSION[..5])).unwrap();
    let written = sink.flush().unwrap();
    let [refused] = written.refused() else { panic!("{written:?}") };
    assert_eq!(
        (refused.frames, refused.seqs),
        (4, (0, 4)),
        "what was taken and could not be written; input was not"
    );
    assert!(refused.reason.message.contains("can't write frames"), "{refused:?}");
    assert!(host.warnings()[0].contains("can't write frames") && host.warnings()[0].contains("local.cast"));
    // What still comes of it is lost, up to its end; the name is free again then, and so is the disk.
    let frames = [(1, "other", "o", &b" and sound"[..]), (1, "local", "o", b"gone")];
    let written = sink.write(0, batch(&schema(false), &frames)).unwrap();
    assert_eq!(written.refused()[0].seqs, (1, 1));
    let frames = [(2, "local", "x", &b"0"[..]), (3, "local", "o", b"anew")];
    let written = written.and(sink.write(0, batch(&schema(false), &frames)).unwrap());
    assert_eq!(written.refused_frames(), 2);
    assert_eq!(sink.finish().unwrap(), Written::ALL);
    let json = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(folder.path().join("demo").join(name)).unwrap()).unwrap()
    };
    assert_eq!(json("local.json")["status"], "interrupted");
    assert!(json("local.json")["error"].as_str().unwrap().contains("can't write frames"));
    let text = |name: &str| output(&std::fs::read_to_string(folder.path().join("demo").join(name)).unwrap());
    assert_eq!((text("other.cast"), text("local-2.cast")), ("safe and sound".to_owned(), "anew".to_owned()));
}

#[test]
fn facts_that_are_written_over_the_old_ones_leave_nothing_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    for json in [json!({ "status": "recording", "bytes_out": 1 }), json!({ "status": "interrupted" })] {
        crate::sidecar::replace(&path, &json).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
    crate::sidecar::overwrite(&path, b"{}").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"{}");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    for (options, name) in [
        (json!({ "version": 1 }), "version"),
        (json!({ "width": 0 }), "width"),
        (json!({ "idle_time_limit": 0.0 }), "idle_time_limit"),
    ] {
        assert_eq!(factory().check(&options).unwrap_err().option, [name]);
    }
    let host = FakeHost::new(&std::env::temp_dir());
    let other = samples::schema(Kind::Event, "s");
    let error = open_sink(&factory(), &json!({}), &[other], &host, "demo").err().unwrap();
    assert_eq!(error.message, "stream \"s\" is of kind \"event\", not \"terminal\"");
}

/// One connection whose first frame is its size, which is what a recording reads back as.
fn conforming(single: bool) -> Vec<Batch> {
    let connection = if single { "conform" } else { "local" };
    let texts = ["plain", "két szó", "\u{1b}[1m\r\n", "😀", "\"\\"];
    let mut pool = BatchPool::new(schema(single));
    let mut row = 0;
    let mut make = |rows: usize| {
        let mut builder = pool.builder(rows);
        for _ in 0..rows {
            let at = Timestamp(BEGIN + i64::try_from(row).unwrap() * 16_666_667);
            let (code, data) = match row % 7 {
                0 => ("r", "80x24"),
                3 => ("i", "ls\r"),
                5 => ("m", "mark"),
                _ => ("o", texts[row % texts.len()]),
            };
            builder.push_row(at).set_str(0, connection).set_str(1, code).set_bytes(2, data.as_bytes());
            let last = builder.rows() - 1;
            builder.seq_mut()[last] = row as u64;
            row += 1;
        }
        builder.finish()
    };
    [3, 1, 60, 7].map(&mut make).to_vec()
}

#[test]
fn the_contract_is_kept() {
    for version in [2, 3] {
        for single in [false, true] {
            let case = conformance::SinkCase::new(vec![conforming(single)]);
            let options = json!({ "version": version, "input": true, "precision": "ns" });
            conformance::sink(&factory(), &options, &case).unwrap();
        }
    }
}

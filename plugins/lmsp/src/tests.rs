//! Tests of the sink, its reader and the two transforms: what was recorded is read back in every form, and what is no recording is told.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tapedeck_sdk::kinds::event;
use tapedeck_sdk::testing::conformance::{self, SinkCase};
use tapedeck_sdk::testing::{FakeHost, joined, open_sink, read_all};

use super::*;
use tapedeck_kit::json::{Layout, put_ascii};
use tapedeck_kit::tas::TYPES;

/// When recordings of tests begin.
const START: i64 = 1_764_547_200_250_000_000;
const SECOND: i64 = 1_000_000_000;
const FORMS: [(&str, &str); 3] = [("gzip", "x.lmsp.gz"), ("json", "x.json"), ("binary", "x.lmsp")];

/// A state in which a few keys change from event to event.
fn state(n: i64) -> Value {
    json!({
        "current_code": format!("def f():\n    return 'é日😀'\n{}", "#".repeat(usize::try_from(n % 5).unwrap())),
        "cursor_position": [n / 7, n % 80],
        "ast_tree": if n % 3 == 0 { json!({ "type": "Module", "body": [n] }) } else { Value::Null },
        "challenge_id": "container",
        "challenge_started_at": 12.5,
        "tests_passing": n % 4,
        "tests_total": 4,
        "hints_used": 0,
        "player_id": "wings",
        "mastery_levels": { "lists": n / 10 },
        "current_emotion": if n % 4 == 0 { Value::Null } else { json!(["enjoyment", 0.125]) },
        "session_duration": 0.5,
        "challenges_completed": [],
        "concepts_mastered": [],
        "other_players": [],
    })
}

fn schema() -> Arc<StreamSchema> {
    Kind::Event.schema("events").metadata("lmsp.created_at", "1764547200.25").build().unwrap()
}

/// An event: its time since the beginning, its type, its data and its state.
type Event<'e> = (i64, &'e str, &'e str, Option<&'e str>);

fn batch_of(schema: &Arc<StreamSchema>, events: &[Event<'_>]) -> Batch {
    let mut pool = BatchPool::new(schema.clone());
    let mut builder = pool.builder(events.len());
    for &(time, event_type, data, state) in events {
        let row = event::Row { event_type, player_id: "wings", data, state };
        row.put(&mut builder.push_row(Timestamp(START + time)));
    }
    (0..).zip(builder.seq_mut()).for_each(|(number, seq)| *seq = number);
    builder.finish()
}

/// All types of events, a quarter of a second apart.
fn events(count: i64) -> Batch {
    let texts: Vec<(String, String)> = (0..count)
        .map(|n| {
            let char = ["d", "é", "😀\n\""][usize::try_from(n % 3).unwrap()];
            let data = json!({ "char": char, "n": n, "x": [1.0, -2e-7, {}] });
            (data.to_string(), state(n).to_string())
        })
        .collect();
    let event = |(n, (data, state))| -> Event<'_> {
        let n: usize = n;
        (i64::try_from(n).unwrap() * SECOND / 4, TYPES[n % TYPES.len()], data, Some(state))
    };
    let all: Vec<Event<'_>> =
        texts.iter().map(|(data, state)| (data.as_str(), state.as_str())).enumerate().map(event).collect();
    batch_of(&schema(), &all)
}

fn record(folder: &Path, options: &Value, batches: &[Batch]) -> (PathBuf, Written, Arc<FakeHost>) {
    let host = FakeHost::new(folder);
    let mut sink = open_sink(&factory(), options, &[batches[0].schema().clone()], &host, "x").unwrap();
    let all = batches.iter().fold(Written::ALL, |all, batch| all.and(sink.write(0, batch.clone()).unwrap()));
    let all = all.and(sink.finish().unwrap());
    let path = folder.join(&host.artifacts()[0]);
    (path, all, host)
}

fn read(path: &Path) -> (Arc<StreamSchema>, Batch) {
    let (schema, batches) = read_all(&LmspFormat, path).unwrap();
    (schema, joined(&batches).unwrap())
}

fn assert_same_rows(found: &Batch, expected: &Batch) {
    assert_eq!((found.seq(), found.timestamps()), (expected.seq(), expected.timestamps()));
    for column in 0..4 {
        for row in 0..expected.rows() {
            let [found, expected] = [found, expected].map(|batch| batch.column(column).str_at(row));
            if column < 2 {
                assert_eq!(found, expected, "row {row}");
            } else {
                let [found, expected] =
                    [found, expected].map(|text| serde_json::from_str::<Value>(text).unwrap());
                assert_eq!(found, expected, "row {row}");
            }
        }
    }
}

fn part(batch: &Batch, rows: std::ops::Range<usize>) -> Batch {
    let mut pool = BatchPool::new(batch.schema().clone());
    let mut builder = pool.builder(rows.len());
    builder.append(batch, rows);
    builder.finish()
}

#[test]
fn the_contract_is_kept_in_every_form() {
    for (form, _) in FORMS {
        let case = SinkCase::new(vec![vec![part(&events(4), 0..3), part(&events(4), 3..4)]]);
        conformance::sink(&factory(), &json!({ "form": form }), &case)
            .unwrap_or_else(|wrong| panic!("{form}: {wrong:?}"));
    }
}

#[test]
fn each_form_has_the_same_and_goes_over_into_the_others_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let expected = events(60);
    let mut first = None;
    for (form, name) in FORMS {
        let (path, written, _) =
            record(folder.path(), &json!({ "path": name }), std::slice::from_ref(&expected));
        assert!(written.refused_frames() == 0 && path.ends_with(name), "{form}");
        let (schema, found) = read(&path);
        assert_same_rows(&found, &expected);
        let (all, metadata) = first.get_or_insert_with(|| (found.clone(), schema.metadata().clone()));
        for column in 0..4 {
            assert!(
                (0..60).all(|row| found.column(column).str_at(row) == all.column(column).str_at(row)),
                "{form}"
            );
        }
        assert_eq!(schema.metadata(), metadata, "{form}");
        for (other, name) in FORMS {
            let again = tempfile::tempdir().unwrap();
            let (copy, ..) = record(again.path(), &json!({ "path": name }), std::slice::from_ref(&found));
            let (copied, rows) = read(&copy);
            assert_same_rows(&rows, &expected);
            assert_eq!(copied.metadata(), schema.metadata(), "{form} to {other}");
            if form == other {
                assert!(
                    std::fs::read(&copy).unwrap() == std::fs::read(&path).unwrap(),
                    "{form}: the same bytes"
                );
            }
        }
        conformance::recording(&LmspFormat, &path).unwrap();
    }
}

#[test]
fn times_that_nanoseconds_cannot_tell_and_large_numbers_stay_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    let data = r#"{"n":123456789012345678901234567890,"m":-98765432109876543210,"f":1.5,"half":"\ud83d"}"#;
    let times = ["0.0", "0.1", "0.012345678901234568", "17.000000000000004"];
    let event = |time: &str| {
        format!(
            "{{\"timestamp\":{time},\"event\":{{\"type\":\"keystroke\",\"player_id\":\"p\",\"data\":{data}}},\"game_state\":{}}}",
            state(1)
        )
    };
    let all: Vec<String> = times.iter().map(|time| event(time)).collect();
    std::fs::write(&path, document(&all.join(","), "")).unwrap();
    for (form, name) in FORMS {
        let (_, batch) = read(&path);
        let into = tempfile::tempdir().unwrap();
        let (copy, written, _) = record(into.path(), &json!({ "path": name }), &[batch]);
        assert_eq!(written.refused_frames(), 0, "{form}: {written:?}");
        let (back, _, _) = record(into.path(), &json!({ "path": "back.json" }), &[read(&copy).1]);
        let back = std::fs::read_to_string(&back).unwrap();
        for time in times {
            assert!(back.contains(&format!("\"timestamp\": {time},")), "{form}: {time}");
        }
        let text = read(&copy).1.column(2).str_at(0).to_owned();
        assert_eq!(text, data, "{form}");
    }
}

/// A document of these events; `more` stands behind its facts.
fn document(events: &str, more: &str) -> String {
    format!(
        "{{\"version\":\"1.0.0\",\"player_id\":\"p\",\"challenge_id\":\"c\",\"created_at\":5.0,\"events\":[{events}],\"checkpoints\":{{\"a\":1}},\"duration\":9.5,\"success\":true,\"final_code\":\"x\",\"final_time\":9.25{more}}}"
    )
}

#[test]
fn a_live_recording_takes_its_facts_from_its_events() {
    let state = state(1).to_string();
    let state = Some(state.as_str());
    let begun = FakeHost::new(Path::new("")).context("x").session.started_at.0 - START;
    let batch = batch_of(
        &Kind::Event.schema("live").build().unwrap(),
        &[
            (begun, "challenge_start", "{}", state),
            (begun + SECOND, "keystroke", "{\"char\":\"d\"}", None),
            (begun + SECOND, "checkpoint", "{\"name\":\"before\"}", state),
            (begun + 2 * SECOND, "keystroke", "{}", state),
            (begun + 2 * SECOND, "checkpoint", "{\"name\":\"before\"}", state),
            (begun + 3 * SECOND, "nothing", "{}", state),
            (begun + 3 * SECOND, "keystroke", "{", state),
            (begun + 3 * SECOND, "keystroke", "{}", Some("{\"tests_total\":4}")),
            (
                begun + 3 * SECOND,
                "finish",
                "{\"success\":true,\"final_code\":\"ok\",\"final_time\":2.5}",
                None,
            ),
        ],
    );
    for (form, name) in FORMS {
        let folder = tempfile::tempdir().unwrap();
        let options = json!({ "path": name, "player_id": "somebody" });
        let (path, written, host) = record(folder.path(), &options, std::slice::from_ref(&batch));
        let reasons: Vec<&str> =
            written.refused().iter().map(|refused| refused.reason.message.as_str()).collect();
        assert_eq!(written.refused_frames(), 3, "{form}: {reasons:?}");
        assert!(reasons.iter().any(|why| why.contains("unknown type \"nothing\"")), "{reasons:?}");
        assert!(
            host.warnings().iter().any(|what| what == "Checkpoint 'before' already exists"),
            "{:?}",
            host.warnings()
        );
        let (schema, found) = read(&path);
        assert_eq!(found.rows(), 5, "{form}");
        let fact = |key: &str| schema.metadata().get(key).map(String::as_str);
        assert_eq!(fact("event.checkpoints"), Some("{\"before\":1}"), "{form}: the event before it");
        assert_eq!(fact("lmsp.player_id"), Some("\"somebody\""));
        assert_eq!(fact("lmsp.challenge_id"), Some("\"container\""));
        assert_eq!((fact("lmsp.success"), fact("lmsp.final_code")), (Some("true"), Some("\"ok\"")), "{form}");
        assert_eq!((fact("lmsp.final_time"), fact("lmsp.duration")), (Some("2.5"), Some("2.0")), "{form}");
        assert_eq!(found.column(3).str_at(1), found.column(3).str_at(0), "what was not told has not changed");
    }
}

#[test]
fn of_a_part_the_checkpoints_are_kept_that_are_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let schema = Kind::Event
        .schema("events")
        .metadata("lmsp.created_at", "1764547200.25")
        .metadata("event.checkpoints", "{\"first\":0,\"middle\":3,\"last\":5}");
    let schema = schema.build().unwrap();
    let all = events(6);
    let mut pool = BatchPool::new(schema);
    let mut builder = pool.builder(6);
    builder.append(&all, 2..5);
    let (path, ..) = record(folder.path(), &json!({}), &[builder.finish()]);
    let (schema, found) = read(&path);
    assert_eq!(schema.metadata().get("event.checkpoints").unwrap(), "{\"middle\":1}");
    assert_eq!(found.timestamps()[0], START + SECOND / 2, "times go on from the beginning of the recording");
}

#[test]
fn what_is_no_recording_is_told_and_an_event_that_is_none_costs_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    let event = |time: &str, kind: &str, state: &str| {
        format!(
            "{{\"timestamp\":{time},\"event\":{{\"type\":\"{kind}\",\"player_id\":\"p\",\"data\":{{}}}},\"game_state\":{state}}}"
        )
    };
    let good = event("1.0", "keystroke", &state(1).to_string());
    for (bad, why) in [
        (event("-1.0", "keystroke", &state(1).to_string()), "event 2 has a negative timestamp"),
        (event("1.0", "nothing", &state(1).to_string()), "event 2 has the unknown type \"nothing\""),
        (
            event("1.0", "keystroke", "{\"current_code\":\"\"}"),
            "event 2 has a state without \"cursor_position\"",
        ),
        (event("1e300", "keystroke", &state(1).to_string()), "event 2 has a timestamp that is none"),
        ("{\"timestamp\":1.0}".to_owned(), "event 2 can't be read: missing field `event`"),
        ("7".to_owned(), "event 2 can't be read: invalid type"),
    ] {
        std::fs::write(&path, document(&[good.as_str(), &bad, &good].join(","), "")).unwrap();
        let mut recording = LmspFormat.open(&path).unwrap();
        assert_eq!(recording.next().unwrap().unwrap().1.rows(), 2, "{bad}");
        let error = recording.next().unwrap_err();
        assert!(error.message.contains(why), "{error}");
        assert!(matches!(LmspFormat.repair(&path).unwrap(), Repair::Unreadable(_)), "{bad}");
    }
    for (text, why) in [
        (document(&good, "").replace("1.0.0", "9.9"), "Unsupported version: \"9.9\""),
        ("{\"version\":\"1.0.0\",\"player_id\":\"p\"".to_owned(), "ends before its first event"),
        ("[1]".to_owned(), "there should be `{` at byte 0"),
        ("LMSP\u{2}\0\0\0".to_owned(), "Unsupported version: 2"),
        ("LMSP\u{1}\0\0\0\u{9}\0\0\0x".to_owned(), "ends before its first event"),
    ] {
        std::fs::write(&path, &text).unwrap();
        let error = LmspFormat.open(&path).err().unwrap();
        assert!(error.message.contains(why) && error.message.contains("a.json"), "{error}");
    }
}

#[test]
fn a_recording_that_was_cut_anywhere_is_read_as_far_as_it_goes_and_mended() {
    let folder = tempfile::tempdir().unwrap();
    let all = events(40);
    for (form, name) in FORMS {
        let (path, ..) = record(folder.path(), &json!({ "path": name }), std::slice::from_ref(&all));
        let bytes = std::fs::read(&path).unwrap();
        let mut most = 0;
        for length in (0..bytes.len()).step_by(bytes.len() / 60) {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let before = match LmspFormat.open(&path) {
                Ok(mut recording) => {
                    let mut rows = 0;
                    while let Ok(Some((_, batch))) = recording.next() {
                        rows += batch.rows();
                    }
                    rows
                }
                Err(error) => {
                    assert_eq!(error.kind, ErrorKind::Data, "{error}");
                    0
                }
            };
            match LmspFormat.repair(&path).unwrap() {
                Repair::Mended(_) => {
                    assert_eq!(LmspFormat.repair(&path).unwrap(), Repair::Intact, "{form} {length}");
                    let rows: usize = read_all(&LmspFormat, &path).unwrap().1.iter().map(Batch::rows).sum();
                    assert_eq!(rows, before, "{form} {length}: nothing is lost");
                }
                Repair::Intact => assert!(before == 40, "{form} {length}"),
                Repair::Unreadable(_) => assert_eq!(before, 0, "{form} {length}"),
            }
            most = most.max(before);
        }
        assert!(most >= 35, "{form}: {most}");
    }
}

#[test]
fn what_a_kill_leaves_has_its_checkpoints_again() {
    let folder = tempfile::tempdir().unwrap();
    let state = state(1).to_string();
    let begun = FakeHost::new(Path::new("")).context("x").session.started_at.0 - START;
    let events = [
        (begun, "keystroke", "{}", Some(state.as_str())),
        (begun, "checkpoint", "{\"name\":\"a\"}", Some(state.as_str())),
        (begun, "keystroke", "{}", Some(state.as_str())),
    ];
    let batch = batch_of(&Kind::Event.schema("live").build().unwrap(), &events);
    for (form, name) in FORMS.into_iter().skip(1) {
        let (path, ..) = record(folder.path(), &json!({ "path": name }), std::slice::from_ref(&batch));
        let bytes = std::fs::read(&path).unwrap();
        // The end goes, and half of the last event with it.
        std::fs::write(&path, &bytes[..bytes.len() - bytes.len() / 4]).unwrap();
        assert!(matches!(LmspFormat.repair(&path).unwrap(), Repair::Mended(_)), "{form}");
        let (schema, found) = read(&path);
        let checkpoints = schema.metadata().get("event.checkpoints").map(String::as_str);
        assert_eq!((found.rows(), checkpoints), (2, Some("{\"a\":0}")), "{form}");
    }
}

#[test]
fn recordings_are_known_by_their_content() {
    let folder = tempfile::tempdir().unwrap();
    for (form, name) in FORMS {
        let (path, ..) = record(folder.path(), &json!({ "path": name }), &[events(50)]);
        let head: Vec<u8> = std::fs::read(&path).unwrap().into_iter().take(4096).collect();
        assert!(LmspFormat.matches(&head, Path::new("anything")), "{form}");
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"{\"version\":\"1.0.0\",\"events\":[]}").unwrap();
    for head in [
        &gzip.finish().unwrap()[..],
        b"{\"version\":2,\"width\":80}",
        b"",
        b"\x1f\x8b",
        b"{\"player_id\":1}\n",
    ] {
        assert!(!LmspFormat.matches(head, Path::new("x.json")), "{head:?}");
    }
}

struct Collected(Vec<Batch>);

impl Outputs for Collected {
    fn push(&mut self, _output: usize, batch: Batch) {
        self.0.push(batch);
    }
}

/// Passes batches through a transform.
fn through(factory: &Factory, batches: &[Batch]) -> (Vec<Batch>, Arc<FakeHost>) {
    let folder = tempfile::tempdir().unwrap();
    let host = FakeHost::new(folder.path());
    let tapedeck_sdk::Opener::Transform(open) = factory.opener() else { panic!("a transform") };
    let mut transform = open(&json!({}), host.context("t")).unwrap();
    transform.streams(&[batches[0].schema().clone()]).unwrap();
    let mut out = Collected(Vec::new());
    batches.iter().for_each(|batch| transform.process(0, batch.clone(), &mut out).unwrap());
    (out.0, host)
}

#[test]
fn a_state_is_a_delta_where_few_keys_have_changed_and_comes_back() {
    let all = events(80);
    let (deltas, _) = through(&state_delta_factory(), std::slice::from_ref(&all));
    let forms: Vec<Value> = deltas
        .iter()
        .flat_map(|batch| {
            (0..batch.rows())
                .map(|row| serde_json::from_str(batch.column(3).str_at(row)).unwrap())
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(forms[0]["type"], "full");
    for (n, form) in forms.iter().enumerate().skip(1) {
        let n = i64::try_from(n).unwrap();
        let (before, after) = (state(n - 1), state(n));
        let changed = after.as_object().unwrap().iter().filter(|(key, value)| before[key] != **value).count();
        let expected = if changed < 5 { "delta" } else { "full" };
        assert_eq!(form["type"], expected, "{changed} changed");
        assert_eq!(form["data"].as_object().unwrap().len(), if changed < 5 { changed } else { 15 });
    }
    let (back, host) = through(&state_undelta_factory(), &deltas);
    assert_same_rows(&joined(&back).unwrap(), &all);
    assert_eq!(host.failed_frames(), 0);
}

#[test]
fn a_removed_key_forces_a_full_state_and_after_a_lost_event_nothing_is_made_up() {
    let texts: Vec<String> = [
        "{\"a\":1,\"b\":2,\"c\":3,\"d\":4}",
        "{\"a\":1,\"b\":2,\"c\":3}",
        "{\"a\":1,\"b\":2,\"c\":3}",
        "{\"a\":1,\"b\":2,\"c\":3}",
    ]
    .map(str::to_owned)
    .to_vec();
    let rows: Vec<Event<'_>> = texts.iter().map(|text| (0, "keystroke", "{}", Some(text.as_str()))).collect();
    let (deltas, _) = through(&state_delta_factory(), &[batch_of(&schema(), &rows)]);
    let deltas = joined(&deltas).unwrap();
    let forms: Vec<&str> = (0..4).map(|row| deltas.column(3).str_at(row)).collect();
    assert_eq!(forms[1], "{\"type\":\"full\",\"data\":{\"a\":1,\"b\":2,\"c\":3}}");
    assert_eq!(forms[2], "{\"type\":\"delta\",\"data\":{},\"base\":1}");
    // The event with the full state is lost.
    let mut pool = BatchPool::new(deltas.schema().clone());
    let mut builder = pool.builder(4);
    builder.append(&deltas, 0..1);
    builder.append(&deltas, 2..4);
    let (back, host) = through(&state_undelta_factory(), &[builder.finish()]);
    assert_eq!((back.iter().map(Batch::rows).sum::<usize>(), host.failed_frames()), (1, 2));
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), form in 0..3_usize) {
        let folder = tempfile::tempdir().unwrap();
        let (path, ..) = record(folder.path(), &json!({ "path": FORMS[form].1 }), &[events(2)]);
        let mut whole = std::fs::read(&path).unwrap();
        let at = bytes.iter().map(|&byte| usize::from(byte)).sum::<usize>() % whole.len();
        let end = (at + bytes.len()).min(whole.len());
        whole.splice(at..end, bytes);
        std::fs::write(&path, &whole).unwrap();
        if let Ok(mut recording) = LmspFormat.open(&path) {
            while let Ok(Some(_)) = recording.next() {}
            let _ = recording.closest(0, Timestamp(5));
        }
        let _ = LmspFormat.repair(&path);
    }
}

#[test]
fn options_out_of_range_point_at_the_option() {
    for (options, at) in [(json!({ "level": 10 }), "level"), (json!({ "module": "" }), "module")] {
        let error = factory().check(&options).unwrap_err();
        assert_eq!(error.option, vec![at.to_owned()], "{error}");
    }
    let mut out = Vec::new();
    put_ascii(b"[]", Layout::Indented, 0, &mut out);
    assert_eq!(out, b"[]");
}

//! Tests of the source before clients of its socket; standard input is tried by the tests of the program.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tapedeck_sdk::Opener;
use tapedeck_sdk::testing::FakeHost;

use super::*;

/// A row: type, player, data, state.
type Row = (String, String, Value, Value);

fn open(host: &Arc<FakeHost>, socket: &Path) -> Box<dyn Source> {
    let factory = factory();
    let Opener::Source(open) = factory.opener() else { panic!("a source") };
    open(
        &json!({ "listen": format!("unix:{}", socket.display()), "player_id": "me" }),
        host.context("events"),
    )
    .unwrap()
}

/// All rows until a source has had nothing for a while.
fn rows(source: &mut dyn Source, host: &FakeHost, wanted: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for _ in 0..2000 {
        match source.next(tapedeck_sdk::Host::now(host) + Duration::from_millis(5)).unwrap() {
            Next::Batch { batch, .. } => {
                for row in 0..batch.rows() {
                    let text = |column: usize| batch.column(column).str_at(row).to_owned();
                    let value = |column: usize| {
                        let column = batch.column(column);
                        if column.is_null(row) {
                            Value::Null
                        } else {
                            serde_json::from_str(column.str_at(row)).unwrap()
                        }
                    };
                    rows.push((text(0), text(1), value(2), value(3)));
                }
            }
            Next::Idle => {}
            Next::End => break,
        }
        if rows.len() >= wanted {
            break;
        }
    }
    rows
}

fn state(n: i64) -> Value {
    let mut state = json!({
        "current_code": "", "cursor_position": [0, 0], "challenge_id": "c", "challenge_started_at": 0.0, "tests_passing": 0, "tests_total": 1,
        "hints_used": 0, "player_id": "p", "mastery_levels": {}, "session_duration": 0.0, "challenges_completed": [], "concepts_mastered": [],
    });
    state["tests_passing"] = n.into();
    state
}

#[test]
fn events_checkpoints_rewinds_and_deltas_of_a_client_become_frames() {
    let folder = tempfile::tempdir().unwrap();
    let (host, socket) = (FakeHost::new(folder.path()), folder.path().join("s"));
    host.tick_by(Duration::from_micros(10));
    let mut source = open(&host, &socket);
    let mut client = UnixStream::connect(&socket).unwrap();
    let mut send = |line: Value| writeln!(client, "{line}").unwrap();
    send(json!({ "type": "keystroke", "player_id": "wings", "data": { "char": "é" }, "state": state(1) }));
    send(json!({ "checkpoint": "a" }));
    send(json!({ "type": "test_run", "state": { "type": "delta", "data": { "tests_passing": 2 } } }));
    send(json!({ "type": "test_pass" }));
    send(json!({ "rewind": "a" }));
    send(json!({ "type": "nothing" }));
    send(json!({ "checkpoint": "a" }));
    send(json!({ "rewind": "b" }));
    send(json!({ "type": "keystroke", "state": { "tests_passing": 1 } }));
    send(json!({ "finish": { "success": true } }));
    let found = rows(source.as_mut(), &host, 100);
    let text = |text: &str| text.to_owned();
    assert_eq!(
        found,
        [
            (text("keystroke"), text("wings"), json!({ "char": "é" }), state(1)),
            (text("checkpoint"), text("me"), json!({ "name": "a" }), state(1)),
            (text("test_run"), text("me"), json!({}), state(2)),
            (text("test_pass"), text("me"), json!({}), state(2)),
            (text("rewind"), text("me"), json!({ "checkpoint": "a" }), state(1)),
            (text("finish"), text("me"), json!({ "success": true }), state(1)),
        ]
    );
    assert_eq!(host.failed_frames(), 4);
    let answers: Vec<Value> = BufReader::new(&client)
        .lines()
        .take(4)
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    let expected = [
        (6, "it has the unknown type \"nothing\""),
        (7, "Checkpoint 'a' already exists"),
        (8, "Checkpoint 'b' not found"),
        (9, "it has a state without \"current_code\""),
    ];
    for (answer, (line, why)) in answers.iter().zip(expected) {
        assert_eq!((&answer["line"], &answer["error"]), (&json!(line), &json!(why)));
    }
    assert!(
        host.warnings().iter().any(|what| what == "line 7 is no event: Checkpoint 'a' already exists"),
        "{:?}",
        host.warnings()
    );
    drop(source);
    assert!(!socket.exists(), "it is taken away");
}

#[test]
fn lines_may_come_in_pieces_from_many_clients_and_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (host, socket) = (FakeHost::new(folder.path()), folder.path().join("s"));
    host.tick_by(Duration::from_micros(10));
    let mut source = open(&host, &socket);
    std::thread::scope(|scope| {
        for client in 0..4 {
            let socket = socket.clone();
            scope.spawn(move || {
                let mut stream = UnixStream::connect(&socket).unwrap();
                for n in 0..200 {
                    let line = format!(
                        "{}\n",
                        json!({ "type": "keystroke", "player_id": client.to_string(), "data": { "n": n } })
                    );
                    let (one, two) = line.split_at(line.len() / 2);
                    stream.write_all(one.as_bytes()).unwrap();
                    stream.write_all(two.as_bytes()).unwrap();
                }
            });
        }
        let found = rows(source.as_mut(), &host, 800);
        for client in 0..4 {
            let of = found
                .iter()
                .filter(|row| row.1 == client.to_string())
                .map(|row| row.2["n"].as_i64().unwrap());
            assert_eq!(of.collect::<Vec<_>>(), (0..200).collect::<Vec<_>>(), "client {client}");
        }
    });
    assert_eq!(host.failed_frames(), 0);
}

#[test]
fn rubbish_costs_its_line_and_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let (host, socket) = (FakeHost::new(folder.path()), folder.path().join("s"));
    host.tick_by(Duration::from_micros(10));
    let mut source = open(&host, &socket);
    let mut client = UnixStream::connect(&socket).unwrap();
    let rubbish: [&[u8]; 7] = [
        b"[1]",
        b"{\"type\":7}",
        b"\xff\xfe",
        b"{",
        b"{\"checkpoint\":1}",
        b"{\"finish\":2}",
        b"{\"pause\":\"x\"}",
    ];
    for bytes in rubbish {
        client.write_all(bytes).unwrap();
        client.write_all(b"\n\n  \n").unwrap();
    }
    client.write_all(b"{\"type\":\"keystroke\"}").unwrap();
    drop(client);
    let found = rows(source.as_mut(), &host, 1);
    assert_eq!((found.len(), host.failed_frames()), (1, 7), "a last line needs no end");
    let other = FakeHost::new(folder.path());
    let factory = factory();
    let Opener::Source(open) = factory.opener() else { panic!("a source") };
    let taken = json!({ "listen": format!("unix:{}", socket.display()) });
    let error = open(&taken, other.context("events")).err().unwrap();
    assert!(error.message.contains("somebody listens there already"), "{error}");
    for listen in ["", "unix:", "tcp:1", &format!("unix:/{}", "x".repeat(200))] {
        let error = crate::factory().check(&json!({ "listen": listen })).unwrap_err();
        assert_eq!(error.option, ["listen"], "{error}");
    }
}

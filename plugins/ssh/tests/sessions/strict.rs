//! Strict mode: no byte reaches the client before it is safe in the recording.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;

use serde_json::json;
use tapedeck_sdk::{Context, ErrorKind, Opener, Timestamp, Watermark, testing::FakeHost};

use crate::desk::{Clockwork, Desk, folder, open, runs};

const FIRST: &str = "alice-127.0.0.1-1";

/// How often to look whether something comes that must not.
const LOOKS: usize = 15;

#[test]
fn nothing_reaches_the_client_before_it_is_safe_the_exit_status_neither() {
    let mut desk = Desk::strict(json!({}));
    let path = desk.folder.path().join("shown");
    let shown = || std::fs::read(&path).unwrap();
    let mut command = desk.ssh("alice");
    command.arg("echo out; exit 3").stdout(File::create(&path).unwrap());
    let mut client = command.spawn().unwrap();
    desk.until("the output", |desk| desk.text(FIRST, "o") == "out\n");
    let taken = desk.frames.len() as u64;
    // That it is written is not enough.
    desk.host.reach(Watermark { written: taken, flushed: taken - 1, lost: 0 });
    for _look in 0..LOOKS {
        desk.look();
    }
    assert_eq!((shown().as_slice(), desk.codes(FIRST).as_str()), (&b""[..], "co"));
    desk.reach(0);
    desk.until("the end in the recording", |desk| desk.text(FIRST, "x") == "3");
    desk.until("the output at the client", |_| shown() == b"out\n");
    for _look in 0..LOOKS {
        desk.look();
    }
    assert!(client.try_wait().unwrap().is_none(), "its status is not safe yet");
    desk.reach(0);
    assert_eq!(desk.status(&mut client).code(), Some(3));
}

#[test]
fn every_byte_goes_through_while_the_recording_keeps_up() {
    let mut desk = Desk::strict(json!({}));
    desk.flushes = true;
    let path = desk.folder.path().join("shown");
    let mut command = desk.ssh("alice");
    command.args(["-tt", "stty -opost; head -c 5000000 /dev/urandom"]).stdout(File::create(&path).unwrap());
    let mut client = command.spawn().unwrap();
    assert!(desk.status(&mut client).success());
    let shown = std::fs::read(&path).unwrap();
    assert_eq!(shown.len(), 5_000_000);
    assert!(shown == desk.data(FIRST, "o"));
}

#[test]
fn a_loss_ends_every_session_and_what_it_runs_and_later_ones_are_not_to_blame() {
    let mut desk = Desk::strict(json!({}));
    desk.flushes = true;
    let script = "trap '' HUP; echo pid=$$.; sleep 1000; sleep 1000";
    let mut clients = [&["-tt"][..], &["-T"][..]]
        .map(|options| desk.ssh("alice").args(options).arg(script).spawn().unwrap());
    let pid = |desk: &Desk, name: &str| {
        let output = desk.text(name, "o");
        output.trim().trim_matches(|letter: char| !letter.is_ascii_digit()).to_owned()
    };
    let second = "alice-127.0.0.1-2";
    let both = |desk: &Desk| [FIRST, second].iter().all(|name| desk.text(name, "o").contains('.'));
    desk.until("both", both);
    let pids = [FIRST, second].map(|name| pid(&desk, name));
    desk.flushes = false;
    let lost = desk.frames.len() as u64;
    desk.reach(lost);
    for client in &mut clients {
        assert_eq!(desk.status(client).code(), Some(255));
        let mut errors = String::new();
        client.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert!(errors.contains("tapedeck: this session can't be recorded and ends here"), "{errors}");
    }
    desk.until("the end of what ran", |_| pids.iter().all(|pid| !runs(pid)));
    for name in [FIRST, second] {
        assert!(desk.codes(name).ends_with("ocx") && desk.text(name, "x") == "255");
        assert!(desk.text(name, "c").contains(r#"{"ended_by":"a loss of the recording"}"#));
    }
    let mut later = desk.ssh("alice").arg("echo later").stdout(Stdio::piped()).spawn().unwrap();
    let third = "alice-127.0.0.1-3";
    desk.until("its output", |desk| desk.text(third, "o") == "later\n");
    // That the last words of the others are lost, too, is seen late.
    desk.reach(lost + 4);
    desk.until("its end", |desk| desk.text(third, "x") == "0");
    desk.reach(lost + 4);
    assert!(desk.status(&mut later).success());
}

#[test]
fn a_loss_before_anything_was_shown_shows_nothing() {
    let mut desk = Desk::strict(json!({}));
    let mut client = desk.ssh("alice").arg("echo secret; sleep 1000").spawn().unwrap();
    desk.until("the output", |desk| desk.text(FIRST, "o") == "secret\n");
    desk.host.reach(Watermark { written: 9, flushed: 9, lost: 1 });
    assert_eq!(desk.status(&mut client).code(), Some(255));
    assert_eq!(client.wait_with_output().unwrap().stdout, b"");
}

/// A session whose last frame is recorded and not safe yet.
fn ended(desk: &mut Desk) -> Child {
    let mut command = desk.ssh("alice");
    let mut client = command.args(["-tt", "echo out"]).stdin(Stdio::piped()).spawn().unwrap();
    desk.until("the output", |desk| desk.text(FIRST, "o").contains("out"));
    desk.reach(0);
    desk.until("the end", |desk| desk.text(FIRST, "x") == "0");
    client.stdin.as_mut().unwrap().write_all(b"late\n").unwrap();
    client
}

#[test]
fn nothing_is_recorded_of_a_session_after_how_it_ended() {
    let mut desk = Desk::strict(json!({ "input": true }));
    let mut client = ended(&mut desk);
    for _look in 0..LOOKS {
        desk.look();
    }
    desk.reach(0);
    assert_eq!(desk.status(&mut client).code(), Some(0), "what came too late has not ended it");
    assert_eq!((desk.codes(FIRST).as_str(), desk.text(FIRST, "x").as_str()), ("crox", "0"));
}

#[test]
fn a_client_that_goes_and_a_loss_do_not_end_a_session_a_second_time() {
    let mut desk = Desk::strict(json!({ "input": true }));
    let mut client = ended(&mut desk);
    client.kill().unwrap();
    client.wait().unwrap();
    for _look in 0..LOOKS {
        desk.look();
    }
    assert_eq!((desk.codes(FIRST).as_str(), desk.text(FIRST, "x").as_str()), ("crox", "0"));
    let mut desk = Desk::strict(json!({ "input": true }));
    let mut client = ended(&mut desk);
    desk.reach(2);
    assert_eq!(desk.status(&mut client).code(), Some(255));
    assert_eq!((desk.codes(FIRST).as_str(), desk.text(FIRST, "x").as_str()), ("crox", "0"));
}

/// A session in which a character comes in two halves, the second when the file is there, and what was shown of it.
fn halves(desk: &mut Desk, terminal: &str, second: &str) -> (Child, PathBuf, PathBuf) {
    let [shown, go] = ["shown", "go"].map(|name| desk.folder.path().join(name));
    let script = format!(
        "stty -opost 2>/dev/null; printf 'ab\\342\\202'; while [ ! -e {} ]; do sleep 0.05; done; {second}",
        go.display()
    );
    let mut command = desk.ssh("alice");
    let client = command.args([terminal, &script]).stdout(File::create(&shown).unwrap()).spawn().unwrap();
    desk.until("the first half", |desk| desk.data(FIRST, "o") == b"ab\xe2\x82");
    desk.reach(0);
    (client, shown, go)
}

#[test]
fn half_a_character_is_shown_with_the_other_half_and_not_before_that_is_safe() {
    let mut desk = Desk::strict(json!({}));
    let (mut client, shown, go) = halves(&mut desk, "-tt", "printf '\\254z'");
    let shown = || std::fs::read(&shown).unwrap();
    for _look in 0..LOOKS {
        desk.look();
    }
    assert_eq!(shown(), b"ab");
    File::create(&go).unwrap();
    desk.until("the other half", |desk| desk.data(FIRST, "o") == "ab\u{20ac}z".as_bytes());
    for _look in 0..LOOKS {
        desk.look();
    }
    assert_eq!(shown(), b"ab");
    desk.reach(0);
    desk.until("the character", |_| shown() == "ab\u{20ac}z".as_bytes());
    desk.flushes = true;
    desk.reach(0);
    assert_eq!(desk.status(&mut client).code(), Some(0));
}

#[test]
fn half_a_character_whose_other_half_never_comes_is_shown_at_the_end() {
    let mut desk = Desk::strict(json!({}));
    let (mut client, shown, go) = halves(&mut desk, "-tt", "exit 3");
    File::create(&go).unwrap();
    desk.until("the end", |desk| desk.text(FIRST, "x") == "3");
    for _look in 0..LOOKS {
        desk.look();
    }
    assert_eq!(std::fs::read(&shown).unwrap(), b"ab");
    desk.reach(0);
    assert_eq!(desk.status(&mut client).code(), Some(3));
    assert_eq!(std::fs::read(&shown).unwrap(), b"ab\xe2\x82");
}

#[test]
fn half_a_character_of_a_program_on_pipes_waits_for_a_moment_only() {
    let mut desk = Desk::strict(json!({}));
    let (mut client, shown, go) = halves(&mut desk, "-T", "printf '\\254'");
    desk.until("the half", |_| std::fs::read(&shown).unwrap() == b"ab\xe2\x82");
    File::create(&go).unwrap();
    desk.flushes = true;
    assert_eq!(desk.status(&mut client).code(), Some(0));
    assert_eq!(std::fs::read(&shown).unwrap(), "ab\u{20ac}".as_bytes());
}

#[test]
fn strict_mode_needs_somebody_who_says_how_far_the_recording_is() {
    let folder = folder();
    let host = Arc::<Clockwork>::default();
    let mut source = open(folder.path(), json!({ "on_record_failure": "close" }), host.clone()).unwrap();
    let error = source.next(Timestamp(0)).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Environment);
    let mut source = open(folder.path(), json!({}), host).unwrap();
    assert!(source.next(Timestamp(0)).is_ok(), "others need nobody");
}

#[test]
fn strict_mode_with_a_rate_is_refused() {
    let folder = folder();
    let options = json!({
        "listen": "127.0.0.1:0",
        "host_key": folder.path().join("host_key"),
        "authorized_keys": folder.path().join("authorized_keys"),
        "on_record_failure": "close",
    });
    let factory = tapedeck_ssh::factory();
    let Opener::Source(open) = factory.opener() else { panic!("a source") };
    let context = FakeHost::new(folder.path()).context("gate");
    let error = open(&options, context.clone()).err().unwrap();
    assert_eq!((error.kind, error.option), (ErrorKind::Options, vec!["on_record_failure".to_owned()]));
    assert!(open(&options, Context { rate_hz: None, ..context }).is_ok());
}

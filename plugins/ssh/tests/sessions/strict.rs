//! Strict mode: no byte reaches the client before it is durable.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;

use serde_json::json;
use tapedeck_sdk::{Context, ErrorKind, Opener, Timestamp, Watermark, testing::FakeHost};

use crate::harness::{FakeEngine, Gateway, folder, open, runs};

const FIRST: &str = "alice-127.0.0.1-1";

/// How many polls show that something does not come.
const POLLS: usize = 15;

#[test]
fn nothing_reaches_the_client_before_it_is_safe_the_exit_status_neither() {
    let mut gateway = Gateway::strict(json!({}));
    let path = gateway.folder.path().join("shown");
    let shown = || std::fs::read(&path).unwrap();
    let mut command = gateway.ssh("alice");
    command.arg("echo out; exit 3").stdout(File::create(&path).unwrap());
    let mut client = command.spawn().unwrap();
    gateway.until("the output", |gateway| gateway.text(FIRST, "o") == "out\n");
    let taken = gateway.frames.len() as u64;
    // Written is not enough.
    gateway.host.reach(Watermark { written: taken, flushed: taken - 1, lost: 0 });
    for _poll in 0..POLLS {
        gateway.poll();
    }
    assert_eq!((shown().as_slice(), gateway.codes(FIRST).as_str()), (&b""[..], "co"));
    gateway.reach(0);
    gateway.until("the end in the recording", |gateway| gateway.text(FIRST, "x") == "3");
    gateway.until("the output at the client", |_| shown() == b"out\n");
    for _poll in 0..POLLS {
        gateway.poll();
    }
    assert!(client.try_wait().unwrap().is_none(), "its status is not safe yet");
    gateway.reach(0);
    assert_eq!(gateway.status(&mut client).code(), Some(3));
}

#[test]
fn every_byte_goes_through_while_the_recording_keeps_up() {
    let mut gateway = Gateway::strict(json!({}));
    gateway.flushes = true;
    let path = gateway.folder.path().join("shown");
    let mut command = gateway.ssh("alice");
    command.args(["-tt", "stty -opost; head -c 5000000 /dev/urandom"]).stdout(File::create(&path).unwrap());
    let mut client = command.spawn().unwrap();
    assert!(gateway.status(&mut client).success());
    let shown = std::fs::read(&path).unwrap();
    assert_eq!(shown.len(), 5_000_000);
    assert!(shown == gateway.data(FIRST, "o"));
}

#[test]
fn a_loss_ends_every_session_and_what_it_runs_and_later_ones_are_not_to_blame() {
    let mut gateway = Gateway::strict(json!({}));
    gateway.flushes = true;
    let script = "trap '' HUP; echo pid=$$.; sleep 1000; sleep 1000";
    let mut clients = [&["-tt"][..], &["-T"][..]]
        .map(|options| gateway.ssh("alice").args(options).arg(script).spawn().unwrap());
    let pid = |gateway: &Gateway, name: &str| {
        let output = gateway.text(name, "o");
        output.trim().trim_matches(|letter: char| !letter.is_ascii_digit()).to_owned()
    };
    let second = "alice-127.0.0.1-2";
    let both = |gateway: &Gateway| [FIRST, second].iter().all(|name| gateway.text(name, "o").contains('.'));
    gateway.until("both", both);
    let pids = [FIRST, second].map(|name| pid(&gateway, name));
    gateway.flushes = false;
    let lost = gateway.frames.len() as u64;
    gateway.reach(lost);
    for client in &mut clients {
        assert_eq!(gateway.status(client).code(), Some(255));
        let mut errors = String::new();
        client.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert!(errors.contains("tapedeck: this session can't be recorded and ends here"), "{errors}");
    }
    gateway.until("the end of what ran", |_| pids.iter().all(|pid| !runs(pid)));
    for name in [FIRST, second] {
        assert!(gateway.codes(name).ends_with("ocx") && gateway.text(name, "x") == "255");
        assert!(gateway.text(name, "c").contains(r#""ended_by":"a loss of the recording""#));
    }
    let mut later = gateway.ssh("alice").arg("echo later").stdout(Stdio::piped()).spawn().unwrap();
    let third = "alice-127.0.0.1-3";
    gateway.until("its output", |gateway| gateway.text(third, "o") == "later\n");
    // The loss of the others' last frames is noticed late.
    gateway.reach(lost + 4);
    gateway.until("its end", |gateway| gateway.text(third, "x") == "0");
    gateway.reach(lost + 4);
    assert!(gateway.status(&mut later).success());
}

#[test]
fn a_loss_before_anything_was_shown_shows_nothing() {
    let mut gateway = Gateway::strict(json!({}));
    let mut client = gateway.ssh("alice").arg("echo secret; sleep 1000").spawn().unwrap();
    gateway.until("the output", |gateway| gateway.text(FIRST, "o") == "secret\n");
    gateway.host.reach(Watermark { written: 9, flushed: 9, lost: 1 });
    assert_eq!(gateway.status(&mut client).code(), Some(255));
    assert_eq!(client.wait_with_output().unwrap().stdout, b"");
}

/// A session whose last frame is recorded and not durable yet.
fn ended(gateway: &mut Gateway) -> Child {
    let mut command = gateway.ssh("alice");
    let mut client = command.args(["-tt", "echo out"]).stdin(Stdio::piped()).spawn().unwrap();
    gateway.until("the output", |gateway| gateway.text(FIRST, "o").contains("out"));
    gateway.reach(0);
    gateway.until("the end", |gateway| gateway.text(FIRST, "x") == "0");
    client.stdin.as_mut().unwrap().write_all(b"late\n").unwrap();
    client
}

#[test]
fn nothing_is_recorded_of_a_session_after_how_it_ended() {
    let mut gateway = Gateway::strict(json!({ "input": true }));
    let mut client = ended(&mut gateway);
    for _poll in 0..POLLS {
        gateway.poll();
    }
    gateway.reach(0);
    assert_eq!(gateway.status(&mut client).code(), Some(0), "what came too late has not ended it");
    assert_eq!((gateway.codes(FIRST).as_str(), gateway.text(FIRST, "x").as_str()), ("crocx", "0"));
}

#[test]
fn a_client_that_goes_and_a_loss_do_not_end_a_session_a_second_time() {
    let mut gateway = Gateway::strict(json!({ "input": true }));
    let mut client = ended(&mut gateway);
    client.kill().unwrap();
    client.wait().unwrap();
    for _poll in 0..POLLS {
        gateway.poll();
    }
    assert_eq!((gateway.codes(FIRST).as_str(), gateway.text(FIRST, "x").as_str()), ("crocx", "0"));
    let mut gateway = Gateway::strict(json!({ "input": true }));
    let mut client = ended(&mut gateway);
    gateway.reach(2);
    assert_eq!(gateway.status(&mut client).code(), Some(255));
    assert_eq!((gateway.codes(FIRST).as_str(), gateway.text(FIRST, "x").as_str()), ("crocx", "0"));
}

/// A session whose output has a character in two halves, the second once a file exists; and the
/// client's output.
fn halves(gateway: &mut Gateway, terminal: &str, second: &str) -> (Child, PathBuf, PathBuf) {
    let [shown, go] = ["shown", "go"].map(|name| gateway.folder.path().join(name));
    let script = format!(
        "stty -opost 2>/dev/null; printf 'ab\\342\\202'; while [ ! -e {} ]; do sleep 0.05; done; {second}",
        go.display()
    );
    let mut command = gateway.ssh("alice");
    let client = command.args([terminal, &script]).stdout(File::create(&shown).unwrap()).spawn().unwrap();
    gateway.until("the first half", |gateway| gateway.data(FIRST, "o") == b"ab\xe2\x82");
    gateway.reach(0);
    (client, shown, go)
}

#[test]
fn half_a_character_is_shown_with_the_other_half_and_not_before_that_is_safe() {
    let mut gateway = Gateway::strict(json!({}));
    let (mut client, shown, go) = halves(&mut gateway, "-tt", "printf '\\254z'");
    let shown = || std::fs::read(&shown).unwrap();
    for _poll in 0..POLLS {
        gateway.poll();
    }
    assert_eq!(shown(), b"ab");
    File::create(&go).unwrap();
    gateway.until("the other half", |gateway| gateway.data(FIRST, "o") == "ab\u{20ac}z".as_bytes());
    for _poll in 0..POLLS {
        gateway.poll();
    }
    assert_eq!(shown(), b"ab");
    gateway.reach(0);
    gateway.until("the character", |_| shown() == "ab\u{20ac}z".as_bytes());
    gateway.flushes = true;
    gateway.reach(0);
    assert_eq!(gateway.status(&mut client).code(), Some(0));
}

#[test]
fn half_a_character_whose_other_half_never_comes_is_shown_at_the_end() {
    let mut gateway = Gateway::strict(json!({}));
    let (mut client, shown, go) = halves(&mut gateway, "-tt", "exit 3");
    File::create(&go).unwrap();
    gateway.until("the end", |gateway| gateway.text(FIRST, "x") == "3");
    for _poll in 0..POLLS {
        gateway.poll();
    }
    assert_eq!(std::fs::read(&shown).unwrap(), b"ab");
    gateway.reach(0);
    assert_eq!(gateway.status(&mut client).code(), Some(3));
    assert_eq!(std::fs::read(&shown).unwrap(), b"ab\xe2\x82");
}

#[test]
fn half_a_character_of_a_program_on_pipes_waits_for_a_moment_only() {
    let mut gateway = Gateway::strict(json!({}));
    let (mut client, shown, go) = halves(&mut gateway, "-T", "printf '\\254'");
    gateway.until("the half", |_| std::fs::read(&shown).unwrap() == b"ab\xe2\x82");
    File::create(&go).unwrap();
    gateway.flushes = true;
    assert_eq!(gateway.status(&mut client).code(), Some(0));
    assert_eq!(std::fs::read(&shown).unwrap(), "ab\u{20ac}".as_bytes());
}

#[test]
fn strict_mode_needs_somebody_who_says_how_far_the_recording_is() {
    let folder = folder();
    let host = Arc::<FakeEngine>::default();
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

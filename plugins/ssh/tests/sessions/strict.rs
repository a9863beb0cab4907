//! Strict mode: no byte reaches the client before it is safe in the recording.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;
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

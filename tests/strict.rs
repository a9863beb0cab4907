//! SSH sessions with `on_record_failure = "close"`: nobody sees a byte that a `kill -9` could still take from the recording.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::gateway::{Gateway, recorded, wait_for};
use crate::seat::Seat;
use crate::util::Dir;

#[test]
fn what_a_client_has_seen_is_in_the_recording_of_a_gateway_that_was_killed() {
    let dir = Dir::new();
    // Without somebody who waits for it, nothing would be written within the hour.
    let mut gateway = Gateway::start_strict(&dir, "flush_interval = \"1h\"");
    let script = "n=0; while true; do n=$((n + 1)); echo line $n; done";
    let mut client = gateway.ssh("alice", &[], script).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(client.stdout.take().unwrap());
    let mut seen = String::new();
    while seen.len() < 300_000 {
        assert!(output.read_line(&mut seen).unwrap() > 0, "the session goes on");
    }
    gateway.child.kill().unwrap();
    gateway.child.wait().unwrap();
    let mut rest = Vec::new();
    output.read_to_end(&mut rest).unwrap();
    seen.push_str(str::from_utf8(&rest).unwrap());
    client.wait().unwrap();

    let recovered = dir.tapedeck(&["recover", "out/s"]).run();
    assert!(matches!(recovered.code, 0 | 3), "{recovered:?}");
    let kept = recorded(&dir.path("out/s/sessions"), "alice").data("o");
    assert!(kept.starts_with(&seen), "{} bytes were seen, {} are recorded", seen.len(), kept.len());
}

#[test]
fn a_session_that_can_not_be_recorded_ends_and_later_ones_are_recorded_again() {
    let dir = Dir::new();
    let mut gateway = Gateway::strict_on_small_disk(&dir, "10m", "head -c 8388608 /dev/zero > disk/filler");
    let much =
        "seq -f 'line %.0f of a session that does not fit on the disk and so has to end' 100000; exit 0";
    let output = gateway.ssh("alice", &[], much).output().unwrap();
    assert_eq!(output.status.code(), Some(255));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("can't be recorded"), "{told}");
    let sessions = gateway.inside("disk/s/sessions");
    let what = "the sidecar tells that the recording broke off";
    let alice = wait_for(what, &sessions, "alice", |recorded| recorded.facts["status"] == "interrupted");
    let kept = alice.data("o");
    assert!(kept.as_bytes().starts_with(&output.stdout), "nothing was seen that is not recorded");
    assert!(!kept.is_empty());

    std::fs::remove_file(gateway.inside("disk/filler")).unwrap();
    let output = gateway.ssh("bob", &[], "echo there is room; exit 4").output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(4), &b"there is room\n"[..]), "{output:?}");
    let bob = wait_for("the next one is whole", &sessions, "bob", |it| it.facts["status"] == "complete");
    assert_eq!(bob.data("o"), "there is room\n");
    assert_eq!(gateway.stop(), Some(3), "the exit code tells of the loss");
}

#[test]
fn text_that_may_become_a_secret_is_shown_all_the_same() {
    let dir = Dir::new();
    let mut gateway = Gateway::start_strict(&dir, "");
    let ssh = gateway.call("alice", &["-tt"], "echo ready; cat");
    let mut seat = Seat::start(pty_process::blocking::Command::new("ssh").args(ssh));
    seat.past("ready");
    // Digits may be the beginning of a card's number: redaction holds them back, and so does strict mode. But not for ever.
    for digit in ["4", "1", "1", "1"] {
        seat.write(digit);
        seat.past(digit);
    }
    seat.write("\r");
    seat.past("4111\r\n");
    seat.write("\u{4}");
    assert_eq!(seat.end(), Some(0));
    assert_eq!(gateway.stop(), Some(0));
    let alice = recorded(&dir.path("out/s/sessions"), "alice");
    assert!(alice.data("o").contains("4111\r\n4111\r\n"), "{alice:?}");
}

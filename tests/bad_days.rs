//! Bad days of terminal recordings: a disk that fills up or can't be written any more, a kill with people in, a window that is dragged
//! about. Whoever works in a session notices nothing, and what is lost is told.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::gateway::{Gateway, recorded, small_disk, wait_for};
use crate::seat::Seat;
use crate::util::{Dir, wait_until};

/// What a full disk has been filled with, to make room later.
const FILLER: &str = "head -c 8388608 /dev/zero > disk/filler";

/// Lines of the session that does not fit on the disk.
const LINES: usize = 40_000;

/// More output than the small disk has room for.
fn much() -> String {
    format!(
        "seq -f 'line %.0f of a session that does not fit on the disk, which nobody in it is to notice' {LINES}"
    )
}

/// What the manifest of a session on a small disk counts, once it has ended.
fn frames_failed(dir: &Dir) -> u64 {
    let text = std::fs::read_to_string(dir.path("kept/s/session.json")).unwrap();
    let manifest: Value = serde_json::from_str(&text).unwrap();
    manifest["loss"]["failed"].as_u64().unwrap()
}

#[test]
fn a_full_disk_costs_the_recording_and_not_the_session() {
    let dir = Dir::new();
    // The program's own folder is a file system of its own that nobody else sees: the pipeline stays outside.
    let mut gateway = Gateway::on_small_disk(&dir, "10m", FILLER);
    let output = gateway.ssh("alice", &[], &much()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines: Vec<&str> = str::from_utf8(&output.stdout).unwrap().lines().collect();
    assert_eq!(lines.len(), LINES, "the client has every line");
    assert!(lines[LINES - 1].starts_with(&format!("line {LINES} of ")), "{:?}", lines[LINES - 1]);

    let sessions = gateway.inside("disk/s/sessions");
    let what = "the sidecar tells that the recording broke off";
    let alice = wait_for(what, &sessions, "alice", |recorded| recorded.facts["status"] == "interrupted");
    let error = alice.facts["error"].as_str().unwrap();
    assert!(error.contains("No space left") && error.contains(".cast"), "{error}");
    let kept = alice.data("o");
    assert!(!kept.is_empty() && output.stdout.starts_with(kept.as_bytes()), "what there is is the beginning");

    std::fs::remove_file(gateway.inside("disk/filler")).unwrap();
    let output = gateway.ssh("bob", &[], "echo there is room").output().unwrap();
    assert_eq!(output.stdout, b"there is room\n");
    let what = "the next recording is whole";
    let bob = wait_for(what, &sessions, "bob", |recorded| recorded.facts["status"] == "complete");
    assert_eq!(bob.data("o"), "there is room\n");
    assert_eq!(gateway.stop(), Some(3), "the exit code tells of the loss");
    assert!(frames_failed(&dir) > 0, "and the manifest");
}

#[test]
fn a_read_only_disk_costs_the_recordings_that_begin_on_it_and_no_session() {
    let dir = Dir::new();
    let mut gateway = Gateway::on_small_disk(&dir, "10m", "true");
    let waits = "echo begun; while ! [ -e go ]; do sleep 0.05; done; echo went on";
    let waits = format!("cd {}; {waits}", dir.path(".").display());
    let early = gateway.ssh("alice", &[], &waits).stdout(Stdio::piped()).spawn().unwrap();
    let sessions = gateway.inside("disk/s/sessions");
    wait_until("the first session is recorded", || {
        sessions.is_dir() && std::fs::read_dir(&sessions).unwrap().count() >= 2
    });
    // A disk with open files can't be made read-only; but the folder can be covered with itself, read-only, and those who have a file open
    // keep it. That is what a new name meets on a disk that the kernel has given up on.
    let pid = gateway.child.id().to_string();
    let folder = dir.path("disk/s/sessions").display().to_string();
    let cover = format!("mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}");
    let mut enter = Command::new("nsenter");
    enter.args(["--target", &pid, "--user", "--mount", "--preserve-credentials", "sh", "-c", &cover]);
    let covered = enter.output().unwrap();
    assert!(covered.status.success(), "{covered:?}");

    let output = gateway.ssh("bob", &[], "echo hello; exit 6").output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(6), &b"hello\n"[..]), "{output:?}");
    dir.write("go", "");
    let output = early.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"begun\nwent on\n", "{output:?}");
    assert_eq!(gateway.stop(), Some(3), "the exit code tells of the loss");
    assert!(frames_failed(&dir) > 0, "and the manifest");
    assert!(
        dir.names("kept/s/sessions").iter().all(|name| !name.contains("bob")),
        "nothing was recorded of bob"
    );
}

#[test]
fn a_shell_that_is_recorded_goes_on_when_the_disk_is_full() {
    let dir = Dir::new();
    let script = format!("{}; echo the end; exit 5", much());
    let mut unshare = small_disk(&dir, "2m", "\"$TAPEDECK\" \"$@\" || code=$?");
    unshare.args(["rec", "disk/x.cast", "--", "sh", "-c", &script]);
    let mut command = pty_process::blocking::Command::new(unshare.get_program()).current_dir(dir.path("."));
    command = command.args(unshare.get_args()).env("TAPEDECK", env!("CARGO_BIN_EXE_tapedeck"));
    let mut seat = Seat::start(command);
    seat.end();
    let seen = String::from_utf8_lossy(&seat.seen);
    assert_eq!(seen.matches("of a session that does not fit").count(), LINES, "the user has seen every line");
    assert!(seen.contains("the end\r\n"), "{}", &seen[seen.len() - 500..]);
    assert!(
        seen.contains("the recording has loss") && seen.contains("failed"),
        "{}",
        &seen[seen.len() - 500..]
    );
    let text = std::fs::read_to_string(dir.path("kept/x.cast")).unwrap();
    assert!(
        text.contains("line 1 of") && !text.contains(&format!("line {LINES} of")),
        "the beginning is kept"
    );
    let inspected = dir.tapedeck(&["inspect", "kept/x.cast", "--json"]).run();
    assert_eq!(inspected.code, 0, "{inspected:?}");
}

#[test]
fn a_kill_with_people_in_loses_at_most_a_flush_interval_of_each() {
    const FLUSH_MS: u64 = 500;
    const USERS: [&str; 3] = ["alice", "bob", "carol"];
    let dir = Dir::new();
    let mut gateway = Gateway::start(&dir, &format!("flush_interval = \"{FLUSH_MS}ms\""));
    let ticks = "while true; do echo tick $(date +%s%N); sleep 0.01; done";
    let mut clients: Vec<_> = USERS
        .iter()
        .map(|user| {
            gateway.ssh(user, &["-tt"], ticks).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    let sessions = dir.path("out/s/sessions");
    wait_until("there is something of everybody on the disk", || {
        sessions.is_dir()
            && dir.names("out/s/sessions").iter().filter(|name| name.ends_with(".cast")).count() == 3
            && USERS.iter().all(|user| recorded_lines(&dir, user) > 100)
    });
    gateway.child.kill().unwrap();
    gateway.child.wait().unwrap();
    let seen =
        clients.drain(..).map(|client| String::from_utf8(client.wait_with_output().unwrap().stdout).unwrap());
    let seen: Vec<String> = seen.collect();
    let recovered = dir.tapedeck(&["recover", "out/s", "--json"]).run();
    assert!(matches!(recovered.code, 0 | 3), "{recovered:?}");
    for (user, seen) in USERS.iter().zip(&seen) {
        let recording = recorded(&sessions, user);
        let output = recording.data("o");
        let last = |text: &str| {
            let mut ticks = text.lines().filter_map(|line| line.strip_prefix("tick "));
            let tick = ticks.rfind(|tick| tick.len() == 19);
            tick.unwrap().parse::<u64>().unwrap()
        };
        let short_ms = last(seen).saturating_sub(last(&output)) / 1_000_000;
        assert!(short_ms <= FLUSH_MS, "{user}: {short_ms} ms are missing");
        let common = output.len().min(seen.len());
        assert_eq!(output[..common], seen[..common], "{user}");
        assert_eq!(recording.facts["username"], **user, "{recording:?}");
        assert_ne!(recording.facts["status"], "complete", "{recording:?}");
        let cast = recording.cast.display().to_string();
        let inspected = dir.tapedeck(&["inspect", &cast, "--json"]).run();
        assert_eq!(inspected.code, 0, "{inspected:?}");
    }
}

/// Lines in a user's file, torn ones included.
fn recorded_lines(dir: &Dir, user: &str) -> usize {
    let names = dir.names("out/s/sessions");
    let cast = names.iter().find(|name| name.contains(user) && name.ends_with(".cast"));
    let text = cast.map(|name| std::fs::read_to_string(dir.path(&format!("out/s/sessions/{name}"))).unwrap());
    text.map_or(0, |text| text.lines().count())
}

/// What windows end with after a storm.
const WINDOWS: [(u16, u16); 5] = [(301, 91), (1, 1), (302, 92), (65_535, 65_535), (123, 45)];

#[test]
fn a_window_that_is_dragged_about_is_recorded_as_it_ends() {
    let dir = Dir::new();
    let mut gateway = Gateway::start(&dir, "");
    let script = "echo begun; read line; stty size; exit 8";
    let command = pty_process::blocking::Command::new("ssh").args(gateway.call("alice", &["-tt"], script));
    let mut seat = Seat::start(command);
    seat.until("begun");
    let sessions = dir.path("out/s/sessions");
    for (columns, rows) in WINDOWS {
        // The kernel tells the client each time, or the last time only; what it ends with is what counts.
        for step in 0..200 {
            seat.resize(20 + step % 200, 10 + step % 90);
        }
        seat.resize(columns, rows);
        let size = format!("{columns}x{rows}");
        wait_for("the last size is on the disk", &sessions, "alice", |recorded| {
            recorded.data("r").ends_with(&size)
        });
    }
    seat.write("go\n");
    assert_eq!(seat.end(), Some(8), "{}", String::from_utf8_lossy(&seat.seen));
    let seen = String::from_utf8_lossy(&seat.seen).into_owned();
    assert!(seen.contains("45 123\r\n"), "the program has the last size: {seen}");
    assert_eq!(gateway.stop(), Some(0));
    let recording = recorded(&sessions, "alice");
    assert_eq!(recording.data("o"), seen);
    let sizes: Vec<&str> =
        recording.events.iter().filter(|event| event.1 == "r").map(|event| event.2.as_str()).collect();
    let size = |text: &&str| {
        text.split_once('x')
            .is_some_and(|(columns, rows)| columns.parse::<u16>().is_ok() && rows.parse::<u16>().is_ok())
    };
    assert!(sizes.len() >= WINDOWS.len() && sizes.iter().all(size), "{sizes:?}");
    assert_eq!(
        (&recording.facts["status"], &recording.facts["exit_status"]),
        (&json!("complete"), &json!(8))
    );
}

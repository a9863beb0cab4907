//! Facts of sessions and logins: terminals, byte counts, signals, processes left running.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Stdio};

use pty_process::blocking::{Command, Pty};
use rustix::process::{Pid, Signal};
use rustix::termios::Winsize;
use serde_json::{Value, json};

use crate::harness::{Gateway, folder, make_key, plain};
use crate::sshd::Proxy;

const FIRST: &str = "alice-127.0.0.1-1";

/// OpenSSH's client in a window of this size, and the window.
fn in_window(gateway: &Gateway, size: pty_process::Size, script: &str) -> (Child, Pty) {
    let (screen, side) = pty_process::blocking::open().unwrap();
    screen.resize(size).unwrap();
    let plain = gateway.ssh("alice");
    let command = Command::new(plain.get_program()).args(plain.get_args()).env_remove("SSH_AUTH_SOCK");
    (command.args(["-tt", script]).spawn(side).unwrap(), screen)
}

/// The terminal that a session prints first.
fn terminal(gateway: &mut Gateway) -> String {
    gateway.until("the terminal's name", |gateway| gateway.text(FIRST, "o").contains('\n'));
    gateway.text(FIRST, "o").lines().next().unwrap().trim().to_owned()
}

fn window(path: &str) -> Winsize {
    let flags = rustix::fs::OFlags::NOCTTY.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path).unwrap();
    rustix::termios::tcgetwinsize(file).unwrap()
}

fn pixels_pass(gateway: &mut Gateway) {
    let script = "echo $SSH_TTY; read line; exit 4";
    let (mut client, mut screen) =
        in_window(gateway, pty_process::Size::new_with_pixel(30, 100, 1000, 600), script);
    let path = terminal(gateway);
    let size = |path: &str| {
        let size = window(path);
        (size.ws_col, size.ws_row, size.ws_xpixel, size.ws_ypixel)
    };
    assert_eq!(size(&path), (100, 30, 1000, 600));
    screen.resize(pty_process::Size::new_with_pixel(40, 120, 1440, 960)).unwrap();
    gateway.until("the new size", |_| size(&path) == (120, 40, 1440, 960));
    std::io::Write::write_all(&mut screen, b"\r").unwrap();
    assert_eq!(gateway.status(&mut client).code(), Some(4));
}

#[test]
fn a_terminal_is_named_in_ssh_tty_and_pipes_have_none() {
    let mut gateway = Gateway::new(json!({ "command": plain() }));
    let mut client = gateway.ssh("alice").args(["-tt", "echo $SSH_TTY; tty"]).spawn().unwrap();
    assert!(gateway.status(&mut client).success());
    let output = gateway.text(FIRST, "o");
    let lines: Vec<&str> = output.lines().collect();
    assert!(lines.len() == 2 && lines[0] == lines[1] && lines[0].starts_with("/dev/"), "{output}");
    let mut command = gateway.ssh("alice");
    assert_eq!(gateway.run(command.arg("echo \"[$SSH_TTY]\"")).stdout, b"[]\n");
}

#[test]
fn the_pixels_of_a_window_pass_to_a_terminal_here_and_upstream() {
    pixels_pass(&mut Gateway::new(json!({ "command": plain() })));
    let Proxy { mut gateway, sshd: _sshd } = Proxy::new(json!({}));
    pixels_pass(&mut gateway);
}

fn counts(gateway: &mut Gateway) {
    let path = gateway.folder.path().join("zeros");
    File::create(&path).unwrap().set_len(1_000_000).unwrap();
    let mut command = gateway.ssh("alice");
    let output = gateway.run(command.arg("wc -c; echo err >&2").stdin(File::open(&path).unwrap()));
    assert!(output.status.success(), "{output:?}");
    let facts = gateway.ended(FIRST);
    assert_eq!(
        (&facts["bytes_in"], &facts["bytes_out"]),
        (&json!(1_000_000), &json!("1000000\nerr\n".len()))
    );
    assert!(gateway.data(FIRST, "i").is_empty());
}

#[test]
fn bytes_in_and_out_are_true_whether_or_not_input_is_recorded() {
    counts(&mut Gateway::new(json!({ "command": plain() })));
    let Proxy { mut gateway, sshd: _sshd } = Proxy::new(json!({}));
    counts(&mut gateway);
    assert_eq!(gateway.facts(FIRST).get("left_running"), None, "nobody knows");
}

#[test]
fn a_client_that_is_killed_leaves_true_counts_too() {
    let mut gateway = Gateway::new(json!({ "command": plain() }));
    let mut client =
        gateway.ssh("alice").arg("read line; echo seen; sleep 1000").stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(client.stdin.as_mut().unwrap(), b"12345\n").unwrap();
    gateway.until("the output", |gateway| gateway.text(FIRST, "o") == "seen\n");
    client.kill().unwrap();
    client.wait().unwrap();
    let facts = gateway.ended(FIRST);
    assert_eq!((&facts["bytes_in"], &facts["bytes_out"]), (&json!(6), &json!(5)));
    assert_eq!(facts["exit_signal"], "HUP");
}

#[test]
fn bytes_that_a_client_did_not_take_are_not_counted_as_sent() {
    let mut gateway = Gateway::new(json!({ "command": plain() }));
    let mut client = gateway.ssh("alice").arg("exec yes").spawn().unwrap();
    // Nobody reads: soon nothing moves any more.
    gateway.until("the first output", |gateway| !gateway.data(FIRST, "o").is_empty());
    let mut still = 0;
    while still < 25 {
        still = if gateway.poll() { 0 } else { still + 1 };
    }
    client.kill().unwrap();
    client.wait().unwrap();
    let facts = gateway.ended(FIRST);
    let sent = facts["bytes_out"].as_u64().unwrap();
    assert!(sent > 0 && sent < gateway.data(FIRST, "o").len() as u64, "{facts}");
}

/// Kills a process that a session left running.
fn kill(pid: &Value) {
    let pid = i32::try_from(pid.as_i64().unwrap()).unwrap();
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn processes_that_a_session_leaves_running_are_named_and_an_escape_is_told() {
    let mut gateway = Gateway::new(json!({ "command": plain() }));
    // Nobody else sleeps for this long.
    let time = 1_000_000 + std::process::id();
    // The last one has no environment to be known by, but a parent.
    let script = format!(
        "nohup sleep {time}.0 >/dev/null 2>&1 </dev/null & \
         setsid sh -c 'env -i sleep {time}.1 & wait' >/dev/null 2>&1 </dev/null & \
         while [ $(ps -e -o args | grep -c '^sleep {time}[.][01]$') -lt 2 ]; do :; done; echo done"
    );
    for (number, option) in [(1, "-T"), (2, "-tt")] {
        let mut command = gateway.ssh("alice");
        assert!(gateway.run(command.args([option, &script])).status.success());
        let facts = gateway.ended(&format!("alice-127.0.0.1-{number}"));
        let left = facts["left_running"].as_array().unwrap();
        let mut named: Vec<_> =
            left.iter().map(|one| (one["name"].as_str().unwrap(), one["detached"] == true)).collect();
        named.sort_unstable();
        left.iter().for_each(|one| kill(&one["pid"]));
        assert_eq!(named, [("sh", true), ("sleep", false), ("sleep", true)], "{option}: {facts}");
    }
    let mut command = gateway.ssh("alice");
    assert!(gateway.run(command.arg("sleep 0.01 | cat")).status.success());
    assert_eq!(gateway.ended("alice-127.0.0.1-3")["left_running"], json!([]));
}

#[test]
fn a_signal_that_ends_a_session_is_named_as_the_rfc_does() {
    let mut gateway = Gateway::new(json!({ "command": plain() }));
    for (number, (signal, named, status)) in
        (1..).zip([("TERM", "TERM", "143"), ("USR2", "USR2", "140"), ("BUS", "BUS@tapedeck", "135")])
    {
        let mut command = gateway.ssh("alice");
        assert_eq!(gateway.run(command.arg(format!("kill -{signal} $$"))).status.code(), Some(255));
        let name = format!("alice-127.0.0.1-{number}");
        assert_eq!(gateway.ended(&name)["exit_signal"], named);
        assert_eq!(gateway.text(&name, "x"), status);
    }
}

#[test]
fn a_login_without_a_session_leaves_a_trace_while_it_lasts_and_at_its_end() {
    let mut gateway = Gateway::new(json!({ "command": plain() }));
    let mut client = gateway.ssh_with("alice", &["-o", "BatchMode=yes", "-N"], "alice").spawn().unwrap();
    let trace = format!("{FIRST}-login");
    gateway.until("the trace", |gateway| !gateway.data(&trace, "c").is_empty());
    assert!(client.try_wait().unwrap().is_none());
    assert_eq!((gateway.codes(&trace).as_str(), &gateway.facts(&trace)["username"]), ("c", &json!("alice")));
    client.kill().unwrap();
    client.wait().unwrap();
    let facts = gateway.ended(&trace);
    assert_eq!((gateway.codes(&trace).as_str(), gateway.text(&trace, "x").as_str()), ("ccx", ""));
    assert_eq!((&facts["login_only"], &facts["ended_by"]), (&json!(true), &json!("the client has gone")));
    assert!(facts["key_fingerprint"].as_str().unwrap().starts_with("SHA256:"));
    // A session is its own trace.
    let mut command = gateway.ssh("alice");
    assert!(gateway.run(command.arg("true")).status.success());
    gateway.ended("alice-127.0.0.1-2");
    gateway.stop();
    // One that was slow to begin has a trace which says that it is none.
    assert_ne!(gateway.facts("alice-127.0.0.1-2-login")["login_only"], true);
    assert_eq!(gateway.connections(), [&trace, "alice-127.0.0.1-2"]);
}

#[test]
fn a_login_is_traced_when_the_recording_ends() {
    let mut gateway = Gateway::new(json!({}));
    let socket = gateway.folder.path().join("mux");
    let control = format!("ControlPath={}", socket.display());
    let options = ["-N", "-o", "BatchMode=yes", "-o", "ControlMaster=yes", "-o", &control];
    let mut client = gateway.ssh_with("alice", &options, "alice").spawn().unwrap();
    gateway.until("the login", |_| socket.exists());
    gateway.stop();
    client.wait().unwrap();
    let facts = gateway.facts(&format!("{FIRST}-login"));
    assert_eq!(facts["ended_by"], "the recording has ended");
}

fn write(path: &Path, lines: &[&str]) {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    std::fs::write(path, lines.join("\n")).unwrap();
}

#[test]
fn a_bad_line_of_keys_is_skipped_and_told_each_time_the_file_is_read_anew() {
    let folder = folder();
    make_key(folder.path(), "bob");
    let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let (alice, bob, keys) = (text("alice.pub"), text("bob.pub"), folder.path().join("authorized_keys"));
    let restricted = format!("command=\"date\" {bob}");
    write(&keys, &["ssh-ed25519 nonsense", &alice, restricted.trim()]);
    let mut gateway = Gateway::in_folder(folder, json!({ "failed_logins_max": 100 }));
    let told =
        |gateway: &Gateway, part: &str| gateway.warnings().iter().filter(|text| text.contains(part)).count();
    let skipped = ["line 1 is not a public key", "line 3 has options before the key"];
    assert_eq!(skipped.map(|part| told(&gateway, part)), [1, 1], "{:?}", gateway.warnings());
    assert!(!format!("{:?}", gateway.warnings()).contains("nonsense"));
    let told_of_bytes = "line 2 has bytes that are not UTF-8";
    let status = |gateway: &mut Gateway, key: &str| {
        let mut command = gateway.ssh_with("x", &["-o", "BatchMode=yes"], key);
        gateway.run(command.arg("true")).status.code()
    };
    assert_eq!([status(&mut gateway, "alice"), status(&mut gateway, "bob")], [Some(0), Some(255)]);
    assert_eq!(skipped.map(|part| told(&gateway, part)), [1, 1], "the file is the same");
    write(&keys, &["ssh-ed25519 nonsense", &alice, bob.trim()]);
    assert_eq!([status(&mut gateway, "alice"), status(&mut gateway, "bob")], [Some(0), Some(0)]);
    assert_eq!(skipped.map(|part| told(&gateway, part)), [2, 1], "{:?}", gateway.warnings());
    // So is a line in another encoding.
    std::fs::write(&keys, [alice.as_bytes(), b"ssh-ed25519 AAAA J\xf6rg\n", bob.as_bytes()].concat())
        .unwrap();
    assert_eq!([status(&mut gateway, "alice"), status(&mut gateway, "bob")], [Some(0), Some(0)]);
    assert_eq!(told(&gateway, told_of_bytes), 1, "{:?}", gateway.warnings());
    // A file of bad lines lets nobody in, and the next good one does.
    write(&keys, &["nonsense"]);
    assert_eq!(status(&mut gateway, "alice"), Some(255));
    write(&keys, &[alice.trim()]);
    assert_eq!(status(&mut gateway, "alice"), Some(0));
}

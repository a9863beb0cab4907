//! Sessions on an upstream host: a real `sshd`.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::{FakeEngine, runs};
use crate::sshd::{Proxy, Sshd};

const FIRST: &str = "alice-127.0.0.1-1";

#[test]
fn a_shell_of_the_upstream_host_is_recorded_as_one_of_ours() {
    let Proxy { mut gateway, sshd } = Proxy::new(json!({ "input": true }));
    let mut client = gateway.ssh("alice").arg("-tt").stdin(Stdio::piped()).spawn().unwrap();
    client.stdin.as_mut().unwrap().write_all(b"echo a-$((40 + 2)); echo $SSH_CLIENT\nexit 5\n").unwrap();
    assert_eq!(gateway.status(&mut client).code(), Some(5));
    let output = gateway.text(FIRST, "o");
    assert!(output.contains("a-42\r\n") && output.contains(&format!(" {}\r\n", sshd.port)), "{output}");
    assert_eq!(gateway.text(FIRST, "i"), "echo a-$((40 + 2)); echo $SSH_CLIENT\nexit 5\n");
    assert!(gateway.warnings().iter().any(|text| text.contains("passwords typed there are recorded too")));
    assert_eq!(gateway.text(FIRST, "x"), "5");
    assert_eq!(gateway.codes(FIRST).get(..2), Some("cr"));
    let facts = gateway.facts(FIRST);
    assert_eq!(facts["upstream"], format!("127.0.0.1:{}", sshd.port));
    assert_eq!((&facts["username"], &facts["authentication_method"]), (&json!("alice"), &json!("publickey")));
}

#[test]
fn a_command_keeps_output_and_errors_apart_and_gives_its_status_or_signal() {
    let Proxy { mut gateway, sshd: _sshd } = Proxy::new(json!({}));
    let mut command = gateway.ssh("alice");
    let output = gateway.run(command.arg("echo out; echo err >&2; exit 3"));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    assert_eq!(gateway.text(FIRST, "x"), "3");
    let seen = gateway.text(FIRST, "o");
    assert!(seen == "out\nerr\n" || seen == "err\nout\n", "{seen}");
    let mut command = gateway.ssh("alice");
    assert_eq!(gateway.run(command.arg("kill -TERM $$")).status.code(), Some(255));
    assert_eq!(gateway.text("alice-127.0.0.1-2", "x"), "143");
}

#[test]
fn a_window_that_changes_changes_the_upstream_terminal() {
    let Proxy { mut gateway, sshd: _sshd } = Proxy::new(json!({}));
    let (mut screen, side) = pty_process::blocking::open().unwrap();
    screen.resize(pty_process::Size::new(30, 100)).unwrap();
    let plain = gateway.ssh("alice");
    let script = "stty size; read line; stty size; exit 4";
    let command = pty_process::blocking::Command::new(plain.get_program())
        .args(plain.get_args())
        .env_remove("SSH_AUTH_SOCK")
        .args(["-tt", script]);
    let mut client = command.spawn(side).unwrap();
    gateway.until("the first size", |gateway| gateway.text(FIRST, "o").contains("30 100\r\n"));
    screen.resize(pty_process::Size::new(40, 120)).unwrap();
    gateway.until("the new size", |gateway| gateway.text(FIRST, "r").contains("120x40"));
    screen.write_all(b"\r").unwrap();
    assert_eq!(gateway.status(&mut client).code(), Some(4));
    assert!(gateway.text(FIRST, "o").contains("40 120\r\n"), "{}", gateway.text(FIRST, "o"));
}

#[test]
fn only_variables_on_the_list_go_on() {
    let Proxy { mut gateway, sshd: _sshd } = Proxy::new(json!({ "environment": ["LC_MOOD"] }));
    let options = ["-o", "BatchMode=yes", "-o", "SetEnv=LC_MOOD=fine LC_EVIL=yes"];
    let mut command = gateway.ssh_with("alice", &options, "alice");
    let output = gateway.run(command.arg("env"));
    let output = String::from_utf8(output.stdout).unwrap();
    assert!(output.contains("LC_MOOD=fine\n") && !output.contains("LC_EVIL"), "{output}");
}

#[test]
fn every_byte_goes_both_ways_and_the_end_of_input_is_passed_on() {
    let Proxy { mut gateway, sshd: _sshd } = Proxy::new(json!({ "input": true }));
    let bytes: Vec<u8> =
        (0..300_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let [path, back] = ["noise", "back"].map(|name| gateway.folder.path().join(name));
    std::fs::write(&path, &bytes).unwrap();
    let mut command = gateway.ssh("alice");
    command.arg("cat").stdin(File::open(&path).unwrap()).stdout(File::create(&back).unwrap());
    let mut client = command.spawn().unwrap();
    assert!(gateway.status(&mut client).success());
    assert_eq!(std::fs::read(&back).unwrap(), bytes);
    assert_eq!(gateway.data(FIRST, "o"), bytes);
    assert_eq!(gateway.data(FIRST, "i"), bytes);
}

#[test]
fn output_that_is_read_late_and_input_that_does_not_wait_for_it_do_not_lock_each_other() {
    const BYTES: u64 = 40 << 20;
    let Proxy { mut gateway, sshd: _sshd } = Proxy::new(json!({}));
    let path = gateway.folder.path().join("zeros");
    File::create(&path).unwrap().set_len(BYTES).unwrap();
    let mut late = Command::new("/bin/sh");
    let late = late.args(["-c", "sleep 2; wc -c"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut late = late.spawn().unwrap();
    let mut command = gateway.ssh("alice");
    command.arg("cat").stdin(File::open(&path).unwrap()).stdout(late.stdin.take().unwrap());
    let mut client = command.spawn().unwrap();
    drop(command);
    assert!(gateway.status(&mut client).success());
    let counted = String::from_utf8(late.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(counted.trim().parse::<u64>().unwrap(), BYTES);
    assert_eq!(gateway.data(FIRST, "o").len() as u64, BYTES);
}

#[test]
fn a_client_that_never_reads_holds_up_itself_only_and_no_memory() {
    let Proxy { mut gateway, sshd: _sshd } = Proxy::new(json!({}));
    let mut lazy = gateway.ssh("lazy").arg("yes").stdout(Stdio::piped()).spawn().unwrap();
    let name = "lazy-127.0.0.1-1";
    gateway.until("the first line", |gateway| gateway.data(name, "o").starts_with(b"y\n"));
    // Only windows and pipes fill up.
    let (mut before, mut settled) = (0, false);
    for _attempt in 0..100 {
        let mut command = gateway.ssh("alice");
        assert_eq!(gateway.run(command.arg("echo fine")).stdout, b"fine\n");
        let now = gateway.data(name, "o").len();
        settled = std::mem::replace(&mut before, now) == now;
        if settled {
            break;
        }
    }
    lazy.kill().unwrap();
    lazy.wait().unwrap();
    assert!(settled && before < 32 << 20, "{before} bytes");
}

#[test]
fn several_channels_share_the_way_and_are_recordings_of_their_own() {
    let Proxy { mut gateway, sshd: _sshd } = Proxy::new(json!({}));
    let control = format!("ControlPath={}", gateway.folder.path().join("mux").display());
    let options = ["-o", "BatchMode=yes", "-o", &control];
    let mut master = gateway.ssh_with("alice", &options, "alice");
    let script = "echo $SSH_CONNECTION; sleep 1000";
    let mut master = master.args(["-o", "ControlMaster=yes", script]).spawn().unwrap();
    gateway.until("the first channel", |gateway| gateway.text(FIRST, "o").ends_with('\n'));
    let mut other = gateway.ssh_with("alice", &options, "alice");
    let output = gateway.run(other.arg("echo $SSH_CONNECTION; exit 2"));
    let second = format!("{FIRST}-2");
    assert_eq!((output.status.code(), gateway.text(&second, "x").as_str()), (Some(2), "2"), "{output:?}");
    // Same client port: one connection for both.
    assert_eq!(gateway.text(&second, "o"), gateway.text(FIRST, "o"));
    // A channel that ends is hung up there; the connection stays.
    let mut other = gateway.ssh_with("alice", &options, "alice");
    let mut other = other.args(["-tt", "echo pid=$$.; sleep 1000"]).spawn().unwrap();
    let third = format!("{FIRST}-3");
    gateway.until("the number", |gateway| gateway.text(&third, "o").contains('.'));
    let pid: String = gateway.text(&third, "o").chars().filter(char::is_ascii_digit).collect();
    assert!(runs(&pid));
    other.kill().unwrap();
    other.wait().unwrap();
    gateway.until("the end of what ran", |_| !runs(&pid));
    assert!(master.try_wait().unwrap().is_none() && gateway.data(FIRST, "x").is_empty());
    master.kill().unwrap();
    master.wait().unwrap();
}

#[test]
fn a_connection_that_stays_open_finds_its_way_to_an_upstream_host_that_was_restarted() {
    let Proxy { mut gateway, sshd } = Proxy::new(json!({}));
    let socket = gateway.folder.path().join("mux");
    let control = format!("ControlPath={}", socket.display());
    let options = ["-o", "BatchMode=yes", "-o", &control];
    let mut master = gateway.ssh_with("alice", &options, "alice");
    let mut master = master.args(["-N", "-o", "ControlMaster=yes"]).spawn().unwrap();
    gateway.until("the connection", |_| socket.exists());
    let mut command = gateway.ssh_with("alice", &options, "alice");
    let serves = gateway.run(command.arg("echo $PPID")).stdout;
    let serves = String::from_utf8(serves).unwrap().trim().parse().unwrap();
    let port = sshd.port;
    drop(sshd);
    // The process that serves the connection is not the one killed by `drop`.
    let serves = rustix::process::Pid::from_raw(serves).unwrap();
    rustix::process::kill_process(serves, rustix::process::Signal::KILL).unwrap();
    let _again = Sshd::start_at(gateway.folder.path(), port);
    // The loss of the old connection may be noticed late.
    let mut command = gateway.ssh_with("alice", &options, "alice");
    command.arg("echo again");
    assert!((0..20).any(|_attempt| gateway.run(&mut command).stdout == b"again\n"));
    assert!(master.try_wait().unwrap().is_none(), "it was one connection of the client's all the time");
    master.kill().unwrap();
    master.wait().unwrap();
}

#[test]
fn a_client_that_is_killed_hangs_up_what_it_ran_there() {
    let Proxy { mut gateway, sshd: _sshd } = Proxy::new(json!({}));
    let mut client = gateway.ssh("alice").args(["-tt", "echo pid=$$.; sleep 1000"]).spawn().unwrap();
    gateway.until("the number", |gateway| gateway.text(FIRST, "o").contains('.'));
    let output = gateway.text(FIRST, "o");
    let pid = output.trim().trim_matches(|letter: char| !letter.is_ascii_digit()).to_owned();
    assert!(runs(&pid));
    client.kill().unwrap();
    client.wait().unwrap();
    gateway.until("the end of what ran", |_| !runs(&pid));
    gateway.ended(FIRST);
    assert!(gateway.data(FIRST, "x").is_empty(), "how it ended there is not known");
}

#[test]
fn strict_mode_holds_back_what_comes_from_there_too() {
    let more = json!({ "on_record_failure": "close" });
    let Proxy { mut gateway, sshd: _sshd } = Proxy::with_host(more, FakeEngine::followed());
    let path = gateway.folder.path().join("shown");
    let mut command = gateway.ssh("alice");
    command.arg("echo out; exit 3").stdout(File::create(&path).unwrap());
    let mut client = command.spawn().unwrap();
    gateway.until("the output", |gateway| gateway.text(FIRST, "o") == "out\n");
    for _poll in 0..15 {
        gateway.poll();
    }
    assert!(std::fs::read(&path).unwrap().is_empty());
    gateway.flushes = true;
    gateway.reach(0);
    assert_eq!(gateway.status(&mut client).code(), Some(3));
    assert_eq!(std::fs::read(&path).unwrap(), b"out\n");
}

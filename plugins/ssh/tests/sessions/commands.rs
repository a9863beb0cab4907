//! Commands, shells, window sizes, exits.

use std::io::Write;
use std::process::{Command, Stdio};

use russh::client::Handle;
use russh::{ChannelMsg, Sig};
use rustix::termios::{InputModes, OptionalActions, SpecialCodeIndex};
use serde_json::json;

use crate::client::{Trusting, log_in, runtime};
use crate::harness::{Gateway, runs};

const FIRST: &str = "alice-127.0.0.1-1";

#[test]
fn a_command_on_pipes_keeps_output_and_errors_apart_and_gives_its_status() {
    let mut gateway = Gateway::new(json!({}));
    let mut command = gateway.ssh("alice");
    let output = gateway.run(command.arg("echo out; echo err >&2; exit 7"));
    assert_eq!(output.status.code(), Some(7));
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    assert_eq!(gateway.text(FIRST, "x"), "7");
    let seen = gateway.text(FIRST, "o");
    assert!(seen == "out\nerr\n" || seen == "err\nout\n", "{seen}");
    assert!(gateway.data(FIRST, "r").is_empty());
}

#[test]
fn a_signal_that_ends_the_command_is_told_and_recorded() {
    let mut gateway = Gateway::new(json!({}));
    let mut command = gateway.ssh("alice");
    let output = gateway.run(command.arg("kill -TERM $$"));
    assert_eq!(output.status.code(), Some(255));
    assert_eq!(gateway.text(FIRST, "x"), "143");
}

/// Runs a command, sends it a signal at its first output, and returns its output and status.
/// OpenSSH's client can't.
async fn signalled(
    client: impl Future<Output = Handle<Trusting>>,
    command: &str,
    signal: Sig,
) -> (String, Option<u32>) {
    let client = client.await;
    let mut channel = client.channel_open_session().await.unwrap();
    channel.exec(true, command).await.unwrap();
    let (mut output, mut status) = (String::new(), None);
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                if output.is_empty() {
                    channel.signal(signal.clone()).await.unwrap();
                }
                output.push_str(std::str::from_utf8(&data).unwrap());
            }
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            _ => {}
        }
    }
    (output, status)
}

#[test]
fn a_signal_of_the_client_reaches_what_runs() {
    let mut gateway = Gateway::new(json!({}));
    let runtime = runtime();
    let script = "trap 'echo caught; exit 3' USR1; echo ready; while :; do sleep 0.05; done";
    let client = runtime.spawn(signalled(log_in(&gateway), script, Sig::USR1));
    gateway.until("the end", |gateway| gateway.text(FIRST, "x") == "3");
    let (output, status) = runtime.block_on(client).unwrap();
    assert_eq!((output.as_str(), status), ("ready\ncaught\n", Some(3)));
    // The shell also reports on standard error that its child was ended by the signal.
    let seen = gateway.text(FIRST, "o");
    assert!(output.lines().all(|line| seen.contains(line)), "{seen}");
}

#[test]
fn a_shell_runs_what_is_typed_and_ends_with_its_status() {
    let mut gateway = Gateway::new(json!({ "input": true }));
    let mut client = gateway.ssh("alice").arg("-tt").stdin(Stdio::piped()).spawn().unwrap();
    client.stdin.as_mut().unwrap().write_all(b"echo a-$((40 + 2))\nexit 5\n").unwrap();
    assert_eq!(gateway.status(&mut client).code(), Some(5));
    assert!(gateway.text(FIRST, "o").contains("a-42\r\n"));
    assert_eq!(gateway.text(FIRST, "i"), "echo a-$((40 + 2))\nexit 5\n");
    assert_eq!(gateway.text(FIRST, "x"), "5");
    assert_eq!(gateway.codes(FIRST).get(..2), Some("cr"));
}

#[test]
fn input_is_not_recorded_unless_asked_for() {
    let mut gateway = Gateway::new(json!({}));
    let mut client = gateway.ssh("alice").arg("cat >/dev/null").stdin(Stdio::piped()).spawn().unwrap();
    client.stdin.take().unwrap().write_all(b"secret\n").unwrap();
    assert!(gateway.status(&mut client).success());
    assert_eq!(gateway.codes(FIRST), "ccx");
}

#[test]
fn a_password_prompt_is_known_by_its_silence() {
    let mut gateway = Gateway::new(json!({ "input": true }));
    let script = "stty -echo; echo ready; read secret; stty echo; echo again; read open";
    let mut client = gateway.ssh("alice").args(["-tt", script]).stdin(Stdio::piped()).spawn().unwrap();
    gateway.until("the prompt", |gateway| gateway.text(FIRST, "o").contains("ready"));
    client.stdin.as_mut().unwrap().write_all(b"hidden\n").unwrap();
    gateway.until("the next prompt", |gateway| gateway.text(FIRST, "o").contains("again"));
    client.stdin.as_mut().unwrap().write_all(b"shown\n").unwrap();
    assert!(gateway.status(&mut client).success());
    let typed: Vec<_> =
        gateway.frames.iter().filter(|frame| ["e", "i"].contains(&frame.code.as_str())).collect();
    let typed: Vec<_> = typed.iter().map(|frame| String::from_utf8_lossy(&frame.data)).collect();
    assert_eq!(typed, ["off", "hidden\n", "on", "shown\n"]);
}

#[test]
fn a_window_that_changes_changes_the_terminal_and_is_recorded_first() {
    let mut gateway = Gateway::new(json!({}));
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
    assert_eq!(gateway.text(FIRST, "r"), "100x30");
    screen.resize(pty_process::Size::new(40, 120)).unwrap();
    gateway.until("the new size", |gateway| gateway.text(FIRST, "r").contains("120x40"));
    screen.write_all(b"\r").unwrap();
    assert_eq!(gateway.status(&mut client).code(), Some(4));
    assert!(gateway.text(FIRST, "o").contains("40 120\r\n"));
}

#[test]
fn the_keys_of_the_users_terminal_are_those_of_the_session() {
    let mut gateway = Gateway::new(json!({}));
    let (screen, side) = pty_process::blocking::open().unwrap();
    let mut modes = rustix::termios::tcgetattr(&screen).unwrap();
    modes.special_codes[SpecialCodeIndex::VERASE] = 8;
    modes.special_codes[SpecialCodeIndex::VINTR] = 7;
    modes.input_modes.remove(InputModes::IXON);
    rustix::termios::tcsetattr(&screen, OptionalActions::Now, &modes).unwrap();
    let plain = gateway.ssh("alice");
    let command = pty_process::blocking::Command::new(plain.get_program()).args(plain.get_args());
    let mut client = command.env_remove("SSH_AUTH_SOCK").args(["-tt", "stty -a"]).spawn(side).unwrap();
    assert!(gateway.status(&mut client).success());
    let output = gateway.text(FIRST, "o");
    for said in ["erase = ^H;", "intr = ^G;", " -ixon "] {
        assert!(output.contains(said), "{said}: {output}");
    }
}

#[test]
fn only_variables_on_the_list_are_set_and_nothing_of_the_recorder_leaks() {
    let mut gateway = Gateway::new(json!({ "environment": ["LC_*"] }));
    let mut command =
        gateway.ssh_with("alice", &["-o", "BatchMode=yes", "-o", "SetEnv=LC_MOOD=fine EVIL=yes"], "alice");
    let output = gateway.run(command.arg("env"));
    let output = String::from_utf8(output.stdout).unwrap();
    assert!(output.contains("LC_MOOD=fine\n"), "{output}");
    assert!(output.contains("TAPEDECK_USER=alice\n") && output.contains("SSH_CONNECTION=127.0.0.1 "));
    assert!(!output.contains("EVIL") && !output.contains("CARGO"), "{output}");
}

#[test]
fn a_command_of_the_pipeline_is_all_that_runs_and_is_told_what_was_wanted() {
    let script = "echo \"$TAPEDECK_USER at $TAPEDECK_CONNECTION wants $SSH_ORIGINAL_COMMAND\"";
    let mut gateway = Gateway::new(json!({ "command": ["/bin/sh", "-c", script] }));
    let mut command = gateway.ssh("alice");
    let output = gateway.run(command.arg("rm -rf x"));
    assert_eq!(output.stdout, format!("alice at {FIRST} wants rm -rf x\n").into_bytes());
}

#[test]
fn every_byte_goes_both_ways_and_the_end_of_input_is_passed_on() {
    let mut gateway = Gateway::new(json!({ "input": true }));
    let bytes: Vec<u8> =
        (0..300_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let path = gateway.folder.path().join("noise");
    std::fs::write(&path, &bytes).unwrap();
    let back = gateway.folder.path().join("back");
    let mut command = gateway.ssh("alice");
    command
        .arg("cat")
        .stdin(std::fs::File::open(&path).unwrap())
        .stdout(std::fs::File::create(&back).unwrap());
    let mut client = command.spawn().unwrap();
    assert!(gateway.status(&mut client).success());
    assert_eq!(std::fs::read(&back).unwrap(), bytes);
    assert_eq!(gateway.data(FIRST, "o"), bytes);
    assert_eq!(gateway.data(FIRST, "i"), bytes);
    assert!(gateway.frames.iter().all(|frame| frame.data.len() <= 32 << 10));
}

#[test]
fn output_that_is_read_late_and_input_that_does_not_wait_for_it_do_not_lock_each_other() {
    const BYTES: u64 = 70 << 20;
    let mut gateway = Gateway::new(json!({}));
    let path = gateway.folder.path().join("zeros");
    std::fs::File::create(&path).unwrap().set_len(BYTES).unwrap();
    let mut late = Command::new("/bin/sh");
    let late = late.args(["-c", "sleep 2; wc -c"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut late = late.spawn().unwrap();
    let mut command = gateway.ssh("alice");
    command.arg("cat").stdin(std::fs::File::open(&path).unwrap()).stdout(late.stdin.take().unwrap());
    let mut client = command.spawn().unwrap();
    drop(command);
    assert!(gateway.status(&mut client).success());
    let counted = String::from_utf8(late.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(counted.trim().parse::<u64>().unwrap(), BYTES);
    assert_eq!(gateway.data(FIRST, "o").len() as u64, BYTES);
}

#[test]
fn two_people_at_the_same_time_are_kept_apart() {
    let mut gateway = Gateway::new(json!({}));
    let script = "i=0; while [ $i -lt 2000 ]; do echo $TAPEDECK_USER; i=$((i + 1)); done";
    let users = ["alice", "bob", "carol"];
    let mut clients: Vec<_> = users
        .iter()
        .map(|user| gateway.ssh(user).arg(script).stdout(Stdio::null()).spawn().unwrap())
        .collect();
    for client in &mut clients {
        assert!(gateway.status(client).success());
    }
    gateway.until("all ends", |gateway| gateway.count("x") == 3);
    let names: Vec<String> = gateway.connections().into_iter().map(str::to_owned).collect();
    assert_eq!(names.len(), 3);
    for name in names {
        let user = name.split('-').next().unwrap();
        assert_eq!(gateway.text(&name, "o"), format!("{user}\n").repeat(2000));
        assert!(gateway.text(&name, "c").contains(&format!("\"username\":\"{user}\"")));
    }
}

#[test]
fn several_channels_of_a_connection_are_recordings_of_their_own() {
    let mut gateway = Gateway::new(json!({}));
    let socket = gateway.folder.path().join("mux");
    let control = format!("ControlPath={}", socket.display());
    let options = ["-o", "BatchMode=yes", "-o", &control];
    let mut master = gateway.ssh_with("alice", &options, "alice");
    let mut master = master.args(["-o", "ControlMaster=yes", "echo one; sleep 1000"]).spawn().unwrap();
    gateway.until("the first channel", |gateway| gateway.text(FIRST, "o") == "one\n");
    let mut other = gateway.ssh_with("alice", &options, "alice");
    let output = gateway.run(other.arg("echo two; exit 2"));
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b"two\n"[..]));
    let second = format!("{FIRST}-2");
    assert_eq!((gateway.text(&second, "o").as_str(), gateway.text(&second, "x").as_str()), ("two\n", "2"));
    assert!(gateway.data(FIRST, "x").is_empty());
    master.kill().unwrap();
    master.wait().unwrap();
}

#[test]
fn a_client_that_is_killed_hangs_up_what_it_ran() {
    for options in [&["-tt"][..], &["-T"][..]] {
        let mut gateway = Gateway::new(json!({}));
        let script = "trap '' HUP; echo pid=$$.; sleep 1000; sleep 1000";
        let mut client = gateway.ssh("alice").args(options).arg(script).spawn().unwrap();
        gateway.until("the number", |gateway| gateway.text(FIRST, "o").contains('.'));
        let output = gateway.text(FIRST, "o");
        let pid = output.trim().trim_matches(|letter: char| !letter.is_ascii_digit()).to_owned();
        assert!(runs(&pid));
        client.kill().unwrap();
        client.wait().unwrap();
        gateway.until("the end of what ran", |_| !runs(&pid));
        gateway.until("the end of the recording", |gateway| gateway.text(FIRST, "x") == "137");
        assert!(gateway.text(FIRST, "c").contains(r#""ended_by":"the client has gone""#));
    }
}

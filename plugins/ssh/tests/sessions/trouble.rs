//! What goes wrong: strangers, silence, limits, and what is refused.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use serde_json::json;
use tapedeck_sdk::testing::conformance;

use crate::desk::{Desk, Frame, PATIENCE, folder, plain, runs};

#[test]
fn garbage_on_the_port_disturbs_nobody() {
    let mut desk = Desk::new(json!({}));
    let address = format!("127.0.0.1:{}", desk.port);
    let mut seed = 1_u32;
    let mut strangers = Vec::new();
    for begin in [
        &b""[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"SSH-1.5-old\r\n",
        b"SSH-2.0-y\r\n\0\0\x7f\xff",
    ] {
        let mut stranger = TcpStream::connect(&address).unwrap();
        stranger.set_write_timeout(Some(PATIENCE)).unwrap();
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24).try_into().unwrap()
        })
        .take(64 << 10)
        .collect();
        // The server may hang up at any byte.
        drop(stranger.write_all(begin).and_then(|()| stranger.write_all(&noise)));
        strangers.push(stranger);
        desk.look();
    }
    let mut command = desk.ssh("alice");
    assert_eq!(desk.run(command.arg("echo fine")).stdout, b"fine\n");
    assert_eq!(desk.connections().len(), 1);
}

#[test]
fn names_that_lead_elsewhere_are_labels_only() {
    let mut desk = Desk::new(json!({}));
    let mut command = desk.ssh("../../etc/x%y");
    let output = desk.run(command.arg("echo $TAPEDECK_USER"));
    assert_eq!(output.stdout, b"../../etc/x%y\n", "{output:?}");
    let name = ".._.._etc_x_y-127.0.0.1-1";
    assert_eq!(desk.connections(), [name]);
    assert!(desk.text(name, "c").contains("\"username\":\"../../etc/x%y\""));
}

#[test]
fn sftp_and_forwarding_are_refused_and_say_so() {
    let mut desk = Desk::new(json!({}));
    let mut command = desk.ssh("alice");
    let output = desk.run(command.args(["-s", "sftp"]));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("subsystem request failed"), "{errors}");
    let options = ["-o", "BatchMode=yes", "-W", "127.0.0.1:1"];
    let output = desk.run(&mut desk.ssh_with("alice", &options, "alice"));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("stdio forwarding failed"), "{errors}");
    let options = ["-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1"];
    let output = desk.run(desk.ssh_with("alice", &options, "alice").arg("true"));
    assert_eq!(output.status.code(), Some(255));
    assert!(desk.frames.is_empty());
}

#[test]
fn silence_ends_a_connection_that_may_not_be_silent() {
    let mut desk = Desk::new(json!({ "idle_timeout": "1500ms" }));
    let mut command = desk.ssh("alice");
    let output = desk.run(command.arg("for i in 1 2 3 4 5 6 7 8 9; do echo $i; sleep 0.2; done; sleep 1000"));
    assert_eq!(output.status.code(), Some(255));
    assert_eq!(output.stdout.iter().filter(|&&byte| byte == b'\n').count(), 9);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("idle for too long"), "{errors}");
}

#[test]
fn time_ends_a_connection_whatever_it_does() {
    let mut desk = Desk::new(json!({ "time_limit": "500ms" }));
    let mut command = desk.ssh("alice");
    command.arg("while :; do echo again; sleep 0.05; done").stdout(Stdio::null());
    let output = desk.run(&mut command);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("the time limit is over"), "{errors}");
    let first = "alice-127.0.0.1-1";
    desk.until("the end of the recording", |desk| desk.text(first, "x") == "129");
    assert!(desk.text(first, "c").contains(r#"{"ended_by":"the time limit is over"}"#));
}

#[test]
fn a_program_that_is_not_there_ends_the_session_and_says_so() {
    let mut desk = Desk::new(json!({ "command": ["no-such-program-at-all"] }));
    let mut command = desk.ssh("alice");
    assert_eq!(desk.run(command.arg("true")).status.code(), Some(255));
    assert!(desk.warnings().iter().any(|text| text.contains("no-such-program-at-all")));
    assert!(desk.frames.is_empty());
}

#[test]
fn a_client_gets_in_with_each_cipher_that_it_may_insist_on() {
    let mut desk = Desk::new(json!({ "command": plain() }));
    for cipher in [
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
        "aes128-ctr",
        "aes192-ctr",
        "aes256-ctr",
    ] {
        let path = desk.folder.path().join("shown");
        let mut command = desk.ssh_with("alice", &["-o", "BatchMode=yes", "-c", cipher], "alice");
        command.arg("head -c 1048576 /dev/urandom").stdout(File::create(&path).unwrap());
        let mut client = command.spawn().unwrap();
        assert!(desk.status(&mut client).success(), "{cipher}");
        let name = desk.frames.last().unwrap().connection.clone();
        let shown = std::fs::read(&path).unwrap();
        assert_eq!(shown.len(), 1 << 20);
        assert!(shown == desk.data(&name, "o"), "{cipher}");
    }
}

#[test]
fn a_client_that_answers_no_more_is_disconnected_and_one_that_is_only_silent_is_not() {
    let mut desk = Desk::new(json!({ "keepalive": "200ms", "command": plain() }));
    let mut silent = desk.ssh("silent").arg("sleep 3; echo still here").spawn().unwrap();
    let mut stopped = desk.ssh("stopped").arg("echo $$.; sleep 1000").spawn().unwrap();
    let name = "stopped-127.0.0.1-";
    let said = |desk: &Desk| {
        let of = |frame: &&Frame| frame.connection.starts_with(name) && frame.code == "o";
        desk.frames.iter().find(of).map(|frame| String::from_utf8(frame.data.clone()).unwrap())
    };
    desk.until("its number", |desk| said(desk).is_some());
    let pid = said(&desk).unwrap().trim().trim_end_matches('.').to_owned();
    let client = rustix::process::Pid::from_child(&stopped);
    rustix::process::kill_process(client, rustix::process::Signal::STOP).unwrap();
    desk.until("the end of what it ran", |_| !runs(&pid));
    assert!(desk.status(&mut silent).success());
    assert_eq!(silent.wait_with_output().unwrap().stdout, b"still here\n");
    stopped.kill().unwrap();
    stopped.wait().unwrap();
}

#[test]
fn a_client_that_never_reads_holds_up_itself_only() {
    let mut desk = Desk::new(json!({}));
    let mut lazy = desk.ssh("lazy").arg("yes").stdout(Stdio::piped()).spawn().unwrap();
    let mut output = lazy.stdout.take().unwrap();
    let mut first = [0; 2];
    desk.until("the first line", |desk| desk.data("lazy-127.0.0.1-1", "o").starts_with(b"y\n"));
    output.read_exact(&mut first).unwrap();
    // What the client's window and the pipe hold is all that runs up.
    let mut command = desk.ssh("alice");
    assert_eq!(desk.run(command.arg("echo fine")).stdout, b"fine\n");
    let before = desk.data("lazy-127.0.0.1-1", "o").len();
    assert!(before < 32 << 20, "{before}");
    lazy.kill().unwrap();
    lazy.wait().unwrap();
}

#[test]
fn the_contract_is_kept() {
    let folder = folder();
    let options = json!({
        "listen": "127.0.0.1:0",
        "host_key": folder.path().join("host_key"),
        "authorized_keys": folder.path().join("authorized_keys"),
    });
    conformance::source(&tapedeck_ssh::factory(), &options).unwrap();
}

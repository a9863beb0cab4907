//! Garbage, silence, time limits, refusals.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use serde_json::json;
use tapedeck_sdk::testing::conformance;

use crate::harness::{Frame, Gateway, PATIENCE, folder, plain, runs};

#[test]
fn garbage_on_the_port_disturbs_nobody() {
    let mut gateway = Gateway::new(json!({}));
    let address = format!("127.0.0.1:{}", gateway.port);
    let mut seed = 1_u32;
    let mut unauthenticated = Vec::new();
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
        unauthenticated.push(stranger);
        gateway.poll();
    }
    let mut command = gateway.ssh("alice");
    assert_eq!(gateway.run(command.arg("echo fine")).stdout, b"fine\n");
    assert_eq!(gateway.connections().len(), 1);
}

#[test]
fn names_that_lead_elsewhere_are_labels_only() {
    let mut gateway = Gateway::new(json!({}));
    let mut command = gateway.ssh("../../etc/x%y");
    let output = gateway.run(command.arg("echo $TAPEDECK_USER"));
    assert_eq!(output.stdout, b"../../etc/x%y\n", "{output:?}");
    let name = ".._.._etc_x_y-127.0.0.1-1";
    assert_eq!(gateway.connections(), [name]);
    assert!(gateway.text(name, "c").contains("\"username\":\"../../etc/x%y\""));
}

#[test]
fn sftp_and_forwarding_are_refused_and_say_so() {
    let mut gateway = Gateway::new(json!({}));
    let mut command = gateway.ssh("alice");
    let output = gateway.run(command.args(["-s", "sftp"]));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("subsystem request failed"), "{errors}");
    let options = ["-o", "BatchMode=yes", "-W", "127.0.0.1:1"];
    let output = gateway.run(&mut gateway.ssh_with("alice", &options, "alice"));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("stdio forwarding failed"), "{errors}");
    let options = ["-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1"];
    let output = gateway.run(gateway.ssh_with("alice", &options, "alice").arg("true"));
    assert_eq!(output.status.code(), Some(255));
    let names = ["1", "2", "3"].map(|number| format!("alice-127.0.0.1-{number}"));
    let refused = names.map(|name| gateway.login_trace(&name)["refused"].clone());
    let forwarding = "forwarding to 127.0.0.1:1";
    assert_eq!(refused[..2], [json!(["subsystem sftp"]), json!([forwarding])]);
    assert!(refused[2][0].as_str().unwrap().starts_with("forwarding from "), "{refused:?}");
}

#[test]
fn silence_ends_a_connection_that_may_not_be_silent() {
    let mut gateway = Gateway::new(json!({ "idle_timeout": "1500ms" }));
    let mut command = gateway.ssh("alice");
    let output =
        gateway.run(command.arg("for i in 1 2 3 4 5 6 7 8 9; do echo $i; sleep 0.2; done; sleep 1000"));
    assert_eq!(output.status.code(), Some(255));
    assert_eq!(output.stdout.iter().filter(|&&byte| byte == b'\n').count(), 9);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("idle for too long"), "{errors}");
}

#[test]
fn time_ends_a_connection_whatever_it_does() {
    let mut gateway = Gateway::new(json!({ "time_limit": "500ms" }));
    let mut command = gateway.ssh("alice");
    command.arg("while :; do echo again; sleep 0.05; done").stdout(Stdio::null());
    let output = gateway.run(&mut command);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("the time limit is over"), "{errors}");
    let first = "alice-127.0.0.1-1";
    gateway.until("the end of the recording", |gateway| gateway.text(first, "x") == "129");
    assert!(gateway.text(first, "c").contains(r#""ended_by":"the time limit is over""#));
}

#[test]
fn a_program_that_is_not_there_ends_the_session_and_says_so() {
    let mut gateway = Gateway::new(json!({ "command": ["no-such-program-at-all"] }));
    let mut command = gateway.ssh("alice");
    assert_eq!(gateway.run(command.arg("true")).status.code(), Some(255));
    assert!(gateway.warnings().iter().any(|text| text.contains("no-such-program-at-all")));
    assert_eq!(gateway.login_trace("alice-127.0.0.1-1")["refused"], json!(["command"]));
}

#[test]
fn a_client_gets_in_with_each_cipher_that_it_may_insist_on() {
    let mut gateway = Gateway::new(json!({ "command": plain() }));
    for cipher in [
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
        "aes128-ctr",
        "aes192-ctr",
        "aes256-ctr",
    ] {
        let path = gateway.folder.path().join("shown");
        let mut command = gateway.ssh_with("alice", &["-o", "BatchMode=yes", "-c", cipher], "alice");
        command.arg("head -c 1048576 /dev/urandom").stdout(File::create(&path).unwrap());
        let mut client = command.spawn().unwrap();
        assert!(gateway.status(&mut client).success(), "{cipher}");
        let name = gateway.frames.last().unwrap().connection.clone();
        let shown = std::fs::read(&path).unwrap();
        assert_eq!(shown.len(), 1 << 20);
        assert!(shown == gateway.data(&name, "o"), "{cipher}");
    }
}

#[test]
fn a_client_that_answers_no_more_is_disconnected_and_one_that_is_only_silent_is_not() {
    let mut gateway = Gateway::new(json!({ "keepalive": "200ms", "command": plain() }));
    let mut silent = gateway.ssh("silent").arg("sleep 3; echo still here").spawn().unwrap();
    let mut stopped = gateway.ssh("stopped").arg("echo $$.; sleep 1000").spawn().unwrap();
    let name = "stopped-127.0.0.1-";
    let said = |gateway: &Gateway| {
        let of = |frame: &&Frame| frame.connection.starts_with(name) && frame.code == "o";
        gateway.frames.iter().find(of).map(|frame| String::from_utf8(frame.data.clone()).unwrap())
    };
    gateway.until("its number", |gateway| said(gateway).is_some());
    let pid = said(&gateway).unwrap().trim().trim_end_matches('.').to_owned();
    let client = rustix::process::Pid::from_child(&stopped);
    rustix::process::kill_process(client, rustix::process::Signal::STOP).unwrap();
    gateway.until("the end of what it ran", |_| !runs(&pid));
    assert!(gateway.status(&mut silent).success());
    assert_eq!(silent.wait_with_output().unwrap().stdout, b"still here\n");
    stopped.kill().unwrap();
    stopped.wait().unwrap();
}

#[test]
fn a_client_that_never_reads_holds_up_itself_only() {
    let mut gateway = Gateway::new(json!({}));
    let mut lazy = gateway.ssh("lazy").arg("yes").stdout(Stdio::piped()).spawn().unwrap();
    let mut output = lazy.stdout.take().unwrap();
    let mut first = [0; 2];
    gateway.until("the first line", |gateway| gateway.data("lazy-127.0.0.1-1", "o").starts_with(b"y\n"));
    output.read_exact(&mut first).unwrap();
    // Only the client's window and the pipe fill up.
    let mut command = gateway.ssh("alice");
    assert_eq!(gateway.run(command.arg("echo fine")).stdout, b"fine\n");
    let before = gateway.data("lazy-127.0.0.1-1", "o").len();
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

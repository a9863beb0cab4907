//! Clients that ask for more than their share: slots, memory, time.

use std::fs::File;
use std::io::Write;
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use russh::client::Handle;
use rustix::process::{Pid, Signal};
use serde_json::json;

use crate::client::{Trusting, log_in, runtime};
use crate::harness::{Gateway, plain, runs};
use crate::sshd::Proxy;

const FIRST: &str = "alice-127.0.0.1-1";

/// Whether alice gets in within 100 attempts.
fn gets_in(gateway: &mut Gateway) -> bool {
    (0..100).any(|_attempt| gateway.run(gateway.ssh("alice").arg("echo in")).stdout == b"in\n")
}

/// Fills an idle channel, then uses another one.
async fn chatter(client: impl Future<Output = Handle<Trusting>>) -> bool {
    let client = client.await;
    let silent = client.channel_open_session().await.unwrap();
    for number in 0..150 {
        silent.data_bytes(&b"x"[..]).await.unwrap();
        silent.set_env(false, format!("LC_{number}"), "x").await.unwrap();
    }
    let mut other = client.channel_open_session().await.unwrap();
    other.exec(true, "exit 3").await.unwrap();
    while let Some(message) = other.wait().await {
        if let russh::ChannelMsg::ExitStatus { exit_status } = message {
            return exit_status == 3;
        }
    }
    false
}

#[test]
fn what_is_sent_where_nothing_runs_holds_up_nothing() {
    let mut gateway = Gateway::new(json!({ "connections_max": 1, "command": plain() }));
    let runtime = runtime();
    let client = runtime.spawn(chatter(log_in(&gateway)));
    gateway.until("its end", |_| client.is_finished());
    assert!(runtime.block_on(client).unwrap(), "the other channel has done its work");
    drop(runtime);
    assert!(gets_in(&mut gateway), "its place is free again");
}

#[test]
fn a_session_whose_program_does_not_read_ends_when_too_much_waits_and_says_so() {
    let mut gateway = Gateway::new(json!({ "unread_input_max": "4MiB", "command": plain() }));
    let path = gateway.folder.path().join("zeros");
    File::create(&path).unwrap().set_len(64 << 20).unwrap();
    let mut command = gateway.ssh("alice");
    let output = gateway.run(command.arg("exec sleep 1000").stdin(File::open(&path).unwrap()));
    assert_eq!(output.status.code(), Some(255));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("does not read its input, and 4 MiB of it wait"), "{errors}");
    assert_eq!((gateway.codes(FIRST).as_str(), gateway.text(FIRST, "x").as_str()), ("ccx", "255"));
    assert!(gateway.text(FIRST, "c").contains("too much input that nothing reads"));
    // The same amount for a program that reads is fine.
    let mut command = gateway.ssh("alice");
    let output = gateway.run(command.arg("sleep 1; wc -c").stdin(File::open(&path).unwrap()));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), (64 << 20).to_string());
}

/// Waits until the client's file position stands still.
fn settle(gateway: &Gateway, client: &Child) {
    let place = || {
        let info = std::fs::read_to_string(format!("/proc/{}/fdinfo/0", client.id())).unwrap();
        info.lines().next().unwrap().to_owned()
    };
    let (last, same) = (std::cell::RefCell::new(String::new()), std::cell::Cell::new(0));
    gateway.without_polling_until("an end of what is sent", || {
        let now = place();
        let begun = !now.ends_with("\t0");
        same.set(if begun && *last.borrow() == now { same.get() + 1 } else { 0 });
        *last.borrow_mut() = now;
        same.get() > 25
    });
}

/// A client whose input fills every queue while the engine takes nothing.
fn stuff(gateway: &mut Gateway) -> Child {
    let path = gateway.folder.path().join("zeros");
    File::create(&path).unwrap().set_len(256 << 20).unwrap();
    gateway.poll();
    let mut command = gateway.ssh("alice");
    let client = command.arg("cat >/dev/null").stdin(File::open(&path).unwrap()).spawn().unwrap();
    settle(gateway, &client);
    client
}

#[test]
fn a_connection_keeps_to_its_limits_also_when_the_engine_takes_nothing() {
    let options = json!({ "input": true, "time_limit": "4s", "connections_max": 1, "command": plain() });
    let mut gateway = Gateway::new(options);
    let mut client = stuff(&mut gateway);
    let ended = std::cell::RefCell::new(&mut client);
    gateway.without_polling_until("its end", || ended.borrow_mut().try_wait().unwrap().is_some());
    assert_eq!(client.wait().unwrap().code(), Some(255));
    assert!(gets_in(&mut gateway), "its place is free again");
    gateway.until("the end of the recording", |gateway| !gateway.text(FIRST, "x").is_empty());
    assert!(gateway.text(FIRST, "c").contains(r#""ended_by":"the time limit is over""#));
}

#[test]
fn a_session_that_must_end_says_so_also_when_the_engine_takes_nothing() {
    let mut gateway = Gateway::strict(json!({ "input": true }));
    let mut client = stuff(&mut gateway);
    gateway.reach(1);
    let ended = std::cell::RefCell::new(&mut client);
    gateway.without_polling_until("its end", || ended.borrow_mut().try_wait().unwrap().is_some());
    let output = client.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(255));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("tapedeck: this session can't be recorded and ends here"), "{errors}");
}

#[test]
fn a_client_that_takes_nothing_any_more_is_cut_off_with_all_that_it_runs() {
    let mut gateway = Gateway::new(json!({ "keepalive": "500ms", "command": plain() }));
    let go = gateway.folder.path().join("go");
    let control = format!("ControlPath={}", gateway.folder.path().join("mux").display());
    let options = ["-o", "BatchMode=yes", "-o", &control];
    let script = format!("echo $$.; while [ ! -e {} ]; do sleep 0.1; done; exec yes", go.display());
    let mut master = gateway.ssh_with("alice", &options, "alice");
    let mut master = master.args(["-o", "ControlMaster=yes", &script]).stdout(Stdio::null()).spawn().unwrap();
    gateway.until("the first", |gateway| gateway.text(FIRST, "o").contains('.'));
    // Together they have more in flight than the kernel buffers for a connection.
    let mut others: Vec<Child> = (0..12)
        .map(|_| {
            let mut other = gateway.ssh_with("alice", &options, "alice");
            other.arg(&script).stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    let ready = |gateway: &Gateway| gateway.count("o") == 13;
    gateway.until("all", ready);
    let pids: Vec<String> = gateway.frames.iter().filter(|frame| frame.code == "o").map(number).collect();
    rustix::process::kill_process(Pid::from_child(&master), Signal::STOP).unwrap();
    File::create(&go).unwrap();
    gateway.until("the end of all", |_| pids.iter().all(|pid| !runs(pid)));
    let ends = |gateway: &Gateway| gateway.count("x") == 13;
    gateway.until("the ends in the recording", ends);
    assert!(gateway.text(FIRST, "c").contains(r#""ended_by":"the client does not read""#));
    for client in others.iter_mut().chain([&mut master]) {
        client.kill().unwrap();
        client.wait().unwrap();
    }
}

fn number(frame: &crate::harness::Frame) -> String {
    String::from_utf8_lossy(&frame.data).trim().trim_end_matches('.').to_owned()
}

#[test]
fn those_who_do_not_log_in_keep_nobody_outside_and_push_nobody_out() {
    let mut gateway = Gateway::new(json!({ "connections_max": 8, "command": plain() }));
    let mut inside =
        gateway.ssh("alice").arg("echo in; read line; exit 4").stdin(Stdio::piped()).spawn().unwrap();
    gateway.until("the first", |gateway| gateway.text(FIRST, "o") == "in\n");
    let address = format!("127.0.0.1:{}", gateway.port);
    let unauthenticated: Vec<TcpStream> = (0..64)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).unwrap();
            // The server may hang up at any byte.
            drop(stream.write_all(b"SSH-2.0-x\r\n"));
            stream
        })
        .collect();
    let output = gateway.run(gateway.ssh("alice").arg("echo in"));
    assert_eq!(output.stdout, b"in\n", "{}", String::from_utf8_lossy(&output.stderr));
    inside.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(gateway.status(&mut inside).code(), Some(4));
    drop(unauthenticated);
    assert!(gateway.warnings().iter().all(|text| !text.contains("turned away")), "{:?}", gateway.warnings());
}

#[test]
fn a_clock_that_steps_ends_no_login_and_no_connection() {
    let limits =
        json!({ "login_timeout": "1h", "idle_timeout": "1h", "time_limit": "1h", "command": plain() });
    let mut gateway = Gateway::new(limits);
    let mut session =
        gateway.ssh("alice").arg("echo in; read line; exit 4").stdin(Stdio::piped()).spawn().unwrap();
    gateway.until("the session", |gateway| gateway.text(FIRST, "o") == "in\n");
    let mut stranger = TcpStream::connect(format!("127.0.0.1:{}", gateway.port)).unwrap();
    stranger.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    // As a recording does that is played beside.
    gateway.host.ahead.store(10 * 3600 * 1_000_000_000, Ordering::Relaxed);
    let mut said = Vec::new();
    let ended = std::io::Read::read_to_end(&mut stranger, &mut said);
    assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "the login is still open");
    session.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(gateway.status(&mut session).code(), Some(4));
}

#[test]
fn forwarded_ports_leave_room_for_sessions() {
    let Proxy { mut gateway, sshd } = Proxy::new(json!({ "forwarding": true, "channels_max": 4 }));
    let runtime = runtime();
    let port = sshd.port.into();
    let (client, target) = (log_in(&gateway), "127.0.0.1");
    let forwarder = runtime.spawn(async move {
        let client = client.await;
        let mut open = Vec::new();
        while let Ok(channel) = client.channel_open_direct_tcpip(target, port, target, 1).await {
            open.push(channel);
        }
        (client, open)
    });
    gateway.until("a refusal", |_| forwarder.is_finished());
    let (client, open) = runtime.block_on(forwarder).unwrap();
    assert_eq!(open.len(), 3);
    assert!(gets_in(&mut gateway), "a session has its place");
    drop((client, open));
}

#[test]
fn who_does_not_log_in_in_time_is_disconnected() {
    let mut gateway =
        Gateway::new(json!({ "login_timeout": "300ms", "connections_max": 1, "command": plain() }));
    gateway.poll();
    for begin in [&b""[..], b"SSH-2.0-x\r\n"] {
        let mut stranger = TcpStream::connect(format!("127.0.0.1:{}", gateway.port)).unwrap();
        stranger.set_read_timeout(Some(crate::harness::PATIENCE)).unwrap();
        stranger.write_all(begin).unwrap();
        let mut said = Vec::new();
        drop(std::io::Read::read_to_end(&mut stranger, &mut said));
        assert!(said.starts_with(b"SSH-2.0-Tapedeck"));
    }
    let mut command = gateway.ssh("alice");
    assert_eq!(gateway.run(command.arg("sleep 1; echo in")).stdout, b"in\n");
}

//! Sessions when the recording ends.

use std::fs::File;
use std::io::Read;
use std::net::TcpStream;

use serde_json::json;

use crate::harness::{Gateway, plain, runs};

const FIRST: &str = "alice-127.0.0.1-1";

#[test]
fn a_server_that_ends_takes_its_sessions_with_it() {
    let mut gateway = Gateway::new(json!({}));
    let mut client = gateway.ssh("alice").args(["-tt", "echo pid=$$.; sleep 1000"]).spawn().unwrap();
    gateway.until("the number", |gateway| gateway.text(FIRST, "o").contains('.'));
    let output = gateway.text(FIRST, "o");
    let pid = output.trim().trim_matches(|letter: char| !letter.is_ascii_digit()).to_owned();
    drop(gateway.source);
    assert!(!runs(&pid));
    let mut errors = String::new();
    assert_eq!(client.wait().unwrap().code(), Some(255));
    client.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(errors.contains("the recording has ended"), "{errors}");
}

#[test]
fn what_clients_have_seen_when_the_recording_ends_is_in_it_and_how_they_ended_too() {
    let mut gateway = Gateway::new(json!({ "command": plain() }));
    let paths = ["a", "b", "c"].map(|name| gateway.folder.path().join(name));
    let script = "i=0; while :; do echo line-$i; i=$((i + 1)); done";
    let mut clients = paths
        .each_ref()
        .map(|path| gateway.ssh("alice").arg(script).stdout(File::create(path).unwrap()).spawn().unwrap());
    // A client that has not said a word.
    let _stranger = TcpStream::connect(format!("127.0.0.1:{}", gateway.port)).unwrap();
    let shown = || paths.each_ref().map(|path| std::fs::read(path).unwrap());
    gateway.until("some output", |_| shown().iter().all(|shown| shown.len() > 10_000));
    gateway.stop();
    for client in &mut clients {
        assert_eq!(client.wait().unwrap().code(), Some(255));
    }
    let names: Vec<String> = gateway.connections().into_iter().map(str::to_owned).collect();
    assert_eq!(names.len(), 3);
    for shown in shown() {
        let recorded = names.iter().filter(|name| gateway.data(name, "o").starts_with(&shown)).count();
        assert!(recorded > 0, "{} bytes were seen and not recorded", shown.len());
    }
    for name in &names {
        assert!(gateway.codes(name).ends_with("ocx"), "{}", gateway.codes(name));
        assert!(gateway.text(name, "c").contains(r#""ended_by":"the recording has ended""#));
    }
    let Gateway { source, host, .. } = gateway;
    drop(source);
    assert_eq!(host.failures(), 0);
}

#[test]
fn a_recording_that_ends_before_anybody_came_is_at_its_end() {
    let mut gateway = Gateway::new(json!({}));
    gateway.stop();
    let mut gateway = Gateway::new(json!({}));
    gateway.poll();
    gateway.stop();
    assert!(gateway.frames.is_empty());
}

#[test]
fn frames_that_nobody_takes_any_more_are_counted() {
    let mut gateway = Gateway::new(json!({ "command": plain() }));
    let path = gateway.folder.path().join("shown");
    // A server accepts nobody before the engine asks for frames.
    gateway.poll();
    let mut command = gateway.ssh("alice");
    let mut client =
        command.arg("echo seen; sleep 1000").stdout(File::create(&path).unwrap()).spawn().unwrap();
    gateway.without_polling_until("the output", || std::fs::read(&path).unwrap() == b"seen\n");
    assert!(gateway.frames.is_empty());
    let Gateway { source, host, .. } = gateway;
    drop(source);
    // The facts, and the output.
    assert_eq!(host.failures(), 2);
    client.wait().unwrap();
}

//! Ten thousand short connections, in a process of its own: what they leave behind is measured on
//! the process.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails, helpers included")]

#[expect(dead_code, reason = "the vocabulary is that of the other tests too")]
#[path = "sessions/harness.rs"]
mod harness;

use std::io::Write;
use std::net::TcpStream;
use std::process::Child;

use serde_json::json;

use crate::harness::{Gateway, plain};

/// Connections without a login, how many at once; and with one.
const UNAUTHENTICATED: usize = 10_000;
const UNAUTHENTICATED_AT_ONCE: usize = 50;
const AUTHENTICATED: usize = 100;
const AUTHENTICATED_AT_ONCE: usize = 10;

/// What may remain: the allocator's fragmentation.
const MEMORY_GROWTH_BYTES_MAX: usize = 16 << 20;
const DESCRIPTORS_GROWTH_MAX: usize = 2;

fn memory_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() << 10
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Connects, says something or nothing, and leaves.
fn unauthenticated(gateway: &Gateway, count: usize) {
    let greetings =
        [&b""[..], b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", b"SSH-2.0-y\r\n\0\0\x7f\xff garbage"];
    let address = format!("127.0.0.1:{}", gateway.port);
    for _batch in 0..count / UNAUTHENTICATED_AT_ONCE {
        let connected: Vec<TcpStream> = (0..UNAUTHENTICATED_AT_ONCE)
            .map(|number| {
                let mut stream = TcpStream::connect(&address).unwrap();
                // The server may hang up at any byte.
                drop(stream.write_all(greetings[number % greetings.len()]));
                stream
            })
            .collect();
        drop(connected);
    }
}

/// Logs in and runs a command.
fn authenticated(gateway: &mut Gateway, count: usize) {
    for _batch in 0..count / AUTHENTICATED_AT_ONCE {
        let mut clients: Vec<Child> = (0..AUTHENTICATED_AT_ONCE)
            .map(|_| gateway.ssh("alice").arg("echo in").spawn().unwrap())
            .collect();
        for client in &mut clients {
            assert!(gateway.status(client).success());
        }
    }
}

#[test]
fn ten_thousand_short_connections_leave_nothing_behind() {
    let mut gateway = Gateway::new(json!({ "connections_max": 1000, "command": plain() }));
    // A server accepts nobody before the engine asks for frames.
    gateway.poll();
    unauthenticated(&gateway, UNAUTHENTICATED / 10);
    authenticated(&mut gateway, AUTHENTICATED_AT_ONCE);
    let settled = descriptors();
    let (memory, ended) = (memory_bytes(), gateway.frames.len());
    unauthenticated(&gateway, UNAUTHENTICATED);
    authenticated(&mut gateway, AUTHENTICATED);
    gateway.until("all to be gone", |_| descriptors() <= settled + DESCRIPTORS_GROWTH_MAX);
    let grown = memory_bytes().saturating_sub(memory);
    println!("grown by {grown} bytes of memory, {settled} to {} descriptors", descriptors());
    assert!(grown <= MEMORY_GROWTH_BYTES_MAX, "{grown} bytes");
    // Each login has facts, output, last facts and exit.
    assert_eq!(gateway.frames.len() - ended, AUTHENTICATED * 4);
    assert!(gateway.warnings().iter().all(|text| !text.contains("turned away")), "{:?}", gateway.warnings());
}

//! A gateway under a hard limit of memory, in a process of its own: clients that fill every queue end, and
//! others are served.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails, helpers included")]

#[expect(dead_code, reason = "the vocabulary is that of the other tests too")]
#[path = "sessions/harness.rs"]
mod harness;

use std::fs::File;
use std::process::Child;

use rustix::process::{Resource, Rlimit};
use serde_json::json;

use crate::harness::{Gateway, plain};

/// Clients that send to programs that do not read.
const GREEDY: usize = 24;

/// What the gateway's memory may grow by: the unread input of all connections, and buffers of 1 MiB a
/// channel.
const TOTAL_BYTES: u64 = 32 << 20;
const GROWTH_BYTES_MAX: u64 = TOTAL_BYTES + (GREEDY as u64 + 8) * (2 << 20);

/// A line of the process's status, in bytes.
fn status_bytes(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim_start_matches(':').split_whitespace().next().unwrap().parse::<u64>().unwrap() << 10
}

#[test]
fn clients_that_fill_every_queue_end_and_others_are_served() {
    let options =
        json!({ "unread_input_max": "16MiB", "unread_input_total_max": "32MiB", "command": plain() });
    let mut gateway = Gateway::new(options);
    let path = gateway.folder.path().join("zeros");
    File::create(&path).unwrap().set_len(64 << 20).unwrap();
    gateway.poll();
    // Hard: what goes beyond aborts this process.
    let limit = Some(status_bytes("VmData") + GROWTH_BYTES_MAX);
    rustix::process::setrlimit(Resource::Data, Rlimit { current: limit, maximum: limit }).unwrap();
    let mut greedy: Vec<Child> = (0..GREEDY)
        .map(|_| {
            let mut ssh = gateway.ssh("greedy");
            ssh.arg("exec sleep 1000").stdin(File::open(&path).unwrap()).spawn().unwrap()
        })
        .collect();
    let mut modest =
        gateway.ssh("modest").arg("sleep 2; wc -c").stdin(File::open("/dev/null").unwrap()).spawn().unwrap();
    let ended = |gateway: &Gateway| {
        let by = |frame: &&harness::Frame| {
            frame.code == "c"
                && String::from_utf8_lossy(&frame.data).contains("too much input that nothing reads")
        };
        gateway.frames.iter().filter(by).count()
    };
    // Those that are left have their share together.
    gateway.until("the end of most", |gateway| ended(gateway) >= GREEDY / 2);
    assert!(gateway.status(&mut modest).success());
    let mut other = gateway.ssh("other");
    assert_eq!(gateway.run(other.arg("echo in")).stdout, b"in\n");
    println!("peak {} MiB resident", status_bytes("VmHWM") >> 20);
    for client in &mut greedy {
        // Ended clients can't be killed.
        drop(client.kill());
        client.wait().unwrap();
    }
}

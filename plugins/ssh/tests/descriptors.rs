//! A gateway that runs out of descriptors says so and recovers, in a process of its own: the limit is the
//! process's.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails, helpers included")]

#[expect(dead_code, reason = "the vocabulary is that of the other tests too")]
#[path = "sessions/harness.rs"]
mod harness;

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, Signal};
use serde_json::json;

use crate::harness::{Gateway, plain, tool};

/// Descriptors that the gateway gets beside those that are open.
const FREE: u64 = 40;

/// Clients, each of which would take two.
const CLIENTS: usize = 30;

fn limit(current: u64) {
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum }).unwrap();
}

fn descriptors() -> u64 {
    std::fs::read_dir("/proc/self/fd").unwrap().count() as u64
}

/// A shell that starts all clients: under the limit this process can't start them itself.
fn clients(gateway: &Gateway) -> Command {
    let mut ssh = tool("ssh");
    gateway.common(&mut ssh, "alice");
    let mut shell = Command::new("/bin/sh");
    let script = format!("for i in $(seq {CLIENTS}); do \"$@\" & done; wait");
    shell.args(["-c", &script, "sh", "ssh"]).args(ssh.get_args()).args(["-o", "BatchMode=yes"]);
    shell.args(["-p", &gateway.port, "-N", "alice@127.0.0.1"]);
    shell.env_remove("SSH_AUTH_SOCK").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.process_group(0);
    shell
}

#[test]
fn a_gateway_without_descriptors_says_so_and_serves_again_when_there_are_some() {
    let before = rustix::process::getrlimit(Resource::Nofile).current.unwrap();
    limit(before.min(512));
    let mut gateway = Gateway::new(json!({ "command": plain() }));
    let told =
        |gateway: &Gateway, part: &str| gateway.warnings().iter().filter(|text| text.contains(part)).count();
    assert_eq!(
        told(&gateway, "descriptors may be needed and the limit is 512"),
        1,
        "{:?}",
        gateway.warnings()
    );
    gateway.poll();
    let mut shell = clients(&gateway);
    limit(descriptors() + FREE);
    let mut running = shell.spawn().unwrap();
    gateway
        .until("the warning", |gateway| told(gateway, "can't accept connections: Too many open files") > 0);
    for _poll in 0..25 {
        gateway.poll();
    }
    assert_eq!(told(&gateway, "can't accept connections"), 1, "once a minute: {:?}", gateway.warnings());
    rustix::process::kill_process_group(Pid::from_child(&running), Signal::KILL).unwrap();
    running.wait().unwrap();
    limit(before);
    let gets_in = |gateway: &mut Gateway| gateway.run(gateway.ssh("alice").arg("echo in")).stdout == b"in\n";
    assert!((0..20).any(|_attempt| gets_in(&mut gateway)), "{:?}", gateway.warnings());
}

//! What the sidecars of SSH sessions say, and bytes of transfers beside them, through the shipped gateway.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::gateway::{Gateway, recorded, wait_for};
use crate::util::{Dir, wait_until};

/// Bytes that are no text.
fn noise() -> Vec<u8> {
    (0..50_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

#[test]
fn sidecars_say_how_much_passed_and_what_was_left_running() {
    let dir = Dir::new();
    let mut gateway = Gateway::start(&dir, "");
    dir.write("zeros", &"\0".repeat(1_000_000));
    let mut client = gateway.ssh("alice", &[], "wc -c");
    let zeros = std::fs::File::open(dir.path("zeros")).unwrap();
    assert_eq!(client.stdin(zeros).output().unwrap().stdout, b"1000000\n");
    // Ends only once the process is out of the terminal's reach, and has become what it is to be.
    let inner = "sleep 1000 >/dev/null 2>&1 </dev/null & \
        until [ $(cat /proc/$!/comm) = sleep ]; do :; done; echo $!";
    let escape = &format!("echo $(setsid -w sh -c '{inner}')");
    let output = gateway.ssh("bob", &["-tt"], escape).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut idle = gateway.ssh("carol", &["-N"], "").stdin(Stdio::null()).spawn().unwrap();
    let sessions = dir.path("out/s/sessions");
    let carol = wait_for("carol's trace", &sessions, "carol", |it| it.facts["status"] == "recording");
    assert_eq!((&carol.facts["login_only"], &carol.facts["bytes_in"]), (&json!(true), &json!(null)));
    idle.kill().unwrap();
    idle.wait().unwrap();
    wait_for("the end of the trace", &sessions, "carol", |it| it.facts["status"] == "complete");

    assert_eq!(gateway.stop(), Some(0));
    let alice = recorded(&sessions, "alice").facts;
    assert_eq!((&alice["bytes_in"], &alice["bytes_out"]), (&json!(1_000_000), &json!(8)));
    let bob = recorded(&sessions, "bob").facts;
    let left = &bob["left_running"][0];
    let pid = left["pid"].to_string();
    Command::new("kill").args(["-KILL", &pid]).status().unwrap();
    assert_eq!((&left["name"], &left["detached"]), (&json!("sleep"), &json!(true)), "{bob}");
}

#[test]
fn a_transfer_is_kept_as_bytes_beside_its_recording() {
    let dir = Dir::new();
    let mut gateway = Gateway::start(&dir, "");
    let bytes = noise();
    std::fs::write(dir.path("noise"), &bytes).unwrap();
    let path = dir.path("noise").display().to_string();
    let output = gateway.ssh("alice", &[], &format!("cat {path}")).output().unwrap();
    assert!(output.stdout == bytes);
    let call = gateway.call("bob", &[], "");
    let mut scp = Command::new("scp");
    // `scp` spells the port in its own way, and takes no user.
    let options = call.windows(2).filter(|words| words[0] == "-o").flat_map(|words| words.to_vec());
    let value = |name: &str| call.windows(2).find(|words| words[0] == name).unwrap()[1].clone();
    scp.args(["-O", "-F", "none"]).args(options).args(["-i", &value("-i"), "-P", &value("-p")]);
    scp.arg(format!("bob@127.0.0.1:{path}")).arg(dir.path("back"));
    let output = scp.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(std::fs::read(dir.path("back")).unwrap() == bytes);
    let sessions = dir.path("out/s/sessions");
    wait_until("both ends", || {
        ["alice", "bob"].iter().all(|user| recorded(&sessions, user).facts["status"] == "complete")
    });
    assert_eq!(gateway.stop(), Some(0));

    let alice = recorded(&sessions, "alice");
    assert_eq!((alice.data("o").as_str(), &alice.facts["output_as"]), ("", &json!("bytes")));
    let file = sessions.join(alice.facts["output_file"].as_str().unwrap());
    assert!(std::fs::read(&file).unwrap() == bytes);
    let bob = recorded(&sessions, "bob");
    assert_eq!((&bob.facts["transfer"], bob.data("o").as_str()), (&json!("scp"), ""));
    let kept = std::fs::read(sessions.join(bob.facts["output_file"].as_str().unwrap())).unwrap();
    assert!(kept.windows(bytes.len()).any(|window| window == bytes), "{} bytes", kept.len());
    let manifest = std::fs::read_to_string(dir.path("out/s/session.json")).unwrap();
    assert!(manifest.contains(file.file_name().unwrap().to_str().unwrap()), "{manifest}");
}

//! Transfers over a command without a terminal, by the real programs: bytes as they are, and facts.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Gateway, plain, tool};
use crate::sshd::Proxy;

const FIRST: &str = "alice-127.0.0.1-1";

/// Bytes that are no text.
fn noise(path: &Path) -> Vec<u8> {
    let bytes: Vec<u8> =
        (0..100_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    std::fs::write(path, &bytes).unwrap();
    bytes
}

fn contains(data: &[u8], bytes: &[u8]) -> bool {
    data.windows(bytes.len()).any(|window| window == bytes)
}

/// `scp` with its old protocol, which is a command on pipes.
fn scp(gateway: &mut Gateway, from: &str, to: &str) {
    let mut command = tool("scp");
    gateway.common(&mut command, "alice");
    let output = gateway.run(command.args(["-O", "-B", "-P", &gateway.port, from, to]));
    assert!(output.status.success(), "{output:?}");
}

/// The client's command line, for programs that start it themselves.
fn shell_words(gateway: &Gateway) -> String {
    let mut command = tool("ssh");
    gateway.common(&mut command, "alice");
    let words = command.get_args().map(|word| word.to_str().unwrap().to_owned());
    let words: Vec<String> = words.chain(["-p".to_owned(), gateway.port.clone()]).collect();
    format!("ssh {}", words.join(" "))
}

/// Both directions by `scp -O`; returns the facts of both.
fn both_ways(gateway: &mut Gateway, input_recorded: bool) -> [Value; 2] {
    let at = |name: &str| gateway.folder.path().join(name);
    let [here, there, back] = ["here", "there", "back"].map(at);
    let bytes = noise(&here);
    let remote = format!("alice@127.0.0.1:{}", there.display());
    scp(gateway, here.to_str().unwrap(), &remote);
    scp(gateway, &remote, back.to_str().unwrap());
    assert!(std::fs::read(&there).unwrap() == bytes && std::fs::read(&back).unwrap() == bytes);
    let second = "alice-127.0.0.1-2";
    let facts = [FIRST, second].map(|name| gateway.ended(name));
    assert!(facts[0]["bytes_in"].as_u64().unwrap() > bytes.len() as u64);
    assert!(facts[1]["bytes_out"].as_u64().unwrap() > bytes.len() as u64);
    assert_eq!(contains(&gateway.data(FIRST, "i"), &bytes), input_recorded);
    facts
}

#[test]
fn scp_is_recorded_as_facts_and_bytes_here_and_upstream() {
    let mut here = Gateway::new(json!({ "command": plain(), "input": true }));
    let Proxy { gateway: mut upstream, sshd: _sshd } = Proxy::new(json!({ "input": true }));
    for gateway in [&mut here, &mut upstream] {
        for facts in both_ways(gateway, true) {
            assert_eq!(
                (&facts["transfer"], &facts["output_as"]),
                (&json!("scp"), &json!("bytes")),
                "{facts}"
            );
            assert_eq!(facts["input_as"], "bytes");
        }
        let bytes = std::fs::read(gateway.folder.path().join("here")).unwrap();
        assert!(contains(&gateway.data("alice-127.0.0.1-2", "o"), &bytes));
    }
}

#[test]
fn transfers_can_be_facts_only_or_text() {
    let mut gateway = Gateway::new(json!({ "command": plain(), "transfers": "facts" }));
    for facts in both_ways(&mut gateway, false) {
        assert_eq!((&facts["transfer"], facts.get("output_as")), (&json!("scp"), None));
    }
    assert_eq!(gateway.codes(FIRST), "ccx");
    let mut gateway = Gateway::new(json!({ "command": plain(), "transfers": "text" }));
    for facts in both_ways(&mut gateway, false) {
        assert_eq!((&facts["transfer"], facts.get("output_as")), (&json!("scp"), None));
    }
    assert!(gateway.codes("alice-127.0.0.1-2").starts_with("co"));
}

#[test]
fn rsync_and_git_are_known_and_their_files_arrive() {
    let mut gateway = Gateway::new(json!({ "command": plain() }));
    let at = |name: &str| gateway.folder.path().join(name);
    let [here, there, repository, clone] = ["here", "there", "repository", "clone"].map(at);
    let bytes = noise(&here);
    let ssh = shell_words(&gateway);
    let mut rsync = Command::new("rsync");
    rsync.args(["-e", &ssh]).arg(&here).arg(format!("alice@127.0.0.1:{}", there.display()));
    assert!(gateway.run(&mut rsync).status.success(), "is it there? tools/install.sh rsync");
    assert!(std::fs::read(&there).unwrap() == bytes);
    assert_eq!(gateway.ended(FIRST)["transfer"], "rsync");

    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "safe.directory=*"]).args(arguments);
        command.current_dir(gateway.folder.path()).env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env("GIT_SSH_COMMAND", &ssh);
        command
    };
    let run =
        |arguments: &[&str]| assert!(git(arguments).output().unwrap().status.success(), "{arguments:?}");
    run(&["init", "-q", "repository"]);
    std::fs::copy(&here, repository.join("noise")).unwrap();
    run(&["-C", "repository", "add", "noise"]);
    run(&["-C", "repository", "commit", "-q", "-m", "noise"]);
    let url = format!("ssh://alice@127.0.0.1:{}{}", gateway.port, repository.display());
    let mut command = git(&["clone", "-q", &url, "clone"]);
    let output = gateway.run(&mut command);
    assert!(output.status.success(), "{output:?}");
    assert!(std::fs::read(clone.join("noise")).unwrap() == bytes);
    let facts = gateway.ended("alice-127.0.0.1-2");
    assert_eq!((&facts["transfer"], &facts["output_as"]), (&json!("git-upload-pack"), &json!("bytes")));
}

#[test]
fn output_of_any_command_that_is_not_text_is_bytes_and_text_stays_text() {
    let mut gateway = Gateway::new(json!({ "command": plain() }));
    let bytes = noise(&gateway.folder.path().join("here"));
    let path = gateway.folder.path().join("here").display().to_string();
    for (number, (command, as_bytes)) in (1..).zip([
        (format!("cat {path}"), true),
        ("printf 'caf\\303'; sleep 0.1; printf '\\251\\n'".to_owned(), false),
        (format!("echo text; sleep 0.2; cat {path}"), true),
        (format!("echo listing >&2; sleep 0.2; cat {path}"), true),
    ]) {
        let mut ssh = gateway.ssh("alice");
        let back = gateway.folder.path().join("back");
        let shown = std::fs::File::create(&back).unwrap();
        let mut client = ssh.arg(command).stderr(shown.try_clone().unwrap()).stdout(shown).spawn().unwrap();
        assert!(gateway.status(&mut client).success());
        let name = format!("alice-127.0.0.1-{number}");
        let facts = gateway.ended(&name);
        assert_eq!(facts.get("output_as"), as_bytes.then_some(&json!("bytes")), "{facts}");
        assert!(std::fs::read(&back).unwrap() == gateway.data(&name, "o"));
    }
    assert!(gateway.data(FIRST, "o") == bytes);
}

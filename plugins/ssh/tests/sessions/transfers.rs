//! What passes through to an upstream host and is counted, and what is refused.

use std::fs::File;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::json;
use tapedeck_sdk::ErrorKind;

use crate::harness::{Gateway, PATIENCE, engine, folder, make_key, open, tool};
use crate::sshd::{Proxy, Sshd, options};

const FIRST: &str = "alice-127.0.0.1-1";

/// Size of a transferred file.
const BYTES: usize = 10_000_000;

fn noise(path: &Path) -> Vec<u8> {
    let mut bytes = vec![0; BYTES];
    File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    std::fs::write(path, &bytes).unwrap();
    bytes
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_file_goes_both_ways_by_scp_and_is_the_same_afterwards() {
    let gate = Proxy::new(json!({}));
    let (here, there, back) = (gate.at("here"), gate.at("there"), gate.at("back"));
    let bytes = noise(&here);
    let Proxy { mut gateway, sshd: _sshd } = gate;
    let remote = format!("alice@127.0.0.1:{}", there.display());
    for paths in [[here.as_os_str(), remote.as_ref()], [remote.as_ref(), back.as_os_str()]] {
        let mut command = tool("scp");
        gateway.common(&mut command, "alice");
        let output = gateway.run(command.args(["-B", "-s", "-P", &gateway.port]).args(paths));
        assert!(output.status.success(), "{}", stderr(&output));
    }
    assert!(std::fs::read(&there).unwrap() == bytes && std::fs::read(&back).unwrap() == bytes);
    for (connection, most) in [(FIRST, "bytes_in"), ("alice-127.0.0.1-2", "bytes_out")] {
        let facts = gateway.facts(connection);
        assert_eq!((&facts["subsystem"], gateway.codes(connection).as_str()), (&json!("sftp"), "ccx"));
        assert!(facts[most].as_u64().unwrap() >= BYTES as u64, "{facts}");
        assert_eq!(gateway.text(connection, "x"), "0");
    }
}

#[test]
fn a_file_goes_both_ways_by_sftp_and_is_the_same_afterwards() {
    let gate = Proxy::new(json!({}));
    let (here, there, back) = (gate.at("here"), gate.at("there"), gate.at("back"));
    let bytes = noise(&here);
    std::fs::write(
        gate.at("batch"),
        format!("put {} {there}\nget {there} {}\n", here.display(), back.display(), there = there.display()),
    )
    .unwrap();
    let batch = gate.at("batch");
    let Proxy { mut gateway, sshd: _sshd } = gate;
    let mut command = tool("sftp");
    gateway.common(&mut command, "alice");
    command.arg("-b").arg(batch).args(["-P", &gateway.port, "alice@127.0.0.1"]);
    let output = gateway.run(&mut command);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(std::fs::read(&there).unwrap() == bytes && std::fs::read(&back).unwrap() == bytes);
}

#[test]
fn a_subsystem_that_is_not_on_the_list_is_refused_and_one_that_is_not_there_too() {
    let Proxy { mut gateway, sshd: _sshd } = Proxy::new(json!({ "subsystems": ["backup"] }));
    let mut command = gateway.ssh("alice");
    let output = gateway.run(command.args(["-s", "sftp"]));
    assert!(stderr(&output).contains("subsystem request failed"), "{}", stderr(&output));
    let trace = gateway.login_trace(FIRST);
    assert_eq!((&trace["refused"], gateway.connections().len()), (&json!(["subsystem sftp"]), 1));
    let mut command = gateway.ssh("alice");
    let output = gateway.run(command.args(["-s", "backup"]));
    assert_eq!(output.status.code(), Some(255));
    assert!(stderr(&output).contains("refuses the subsystem \"backup\""), "{}", stderr(&output));
}

#[test]
fn a_port_is_forwarded_where_that_is_allowed_and_counted() {
    let Proxy { mut gateway, sshd } = Proxy::new(json!({ "forwarding": true }));
    let target = format!("127.0.0.1:{}", sshd.port);
    let local = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let forward = format!("{local}:{target}");
    let options = ["-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-N", "-L", &forward];
    let mut client = gateway.ssh_with("alice", &options, "alice").spawn().unwrap();
    gateway.until("the forwarding", |_| TcpStream::connect(local).is_ok());
    let mut stream = TcpStream::connect(local).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut greeting = [0; 8];
    stream.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"SSH-2.0-");
    drop(stream);
    gateway.until("an end", |gateway| gateway.count("x") >= 2);
    for connection in gateway.connections() {
        let facts = gateway.facts(connection);
        assert_eq!(facts["forwarded"], target, "{facts}");
        assert_eq!(gateway.codes(connection), "ccx");
    }
    let seen =
        gateway.connections().iter().any(|name| gateway.facts(name)["bytes_out"].as_u64().unwrap() > 8);
    assert!(seen, "one of them has seen the greeting");
    client.kill().unwrap();
    client.wait().unwrap();
}

#[test]
fn a_port_that_nobody_listens_on_and_forwarding_that_is_not_allowed_are_refused() {
    for more in [json!({ "forwarding": true }), json!({})] {
        let Proxy { mut gateway, sshd: _sshd } = Proxy::new(more);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let target = format!("127.0.0.1:{port}");
        let options = ["-o", "BatchMode=yes", "-W", &target];
        let output = gateway.run(&mut gateway.ssh_with("alice", &options, "alice"));
        assert_eq!(output.status.code(), Some(255));
        assert!(stderr(&output).contains("stdio forwarding failed"), "{}", stderr(&output));
        let trace = gateway.login_trace(FIRST);
        assert_eq!((&trace["login_only"], gateway.connections().len()), (&json!(true), 1));
    }
}

#[test]
fn the_other_ways_of_forwarding_are_refused() {
    let Proxy { mut gateway, sshd: _sshd } = Proxy::new(json!({ "forwarding": true }));
    let options = ["-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1"];
    let output = gateway.run(gateway.ssh_with("alice", &options, "alice").arg("true"));
    assert_eq!(output.status.code(), Some(255));
    assert!(stderr(&output).contains("remote port forwarding failed"), "{}", stderr(&output));
    let mut command = gateway.ssh("alice");
    let output = gateway.run(command.args(["-A", "echo agent=$SSH_AUTH_SOCK."]));
    assert_eq!(output.stdout, b"agent=.\n");
}

#[test]
fn a_host_that_shows_another_key_is_refused_and_said_so_to_everybody() {
    let Proxy { mut gateway, sshd } = Proxy::new(json!({}));
    make_key(gateway.folder.path(), "other");
    let known = gateway.folder.path().join("upstream_known_hosts");
    for (text, why) in [
        (sshd.known(&gateway.folder.path().join("other")), "it is not the known one"),
        (String::new(), "none of its keys is known"),
    ] {
        std::fs::write(&known, text).unwrap();
        let mut command = gateway.ssh("alice");
        let output = gateway.run(command.arg("echo secret"));
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(255), &b""[..]));
        let said = stderr(&output);
        assert!(said.contains("is not to be trusted") && said.contains(why), "{said}");
        assert!(gateway.warnings().iter().any(|text| text.contains(why)), "{:?}", gateway.warnings());
    }
    assert_eq!((gateway.codes(FIRST).as_str(), gateway.text(FIRST, "x").as_str()), ("cocx", "255"));
    // The server still works.
    std::fs::write(&known, sshd.known(&gateway.folder.path().join("upstream_host_key"))).unwrap();
    let mut command = gateway.ssh("alice");
    assert_eq!(gateway.run(command.arg("echo fine")).stdout, b"fine\n");
}

#[test]
fn a_known_host_may_have_its_name_hashed() {
    let folder = folder();
    let sshd = Sshd::start(folder.path());
    let upstream = options(folder.path(), &sshd);
    let known = folder.path().join("upstream_known_hosts");
    let hashed = tool("ssh-keygen").arg("-H").arg("-f").arg(&known).output().unwrap();
    assert!(hashed.status.success());
    assert!(std::fs::read_to_string(&known).unwrap().starts_with("|1|"));
    let mut gateway = Gateway::in_folder(folder, json!({ "upstream": upstream }));
    let mut command = gateway.ssh("alice");
    assert_eq!(gateway.run(command.arg("echo fine")).stdout, b"fine\n");
}

#[test]
fn a_host_that_is_down_or_goes_down_ends_its_sessions_and_the_gateway_lives_on() {
    let Proxy { mut gateway, sshd } = Proxy::new(json!({}));
    let mut client =
        gateway.ssh("alice").args(["echo $PPID.; sleep 1000"]).stdin(Stdio::null()).spawn().unwrap();
    gateway.until("the first", |gateway| gateway.text(FIRST, "o").contains('.'));
    // The process that serves the session is not the one killed by `drop`.
    drop(sshd);
    let serves = gateway.text(FIRST, "o").trim().trim_end_matches('.').parse().unwrap();
    let serves = rustix::process::Pid::from_raw(serves).unwrap();
    rustix::process::kill_process(serves, rustix::process::Signal::KILL).unwrap();
    assert_eq!(gateway.status(&mut client).code(), Some(255));
    let output = client.wait_with_output().unwrap();
    assert!(stderr(&output).contains("the connection to the upstream"), "{}", stderr(&output));
    assert_eq!(gateway.text(FIRST, "x"), "255");
    for _attempt in 0..2 {
        let mut command = gateway.ssh("alice");
        let output = gateway.run(command.arg("true"));
        assert_eq!(output.status.code(), Some(255));
        assert!(stderr(&output).contains("tapedeck: can't connect to the upstream"), "{}", stderr(&output));
    }
    let warned =
        gateway.warnings().iter().filter(|text| text.contains("can't connect to the upstream")).count();
    assert_eq!(warned, 1, "the same is said once");
}

#[test]
fn what_is_wrong_with_the_upstreams_files_is_said_before_anybody_knocks() {
    let folder = folder();
    let sshd = Sshd::start(folder.path());
    let good = options(folder.path(), &sshd);
    let at = |name: &str| folder.path().join(name);
    let mut locked = tool("ssh-keygen");
    let locked = locked.args(["-q", "-t", "ed25519", "-N", "secret", "-f"]).arg(at("locked"));
    assert!(locked.status().unwrap().success());
    std::fs::write(
        at("others"),
        "elsewhere ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ\n",
    )
    .unwrap();
    std::fs::write(at("broken"), "elsewhere ssh-ed25519\n").unwrap();
    std::fs::copy(good["known_hosts"].as_str().unwrap(), at("loose")).unwrap();
    std::fs::set_permissions(at("loose"), std::fs::Permissions::from_mode(0o666)).unwrap();
    for (option, value, part) in [
        ("key", json!(at("locked")), "passphrase"),
        ("key", json!(at("absent")), "absent"),
        ("key", json!(at("gate.pub")), "others can read"),
        ("known_hosts", json!(at("others")), "no key of"),
        ("known_hosts", json!(at("broken")), "line 1"),
        ("known_hosts", json!(at("absent")), "absent"),
        ("known_hosts", json!(at("loose")), "others can write the file of the known hosts"),
        ("address", json!("host:port"), "host:port"),
        ("address", json!("::1"), "::1"),
    ] {
        let mut upstream = good.clone();
        upstream[option] = value;
        let error = open(folder.path(), json!({ "upstream": upstream }), engine()).err().unwrap();
        assert_eq!(error.option, ["upstream", option], "{error}");
        assert!(error.kind != ErrorKind::Plugin && error.message.contains(part), "{error}");
        assert!(error.hint.is_some() || error.kind == ErrorKind::Io, "{error}");
    }
    let both = json!({ "upstream": good, "command": ["date"] });
    assert_eq!(open(folder.path(), both, engine()).err().unwrap().option, ["command"]);
}

#[test]
fn that_keys_get_in_under_any_name_of_the_upstream_is_said_at_the_start_unless_one_is_named() {
    let folder = folder();
    let sshd = Sshd::start(folder.path());
    for (named, said) in [(true, 0), (false, 1)] {
        let mut upstream = options(folder.path(), &sshd);
        if !named {
            upstream.as_object_mut().unwrap().remove("user");
        }
        let host = engine();
        drop(open(folder.path(), json!({ "upstream": upstream }), host.clone()).unwrap());
        assert_eq!(host.warnings().iter().filter(|text| text.contains("`upstream.user`")).count(), said);
    }
}

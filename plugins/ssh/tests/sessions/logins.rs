//! Authentication.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use russh::client::Handle;
use serde_json::json;
use tapedeck_sdk::ErrorKind;

use crate::client::{Trusting, connect, runtime};
use crate::harness::{Gateway, engine, folder, make_key, open, plain};

/// An argon2 hash of "correct horse", cheap to verify.
const HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0$4Smw+8uJE9vkMuQHTI8JCch07funn1w88/v1CwyXAOw";

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_right_key_gets_in_and_is_named_in_the_recording() {
    let mut gateway = Gateway::new(json!({}));
    let command = gateway.ssh("alice").arg("echo hello").spawn();
    let mut client = command.unwrap();
    gateway.status(&mut client);
    let output = client.wait_with_output().unwrap();
    assert_eq!((code(&output), output.stdout.as_slice()), (0, &b"hello\n"[..]), "{}", stderr(&output));
    let name = "alice-127.0.0.1-1";
    assert_eq!(gateway.connections(), [name]);
    assert_eq!(gateway.codes(name), "cocx");
    let facts = gateway.facts(name);
    assert_eq!(facts["username"], "alice");
    assert_eq!(facts["source_ip"], "127.0.0.1");
    assert_eq!(facts["authentication_method"], "publickey");
    assert_eq!(facts["command"], "echo hello");
    assert!(facts["source_port"].is_number());
    assert!(facts["key_fingerprint"].as_str().unwrap().starts_with("SHA256:"));
}

#[test]
fn two_people_at_the_same_moment_are_told_apart_by_their_keys() {
    let folder = folder();
    make_key(folder.path(), "bob");
    let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let both = [text("alice.pub"), text("bob.pub")].concat();
    std::fs::write(folder.path().join("authorized_keys"), both).unwrap();
    let fingerprint = |name: &str| {
        let key = russh::keys::load_public_key(folder.path().join(name)).unwrap();
        key.fingerprint(russh::keys::HashAlg::Sha256).to_string()
    };
    let users = [("alice", fingerprint("alice.pub")), ("bob", fingerprint("bob.pub"))];
    let mut gateway = Gateway::in_folder(folder, json!({ "command": plain() }));
    for _round in 0..5 {
        gateway.frames.clear();
        let mut clients = users.each_ref().map(|(user, _)| {
            let mut command = gateway.ssh_with(user, &["-o", "BatchMode=yes"], user);
            command.arg(format!("for i in 1 2 3; do echo I am {user}; sleep 0.02; done")).spawn().unwrap()
        });
        for client in &mut clients {
            assert!(gateway.status(client).success());
        }
        for name in gateway.connections() {
            let (user, fingerprint) = users.iter().find(|(user, _)| name.starts_with(user)).unwrap();
            let facts = gateway.facts(name);
            assert_eq!(
                (facts["username"].as_str(), facts["key_fingerprint"].as_str()),
                (Some(*user), Some(fingerprint.as_str()))
            );
            assert_eq!(gateway.text(name, "o"), format!("I am {user}\n").repeat(3));
        }
        assert_eq!(gateway.connections().len(), 2);
    }
}

#[test]
fn a_wrong_key_stays_outside_and_leaves_no_recording() {
    let mut gateway = Gateway::new(json!({}));
    make_key(gateway.folder.path(), "mallory");
    let output = {
        let mut command = gateway.ssh_with("alice", &["-o", "BatchMode=yes"], "mallory");
        gateway.run(command.arg("echo hello"))
    };
    assert_eq!(code(&output), 255);
    assert!(stderr(&output).contains("Permission denied (publickey)"), "{}", stderr(&output));
    assert!(gateway.frames.is_empty());
}

#[test]
fn a_key_that_is_taken_out_of_the_file_stays_outside_from_then_on() {
    let mut gateway = Gateway::new(json!({}));
    let mut command = gateway.ssh("alice");
    assert_eq!(code(&gateway.run(command.arg("true"))), 0);
    std::fs::write(gateway.folder.path().join("authorized_keys"), "").unwrap();
    assert_eq!(code(&gateway.run(&mut command)), 255);
}

/// Logs in with a password, which the client gets from an askpass program.
fn with_password(gateway: &mut Gateway, user: &str, password: &str) -> Output {
    let ask = gateway.folder.path().join("ask");
    std::fs::write(&ask, format!("#!/bin/sh\necho '{password}'\n")).unwrap();
    std::fs::set_permissions(&ask, std::fs::Permissions::from_mode(0o700)).unwrap();
    let options = ["-o", "NumberOfPasswordPrompts=1", "-o", "PubkeyAuthentication=no"];
    let mut command = gateway.ssh_with(user, &options, "alice");
    command.env("SSH_ASKPASS", &ask).env("SSH_ASKPASS_REQUIRE", "force").env("DISPLAY", ":0");
    gateway.run(command.arg("echo in"))
}

#[test]
fn the_right_password_gets_in_and_a_wrong_one_does_not() {
    let folder = folder();
    let passwords = folder.path().join("passwords");
    std::fs::write(&passwords, format!("# who may come\nbob:{HASH}\n")).unwrap();
    let mut gateway = Gateway::in_folder(folder, json!({ "passwords": passwords }));
    let output = with_password(&mut gateway, "bob", "correct horse");
    assert_eq!((code(&output), output.stdout.as_slice()), (0, &b"in\n"[..]), "{}", stderr(&output));
    let facts = gateway.facts("bob-127.0.0.1-1");
    assert_eq!(facts["authentication_method"], "password");
    for (user, password) in [("bob", "wrong horse"), ("carol", "correct horse"), ("bob", "")] {
        let output = with_password(&mut gateway, user, password);
        assert_eq!(code(&output), 255, "{user}");
    }
    assert_eq!(gateway.connections().len(), 1);
    let everything = format!("{:?}{:?}", gateway.frames, gateway.warnings());
    assert!(!everything.contains("horse") && !everything.contains("argon2"));
}

#[test]
fn a_password_with_a_bcrypt_hash_gets_in_and_a_wrong_one_does_not() {
    let folder = folder();
    let passwords = folder.path().join("passwords");
    // Made by the system's `crypt` from "correct horse".
    let lines = [
        "bob:$2y$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
        "eve:$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2",
        "ann:$2a$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
    ];
    std::fs::write(&passwords, lines.join("\n")).unwrap();
    let mut gateway = Gateway::in_folder(folder, json!({ "passwords": passwords, "failed_logins_max": 100 }));
    for user in ["bob", "eve", "ann"] {
        let output = with_password(&mut gateway, user, "correct horse");
        assert_eq!((code(&output), output.stdout.as_slice()), (0, &b"in\n"[..]), "{}", stderr(&output));
        assert_eq!(code(&with_password(&mut gateway, user, "wrong horse")), 255, "{user}");
    }
    assert_eq!(code(&with_password(&mut gateway, "carol", "correct horse")), 255);
    assert_eq!(gateway.connections().len(), 3);
}

#[test]
fn an_address_that_fails_too_often_is_turned_away_with_the_right_key_too() {
    let mut gateway = Gateway::new(json!({ "failed_logins_max": 2 }));
    make_key(gateway.folder.path(), "mallory");
    let mut wrong = gateway.ssh_with("alice", &["-o", "BatchMode=yes"], "mallory");
    assert!(stderr(&gateway.run(wrong.arg("true"))).contains("Permission denied"));
    let mut right = gateway.ssh("alice");
    assert_eq!(code(&gateway.run(right.arg("true"))), 0);
    assert!(stderr(&gateway.run(&mut wrong)).contains("Permission denied"));
    let told =
        |gateway: &Gateway| gateway.warnings().iter().any(|text| text.contains("failed to log in too often"));
    gateway.until("the second failure", told);
    let turned_away = gateway.run(&mut right);
    assert_eq!(code(&turned_away), 255);
    assert!(!stderr(&turned_away).contains("Permission denied"), "{}", stderr(&turned_away));
}

#[test]
fn more_connections_than_allowed_are_turned_away_until_one_has_gone() {
    let mut gateway = Gateway::new(json!({ "connections_max": 1 }));
    let mut first = gateway.ssh("alice").arg("echo in; sleep 1000").spawn().unwrap();
    gateway.until("the first", |gateway| gateway.data("alice-127.0.0.1-1", "o") == b"in\n");
    let mut second = gateway.ssh("alice");
    assert_eq!(code(&gateway.run(second.arg("true"))), 255);
    first.kill().unwrap();
    first.wait().unwrap();
    for _attempt in 0..1000 {
        if code(&gateway.run(&mut second)) == 0 {
            return;
        }
    }
    panic!("the place was not given back");
}

/// Tries a password. True if it is right.
async fn tries(client: Handle<Trusting>, password: &str) -> bool {
    let mut client = client;
    client.authenticate_password("bob", password).await.is_ok_and(|outcome| outcome.success())
}

/// Whether a right password among many wrong ones logs in, where a single failure is allowed.
fn gets_in_among_others() -> bool {
    let folder = folder();
    let passwords = folder.path().join("passwords");
    // Slow to verify: all are connected before the first failure.
    let hash = bcrypt::hash_with_salt("correct horse", 12, *b"salt of 16 bytes").unwrap();
    std::fs::write(&passwords, format!("bob:{hash}\n")).unwrap();
    let mut gateway = Gateway::in_folder(folder, json!({ "passwords": passwords, "failed_logins_max": 1 }));
    let runtime = runtime();
    let connects: Vec<_> = (0..31).map(|_| runtime.spawn(connect(&gateway))).collect();
    gateway.until("all connections", |_| connects.iter().all(tokio::task::JoinHandle::is_finished));
    let start = |(number, client)| {
        let client = runtime.block_on::<tokio::task::JoinHandle<_>>(client).unwrap();
        runtime.spawn(tries(client, if number == 15 { "correct horse" } else { "wrong horse" }))
    };
    let tries: Vec<_> = connects.into_iter().enumerate().map(start).collect();
    gateway.until("all answers", |_| tries.iter().all(tokio::task::JoinHandle::is_finished));
    tries.into_iter().any(|tried| runtime.block_on(tried).unwrap())
}

#[test]
fn those_who_try_at_the_same_time_have_no_more_tries_than_one_after_the_other() {
    // At times it is among the first two, verified together, and rightly admitted.
    assert!((0..5).any(|_round| !gets_in_among_others()));
}

#[test]
fn one_trouble_that_was_told_does_not_hide_another() {
    let mut gateway = Gateway::new(json!({ "connections_max": 1, "command": plain() }));
    let mut first = gateway.ssh("alice").arg("echo in; sleep 1000").spawn().unwrap();
    gateway.until("the first", |gateway| gateway.data("alice-127.0.0.1-1", "o") == b"in\n");
    let mut second = gateway.ssh("alice");
    assert_eq!(code(&gateway.run(second.arg("true"))), 255);
    let told =
        |gateway: &Gateway, what: &str| gateway.warnings().iter().filter(|text| text.contains(what)).count();
    assert_eq!(told(&gateway, "more are turned away"), 1);
    first.kill().unwrap();
    first.wait().unwrap();
    std::fs::remove_file(gateway.folder.path().join("authorized_keys")).unwrap();
    for _attempt in 0..100 {
        assert_eq!(code(&gateway.run(&mut second)), 255);
        if told(&gateway, "can't read the keys") == 1 {
            return;
        }
    }
    panic!("{:?}", gateway.warnings());
}

#[test]
fn a_file_that_others_can_write_lets_nobody_in() {
    let folder = folder();
    let keys = folder.path().join("authorized_keys");
    let set = |mode| std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o664, 0o646] {
        set(mode);
        let error = open(folder.path(), json!({}), engine()).err().unwrap();
        assert_eq!(error.option, ["authorized_keys"]);
        assert!(error.message.contains("others can write the file of the keys"), "{error}");
        assert!(error.hint.unwrap().contains("chmod go-w"));
    }
    set(0o644);
    let mut gateway = Gateway::in_folder(folder, json!({ "failed_logins_max": 100 }));
    let mut command = gateway.ssh("alice");
    assert_eq!(code(&gateway.run(command.arg("true"))), 0);
    set_mode(&gateway, 0o666);
    assert_eq!(code(&gateway.run(&mut command)), 255);
    assert!(
        gateway.warnings().iter().any(|text| text.contains("others can write")),
        "{:?}",
        gateway.warnings()
    );
    set_mode(&gateway, 0o600);
    assert_eq!(code(&gateway.run(&mut command)), 0);
}

fn set_mode(gateway: &Gateway, mode: u32) {
    let keys = gateway.folder.path().join("authorized_keys");
    std::fs::set_permissions(keys, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_of_somebody_else_lets_nobody_in() {
    let folder = folder();
    // Only root can give a file away; other users have no foreign file to test with.
    if rustix::process::geteuid().is_root() {
        let passwords = folder.path().join("passwords");
        std::fs::write(&passwords, format!("bob:{HASH}\n")).unwrap();
        std::os::unix::fs::chown(&passwords, Some(65_534), None).unwrap();
        let error = open(folder.path(), json!({ "passwords": passwords }), engine()).err().unwrap();
        assert_eq!(error.option, ["passwords"]);
        assert!(error.message.contains("somebody else owns the file of the passwords"), "{error}");
    }
    // A file of root's is accepted, though this one has no key.
    let error = open(folder.path(), json!({ "authorized_keys": "/etc/passwd" }), engine()).err().unwrap();
    assert!(error.message.contains("is not a public key"), "{error}");
}

#[test]
fn nobody_gets_in_by_default() {
    let error = tapedeck_ssh::factory().check(&json!({})).unwrap_err();
    assert_eq!(error.option, ["authorized_keys"]);
    assert!(error.hint.unwrap().contains("passwords"));
}

#[test]
fn what_is_wrong_with_the_files_is_said_before_anybody_knocks_and_without_what_they_hold() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("sloppy"), "bob:hunter2\n").unwrap();
    std::fs::write(
        at("forced"),
        "command=\"date\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ\n",
    )
    .unwrap();
    std::fs::write(at("broken"), "ssh-ed25519 nonsense\n").unwrap();
    std::fs::write(at("open_key"), "x").unwrap();
    std::fs::set_permissions(at("open_key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    for (options, option) in [
        (json!({ "passwords": at("sloppy") }), "passwords"),
        (json!({ "passwords": at("absent") }), "passwords"),
        (json!({ "authorized_keys": at("forced") }), "authorized_keys"),
        (json!({ "authorized_keys": at("broken") }), "authorized_keys"),
        (json!({ "authorized_keys": at("absent") }), "authorized_keys"),
        (json!({ "host_key": at("open_key") }), "host_key"),
        (json!({ "host_key": at("no/such/folder") }), "host_key"),
    ] {
        let error = open(folder.path(), options.clone(), engine()).err().unwrap();
        assert_eq!(error.option, [option], "{options}");
        assert_ne!(error.kind, ErrorKind::Plugin);
        assert!(!error.message.contains("hunter2"), "{error}");
    }
    for (options, option) in [
        (json!({ "listen": "somewhere" }), "listen"),
        (json!({ "forwarding": true }), "forwarding"),
        (json!({ "connections_max": 0 }), "connections_max"),
        (json!({ "connections_max": usize::MAX }), "connections_max"),
        (json!({ "channels_max": usize::MAX }), "channels_max"),
        (json!({ "failed_logins_max": 0 }), "failed_logins_max"),
        (json!({ "keepalive": "0s" }), "keepalive"),
        (json!({ "keepalive": "5000000000000h" }), "keepalive"),
        (json!({ "idle_timeout": "0s" }), "idle_timeout"),
        (json!({ "login_timeout": "0s" }), "login_timeout"),
        (json!({ "unread_input_max": "3MiB" }), "unread_input_max"),
        (json!({ "command": [""] }), "command"),
    ] {
        let error = open(folder.path(), options.clone(), engine()).err().unwrap();
        assert_eq!((error.kind, error.option.as_slice()), (ErrorKind::Options, &[option.to_owned()][..]));
    }
}

#[test]
fn the_host_key_is_made_once_for_its_owner_only_and_kept() {
    let gateway = Gateway::new(json!({}));
    let path = gateway.folder.path().join("host_key");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(gateway.warnings().iter().any(|text| text.contains("made a new host key, SHA256:")));
    let before = std::fs::read(&path).unwrap();
    let Gateway { folder, source, .. } = gateway;
    drop(source);
    let mut gateway = Gateway::in_folder(folder, json!({}));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(!gateway.warnings().iter().any(|text| text.contains("made a new host key")));
    let mut command = gateway.ssh("alice");
    assert_eq!(code(&gateway.run(command.arg("true"))), 0);
}

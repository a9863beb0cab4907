//! Terminal recordings through the program: `rec`, `convert`, `inspect`, and what is left after a kill.

use std::process::Command;

use serde_json::{Value, json};

use crate::util::{Dir, python, root};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_command_is_recorded_and_its_status_returned() {
    let dir = Dir::new();
    let rec =
        ["rec", "demo.cast", "--title", "a \"title\"", "--", "sh", "-c", "printf 'caf\\303\\251\\n'; exit 7"];
    let done = dir.tapedeck(&rec).run();
    assert_eq!(done.code, 7, "{done:?}");
    assert_eq!(dir.names("."), ["demo.cast"], "nothing else is left");
    let text = std::fs::read_to_string(dir.path("demo.cast")).unwrap();
    let events = lines(&text);
    assert_eq!((&events[0]["version"], &events[0]["title"]), (&json!(3), &json!("a \"title\"")));
    let output: String =
        events[1..].iter().filter(|event| event[1] == "o").map(|event| event[2].as_str().unwrap()).collect();
    assert_eq!(output, "café\r\n");
    assert_eq!(events.last().unwrap()[2], "7");

    let inspected = dir.tapedeck(&["inspect", "demo.cast"]).run();
    assert!(inspected.stdout.contains("    1 terminal of 80x24: "), "{inspected:?}");
    assert!(inspected.stdout.contains(" 1 resize, 1 exit; 7 bytes of output\n"), "{inspected:?}");

    // Whatever the file is called, and in the version that has no place for the status.
    for name in ["plain", "dots.and.more", ".cast", "a b.txt"] {
        let done =
            dir.tapedeck(&["rec", name, "-q", "--format", "2", "--", "sh", "-c", "echo $0; exit 5"]).run();
        assert_eq!(done.code, 5, "{name}: {done:?}");
        assert!(std::fs::read_to_string(dir.path(name)).unwrap().starts_with("{\"version\":2"), "{name}");
        std::fs::remove_file(dir.path(name)).unwrap();
    }
    assert_eq!(dir.names("."), ["demo.cast"], "nothing else is left");

    let again = dir.tapedeck(&["rec", "demo.cast", "--", "true"]).run();
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("already there"), "{again:?}");
    assert_eq!(std::fs::read_to_string(dir.path("demo.cast")).unwrap(), text);
}

#[test]
fn a_recording_is_converted_there_and_back() {
    let dir = Dir::new();
    let done = dir.tapedeck(&["rec", "three.cast", "-q", "--", "sh", "-c", "echo one; echo two"]).run();
    assert_eq!(done.code, 0, "{done:?}");
    for (from, to, option) in [
        ("three.cast", "two.cast", Some("version=2")),
        ("two.cast", "back.cast", Some("version=3")),
        ("three.cast", "rows.parquet", None),
        ("three.cast", "rows.jsonl", None),
    ] {
        let mut call = vec!["convert", from, to];
        call.extend(option.iter().flat_map(|option| ["--option", option]));
        let done = dir.tapedeck(&call).run();
        assert_eq!(done.code, 0, "{from} to {to}: {done:?}");
        let inspected = dir.tapedeck(&["inspect", to, "--json"]).run();
        assert_eq!(inspected.code, 0, "{to}: {inspected:?}");
    }
    let two = lines(&std::fs::read_to_string(dir.path("two.cast")).unwrap());
    assert_eq!((&two[0]["version"], &two[1][1]), (&json!(2), &json!("o")));
    let rows = lines(&std::fs::read_to_string(dir.path("rows.jsonl")).unwrap());
    assert!(rows.iter().any(|row| row["code"] == "x"), "{rows:?}");
    for (call, words) in [
        (["convert", "three.cast", "two.cast"], "already there"),
        (["convert", "three.cast", "x.unknown"], "no sink writes"),
        (["convert", "gone.cast", "x.jsonl"], "gone.cast"),
    ] {
        let done = dir.tapedeck(&call).run();
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.stderr.contains(words), "{done:?}");
    }
}

#[test]
fn asciinema_reads_what_is_recorded() {
    let dir = Dir::new();
    let text = "h\u{e9}llo \u{1f600} \u{1b}[31mred\u{1b}[0m";
    let rec = ["rec", "two.cast", "--format", "2", "-q", "--", "printf", text];
    assert_eq!(dir.tapedeck(&rec).run().code, 0);
    let found = python("asciicast.py", &[&dir.path("two.cast")]);
    assert_eq!((&found["width"], &found["text"]), (&json!(80), &json!(text)), "{found}");
}

#[test]
fn a_killed_recording_reads_back() {
    let dir = Dir::new();
    let pipeline = "[session]\nflush_interval = \"50ms\"\n[sources.shell]\nplugin = \"terminal\"\n\
        command = [\"sh\", \"-c\", \"while true; do echo tick; sleep 0.01; done\"]\n\
        [sinks.cast]\nplugin = \"asciicast\"\ninputs = [\"shell\"]\nsidecar = true\n";
    dir.write("p.toml", pipeline);
    let mut child = dir.tapedeck(&["run", "p.toml", "--directory", "out", "--session", "s"]).spawn();
    let cast = dir.path("out/s/cast.cast");
    crate::util::wait_until("there are some lines, and the manifest knows the file", || {
        std::fs::read_to_string(&cast).is_ok_and(|text| text.lines().count() > 20)
            && std::fs::read_to_string(dir.path("out/s/session.json"))
                .is_ok_and(|text| text.contains("cast.cast"))
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let recovered = dir.tapedeck(&["recover", "out/s", "--json"]).run();
    // A cast may leave frames out by intent: how many are lost is not known, and not taken for none.
    assert_eq!(recovered.code, 3, "{recovered:?}");
    let report: Value = serde_json::from_str(&recovered.stdout).unwrap();
    assert!(report["streams"][0]["frames"].as_u64() > Some(19), "{report}");
    assert_eq!(report["streams"][0]["lost"], Value::Null, "{report}");
    let events = lines(&std::fs::read_to_string(&cast).unwrap());
    assert!(events[1..].iter().all(|event| event[1] == "o") && events.len() > 20, "{events:?}");
    let inspected = dir.tapedeck(&["inspect", "out/s", "--json"]).run();
    let inspection: Value = serde_json::from_str(&inspected.stdout).unwrap();
    assert_eq!(inspection["files"].as_array().unwrap().len(), 1, "the sidecar is no recording: {inspection}");
    assert_eq!(inspection["files"][0]["error"], Value::Null);
}

#[test]
fn sessions_of_the_real_ssh_are_recorded_a_file_each() {
    let dir = Dir::new();
    let key = dir.path("key");
    let keygen = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(keygen.expect("openssh-client is needed: `make ssh` installs it").success());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = std::fs::read_to_string(root().join("pipelines/ssh-gateway.toml")).unwrap();
    dir.write("p.toml", &text);
    let (listen, keys) =
        (format!("LISTEN=127.0.0.1:{port}"), format!("AUTHORIZED_KEYS={}.pub", key.display()));
    let run = [
        "run",
        "p.toml",
        "--directory",
        "out",
        "--session",
        "s",
        "--set",
        &listen,
        "--set",
        &keys,
        "--quiet",
    ];
    let mut gateway = dir.tapedeck(&run).spawn();
    crate::util::wait_until("the gateway listens", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    for (user, status) in [("alice", 0), ("bob", 3)] {
        let output = Command::new("ssh")
            .args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"])
            .args([
                "-o",
                "UserKnownHostsFile=/dev/null",
                "-o",
                "LogLevel=ERROR",
                "-p",
                &port.to_string(),
                "-i",
            ])
            .arg(&key)
            .args([&format!("{user}@127.0.0.1"), &format!("echo hello {user}; exit {status}")])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        assert_eq!(output.stdout, format!("hello {user}\n").as_bytes());
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&gateway), rustix::process::Signal::INT)
        .unwrap();
    assert!(matches!(gateway.wait().unwrap().code(), Some(0 | 3)));
    let names = dir.names("out/s/sessions");
    for user in ["alice", "bob"] {
        let of_user =
            |end: &str| names.iter().find(|name| name.contains(user) && name.ends_with(end)).cloned();
        let cast = of_user(".cast").unwrap_or_else(|| panic!("{names:?}"));
        let text = std::fs::read_to_string(dir.path(&format!("out/s/sessions/{cast}"))).unwrap();
        assert!(text.contains(&format!("hello {user}")), "{text}");
        let sidecar = dir.path(&format!("out/s/sessions/{}", of_user(".json").unwrap()));
        let facts: Value = serde_json::from_str(&std::fs::read_to_string(sidecar).unwrap()).unwrap();
        assert_eq!((&facts["username"], &facts["status"]), (&json!(user), &json!("complete")), "{facts}");
        assert_eq!(facts["source_ip"], "127.0.0.1", "{facts}");
    }
}

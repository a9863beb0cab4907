//! Terminal recordings through the program: `rec`, `convert`, `inspect`, and what is left after a kill.

use serde_json::{Value, json};

use crate::util::Dir;

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
    assert_eq!(recovered.code, 0, "{recovered:?}");
    let events = lines(&std::fs::read_to_string(&cast).unwrap());
    assert!(events[1..].iter().all(|event| event[1] == "o") && events.len() > 20, "{events:?}");
    let inspected = dir.tapedeck(&["inspect", "out/s", "--json"]).run();
    let inspection: Value = serde_json::from_str(&inspected.stdout).unwrap();
    assert_eq!(inspection["files"].as_array().unwrap().len(), 1, "the sidecar is no recording: {inspection}");
    assert_eq!(inspection["files"][0]["error"], Value::Null);
}

//! Recordings of events before a Python program, and the program's before us.

use std::path::Path;

use serde_json::Value;

use crate::util::{Dir, python};

fn read(path: &Path) -> Value {
    python("lmsp.py", &[Path::new("read"), path])
}

#[test]
fn every_form_goes_over_into_every_other_one_and_python_reads_the_same() {
    let dir = Dir::new();
    std::fs::create_dir(dir.path("from")).unwrap();
    python("lmsp.py", &[Path::new("make"), &dir.path("from"), Path::new("80")]);
    let truth = read(&dir.path("from/rec.json"));
    for from in ["rec.lmsp.gz", "rec.json", "rec.bin"] {
        for to in ["a.lmsp.gz", "a.json", "a.lmsp"] {
            let made = format!("{from}-{to}");
            let done = dir.tapedeck(&["convert", &format!("from/{from}"), &made]).run();
            assert_eq!(done.code, 0, "{done:?}");
            let mut expected = truth.clone();
            if from == "rec.bin" {
                // The original form does not know how the recording ended.
                (expected["final_code"], expected["final_time"]) = ("".into(), 0.0.into());
            }
            let found = read(&dir.path(&made));
            for (key, value) in found.as_object().unwrap() {
                assert_eq!(value, &expected[key], "{made}: {key}");
            }
            let keys = if to == "a.lmsp" { 8 } else { 10 };
            assert_eq!(found.as_object().unwrap().len(), keys, "{made}");
        }
    }
    // Ours knows it.
    let done = dir.tapedeck(&["convert", "rec.json-a.lmsp", "back.json"]).run();
    assert_eq!((done.code, read(&dir.path("back.json"))), (0, truth));
    let same = |one: &str, other: &str| {
        std::fs::read(dir.path(one)).unwrap() == std::fs::read(dir.path(other)).unwrap()
    };
    assert!(same("from/rec.json", "rec.lmsp.gz-a.json"), "byte for byte what Python writes");
}

#[test]
fn a_recording_is_looked_at_and_its_state_told_at_any_moment_and_checkpoint() {
    let dir = Dir::new();
    python("lmsp.py", &[Path::new("make"), &dir.path("."), Path::new("50")]);
    let done = dir.tapedeck(&["inspect", "rec.lmsp.gz"]).run();
    for part in ["events: 3 button_press,", "players: 50 wings", "checkpoints: start at 0, é at 25"] {
        assert!(done.stdout.contains(part), "{part}: {}", done.stdout);
    }
    let truth = read(&dir.path("rec.json"));
    let at = |place: &str| {
        let done = dir.tapedeck(&["at", "rec.lmsp.gz", place]).run();
        (done.code, serde_json::from_str::<Value>(&done.stdout).unwrap_or_default(), done.stderr)
    };
    let (code, found, _) = at("é");
    assert_eq!((code, &found["seq"]), (0, &25.into()));
    assert_eq!(found["values"]["state"], truth["events"][25]["game_state"]);
    // Between two events the state is that of the first.
    let times: Vec<f64> = truth["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["timestamp"].as_f64().unwrap())
        .collect();
    let moment = times[30] - times[0] + (times[31] - times[30]) * 0.9;
    let (code, found, _) = at(&format!("{moment}s"));
    assert_eq!((code, &found["seq"], &found["values"]["data"]["n"]), (0, &30.into(), &30.into()));
    let (code, _, said) = at("stat");
    assert!(
        code == 2 && said.contains("Checkpoint 'stat' not found") && said.contains("start"),
        "{code} {said}"
    );
}

#[test]
fn events_are_recorded_with_deltas_of_states_and_come_back() {
    let dir = Dir::new();
    python("lmsp.py", &[Path::new("make"), &dir.path("."), Path::new("60")]);
    dir.write(
        "pipeline.toml",
        "[session]\njournal = \"off\"\n[sources.old]\nplugin = \"replay\"\npath = \"rec.json\"\ntiming = \"none\"\n\
         [transforms.small]\nplugin = \"state_delta\"\ninputs = [\"old\"]\n\
         [transforms.whole]\nplugin = \"state_undelta\"\ninputs = [\"small\"]\n\
         [sinks.deltas]\nplugin = \"jsonl\"\ninputs = [\"small\"]\n\
         [sinks.again]\nplugin = \"lmsp\"\ninputs = [\"whole\"]\nform = \"json\"\n",
    );
    let done = dir.tapedeck(&["run", "pipeline.toml", "--directory", "out", "--session", "s"]).run();
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(read(&dir.path("out/s/again.json")), read(&dir.path("rec.json")));
    let deltas = std::fs::read_to_string(dir.path("out/s/deltas.jsonl")).unwrap();
    let small = deltas.lines().filter(|line| line.contains("\"type\":\"delta\"")).count();
    assert!(small > 3, "{small} of 60");
}

#[test]
fn lines_on_standard_input_become_a_recording_that_python_reads() {
    let dir = Dir::new();
    python("lmsp.py", &[Path::new("make"), &dir.path("."), Path::new("3")]);
    let state = read(&dir.path("rec.json"))["events"][1]["game_state"].clone();
    let mut lines = String::new();
    for n in 0..50 {
        let event = serde_json::json!({ "type": "keystroke", "player_id": "wings", "data": { "n": n }, "state": state });
        lines.push_str(&format!("{event}\n"));
    }
    lines.push_str("{\"checkpoint\": \"end\"}\n{\"type\": \"unknown\"}\n");
    lines.push_str("{\"finish\": {\"success\": true, \"final_code\": \"ok\", \"final_time\": 1.5}}");
    dir.write("events.jsonl", &lines);
    let pipeline = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/events.toml");
    let pipeline = std::fs::read_to_string(pipeline).unwrap();
    dir.write("events.toml", &pipeline);
    let done = dir
        .tapedeck(&["run", "events.toml", "--directory", "out", "--session", "s"])
        .input(&dir.path("events.jsonl"))
        .run();
    assert_eq!(done.code, 3, "one line is none: {done:?}");
    assert!(done.stdout.contains("line 52 is no event: it has the unknown type \"unknown\""), "{done:?}");
    let found = read(&dir.path("out/s/recording.lmsp.gz"));
    let events = found["events"].as_array().unwrap();
    assert_eq!(events.len(), 51, "the checkpoint is an event, too");
    assert!(events[..50].iter().enumerate().all(|(n, event)| event["event"]["data"]["n"] == n));
    assert_eq!(events[0]["game_state"], state);
    assert_eq!(found["checkpoints"], serde_json::json!({ "end": 49 }));
    let facts = [&found["success"], &found["final_code"], &found["final_time"], &found["player_id"]];
    assert_eq!(facts, [&true.into(), &Value::from("ok"), &1.5.into(), &"wings".into()]);
}

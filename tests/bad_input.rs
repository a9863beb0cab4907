//! Everything wrong that a user can say: one clear message with a hint, exit code 2, and no file touched.

use serde_json::Value;

use crate::util::{Dir, Done, example};

const SINK: &str = "[sinks.x]\nplugin = \"arrow\"\ninputs = [\"game\"]\n";

fn attribute(keys: &str) -> String {
    source(&format!("pid = {}", std::process::id()), keys)
}

fn source(target: &str, keys: &str) -> String {
    format!(
        "[sources.game]\nplugin = \"memory\"\nrate = 60\n{target}\n[sources.game.attributes.health]\n{keys}\n{SINK}"
    )
}

/// Runs a pipeline that must be refused; returns what was said.
fn refused(pipeline: &str) -> Done {
    let dir = Dir::new();
    dir.write("p.toml", pipeline);
    let done = dir.tapedeck(&["run", "p.toml", "--duration", "200ms", "--directory", "out"]).run();
    assert_eq!(done.code, 2, "{pipeline}\n{done:?}");
    assert_eq!(dir.names("."), ["p.toml"], "no file is touched: {pipeline}");
    assert!(done.stdout.is_empty(), "{done:?}");
    done
}

fn assert_says(pipeline: &str, words: &[&str]) {
    let done = refused(pipeline);
    for word in words {
        assert!(done.stderr.contains(word), "expected {word:?} in:\n{}\nfor\n{pipeline}", done.stderr);
    }
    let helps = ["help", "hint"].iter().any(|word| done.stderr.contains(word));
    assert!(helps, "no hint in:\n{}", done.stderr);
}

#[test]
fn what_is_no_pipeline_is_refused_with_line_and_column() {
    assert_says("this is not TOML", &["p.toml:1:"]);
    assert_says(&format!("[sources.game]\nplugin = \"memory\"\nrate = \"often\"\n{SINK}"), &["p.toml:3:8"]);
    assert_says(
        &format!("[sources.game]\nplugin = \"synthetic\"\nrate = 0\n{SINK}"),
        &["p.toml:3:8", "rate"],
    );
    assert_says(
        &format!("[sources.game]\nplugin = \"synthetic\"\nrate = 100001\n{SINK}"),
        &["p.toml:3:8", "100"],
    );
    assert_says(
        &format!("[sources.game]\nplugin = \"synthetik\"\n{SINK}"),
        &["p.toml:2:10", "did you mean", "synthetic"],
    );
    assert_says(
        &format!("[sources.game]\nplugin = \"synthetic\"\ncolumms = 3\n{SINK}"),
        &["p.toml:3:1", "columns"],
    );
    assert_says(
        &format!("[sources.game]\nplugin = \"synthetic\"\nseed = \"${{SEED_OF_NOBODY}}\"\n{SINK}"),
        &["p.toml:3:", "SEED_OF_NOBODY"],
    );
    assert_says(
        "[sources.game]\nplugin = \"synthetic\"\n[sinks.x]\nplugin = \"arrow\"\ninputs = [\"gone\"]\n",
        &["gone"],
    );
    assert_says("", &["source"]);
}

#[test]
fn a_process_that_is_not_there_is_refused() {
    let keys = "address = 0x1000\ntype = \"int\"";
    assert_says(&source("process = \"no-such-game-anywhere\"", keys), &["no-such-game-anywhere", "p.toml:"]);
    assert_says(&source("pid = 4194304", keys), &["4194304"]);
    assert_says(&source("spawn = [\"./no-such-program\"]", keys), &["no-such-program"]);
}

#[test]
fn an_attribute_that_cannot_be_found_is_refused() {
    assert_says(
        &attribute("module = \"no-such-module.so\"\noffset = 0\ntype = \"int\""),
        &["no-such-module.so"],
    );
    assert_says(&attribute("address = 0x1000\ntype = \"array\"\nlength = 0"), &["length"]);
    assert_says(&attribute("pattern = \"48 8B XX\"\ntype = \"int\""), &["pattern", "p.toml:6:"]);
    assert_says(&attribute("address = 0x1000\ntype = \"integer\""), &["integer"]);
    // Spread out here so that the test's own memory does not hold it.
    let rare = (0..24).map(|n| format!("{:02X} ", (n * 37 + 11) % 251)).collect::<String>() + "?? ?? ?? ??";
    assert_says(&attribute(&format!("pattern = \"{rare}\"\ntype = \"int\"")), &["pattern", "is not in"]);
}

#[test]
fn a_pattern_with_several_matches_needs_a_choice() {
    let arcade = example("arcade");
    let target = format!("spawn = [\"{}\", \"--decoy\"]\nattach_timeout = \"2s\"", arcade.display());
    let keys = "pattern = \"48 8B 05 ?? ?? ?? ?? 54 41 50 45 44 45 43 4B\"\noffsets = [0x18, 0x10, 0x08]\ntype = \"int\"";
    assert_says(&source(&target, keys), &["match", "2"]);
}

#[test]
fn a_folder_that_cannot_be_used_is_refused() {
    let dir = Dir::new();
    let text = format!("[sources.game]\nplugin = \"synthetic\"\nrate = 60\n{SINK}");
    dir.write("p.toml", &text);
    dir.write("file", "");
    let done = dir.tapedeck(&["run", "p.toml", "--duration", "100ms", "--directory", "file"]).run();
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("file") && done.stderr.contains("hint"), "{done:?}");

    let done = dir.tapedeck(&["run", "p.toml", "--duration", "100ms", "--directory", "/proc/nowhere"]).run();
    assert_eq!(done.code, 2, "{done:?}");

    std::fs::create_dir_all(dir.path("out/s")).unwrap();
    let done =
        dir.tapedeck(&["run", "p.toml", "--duration", "100ms", "--directory", "out", "--session", "s"]).run();
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("already there") && done.stderr.contains("--session"), "{done:?}");
    assert!(dir.names("out/s").is_empty());

    let done = dir.tapedeck(&["run", "p.toml", "--session", "../escape"]).run();
    assert_eq!(done.code, 2);
    assert_eq!(dir.names("."), ["file", "out", "p.toml"]);
}

#[test]
fn rubbish_instead_of_a_recording_is_an_error_never_a_panic() {
    let dir = Dir::new();
    let printable: Vec<char> = (' '..='~').collect();
    // Several lines: a last line alone that makes no sense is what a kill leaves, and no error.
    let line = |n: usize| {
        (0..80).map(|m| printable[(n * 80 + m) * 7919 % printable.len()]).chain(['\n']).collect::<String>()
    };
    let rubbish: String = (0..50).map(line).collect();
    for name in ["x.h5", "x.parquet", "x.arrows", "x.csv", "x.jsonl", "x.mcap", "x.unknown"] {
        for text in ["", "x\nx\nx\n", rubbish.as_str()] {
            dir.write(name, text);
            let done = dir.tapedeck(&["inspect", name]).run();
            // Text without a line holds no frames; any text is a CSV header.
            let harmless = name == "x.csv" || (name == "x.jsonl" && text.is_empty());
            assert!(matches!(done.code, 1 | 2) || (done.code == 0 && harmless), "{name}: {done:?}");
        }
    }
    for arguments in [["inspect", "nowhere"], ["recover", "nowhere"], ["inspect", "."], ["recover", "."]] {
        let done = dir.tapedeck(&arguments).run();
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.stderr.contains("error: "), "{done:?}");
    }
    std::fs::create_dir(dir.path("session")).unwrap();
    dir.write("session/session.json", "{");
    assert_eq!(dir.tapedeck(&["recover", "session"]).run().code, 2);
}

/// Steers a terminal, by each kind of character that can: C0, C1, DEL, direction, and a line that passes for another.
const HOSTILE: &str = "x\u{1b}]0;title\u{7}\u{9b}2J\u{202e}\u{7f}\nerror: forged";

/// How parts of it are shown: to people, and in JSON.
const SPELLED: [&str; 2] = ["\\u{9b}2J\\u{202e}", "\\u009b2J\\u202e"];

/// Whether it is shown, and harmless.
fn shows_spelled(done: &Done, what: &str) -> bool {
    assert_harmless(done, what);
    SPELLED.iter().any(|spelled| [&done.stdout, &done.stderr].iter().any(|text| text.contains(spelled)))
}

fn assert_harmless(done: &Done, what: &str) {
    for text in [&done.stdout, &done.stderr] {
        let active = text.chars().find(|&c| tapedeck_sdk::visible::is_active(c) && c != '\n' && c != '\t');
        assert_eq!(active, None, "{what}: {done:?}");
        assert!(!text.lines().any(|line| line.starts_with("error: forged")), "{what}: {done:?}");
    }
}

/// A killed session whose manifest, column and stream names steer terminals.
fn hostile_session(dir: &Dir) {
    let pipeline = "[session]\nflush_interval = \"50ms\"\ndisk_free_min = \"0B\"\n\
        [sources.made]\nplugin = \"synthetic\"\nrate = 100\ncount = 30\n\
        [sinks.rows]\nplugin = \"csv\"\ninputs = [\"made\"]\n";
    dir.write("made.toml", pipeline);
    let run = ["run", "made.toml", "--directory", "out", "--session", "s", "--quiet"];
    assert!(matches!(dir.tapedeck(&run).run().code, 0 | 3));
    let path = dir.path("out/s/session.json");
    let mut manifest: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    for key in ["session", "started_at", "ended_at", "end"] {
        if manifest[key].is_string() {
            manifest[key] = HOSTILE.into();
        }
    }
    manifest["status"] = "recording".into();
    manifest["sinks"][0]["id"] = HOSTILE.into();
    manifest["sinks"][0]["inputs"][0]["stream"] = HOSTILE.into();
    manifest["artifacts"][0]["sink"] = HOSTILE.into();
    manifest["events"] =
        serde_json::json!([{ "at_ns": manifest["started_at_ns"], "event": "mark", "label": HOSTILE }]);
    std::fs::write(path, manifest.to_string()).unwrap();
}

/// Recordings and pipelines whose names and values steer terminals.
fn hostile_files(dir: &Dir) {
    let quoted = HOSTILE.replace('\n', "\\n");
    dir.write("c.csv", &format!("seq,timestamp,{}\n0,2023-11-14T22:13:20Z,1\n", quoted.replace("\\n", " ")));
    dir.write("words.jsonl", &format!("{}\n", serde_json::json!({ HOSTILE: HOSTILE, "seq": 0 })));
    let toml = serde_json::to_string(HOSTILE).unwrap().replace('\u{7f}', "\\u007f");
    let pipeline = |key: &str, plugin: &str| {
        format!(
            "# \u{9b}2J \u{202e}\n[session]\n[sources.a]\nplugin = {plugin}\n{key} = {toml}\nrate = 1\n[sinks.s]\nplugin = \"null\"\ninputs = [\"a\"] # \u{9b}31m\n"
        )
    };
    dir.write("key.toml", &pipeline(&toml, "\"synthetic\""));
    dir.write("value.toml", &pipeline("seed", "\"synthetic\""));
    dir.write("plugin.toml", &pipeline("seed", &toml));
    dir.write(
        "stage.toml",
        &pipeline("seed", "\"synthetic\"").replace("sources.a", &format!("sources.{toml}")),
    );
    let attribute = "[sources.a.attributes.h]\naddress = 4096\ntype = \"int\"\n[sinks.s]";
    dir.write("process.toml", &pipeline("process", "\"memory\"").replace("[sinks.s]", attribute));
    dir.write("raw\u{9b}2J\u{202e}.toml", "[session\n");
    let good = "[sources.a]\nplugin = \"synthetic\"\n[sinks.s]\nplugin = \"null\"\ninputs = [\"a\"]\n";
    dir.write(&format!("good{HOSTILE}"), good);
}

#[test]
fn text_of_others_steers_no_terminal_wherever_it_is_printed() {
    let dir = Dir::new();
    hostile_session(&dir);
    hostile_files(&dir);
    let started = dir.path(&format!("gone{HOSTILE}"));
    let started = started.to_str().unwrap();
    let [made, good] = ["made", "good"].map(|name| format!("{name}{HOSTILE}"));
    let (made, good) = (made.as_str(), good.as_str());
    let calls: [&[&str]; 31] = [
        &["inspect", "out/s"],
        &["inspect", "out/s", "--json"],
        &["sessions", "out"],
        &["sessions", "out", "--json"],
        &["recover", "out/s"],
        &["recover", "out/s", "--json"],
        &["inspect", "c.csv"],
        &["inspect", "words.jsonl"],
        &["inspect", "words.jsonl", "--json"],
        &["at", "words.jsonl", "0s"],
        &["at", "words.jsonl", "0s", "--stream", HOSTILE],
        &["convert", "c.csv", "c.jsonl", "--stream", HOSTILE],
        &["play", "c.csv", "--stream", HOSTILE],
        &["check", "key.toml"],
        &["check", "key.toml", "--json"],
        &["check", "value.toml"],
        &["check", "plugin.toml"],
        &["run", "process.toml", "--directory", "out"],
        &["check", "raw\u{9b}2J\u{202e}.toml"],
        &["check", good],
        &["check", "value.toml", "--set", HOSTILE],
        &["graph", "key.toml"],
        &["graph", "plugin.toml", "--format", "dot"],
        &["graph", "stage.toml", "--format", "mermaid"],
        &["new", "new.toml", "--source", HOSTILE, "--sink", "csv"],
        &["new", "new.toml", "--source", "synthetic", "--sink", HOSTILE],
        &["new", made, "--source", "synthetic", "--sink", "csv"],
        &["rec", made, "--", "true"],
        &["plugins", "inspect", HOSTILE],
        &["plugins", "new", HOSTILE],
        &["plugins", "check", started],
    ];
    let mut hidden = Vec::new();
    for call in calls {
        let name = call.join(" ");
        if !shows_spelled(&dir.tapedeck(call).run(), &name) {
            hidden.push(name);
        }
    }
    for verb in ["inspect", "recover", "check", "run", "play", "convert", "sessions", "graph"] {
        let target: &[&str] = if verb == "convert" { &[verb, started, "x.csv"] } else { &[verb, started] };
        if !shows_spelled(&dir.tapedeck(target).run(), verb) {
            hidden.push(verb.to_owned());
        }
    }
    // Nothing is left to say of a session that is recovered; a pipeline's own text has pictures of what steers.
    assert_eq!(hidden, ["recover out/s --json", "check value.toml"]);
}

//! Pipelines that are right, and what they mean.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::graph::{GraphFormat, render};
use crate::pipeline::{Journal, QueueConfig, SessionConfig, WhenFull};

/// Everything that a pipeline can say.
const FULL: &str = r#"# A desk.
[session]
directory = "${OUT:-out}/here"
duration = "90s"
flush_interval = "250ms"
disk_free_min = "1GiB"
journal = "keep"

[sinks.rows]
plugin = "null"
inputs = ["desk.video", { from = "small", queue = { frames = 10, when_full = "drop_oldest" } }]
queue = { frames = 100, bytes = "1MiB", time = "2s" }

[sources.game]
plugin = "memory"
process = "${NAME}"
rate = "${RATE:-62.5}"
threads = "${THREADS:-2}"
reattach = "${AGAIN:-true}"
timeout = "5s"
start = { at = "module", name = "arcade", offset = 0x10 }
attributes.mana = { type = "float", scale = "${SCALE:-0.5}", address = "main" }

[sources.game.attributes.health]
pattern = "48 8b"
offsets = [1, 0xFFFF_FFFF_FFFF_FFFF]
type = "int"
address = 4096

[sources.desk]
plugin = "screen"

[transforms.small]
plugin = "pass"
inputs = ["g*e"]
"#;

fn full() -> Pipeline {
    let variables = Variables::new(|name| (name == "NAME").then(|| "arcade\"\nplugin = \"evil".to_owned()));
    parse("full.toml", FULL, &variables, &registry()).unwrap_or_else(|wrong| panic!("{wrong}"))
}

#[test]
fn nodes_are_in_the_order_of_the_file() {
    let pipeline = full();
    let ids: Vec<&str> = pipeline.nodes.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids, ["rows", "game", "desk", "small"]);
    assert_eq!(pipeline.text, FULL);
    assert!(pipeline.warnings.is_empty(), "{}", pipeline.warnings);
}

#[test]
fn options_are_what_is_not_the_engines() {
    let pipeline = full();
    assert_eq!(pipeline.nodes[0].options, json!({}));
    assert_eq!(pipeline.nodes[1].rate_hz, Some(62.5));
    let expected = json!({
        "process": "arcade\"\nplugin = \"evil",
        "threads": 2,
        "reattach": true,
        "timeout": "5s",
        "start": { "at": "module", "name": "arcade", "offset": 16 },
        "attributes": {
            "mana": { "type": "float", "scale": 0.5, "address": "main" },
            "health": { "pattern": "48 8b", "offsets": [1, u64::MAX], "type": "int", "address": 4096 },
        },
    });
    assert_eq!(pipeline.nodes[1].options, expected);
    let names = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&pipeline.nodes[1].options["attributes"]),
        ["mana", "health"],
        "the order is the file's"
    );
}

#[test]
fn an_input_takes_its_own_queue_before_the_stages_and_the_stages_before_the_defaults() {
    let rows = &full().nodes[0];
    let [video, small] = &rows.inputs[..] else { panic!("two inputs") };
    assert_eq!((video.from, video.stream.as_deref()), (2, Some("video")));
    let shared = QueueConfig {
        frames: 100,
        bytes: 1 << 20,
        time: Some(Duration::from_secs(2)),
        when_full: WhenFull::Block,
    };
    assert_eq!(video.queue, shared);
    assert_eq!((small.from, small.stream.as_deref()), (3, None));
    assert_eq!(small.queue, QueueConfig { frames: 10, when_full: WhenFull::DropOldest, ..shared });
    assert_eq!(full().nodes[3].inputs[0].queue, QueueConfig::default());
}

#[test]
fn the_session_has_what_the_file_says_and_defaults_where_it_says_nothing() {
    let expected = SessionConfig {
        directory: "out/here".into(),
        duration: Some(Duration::from_secs(90)),
        flush_interval: Duration::from_millis(250),
        disk_free_min: 1 << 30,
        as_recorded: false,
        realtime: false,
        journal: Journal::Keep,
    };
    assert_eq!(full().session, expected);
    assert_eq!(checked(GAME).session, SessionConfig::default());
}

#[test]
fn globs_mean_all_other_stages_that_give_frames() {
    let pipeline = checked(&format!(
        "{GAME}[sinks.all]\nplugin = \"null\"\ninputs = [\"*\"]\n[transforms.t]\nplugin = \"pass\"\ninputs = [\"ga?e\"]\n"
    ));
    let from = |node: usize| pipeline.nodes[node].inputs.iter().map(|input| input.from).collect::<Vec<_>>();
    assert_eq!(from(2), [0, 3]);
    assert_eq!(from(3), [0]);
}

#[test]
fn an_option_is_found_in_the_text_as_far_as_its_path_leads() {
    let pipeline = full();
    let at = |path: &[&str]| pipeline.source.slice(&pipeline.locate(1, path)).to_owned();
    assert_eq!(at(&["attributes", "health", "pattern"]), "\"48 8b\"");
    assert_eq!(at(&["attributes", "health", "offsets", "0"]), "1");
    assert_eq!(at(&["attributes", "health", "length"]), "[sources.game.attributes.health]");
    assert_eq!(at(&["process"]), "\"${NAME}\"");
    assert_eq!(at(&["nothing"]), "[sources.game]");
    assert_eq!(at(&[]), "\"memory\"");
    assert_eq!(pipeline.source.slice(&pipeline.locate_id(1)), "game");
    assert_eq!(pipeline.locate(99, &["a"]), 0..0);
}

#[test]
fn an_error_of_opening_points_at_the_option_to_blame() {
    let error =
        Error::environment("found no process \"arcade\"").at_option(["process"]).with_hint("start it first");
    insta::assert_snapshot!(checked(GAME).diagnose(0, &error), @r#"
    error[E030]: source "game": found no process "arcade"
     --> game.toml:3:11
      |
    3 | process = "arcade"
      |           ^^^^^^^^
      |
      = hint: start it first

    game.toml: 1 error
    "#);
    insta::assert_snapshot!(checked(GAME).diagnose(1, &Error::data("too many columns")), @r#"
    error[E031]: sink "h5": too many columns
     --> game.toml:7:10
      |
    7 | plugin = "hdf5"
      |          ^^^^^^

    game.toml: 1 error
    "#);
}

#[test]
fn a_graph_as_text_lists_stages_with_what_they_read() {
    insta::assert_snapshot!(render(&full(), GraphFormat::Text), @r#"
    sources
      game   memory  62.5 Hz
      desk   screen
    transforms
      small  pass
        <- game  (block at 65536 frames, 64MiB)
    sinks
      rows   null
        <- desk.video  (block at 100 frames, 1MiB, 2s)
        <- small  (drop oldest at 10 frames, 1MiB, 2s)
    "#);
}

#[test]
fn a_graph_as_mermaid_is_a_flowchart() {
    insta::assert_snapshot!(render(&full(), GraphFormat::Mermaid), @r#"
    flowchart LR
        n0[("rows<br/>null")]
        n1(["game<br/>memory<br/>62.5 Hz"])
        n2(["desk<br/>screen"])
        n3["small<br/>pass"]
        n2 -->|"video<br/>block at 100 frames, 1MiB, 2s"| n0
        n3 -->|"drop oldest at 10 frames, 1MiB, 2s"| n0
        n1 -->|"block at 65536 frames, 64MiB"| n3
    "#);
}

#[test]
fn a_graph_as_dot_is_a_digraph() {
    insta::assert_snapshot!(render(&full(), GraphFormat::Dot), @r#"
    digraph pipeline {
        rankdir=LR;
        n0 [shape=cylinder, label="rows\nnull"];
        n1 [shape=oval, label="game\nmemory\n62.5 Hz"];
        n2 [shape=oval, label="desk\nscreen"];
        n3 [shape=box, label="small\npass"];
        n2 -> n0 [label="video\nblock at 100 frames, 1MiB, 2s"];
        n3 -> n0 [label="drop oldest at 10 frames, 1MiB, 2s"];
        n1 -> n3 [label="block at 65536 frames, 64MiB"];
    }
    "#);
}

#[test]
fn a_file_is_loaded_with_its_path_as_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("game.toml");
    std::fs::write(&path, GAME).unwrap();
    let pipeline = crate::pipeline::load(&path, &Variables::none(), &registry())
        .unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(pipeline.source.name, path.display().to_string());
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_change_nothing() {
    let pipeline = checked(&format!("\u{feff}{}", GAME.replace('\n', "\r\n")));
    assert_eq!(pipeline.nodes.len(), 2);
}

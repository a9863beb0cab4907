//! Nothing panics, whatever the text: arbitrary characters, and pipelines that were right before something was done to them.

use proptest::prelude::*;

use super::*;
use crate::graph::{GraphFormat, render};

/// Checks a text and shows everything that can be shown of the result.
fn exercise(text: &str) {
    match parse("x.toml", text, &Variables::none().with("A", "1"), &registry()) {
        Ok(pipeline) => {
            for (at, node) in pipeline.nodes.iter().enumerate() {
                assert_eq!(pipeline.source.slice(&pipeline.locate_id(at)).trim_matches(['"', '\'']), node.id);
            }
            assert!(!render(&pipeline, GraphFormat::Text).is_empty());
        }
        Err(wrong) => {
            assert!(wrong.errors() > 0);
            assert!(wrong.render(Style::Plain).contains("error"));
            assert!(wrong.render(Style::Coloured).contains("error"));
            let starts: Vec<usize> =
                wrong.iter().filter_map(|one| one.span.as_ref().map(|span| span.start)).collect();
            assert!(starts.is_sorted(), "{starts:?}");
            assert!(wrong.to_json().is_array());
        }
    }
}

const LARGE: &str = r#"[session]
directory = "${A}"
duration = "1s"
[sources.game]
plugin = "memory"
process = "${B:-é}"
rate = "${A}"
start = { at = "address", value = 5 }
attributes.mana = { type = "float", address = "main", offsets = [1, 2] }
[sources.game.attributes.health]
type = "int"
[transforms.t]
plugin = "pass"
inputs = ["g*", { from = "desk.video", queue = { frames = 5 } }]
[sources.desk]
plugin = "screen"
[sinks.h5]
plugin = "null"
inputs = ["t"]
path = "a/b.h5"
"#;

/// Cuts a piece of a text out and puts another one in, at whole characters.
fn mutated(text: &str, changes: &[(usize, usize, String)]) -> String {
    let mut text = text.to_owned();
    for (at, length, insert) in changes {
        let start = text.floor_char_boundary(at % (text.len() + 1));
        let end = text.ceil_char_boundary((start + length).min(text.len()));
        text.replace_range(start..end, insert);
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        exercise(&text);
    }

    #[test]
    fn text_of_toml_s_own_characters_never_panics(text in "[\\[\\]{}=\",.a-c0-9\n#'$ :-]{0,80}") {
        exercise(&text);
    }

    #[test]
    fn a_mutated_pipeline_never_panics(
        changes in proptest::collection::vec((any::<usize>(), 0_usize..12, "[\\[\\]{}=\",.*?a-z0-9\n${}é\u{0}\r\t-]{0,6}"), 1..5)
    ) {
        exercise(&mutated(LARGE, &changes));
    }

    #[test]
    fn a_pipeline_with_lines_moved_never_panics(order in proptest::collection::vec(0_usize..21, 0..30)) {
        let lines: Vec<&str> = LARGE.lines().collect();
        let text: Vec<&str> = order.iter().map(|at| lines[at % lines.len()]).collect();
        exercise(&text.join("\n"));
    }
}

#[test]
fn the_pipeline_that_is_mutated_is_right() {
    assert_eq!(checked(&LARGE.replace("\"${A}\"", "5").replace("directory = 5", "")).nodes.len(), 4);
}

#[test]
fn tables_that_are_nested_too_deep_are_refused() {
    exercise(&format!("a = {}", "[".repeat(100_000)));
    exercise(&format!("[{}a]", "a.".repeat(10_000)));
    exercise(&format!("a = {}1{}", "{b = ".repeat(5_000), "}".repeat(5_000)));
}

#[test]
fn many_errors_are_shown_up_to_a_limit() {
    let text: String = (0..500).map(|at| format!("key{at} = {at}\n")).collect();
    let shown = refused(&text);
    assert!(shown.contains("… and 402 more"), "{}", &shown[shown.len() - 100..]);
}

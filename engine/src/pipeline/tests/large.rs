//! Large pipelines: the work grows with the text, not with its square, and what a short text asks for has a limit.
//!
//! Two sizes are compared by the processor time of this thread. It is the ratio that counts, so a slow or busy machine changes nothing.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::*;
use crate::diagnostic::Code;
use crate::pipeline::option_rows;

/// How many times larger the second size is.
const TIMES: usize = 8;

/// The work may grow by this factor. The square of [`TIMES`] is 64.
const GROWTH_MAX: f64 = 26.0;

/// The processor time of this thread in seconds.
fn thread_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "a test takes few seconds")]
    let seconds = |part: i64| part as f64;
    seconds(time.tv_sec) + seconds(time.tv_nsec) / 1e9
}

/// The lesser time of two runs.
fn work(text: &str, variables: fn() -> Variables) -> f64 {
    let (registry, mut least) = (registry(), f64::MAX);
    for _ in 0..2 {
        let before = thread_seconds();
        match parse("large.toml", text, &variables(), &registry) {
            Ok(pipeline) => _ = crate::layout::threads(&pipeline),
            Err(wrong) => _ = (wrong.to_json(), wrong.render(Style::Plain)),
        }
        least = least.min(thread_seconds() - before);
    }
    least
}

fn grows_with_the_text(what: &str, count: usize, text: fn(usize) -> String) {
    grows_with(what, count, text, Variables::none);
}

fn grows_with(what: &str, count: usize, text: fn(usize) -> String, variables: fn() -> Variables) {
    let (small, large) = (work(&text(count), variables), work(&text(count * TIMES), variables));
    let growth = large / small;
    assert!(
        growth < GROWTH_MAX,
        "{what}: {TIMES} times the size takes {growth:.1} times the work ({small:.4} s, {large:.4} s)"
    );
}

/// One source, transforms in a row, one sink.
fn chain(count: usize) -> String {
    let mut text = String::from("[sources.s]\nplugin = \"screen\"\n");
    for at in 0..count {
        let above = if at == 0 { "s".to_owned() } else { format!("t{}", at - 1) };
        writeln!(text, "[transforms.t{at}]\nplugin = \"pass\"\ninputs = [\"{above}\"]").unwrap();
    }
    writeln!(text, "[sinks.k]\nplugin = \"null\"\ninputs = [\"t{}\"]", count - 1).unwrap();
    text
}

/// The same, and each stage stands before the one that it reads.
fn chain_upwards(count: usize) -> String {
    let text = chain(count);
    let (mut stages, mut rest) = (Vec::new(), text.as_str());
    while let Some(at) = rest[1..].find("\n[") {
        stages.push(&rest[..at + 2]);
        rest = &rest[at + 2..];
    }
    stages.push(rest);
    stages.reverse();
    stages.concat()
}

fn sources_and(count: usize, inputs: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    (0..count).for_each(|at| writeln!(text, "[sources.s{at}]\nplugin = \"screen\"").unwrap());
    let inputs: Vec<String> = (0..count).map(|at| format!("\"{}\"", inputs(at))).collect();
    writeln!(text, "[sinks.k]\nplugin = \"null\"\ninputs = [{}]", inputs.join(", ")).unwrap();
    text
}

#[test]
fn a_chain_of_stages_takes_work_in_proportion() {
    assert_eq!(checked(&chain(500)).nodes.len(), 502);
    assert_eq!(checked(&chain_upwards(500)).nodes.len(), 502);
    grows_with_the_text("a chain", 1_000, chain);
    grows_with_the_text("a chain upwards", 1_000, chain_upwards);
    grows_with_the_text("a circle", 1_000, |count| {
        chain(count).replace("inputs = [\"s\"]", &format!("inputs = [\"t{}\"]", count - 1))
    });
}

#[test]
fn the_inputs_of_one_sink_take_work_in_proportion() {
    grows_with_the_text("inputs", 1_000, |count| sources_and(count, |at| format!("s{at}")));
    grows_with_the_text("streams of one stage", 1_000, |count| {
        sources_and(count, |at| format!("s0.stream{at}"))
    });
    grows_with_the_text("inputs listed twice", 1_000, |count| {
        sources_and(count, |at| format!("s{}", at / 2))
    });
    grows_with_the_text("globs with one match", 1_000, |count| sources_and(count, |at| format!("s{at}?")));
}

#[test]
fn names_that_are_wrong_take_work_in_proportion() {
    grows_with_the_text("unknown inputs", 1_000, |count| sources_and(count, |at| format!("unknown{at}")));
    grows_with_the_text("unknown plugins", 500, |count| {
        chain(count).replace("plugin = \"pass\"", "plugin = \"pasz\"")
    });
    grows_with_the_text("unknown options", 1_000, |count| {
        let options: String = (0..count).map(|at| format!("proces{at} = 1\n")).collect();
        format!("[sources.game]\nplugin = \"memory\"\n{options}")
    });
    grows_with_the_text("one key again and again on one line", 1_000, |count| {
        format!("a = {{ {} b = 1 }}", "b = 1, ".repeat(count))
    });
    grows_with_the_text("one id in two tables", 1_000, |count| {
        let stages = (0..count).map(|at| {
            format!("[sources.a{at}]\nplugin = \"screen\"\n[sinks.a{at}]\nplugin = \"null\"\ninputs = [\"a{at}\"]\n")
        });
        stages.collect()
    });
}

#[test]
fn variables_take_work_in_proportion() {
    let one_each = |count: usize| {
        let list: Vec<String> = (0..count).map(|at| format!("\"${{V{at}:-x}}\"")).collect();
        format!("a = [{}]", list.join(", "))
    };
    grows_with_the_text("variables", 2_000, one_each);
    grows_with_the_text("variables of one string", 2_000, |count| {
        format!("a = \"{}\"", "${V:-x}".repeat(count))
    });
    grows_with_the_text("variables that are not set", 2_000, |count| {
        format!("a = \"{}\"", "${V} ".repeat(count))
    });
    grows_with_the_text("variables that escapes hide", 2_000, |count| {
        format!("a = \"{}\"", "\\u0024{V:-x}".repeat(count))
    });
    let settings =
        || (0..2_000).fold(Variables::none(), |variables, at| variables.with(format!("V{at}"), "1"));
    grows_with(
        "variables beside many settings",
        1_000,
        |count| format!("a = \"{}\"", (0..count).map(|at| format!("${{W{at}}}")).collect::<String>()),
        settings,
    );
}

#[test]
fn a_glob_may_not_make_more_inputs_than_the_limit() {
    let mut text = String::new();
    for at in 0..600 {
        writeln!(text, "[transforms.t{at}]\nplugin = \"pass\"\ninputs = [\"t*\"]").unwrap();
    }
    let shown = refused(&text);
    assert!(shown.contains("E027") && shown.contains("too many inputs, the limit is 200000"), "{shown}");
}

#[test]
fn globs_may_not_be_compared_with_more_names_than_the_limit() {
    let wrong = wrong(&sources_and(1_200, |at| format!("*x{at}")), &Variables::none());
    let refused = wrong.iter().find(|one| one.code == Code::TooLarge).expect("it is too large");
    assert!(refused.message.contains("too many globs to compare with names"), "{refused:?}");
}

#[test]
fn long_values_may_not_be_asked_for_again_and_again() {
    let variables = Variables::none().with("V", "x".repeat(1 << 20));
    let shown = wrong(&format!("a = \"{}\"", "${V}".repeat(1_000)), &variables).render(Style::Plain);
    assert!(
        shown.contains("E027") && shown.contains("more than 16777216 bytes together"),
        "{}",
        &shown[..400]
    );
}

#[test]
fn names_that_are_long_are_not_compared() {
    // Comparing takes the product of the lengths: 10^12 steps.
    let name = "x".repeat(1 << 20);
    let shown = refused(&format!(
        "[sources.{name}]\nplugin = \"screen\"\n[sinks.k]\nplugin = \"null\"\ninputs = [\"{name}y\"]"
    ));
    assert!(shown.contains("E013") && shown.contains("E018"));
}

#[test]
fn kinds_do_not_double_in_each_layer() {
    // Each layer reads both stages of the layer above: 2^40 ways.
    let mut text = String::from("[sources.a0]\nplugin = \"screen\"\n[sources.b0]\nplugin = \"screen\"\n");
    for at in 1..=40 {
        for id in ["a", "b"] {
            let above = at - 1;
            writeln!(text, "[transforms.{id}{at}]\nplugin = \"pass\"\ninputs = [\"a{above}\", \"b{above}\"]")
                .unwrap();
        }
    }
    text.push_str("[sinks.k]\nplugin = \"null\"\ninputs = [\"a40\", \"b40\"]\n");
    assert_eq!(checked(&text).nodes.len(), 83);
}

/// A schema whose option `x` is one of `width` choices, each of which is the same again.
fn endless(width: usize) -> Value {
    let again = vec![json!({ "$ref": "#/$defs/Again" }); width];
    let lists = vec![json!({ "type": "array", "items": { "$ref": "#/$defs/Again" } }); width];
    json!({
        "type": "object",
        "properties": { "x": { "$ref": "#/$defs/Again" } },
        "required": ["x", "y"],
        "$defs": { "Again": { "anyOf": again.into_iter().chain(lists).collect::<Vec<_>>() } },
    })
}

/// What is said of options under a schema.
fn said(schema: Value, options: &str) -> String {
    let description = Description::source("endless", "Has no end").gives(&[Kind::Image]);
    let open = |_: &Value, _| Err(Error::plugin("is never opened"));
    let opener = tapedeck_sdk::Opener::Source(Box::new(open));
    let descriptor = tapedeck_sdk::Descriptor { description, options: schema };
    let factory = Factory::from_parts(descriptor, Box::new(|_| Ok(())), opener).unwrap();
    let text = format!(
        "[sources.s]\nplugin = \"endless\"\n{options}\n[sinks.k]\nplugin = \"null\"\ninputs = [\"s\"]"
    );
    let plugins = Registry::new([factory, Factory::sink::<Null>()]);
    parse("x.toml", &text, &Variables::none().with("V", "1"), &plugins)
        .map_or_else(|wrong| wrong.to_string(), |_| String::new())
}

#[test]
fn a_schema_that_refers_to_itself_eight_times_has_an_end() {
    let rows = option_rows(&endless(8));
    assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["x"]);
    assert!(rows[0].type_name.chars().count() <= 401, "{}", rows[0].type_name);
    let missing = said(endless(8), "");
    assert!(missing.contains("the option \"x\" is missing"), "{missing}");
    for options in ["x = 5", "x = \"${V}\"", "x = { y = 5 }"] {
        let shown = said(endless(8), options);
        assert!(shown.contains("the option \"y\" is missing"), "{options}:\n{shown}");
    }
    // What takes too many steps to find out is left to the plugin.
    let nested = format!("x = {}5{}", "[".repeat(60), "]".repeat(60));
    assert_eq!(said(endless(8), &nested), "");
}

#[test]
fn references_in_a_row_and_in_a_ring_have_an_end() {
    let mut definitions = serde_json::Map::new();
    for at in 0..100_000 {
        definitions.insert(format!("d{at}"), json!({ "$ref": format!("#/$defs/d{}", (at + 1) % 100_000) }));
    }
    let schema = json!({ "properties": { "x": { "$ref": "#/$defs/d0" } }, "$defs": definitions });
    assert_eq!(option_rows(&schema).len(), 1);
    assert_eq!(said(schema, "x = [[[1]]]"), "");
}

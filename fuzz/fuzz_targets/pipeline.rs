//! Arbitrary bytes as a pipeline's text: it is read and checked, and what is wrong with it is shown, without a panic.
//!
//! The plugins are stand-ins with options of every shape: this target is about the engine's parser and checks alone.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tapedeck_engine::Registry;
use tapedeck_engine::diagnostic::Style;
use tapedeck_engine::graph::{GraphFormat, render};
use tapedeck_engine::pipeline::{Variables, parse};
use tapedeck_sdk::{Description, Descriptor, Error, Factory, Kind, Opener, PluginKind};

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let attribute = json!({
        "type": "object",
        "properties": {
            "type": { "oneOf": [{ "const": "int" }, { "const": "float" }] },
            "offsets": { "type": "array", "items": { "type": "integer", "minimum": 0 }, "maxItems": 8 },
            "address": { "anyOf": [{ "type": "integer" }, { "type": "string", "minLength": 1 }] },
            "wait": { "type": ["string", "null"], "format": "duration" },
            "next": { "$ref": "#/$defs/attribute" },
        },
        "required": ["type"],
        "additionalProperties": false,
    });
    let options = json!({
        "type": "object",
        "properties": {
            "attributes": { "type": "object", "additionalProperties": { "$ref": "#/$defs/attribute" } },
            "size": { "type": "string", "format": "bytes" },
        },
        "additionalProperties": false,
        "$defs": { "attribute": attribute },
    });
    let path = json!({ "type": "object", "properties": { "path": { "type": "string" } }, "additionalProperties": false });
    Registry::new([
        factory(Description::source("memory", "").gives(&[Kind::Attributes]).needs_rate(), options),
        factory(Description::source("screen", "").gives(&[Kind::Image]), json!({})),
        factory(Description::transform("pass", ""), json!({ "$ref": "#" })),
        factory(Description::sink("hdf5", "").takes(&[Kind::Attributes]).writes("h5"), path),
        factory(Description::sink("null", ""), json!(true)),
    ])
});

fn factory(description: Description, options: Value) -> Factory {
    let refuse = || Error::plugin("a stand-in is never opened");
    let opener = match description.kind {
        PluginKind::Source => Opener::Source(Box::new(move |_, _| Err(refuse()))),
        PluginKind::Transform => Opener::Transform(Box::new(move |_, _| Err(refuse()))),
        PluginKind::Sink => Opener::Sink(Box::new(move |_, _, _| Err(refuse()))),
    };
    let descriptor = Descriptor { description, options };
    Factory::from_parts(descriptor, Box::new(|_| Ok(())), opener)
        .expect("the opener is of the descriptor's kind")
}

fuzz_target!(|text: &str| {
    match parse("fuzz.toml", text, &Variables::none().with("A", "1"), &REGISTRY) {
        Ok(pipeline) => {
            for format in [GraphFormat::Text, GraphFormat::Mermaid, GraphFormat::Dot] {
                assert!(!render(&pipeline, format).is_empty());
            }
        }
        Err(wrong) => {
            assert!(wrong.errors() > 0);
            assert!(!wrong.render(Style::Plain).is_empty());
            assert!(wrong.to_json().is_array());
        }
    }
});

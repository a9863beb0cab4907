//! Pipelines and what is said about them. The toy plugins here have options of every shape; none of them runs.

mod diagnostics;
mod large;
mod options;
mod properties;
mod valid;

use std::collections::BTreeMap;
use std::path::PathBuf;

use tapedeck_sdk::options::{ByteSize, DurationText};
use tapedeck_sdk::prelude::*;

use super::{Pipeline, Variables, parse};
use crate::Registry;
use crate::diagnostic::{Diagnostics, Style};

/// Options of the toy source `memory`.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read by serde")]
pub(super) struct MemoryOptions {
    /// The name of the process. Its first thread counts.
    process: String,
    /// What is read at each tick.
    #[serde(default)]
    attributes: BTreeMap<String, Attribute>,
    /// How long to wait for the process.
    #[serde(default)]
    timeout: Option<DurationText>,
    /// The most memory that is scanned.
    #[serde(default)]
    scan_max: Option<ByteSize>,
    /// How many threads scan.
    #[serde(default)]
    #[schemars(range(min = 1, max = 64), extend("x-unit" = "threads"))]
    threads: Option<u8>,
    /// Where to begin.
    #[serde(default)]
    start: Option<Start>,
    /// Whether to wait for it again.
    #[serde(default)]
    reattach: bool,
}

/// One value in memory.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read by serde")]
struct Attribute {
    /// The bytes to search for.
    #[serde(default)]
    pattern: Option<String>,
    /// The pointer chain.
    #[serde(default)]
    offsets: Vec<u64>,
    /// The type.
    r#type: Type,
    /// The length in bytes.
    #[serde(default = "one")]
    #[schemars(range(min = 1), extend("x-unit" = "bytes"))]
    length: u32,
    /// The address: a number or a name.
    #[serde(default)]
    address: Option<Address>,
    /// A factor.
    #[serde(default)]
    scale: Option<f64>,
}

fn one() -> u32 {
    1
}

#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Type {
    /// 32 bits.
    Int,
    /// Single precision.
    Float,
    /// Bytes.
    Array,
}

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only read by serde")]
enum Address {
    Number(u64),
    Name(String),
}

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(tag = "at", rename_all = "snake_case", deny_unknown_fields)]
#[expect(dead_code, reason = "only read by serde")]
enum Start {
    /// A module and an offset.
    Module { name: String, offset: u64 },
    /// An address.
    Address { value: u64 },
}

/// Options of the other toys.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FileOptions {
    /// The file.
    #[serde(default)]
    #[expect(dead_code, reason = "only read by serde")]
    path: Option<PathBuf>,
}

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoOptions {}

/// Declares a toy source.
macro_rules! toy_source {
    ($name:ident, $options:ty, $describe:expr, $check:expr) => {
        struct $name;
        impl Source for $name {
            fn streams(&self) -> &[Arc<StreamSchema>] {
                &[]
            }
            fn next(&mut self, _: Timestamp) -> Result<Next, Error> {
                Ok(Next::End)
            }
        }
        impl OpenSource for $name {
            type Options = $options;
            fn describe() -> Description {
                $describe
            }
            fn check(options: &$options) -> Result<(), Error> {
                let check: fn(&$options) -> Result<(), Error> = $check;
                check(options)
            }
            fn open(_: $options, _: Context) -> Result<Self, Error> {
                Ok(Self)
            }
        }
    };
}

toy_source!(
    Memory,
    MemoryOptions,
    Description::source("memory", "Reads memory").gives(&[Kind::Attributes]).needs_rate(),
    |options| {
        for (name, attribute) in &options.attributes {
            if attribute.pattern.as_deref() == Some("zz") {
                let error = Error::option(
                    ["attributes", name, "pattern"],
                    format!("\"zz\" in \"{name}\" is no pattern"),
                );
                return Err(error.with_hint("write bytes as two hex digits each, `??` for any"));
            }
        }
        Ok(())
    }
);
toy_source!(
    Screen,
    NoOptions,
    Description::source("screen", "Takes pictures").gives(&[Kind::Image]),
    |_| Ok(())
);

/// Declares a toy transform.
macro_rules! toy_transform {
    ($name:ident, $describe:expr) => {
        struct $name;
        impl Transform for $name {
            fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
                Ok(inputs.to_vec())
            }
            fn process(&mut self, _: usize, _: Batch, _: &mut dyn Outputs) -> Result<(), Error> {
                Ok(())
            }
        }
        impl OpenTransform for $name {
            type Options = NoOptions;
            fn describe() -> Description {
                $describe
            }
            fn open(_: NoOptions, _: Context) -> Result<Self, Error> {
                Ok(Self)
            }
        }
    };
}
toy_transform!(Pass, Description::transform("pass", "Changes nothing"));
toy_transform!(
    Ocr,
    Description::transform("ocr", "Reads pictures").takes(&[Kind::Image]).gives(&[Kind::Attributes])
);

/// Declares a toy sink.
macro_rules! toy_sink {
    ($name:ident, $describe:expr) => {
        struct $name;
        impl Sink for $name {
            fn write(&mut self, _: usize, _: Batch) -> Result<Written, Error> {
                Ok(Written::ALL)
            }
            fn flush(&mut self) -> Result<Written, Error> {
                Ok(Written::ALL)
            }
            fn finish(self: Box<Self>) -> Result<Written, Error> {
                Ok(Written::ALL)
            }
        }
        impl OpenSink for $name {
            type Options = FileOptions;
            fn describe() -> Description {
                $describe
            }
            fn open(_: FileOptions, _: &[Arc<StreamSchema>], _: Context) -> Result<Self, Error> {
                Ok(Self)
            }
        }
    };
}
toy_sink!(
    Hdf5,
    Description::sink("hdf5", "Writes HDF5").takes(&[Kind::Attributes, Kind::Event]).writes("h5")
);
toy_sink!(Null, Description::sink("null", "Writes nothing"));

/// The toys.
pub(super) fn registry() -> Registry {
    Registry::new([
        Factory::source::<Memory>(),
        Factory::source::<Screen>(),
        Factory::transform::<Pass>(),
        Factory::transform::<Ocr>(),
        Factory::sink::<Hdf5>(),
        Factory::sink::<Null>(),
    ])
}

/// A pipeline that is right.
fn checked(text: &str) -> Pipeline {
    parse("game.toml", text, &Variables::none(), &registry()).unwrap_or_else(|wrong| panic!("{wrong}"))
}

/// What is wrong with a pipeline.
fn wrong(text: &str, variables: &Variables) -> Diagnostics {
    match parse("game.toml", text, variables, &registry()) {
        Ok(_) => panic!("this pipeline should be refused:\n{text}"),
        Err(diagnostics) => diagnostics,
    }
}

/// What is wrong with a pipeline, as the user sees it.
fn refused(text: &str) -> String {
    wrong(text, &Variables::none()).render(Style::Plain)
}

/// What is wrong with a source `game` that has these lines; the rest is right.
fn refused_source(lines: &str) -> String {
    refused(&format!(
        "[sources.game]\nplugin = \"memory\"\nrate = 60\n{lines}\n\n[sinks.h5]\nplugin = \"hdf5\"\ninputs = [\"game\"]\n"
    ))
}

/// What is wrong with a `[session]`; the rest is right.
fn refused_session(lines: &str) -> String {
    refused(&format!("[session]\n{lines}\n\n{GAME}"))
}

/// The smallest pipeline.
const GAME: &str = r#"[sources.game]
plugin = "memory"
process = "arcade"
rate = 60

[sinks.h5]
plugin = "hdf5"
inputs = ["game"]
"#;

//! `play --into`: a recording as one more source of a pipeline. The source is added to the pipeline's text, so that the session's
//! manifest says everything that it was made from.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tapedeck_engine::RunOptions;
use tapedeck_engine::pipeline;
use tapedeck_engine::replay::Reel;
use tapedeck_sdk::Error;

use super::arguments::{PlayArguments, Speed};
use crate::output::print_error;
use crate::run::{self, Telling};
use crate::{builtins, exit};

/// What the source is called.
const ID: &str = "replay";

/// `tapedeck play PATH --into PIPELINE`.
pub(super) fn play_into(arguments: &PlayArguments, file: &Path, plugin_path: &[PathBuf]) -> u8 {
    let into = &arguments.into;
    let telling = Telling { json: into.json, quiet: into.quiet, interval: None };
    let registry = builtins::with_files(plugin_path);
    let refused = |error: &Error| {
        print_error(error, telling.json);
        exit::of(error)
    };
    // What is wrong with the recording is said of it, and not of a pipeline that the user did not write.
    let opened = Reel::open(&registry, std::slice::from_ref(&arguments.path), &arguments.stream);
    let added = match opened.and_then(|_| source(arguments)) {
        Ok(added) => added,
        Err(error) => return refused(&error),
    };
    let variables = match run::variables(&into.settings) {
        Ok(variables) => variables,
        Err(code) => return code,
    };
    let text = match run::read_text(file) {
        Ok(text) => text,
        Err(diagnostics) => return run::refuse_pipeline(&diagnostics, telling.json),
    };
    if has_source(&text) {
        let error =
            Error::environment(format!("the pipeline has a source \"{ID}\" already: {}", file.display()));
        return refused(
            &error.with_hint("--into adds a source of that name: give the other one another name"),
        );
    }
    let text = format!("{}\n\n{added}", text.trim_end());
    let pipeline = match pipeline::parse(&run::name(file), &text, &variables, &registry) {
        Ok(pipeline) => pipeline,
        Err(diagnostics) => return run::refuse_pipeline(&diagnostics, telling.json),
    };
    let options = RunOptions {
        directory: into.directory.clone(),
        session: into.session.clone(),
        name: run::stem(file),
        duration: None,
        ..RunOptions::default()
    };
    run::record(pipeline, &registry, &options, telling)
}

/// Whether the pipeline has such a source itself. What is wrong with its text is said when it is read as a whole.
fn has_source(text: &str) -> bool {
    let Ok(table) = text.parse::<toml::Table>() else { return false };
    table.get("sources").and_then(toml::Value::as_table).is_some_and(|sources| sources.contains_key(ID))
}

#[derive(Serialize)]
struct Added {
    sources: Sources,
}

#[derive(Serialize)]
struct Sources {
    replay: Replay,
}

/// `[sources.replay]`.
#[derive(Serialize)]
struct Replay {
    plugin: &'static str,
    path: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    streams: Vec<String>,
    speed: Option<f64>,
    timing: Option<&'static str>,
    start: Option<String>,
    duration: Option<String>,
    r#loop: Option<bool>,
}

/// The table of the source.
fn source(arguments: &PlayArguments) -> Result<String, Error> {
    let path = arguments.path.to_str().ok_or_else(|| {
        Error::environment(format!("the name is no text: {}", arguments.path.display()))
            .with_hint("a pipeline can name only files whose names are UTF-8: rename it")
    })?;
    let (speed, timing) = match arguments.speed {
        Speed::Times(times) => (Some(times), None),
        Speed::Max => (None, Some("none")),
    };
    let replay = Replay {
        plugin: "replay",
        path: plain(path),
        streams: arguments.stream.iter().map(|stream| plain(stream)).collect(),
        speed,
        timing,
        start: arguments.start.map(|start| start.to_string()),
        duration: arguments.duration.map(|duration| duration.to_string()),
        r#loop: arguments.r#loop.then_some(true),
    };
    toml::to_string(&Added { sources: Sources { replay } })
        .map_err(|error| Error::environment(format!("can't write the source \"{ID}\": {error}")))
}

/// A text in which nothing is a variable.
fn plain(text: &str) -> String {
    text.replace("${", "$${")
}

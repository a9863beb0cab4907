//! `new`: a pipeline to begin with, written from what the plugins say of themselves, so that it never ages. Knows no plugin.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use tapedeck_engine::Registry;
use tapedeck_engine::diagnostic::Diagnostics;
use tapedeck_engine::pipeline::{OptionRow, Variables, option_rows, parse};
use tapedeck_sdk::names::did_you_mean;
use tapedeck_sdk::{Error, Factory, PluginKind};

use crate::arguments::NewArguments;
use crate::output::{print, print_error, word};
use crate::{builtins, exit, run};

/// The longest line of a comment.
const COLUMNS_MAX: usize = 100;

/// A rate for sources that need one.
const RATE: &str = "60";

/// The keys of a stage that are the engine's.
const ENGINE_KEYS: &[&str] = &["plugin", "inputs", "queue", "rate"];

/// `tapedeck new`.
pub(crate) fn new(arguments: &NewArguments, plugin_path: &[PathBuf]) -> u8 {
    match write(arguments, &builtins::with_files(plugin_path)) {
        Ok(()) => exit::COMPLETE,
        Err(Refused::Plainly(error)) => {
            print_error(&error, false);
            exit::of(&error)
        }
        Err(Refused::Pipeline(diagnostics)) => run::refuse_pipeline(&diagnostics, false),
    }
}

/// Why nothing was written.
enum Refused {
    Plainly(Error),
    /// The stages do not fit together.
    Pipeline(Box<Diagnostics>),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Plainly(error)
    }
}

fn write(arguments: &NewArguments, registry: &Registry) -> Result<(), Refused> {
    let text = text(arguments, registry)?;
    let name = run::name(&arguments.path);
    parse(&name, &text, &Variables::new(|_| None), registry)
        .map_err(|diagnostics| Refused::Pipeline(Box::new(diagnostics)))?;
    let path = arguments.path.as_path();
    if path == Path::new("-") {
        print(&text);
        return Ok(());
    }
    let made = std::fs::File::options().write(true).create_new(true).open(path);
    let written = made.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::environment(format!("the file is already there: {}", path.display()))
                .with_hint("give another name, or remove the file")
        }
        _ => Error::io("write the pipeline", path, &error),
    })?;
    let path = word(path.display());
    print(&format!(
        "wrote {path}\n  hint: fill it in, then `tapedeck check {path}` and `tapedeck run {path}`\n"
    ));
    Ok(())
}

/// The pipeline.
fn text(arguments: &NewArguments, registry: &Registry) -> Result<String, Error> {
    let source = plugin(registry, PluginKind::Source, &arguments.source)?;
    let sinks: Vec<&String> = arguments.sink.iter().collect();
    let id = source_id(arguments);
    let mut text = format!(
        "# `tapedeck check` says what is wrong with this file, `tapedeck run` records what it declares.\n\
         # A key behind a # has its default, or none: remove the # to set it.\n\n\
         [session]\n# directory = \"recordings\"\n# flush_interval = \"1s\"\n\n\
         {}[sources.{id}]\nplugin = {}\n",
        comment(&source.descriptor().summary),
        quoted(&arguments.source)
    );
    stage(&mut text, &format!("sources.{id}"), &source);
    let mut ids = vec![id.clone()];
    for name in sinks {
        let sink = plugin(registry, PluginKind::Sink, name)?;
        let own = (1..).map(|n| if n == 1 { stem(name) } else { format!("{}-{n}", stem(name)) });
        let own = own.into_iter().find(|id| !ids.contains(id)).unwrap_or_default();
        write!(
            text,
            "\n{}[sinks.{own}]\nplugin = {}\ninputs = [{}]\n",
            comment(&sink.descriptor().summary),
            quoted(name),
            quoted(&id)
        )
        .expect("writing into a string never fails");
        stage(&mut text, &format!("sinks.{own}"), &sink);
        ids.push(own);
    }
    Ok(text)
}

fn plugin(registry: &Registry, kind: PluginKind, name: &str) -> Result<Arc<Factory>, Error> {
    let found = registry.resolve(kind, name)?;
    found.filter(|factory| factory.descriptor().kind == kind).ok_or_else(|| {
        let names = registry.names(kind);
        let hint = did_you_mean(name, names.iter().map(String::as_str), &format!("{kind}s"));
        Error::environment(format!("there is no {kind} \"{name}\"")).with_hint(hint)
    })
}

/// What the source is called: as the file, if a stage can be.
fn source_id(arguments: &NewArguments) -> String {
    let id = stem(&arguments.path.to_string_lossy());
    if id.is_empty() || arguments.sink.contains(&id) { stem(&arguments.source) } else { id }
}

/// A file's or plugin's name as the id of a stage.
fn stem(name: &str) -> String {
    let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    stem.chars().map(plain).collect::<String>().trim_matches('-').to_owned()
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A stage's options: those of the plugin's own example are set, the others are shown.
fn stage(text: &mut String, path: &str, factory: &Factory) {
    let descriptor = factory.descriptor();
    let example = descriptor.options.pointer("/examples/0").and_then(Value::as_object);
    let mut example = example.cloned().unwrap_or_default();
    let rate = example.remove("rate").map(|rate| rate.to_string());
    let rate = rate.or_else(|| descriptor.needs_rate.then(|| RATE.to_owned()));
    if let Some(rate) = rate {
        text.push_str(&format!("# So often a second: a number of Hz, or such as \"1kHz\"\nrate = {rate}\n"));
    }
    let mut rows = option_rows(&descriptor.options);
    // A plugin's option of the same name as a key of the engine can't be set here.
    rows.retain(|row| !ENGINE_KEYS.contains(&row.name.as_str()));
    table(text, path, "", &rows, &example);
}

/// The options of one table, and the tables below it that the example has. Of tables with names of the user's the first one shows all
/// options.
fn table(text: &mut String, path: &str, prefix: &str, rows: &[OptionRow], example: &Map<String, Value>) {
    let own: Vec<(&str, &OptionRow)> = rows
        .iter()
        .filter_map(|row| Some((row.name.strip_prefix(prefix)?, row)))
        .filter(|(key, _)| !key.contains(['.', '[']))
        .collect();
    let is_table = |key: &str| example.get(key).is_some_and(Value::is_object);
    for (key, row) in own.iter().filter(|(key, _)| *key != "NAME" && !is_table(key)) {
        text.push_str(&comment(first_sentence(&row.doc)));
        match example.get(*key).and_then(toml_text) {
            Some(value) => text.push_str(&format!("{key} = {value}\n")),
            None => text.push_str(&format!("# {key} = {}\n", shown(row))),
        }
    }
    let tables = example.iter().filter_map(|(key, value)| Some((key, value.as_object()?)));
    for (at, (key, inner)) in tables.enumerate() {
        let doc = own.iter().find(|(name, _)| name == key).map(|(_, row)| &row.doc);
        let path = format!("{path}.{key}");
        if inner.values().any(|value| !value.is_object()) {
            text.push_str(&format!(
                "\n{}[{path}]\n",
                comment(first_sentence(doc.map_or("", String::as_str)))
            ));
        }
        if doc.is_none() && at > 0 {
            let set = inner.iter().filter_map(|(key, value)| Some((key, toml_text(value)?)));
            set.for_each(|(key, value)| text.push_str(&format!("{key} = {value}\n")));
        } else {
            let prefix = format!("{prefix}{}.", if doc.is_some() { key } else { "NAME" });
            table(text, &path, &prefix, rows, inner);
        }
    }
}

/// What an option that is not set is shown with: its default, or what it takes.
fn shown(row: &OptionRow) -> String {
    let default = row.default.as_ref().and_then(toml_text).filter(|text| text != "\"\"");
    let choice = || row.choices.first().map(|choice| quoted(choice));
    default.or_else(choice).unwrap_or_else(|| format!("({})", row.type_name))
}

/// A value as a pipeline has it, on one line.
fn toml_text(value: &Value) -> Option<String> {
    toml::Value::try_from(value).ok().map(|value| value.to_string())
}

fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.')
}

/// Text as lines of comment.
fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > COLUMNS_MAX && line.len() > 1 {
            lines.push_str(&line);
            lines.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    if line.len() > 1 { lines + &line + "\n" } else { lines }
}

//! Reads the tables of stages: ids, plugins, inputs, queues, rates, and which keys are the plugin's own.
//!
//! Knows the keys of the engine; of a plugin only its descriptor.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value;
use tapedeck_sdk::{Factory, PluginKind};

use super::hints::Hints;
use super::references::{self, Reference};
use super::schema::{self, Schema};
use super::session::{QueuePatch, queue};
use super::tree::{Entry, Located, Table, Tree};
use super::{Span, fields};
use crate::Registry;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use tapedeck_sdk::names::{closest, did_you_mean, list};

/// The fastest that a source may be polled, in Hz.
const RATE_HZ_MAX: f64 = 100_000.0;

/// The most characters of an id: files are named after it.
const ID_LENGTH_MAX: usize = 128;

/// The tables of stages and their kinds.
pub(super) const KINDS: &[(&str, PluginKind)] =
    &[("sources", PluginKind::Source), ("transforms", PluginKind::Transform), ("sinks", PluginKind::Sink)];

/// A stage as its table declares it, read but not yet connected.
pub(super) struct Stage {
    pub(super) id: String,
    pub(super) id_span: Span,
    pub(super) kind: PluginKind,
    /// The plugin, if there is one of that name.
    pub(super) factory: Option<Arc<Factory>>,
    /// Where the plugin is named; the id where it isn't.
    pub(super) plugin_span: Span,
    /// The plugin's own options with their places.
    pub(super) options: Located,
    pub(super) rate_hz: Option<f64>,
    pub(super) has_rate: bool,
    pub(super) inputs: Vec<Declared>,
    /// Whether every declared input could be read.
    pub(super) inputs_sound: bool,
}

/// An input as it is declared.
pub(super) struct Declared {
    pub(super) pattern: String,
    pub(super) span: Span,
    pub(super) queue: QueuePatch,
}

/// The plugins, with the schemas of those that were met: each is compiled once.
struct Plugins<'r> {
    registry: &'r Registry,
    schemas: HashMap<*const Factory, Rc<Schema>>,
    hints: Hints,
}

impl Plugins<'_> {
    fn schema(&mut self, factory: &Arc<Factory>) -> Rc<Schema> {
        let compile = || Rc::new(Schema::compile(&factory.descriptor().options));
        self.schemas.entry(Arc::as_ptr(factory)).or_insert_with(compile).clone()
    }
}

/// Reads all stages, in the order of the file.
pub(super) fn read(root: &Table, registry: &Registry, diagnostics: &mut Diagnostics) -> Vec<Stage> {
    let mut plugins = Plugins { registry, schemas: HashMap::new(), hints: Hints::new() };
    let mut stages = Vec::new();
    for (name, kind) in KINDS {
        let Some(entry) = root.get(name) else { continue };
        let table = fields::table(entry, diagnostics);
        for entry in table.into_iter().flat_map(|table| &table.entries) {
            match &entry.value.tree {
                Tree::Table(table) => {
                    stages.push(stage(entry, table, *kind, &mut plugins, diagnostics));
                }
                Tree::Missing => {}
                _ => {
                    let hint =
                        format!("a stage is a table: `[{name}.{}]`, below it `plugin = \"…\"`", entry.key);
                    diagnostics.push(fields::wrong_type(entry, "a table", &hint));
                }
            }
        }
    }
    stages.sort_by_key(|stage| stage.id_span.start);
    check_ids(&stages, diagnostics);
    stages
}

fn stage(
    entry: &Entry,
    table: &Table,
    kind: PluginKind,
    plugins: &mut Plugins<'_>,
    diagnostics: &mut Diagnostics,
) -> Stage {
    let (factory, plugin_span) = plugin(entry, table, kind, plugins.registry, diagnostics);
    let schema = factory.as_ref().map(|factory| plugins.schema(factory));
    let has_option = |name: &str| schema.as_ref().is_some_and(|schema| schema.has_option(name));
    let mut stage = Stage {
        id: entry.key.clone(),
        id_span: entry.key_span.clone(),
        kind,
        plugin_span,
        options: Located {
            span: entry.value.span.clone(),
            tree: Tree::Table(Table::default()),
            environment: None,
        },
        rate_hz: None,
        has_rate: false,
        inputs: Vec::new(),
        inputs_sound: true,
        factory,
    };
    let mut options = Table::default();
    let mut shared = QueuePatch::default();
    for key in &table.entries {
        match (key.key.as_str(), kind) {
            ("plugin", _) => {}
            ("rate", PluginKind::Source) => {
                stage.has_rate = true;
                stage.rate_hz = fields::frequency(key, (0.0, RATE_HZ_MAX), diagnostics);
            }
            ("inputs", PluginKind::Transform | PluginKind::Sink) => stage.read_inputs(key, diagnostics),
            ("queue", PluginKind::Transform | PluginKind::Sink) => shared = queue(key, diagnostics),
            (name @ ("rate" | "inputs" | "queue"), _) if !has_option(name) => {
                diagnostics.push(misplaced(key, kind));
            }
            _ => options.entries.push(key.clone()),
        }
    }
    stage.forgive_typing_errors(&options, has_option);
    for input in &mut stage.inputs {
        input.queue = input.queue.or(shared);
    }
    stage.options.tree = Tree::Table(options);
    if let Some(schema) = &schema {
        stage.check_options(schema, &plugins.hints, diagnostics);
    }
    stage
}

fn misplaced(key: &Entry, kind: PluginKind) -> Diagnostic {
    let hint = match key.key.as_str() {
        "rate" => "only sources are polled: put the rate on the source",
        "queue" => "a queue stands before the stage that reads: put it on the sink or transform",
        _ => "frames come from the source itself: remove the key",
    };
    let message = format!("a {kind} has no \"{}\"", key.key);
    Diagnostic::new(Code::MisplacedKey, key.key_span.clone(), message).hint(hint)
}

/// The plugin that the table names, and where.
fn plugin(
    entry: &Entry,
    table: &Table,
    kind: PluginKind,
    registry: &Registry,
    diagnostics: &mut Diagnostics,
) -> (Option<Arc<Factory>>, Span) {
    let Some(key) = table.get("plugin") else {
        let near = table.entries.iter().find(|other| closest(&other.key, ["plugin"]).is_some());
        if let Some(other) = near {
            diagnostics.push(fields::unknown_key(other, &["plugin"], &format!("in a {kind}")));
            return (None, other.key_span.clone());
        }
        let hint = format!("add `plugin = \"…\"`; {kind}s: {}", listed(registry, kind));
        let message = format!("the {kind} \"{}\" names no plugin", entry.key);
        diagnostics.push(Diagnostic::new(Code::MissingKey, entry.key_span.clone(), message).hint(hint));
        return (None, entry.key_span.clone());
    };
    let span = key.value.span.clone();
    let Some(name) = fields::text(key, diagnostics) else { return (None, span) };
    match registry.resolve(kind, name) {
        Ok(Some(factory)) if factory.descriptor().kind == kind => return (Some(factory), span),
        Ok(Some(factory)) => {
            let found = factory.descriptor().kind;
            let message = format!("\"{name}\" is a {found}, not a {kind}");
            let hint = format!("put it into `[{found}s.{}]`", entry.key);
            diagnostics.push(Diagnostic::new(Code::WrongPluginKind, span.clone(), message).hint(hint));
            return (None, span);
        }
        Ok(None) => {}
        Err(error) => {
            let mut diagnostic = Diagnostic::new(Code::UnusablePlugin, span.clone(), error.message);
            diagnostic.hint = error.hint;
            diagnostics.push(diagnostic);
            return (None, span);
        }
    }
    let elsewhere = KINDS.iter().find(|(_, other)| registry.find(*other, name).is_some());
    diagnostics.push(match elsewhere {
        Some((other_table, other)) => {
            let message = format!("\"{name}\" is a {other}, not a {kind}");
            let hint = format!(
                "put it into `[{other_table}.{}]`, or choose one of the {kind}s: {}",
                entry.key,
                listed(registry, kind)
            );
            Diagnostic::new(Code::WrongPluginKind, span.clone(), message).hint(hint)
        }
        None => Diagnostic::new(Code::UnknownPlugin, span.clone(), format!("there is no {kind} \"{name}\""))
            .hint(did_you_mean(name, registry.names(kind).iter().map(String::as_str), &format!("{kind}s"))),
    });
    (None, span)
}

/// The plugins of a kind, in a sentence.
fn listed(registry: &Registry, kind: PluginKind) -> String {
    list(registry.names(kind).iter().map(String::as_str))
}

impl Stage {
    /// A key that is nearly one of the engine's is reported as unknown; that the right one is missing need not be said too.
    fn forgive_typing_errors(&mut self, options: &Table, has_option: impl Fn(&str) -> bool) {
        let nearly = |name: &str| {
            let mut unknown = options.entries.iter().filter(|entry| !has_option(&entry.key));
            unknown.any(|entry| closest(&entry.key, [name]).is_some())
        };
        self.inputs_sound &= !nearly("inputs");
        self.has_rate |= nearly("rate");
    }

    fn read_inputs(&mut self, key: &Entry, diagnostics: &mut Diagnostics) {
        let items = match &key.value.tree {
            Tree::Array(items) => items,
            Tree::Missing => {
                self.inputs_sound = false;
                return;
            }
            _ => {
                self.inputs_sound = false;
                let hint = format!(
                    "write `inputs = [{}]`",
                    key.value.as_text().map_or("\"…\"".into(), |id| format!("\"{id}\""))
                );
                diagnostics.push(fields::wrong_type(key, "an array", &hint));
                return;
            }
        };
        for item in items {
            let declared = declared(item, diagnostics);
            self.inputs_sound &= declared.is_some();
            self.inputs.extend(declared);
        }
    }

    /// Checks the plugin's options: first against the schema, which knows places, then by the plugin itself.
    fn check_options(&mut self, schema: &Schema, hints: &Hints, diagnostics: &mut Diagnostics) {
        let Some(factory) = &self.factory else { return };
        let engine_keys: &[&str] = if self.kind == PluginKind::Source {
            &["plugin", "rate"]
        } else {
            &["plugin", "inputs", "queue"]
        };
        let sound = schema::check(schema, &mut self.options, engine_keys, hints, diagnostics);
        if !sound || self.options.is_incomplete() {
            return;
        }
        if let Err(error) = factory.check(&self.options.to_json()) {
            let span = self.locate(&error.option);
            let message = format!("{} \"{}\": {}", self.kind, self.id, error.message);
            let plugin = &factory.descriptor().name;
            let hint = error
                .hint
                .unwrap_or_else(|| format!("`tapedeck plugins inspect {plugin}` lists the options"));
            diagnostics.push(Diagnostic::new(Code::PluginOptions, span, message).hint(hint));
        }
    }

    /// The place of an option; without a path, the place of the plugin's name.
    fn locate(&self, path: &[String]) -> Span {
        if path.is_empty() { self.plugin_span.clone() } else { self.options.locate(path) }
    }

    /// The text of an option.
    pub(super) fn text_option(&self, name: &str) -> Option<(&str, Span)> {
        let Tree::Table(table) = &self.options.tree else { return None };
        let value = &table.get(name)?.value;
        value.as_text().map(|text| (text, value.span.clone()))
    }

    /// The options that come from the environment.
    pub(super) fn references(&self) -> Vec<Reference> {
        references::references(&self.options)
    }

    /// The options as the plugin takes them.
    pub(super) fn options_json(&self) -> Value {
        self.options.to_json()
    }
}

/// One element of `inputs`: text, or a table with `from` and `queue`.
fn declared(item: &Located, diagnostics: &mut Diagnostics) -> Option<Declared> {
    match &item.tree {
        Tree::Table(table) => {
            let (mut from, mut misspelt, mut patch) = (None, false, QueuePatch::default());
            for entry in &table.entries {
                match entry.key.as_str() {
                    "from" => from = Some(entry),
                    "queue" => patch = queue(entry, diagnostics),
                    _ => {
                        misspelt |= closest(&entry.key, ["from"]).is_some();
                        diagnostics.push(fields::unknown_key(entry, &["from", "queue"], "in an input"));
                    }
                }
            }
            if from.is_none() && misspelt {
                return None;
            }
            let Some(entry) = from else {
                let message = "an input has no \"from\"";
                let hint = "write `{ from = \"id\", queue = { … } }`";
                diagnostics.push(Diagnostic::new(Code::MissingKey, item.span.clone(), message).hint(hint));
                return None;
            };
            let pattern = fields::text(entry, diagnostics)?.to_owned();
            Some(Declared { pattern, span: entry.value.span.clone(), queue: patch })
        }
        Tree::Missing => None,
        _ => match item.as_text() {
            Some(text) => Some(Declared {
                pattern: text.to_owned(),
                span: item.span.clone(),
                queue: QueuePatch::default(),
            }),
            None => {
                let message = format!("an input must be a string or a table, found {}", item.type_name());
                let hint = "write the id of a source or transform in quotation marks";
                diagnostics.push(Diagnostic::new(Code::WrongType, item.span.clone(), message).hint(hint));
                None
            }
        },
    }
}

fn check_ids(stages: &[Stage], diagnostics: &mut Diagnostics) {
    let mut first_of: HashMap<&str, &Stage> = HashMap::with_capacity(stages.len());
    for stage in stages {
        let Stage { id, id_span, .. } = stage;
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if id.is_empty() || id.len() > ID_LENGTH_MAX || !id.chars().all(allowed) {
            let message = format!("\"{id}\" can't be the id of a stage");
            let hint = format!(
                "files are named after it: use letters, digits, `_` and `-`, {ID_LENGTH_MAX} at most"
            );
            diagnostics.push(Diagnostic::new(Code::BadId, id_span.clone(), message).hint(hint));
        }
        let first = *first_of.entry(id).or_insert(stage);
        if !std::ptr::eq(first, stage) {
            let message =
                format!("the id \"{id}\" is given twice: to a {} and to a {}", first.kind, stage.kind);
            diagnostics.push(
                Diagnostic::new(Code::DuplicateId, id_span.clone(), message)
                    .label("given again")
                    .other(first.id_span.clone(), "first given here")
                    .hint("each stage needs an id of its own: give one of the two another name"),
            );
        }
    }
}

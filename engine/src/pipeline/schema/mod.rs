//! Checks a plugin's options against the JSON Schema of its descriptor, with the place of each fault.
//!
//! Knows the part of JSON Schema (draft 2020-12) that `schemars` writes: `$ref`, `type`, `enum`, `const`, `properties`,
//! `required`, `additionalProperties`, `unevaluatedProperties`, `items`, `prefixItems`, lengths, ranges, `anyOf`, `oneOf`, `allOf`
//! and the formats of numbers, durations and sizes. Whatever else a schema says is left to the plugin's own `check`, which
//! has the last word in any case. A general validator is not used because it knows JSON pointers and no places, takes a
//! variable for a string, and costs some 25 crates.

mod branches;
mod scalar;
mod tree;
mod words;

use std::collections::HashSet;
use std::fmt;

use serde_json::Value;

pub(super) use tree::{Id, Node, Others, Schema, Steps};

use super::hints::Hints;
use super::tree::{Entry, Located, Table, Tree, readings};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};

/// How deep a schema and its value are followed. TOML itself ends at 80.
const DEPTH_MAX: usize = 160;

/// How many steps a check takes at most, and how many more for each value: a schema that refers to itself has no end.
const STEPS_MAX: usize = 10_000;
const VALUE_STEPS_MAX: usize = 500;

/// How many characters of a key a message shows.
const KEY_SHOWN_MAX: usize = 128;

/// Checks the options, turns variables into the type that the schema asks for, and reports what is wrong. `engine_keys` are what
/// may stand beside the options.
pub(super) fn check(
    schema: &Schema,
    options: &mut Located,
    engine_keys: &[&str],
    hints: &Hints,
    diagnostics: &mut Diagnostics,
) -> bool {
    let steps = Steps::new(STEPS_MAX + VALUE_STEPS_MAX * options.count());
    let checker = Checker { schema, steps, engine_keys, hints };
    checker.turn_variables(Schema::ROOT, options, 0);
    let faults = checker.faults(Schema::ROOT, options, &Path::default());
    let sound = faults.is_empty();
    faults.into_iter().for_each(|fault| diagnostics.push(fault.diagnostic));
    sound
}

/// The way to a value. Its text is made when a message needs it.
#[derive(Debug, Clone, Copy, Default)]
struct Path<'p> {
    above: Option<&'p Path<'p>>,
    key: Option<&'p str>,
    index: Option<usize>,
    depth: usize,
}

impl<'p> Path<'p> {
    fn key(&'p self, key: &'p str) -> Self {
        Self { key: Some(key), ..self.deeper() }
    }

    fn index(&'p self, at: usize) -> Self {
        Self { index: Some(at), ..self.deeper() }
    }

    /// The same place, one schema deeper.
    fn deeper(&'p self) -> Self {
        Self { above: Some(self), depth: self.depth + 1, ..Self::default() }
    }

    /// Where something is, for the end of a sentence; nothing at the root.
    fn place(&self) -> String {
        let text = self.to_string();
        if text.is_empty() { text } else { format!(" in \"{text}\"") }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<&Self> = std::iter::successors(Some(self), |path| path.above).collect();
        let mut dot = "";
        for step in steps.into_iter().rev() {
            if let Some(key) = step.key {
                write!(formatter, "{dot}{}", words::short(key, KEY_SHOWN_MAX))?;
                dot = ".";
            }
            if let Some(index) = step.index {
                write!(formatter, "[{index}]")?;
            }
        }
        Ok(())
    }
}

/// One thing that is wrong.
struct Fault {
    depth: usize,
    /// Whether the value is of a type that the schema doesn't take: the branch wasn't meant.
    is_type: bool,
    diagnostic: Diagnostic,
}

impl Fault {
    fn new(path: &Path, diagnostic: Diagnostic) -> Self {
        Self { depth: path.depth, is_type: diagnostic.code == Code::WrongType, diagnostic }
    }

    fn bad_value(path: &Path, value: &Located, message: String, hint: impl Into<String>) -> Self {
        Self::new(path, Diagnostic::new(Code::BadValue, value.span.clone(), message).hint(hint))
    }
}

struct Checker<'s> {
    schema: &'s Schema,
    steps: Steps,
    engine_keys: &'s [&'s str],
    hints: &'s Hints,
}

impl Checker<'_> {
    /// What is wrong with a value.
    fn faults(&self, id: Id, value: &Located, path: &Path) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.value(id, value, path, &mut faults);
        faults
    }

    /// Gives each variable the first meaning (text, integer, float, boolean) that the schema takes.
    fn turn_variables(&self, id: Id, value: &mut Located, depth: usize) {
        if depth >= DEPTH_MAX || !self.steps.take(1) {
            return;
        }
        match &mut value.tree {
            Tree::Variable(text) => {
                let text = text.clone();
                let meanings = std::iter::once(Value::String(text.clone())).chain(readings(&text));
                let mut meanings = meanings.map(|meaning| Located {
                    span: value.span.clone(),
                    tree: Tree::Scalar(meaning),
                    environment: None,
                });
                // That a number is in range is said later, in the words of the type that was meant.
                let is_meant = |meaning: &Located| {
                    !self.faults(id, meaning, &Path::default()).iter().any(|fault| fault.is_type)
                };
                if let Some(meant) = meanings.find(is_meant) {
                    value.tree = meant.tree;
                }
            }
            Tree::Table(table) => {
                let parts = self.schema.parts(id);
                for entry in table.entries.iter_mut().filter(|_| self.steps.take(parts.len())) {
                    for id in parts.iter().filter_map(|part| self.schema.node(*part).of_key(&entry.key)) {
                        self.turn_variables(id, &mut entry.value, depth + 1);
                    }
                }
            }
            Tree::Array(items) => {
                let parts = self.schema.parts(id);
                for (at, item) in items.iter_mut().enumerate().filter(|_| self.steps.take(parts.len())) {
                    for id in parts.iter().filter_map(|part| self.schema.node(*part).of_element(at)) {
                        self.turn_variables(id, item, depth + 1);
                    }
                }
            }
            Tree::Scalar(_) | Tree::Missing => {}
        }
    }

    fn value(&self, id: Id, value: &Located, path: &Path, faults: &mut Vec<Fault>) {
        if value.tree == Tree::Missing || path.depth >= DEPTH_MAX || !self.steps.take(1) {
            return;
        }
        let node = self.schema.node(id);
        if node.refused {
            let message = format!("\"{path}\" is not taken here");
            faults.push(Fault::bad_value(path, value, message, "remove it"));
            return;
        }
        if let Some(target) = node.refers {
            self.value(target, value, &path.deeper(), faults);
        }
        if !node.types.is_empty() && !node.types.iter().any(|name| name.takes(value)) {
            let expected = self.schema.text(id);
            faults.push(Fault::new(path, wrong_type(value, path, &expected, node)));
            return;
        }
        node.all.iter().for_each(|&branch| self.value(branch, value, &path.deeper(), faults));
        node.any.iter().for_each(|group| self.branches(group, value, path, faults));
        match &value.tree {
            Tree::Table(table) => self.table(id, table, value, path, faults),
            Tree::Array(items) => self.array(id, items, value, path, faults),
            _ if self.steps.take(node.constants.as_ref().map_or(0, Vec::len)) => {
                scalar::check(node, value, path, faults);
            }
            _ => {}
        }
    }

    fn table(&self, id: Id, table: &Table, value: &Located, path: &Path, faults: &mut Vec<Fault>) {
        let node = self.schema.node(id);
        let named: HashSet<&str> =
            if node.closed { self.schema.names_of(id).collect() } else { HashSet::new() };
        self.steps.take(named.len());
        // A key that was meant is reported under the name it has.
        let mut meant = HashSet::new();
        for entry in &table.entries {
            let inner = path.key(&entry.key);
            match (node.properties.get(&entry.key), node.others) {
                (Some(&id), _) | (None, Others::Of(id)) => self.value(id, &entry.value, &inner, faults),
                (None, Others::Refused) => {
                    let names = || node.properties.keys().map(String::as_str);
                    meant.extend(self.hints.closest(&entry.key, names()));
                    faults.push(Fault::new(&inner, self.unknown_key(entry, names(), path)));
                }
                (None, Others::Taken) => {}
            }
            if node.closed && !named.contains(entry.key.as_str()) {
                faults.push(Fault::new(&inner, self.unknown_key(entry, named.iter().copied(), path)));
            }
        }
        let there: HashSet<&str> = table.entries.iter().map(|entry| entry.key.as_str()).collect();
        for name in node.required.iter().filter(|name| !there.contains(&***name) && !meant.contains(&***name))
        {
            let missing = self.missing_key(name, node.properties.get(name).copied(), value, path);
            faults.push(Fault::new(&path.deeper(), missing));
        }
    }

    fn unknown_key<'n>(
        &'n self,
        entry: &Entry,
        known: impl Iterator<Item = &'n str>,
        path: &Path,
    ) -> Diagnostic {
        let place = path.place();
        let beside = self.engine_keys.iter().copied().filter(|_| place.is_empty());
        Diagnostic::new(
            Code::UnknownKey,
            entry.key_span.clone(),
            format!("unknown option \"{}\"{place}", entry.key),
        )
        .hint(self.hints.did_you_mean(&entry.key, known.chain(beside), "options here"))
    }

    fn missing_key(&self, name: &str, property: Option<Id>, value: &Located, path: &Path) -> Diagnostic {
        let text = property.map_or(String::new(), |property| format!(" ({})", self.schema.text(property)));
        let about = property.and_then(|property| self.schema.sentence_about(property));
        let hint = format!("add `{name}`{text}{}", about.map_or(String::new(), |about| format!(": {about}")));
        let message = format!("the option \"{name}\" is missing{}", path.place());
        Diagnostic::new(Code::MissingKey, value.span.clone(), message).hint(hint)
    }

    fn array(&self, id: Id, items: &[Located], value: &Located, path: &Path, faults: &mut Vec<Fault>) {
        let node = self.schema.node(id);
        for (at, item) in items.iter().enumerate() {
            if let Some(id) = node.of_element(at) {
                self.value(id, item, &path.index(at), faults);
            }
        }
        let (min, max) = (node.elements.0, node.elements.1.unwrap_or(usize::MAX));
        if !(min..=max).contains(&items.len()) {
            let (bound, count) = if items.len() < min { ("at least", min) } else { ("at most", max) };
            let message = format!("\"{path}\" must have {bound} {count} elements, found {}", items.len());
            let text = self.schema.text(id);
            let hint = match &node.about {
                Some(about) => format!("it is {text}: {}", about.lines().next().unwrap_or_default()),
                None => node.hint(&text),
            };
            faults.push(Fault::bad_value(path, value, message, hint));
        }
    }
}

fn wrong_type(value: &Located, path: &Path, expected: &str, node: &Node) -> Diagnostic {
    let message = format!("\"{path}\" must be {expected}, found {}", value.type_name());
    Diagnostic::new(Code::WrongType, value.span.clone(), message)
        .label(format!("expected {expected}"))
        .hint(node.hint(expected))
}

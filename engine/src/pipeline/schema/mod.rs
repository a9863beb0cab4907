//! Checks a plugin's options against the JSON Schema of its descriptor, with the place of each fault.
//!
//! Knows the part of JSON Schema (draft 2020-12) that `schemars` writes: `$ref`, `type`, `enum`, `const`, `properties`,
//! `required`, `additionalProperties`, `unevaluatedProperties`, `items`, `prefixItems`, lengths, ranges, `anyOf`, `oneOf`, `allOf`
//! and the formats of numbers, durations and sizes. Whatever else a schema says is left to the plugin's own `check`, which
//! has the last word in any case. A general validator is not used because it knows JSON pointers and no places, takes a
//! variable for a string, and costs some 25 crates.

mod branches;
mod scalar;
mod view;

use std::cell::Cell;

use serde_json::Value;
use tapedeck_sdk::Factory;

pub(super) use view::View;

use super::tree::{Entry, Located, Table, Tree, readings};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use tapedeck_sdk::names::{closest, did_you_mean};

/// How deep a schema and its value are followed. TOML itself ends at 80.
const DEPTH_MAX: usize = 160;

/// How many steps a check takes at most: a schema that refers to itself must not hang the engine.
const STEPS_MAX: u64 = 5_000_000;

/// Checks the options, turns variables into the type that the schema asks for, and reports what is wrong. `engine_keys` are what
/// may stand beside the options.
pub(super) fn check(
    schema: &Value,
    options: &mut Located,
    engine_keys: &[&str],
    diagnostics: &mut Diagnostics,
) -> bool {
    let steps = Cell::new(STEPS_MAX);
    let checker = Checker { view: View::new(schema), steps: &steps, engine_keys };
    checker.turn_variables(schema, options, 0);
    let mut faults = Faults::default();
    checker.value(schema, options, &Path::default(), &mut faults);
    let sound = faults.list.is_empty();
    faults.list.into_iter().for_each(|fault| diagnostics.push(fault.diagnostic));
    sound
}

/// Whether the plugin has an option of that name.
pub(super) fn has_option(factory: Option<&Factory>, name: &str) -> bool {
    factory.is_some_and(|factory| {
        let schema = &factory.descriptor().options;
        View::new(schema).properties(schema).any(|(property, _)| property == name)
    })
}

/// The way to a value, for messages.
#[derive(Debug, Clone, Default)]
struct Path {
    text: String,
    depth: usize,
}

impl Path {
    fn key(&self, key: &str) -> Self {
        let text = if self.text.is_empty() { key.to_owned() } else { format!("{}.{key}", self.text) };
        Self { text, depth: self.depth + 1 }
    }

    fn index(&self, at: usize) -> Self {
        Self { text: format!("{}[{at}]", self.text), depth: self.depth + 1 }
    }

    /// The same place, one schema deeper.
    fn deeper(&self) -> Self {
        Self { text: self.text.clone(), depth: self.depth + 1 }
    }
}

/// One thing that is wrong.
struct Fault {
    depth: usize,
    /// Whether the value is of a type that the schema doesn't take: the branch wasn't meant.
    is_type: bool,
    diagnostic: Diagnostic,
}

#[derive(Default)]
struct Faults {
    list: Vec<Fault>,
}

impl Faults {
    fn push(&mut self, path: &Path, diagnostic: Diagnostic) {
        self.list.push(Fault { depth: path.depth, is_type: diagnostic.code == Code::WrongType, diagnostic });
    }
}

struct Checker<'s> {
    view: View<'s>,
    steps: &'s Cell<u64>,
    engine_keys: &'s [&'s str],
}

impl Checker<'_> {
    /// Takes a step; `false` when there were too many, or the way is too deep.
    fn step(&self, depth: usize) -> bool {
        let left = self.steps.get();
        self.steps.set(left.saturating_sub(1));
        left > 0 && depth < DEPTH_MAX
    }

    fn is_sound(&self, schema: &Value, value: &Located) -> bool {
        let mut faults = Faults::default();
        self.value(schema, value, &Path::default(), &mut faults);
        faults.list.is_empty()
    }

    /// Gives each variable the first meaning (text, integer, float, boolean) that the schema takes.
    fn turn_variables(&self, schema: &Value, value: &mut Located, depth: usize) {
        if !self.step(depth) {
            return;
        }
        match &mut value.tree {
            Tree::Variable(text) => {
                let text = text.clone();
                let meanings = std::iter::once(Value::String(text.clone())).chain(readings(&text));
                let span = value.span.clone();
                let mut meanings = meanings.map(|meaning| Located {
                    span: span.clone(),
                    tree: Tree::Scalar(meaning),
                    environment: None,
                });
                if let Some(meant) = meanings.find(|meaning| self.type_is_right(schema, meaning)) {
                    value.tree = meant.tree;
                }
            }
            Tree::Table(table) => {
                for entry in &mut table.entries {
                    for schema in self.view.schemas_of(schema, &entry.key) {
                        self.turn_variables(schema, &mut entry.value, depth + 1);
                    }
                }
            }
            Tree::Array(items) => {
                for (at, item) in items.iter_mut().enumerate() {
                    for schema in self.view.schemas_of_item(schema, at) {
                        self.turn_variables(schema, item, depth + 1);
                    }
                }
            }
            Tree::Scalar(_) | Tree::Missing => {}
        }
    }

    /// Whether the type is right; that the value is in range is said later, in the words of the type that was meant.
    fn type_is_right(&self, schema: &Value, value: &Located) -> bool {
        let mut faults = Faults::default();
        self.value(schema, value, &Path::default(), &mut faults);
        !faults.list.iter().any(|fault| fault.is_type)
    }

    fn value(&self, schema: &Value, value: &Located, path: &Path, faults: &mut Faults) {
        if !self.step(path.depth) || value.tree == Tree::Missing {
            return;
        }
        let schema = match schema {
            Value::Bool(false) => {
                let message = format!("\"{}\" is not taken here", path.text);
                faults.push(
                    path,
                    Diagnostic::new(Code::BadValue, value.span.clone(), message).hint("remove it"),
                );
                return;
            }
            Value::Object(schema) => schema,
            _ => return,
        };
        if let Some(target) =
            schema.get("$ref").and_then(Value::as_str).and_then(|target| self.view.target(target))
        {
            self.value(target, value, &path.deeper(), faults);
        }
        if !self.type_fits(schema, value, path, faults) {
            return;
        }
        for branch in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.value(branch, value, &path.deeper(), faults);
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(branches) = schema.get(key).and_then(Value::as_array) {
                self.branches(branches, value, path, faults);
            }
        }
        match &value.tree {
            Tree::Table(table) => self.table(schema, table, value, path, faults),
            Tree::Array(items) => self.array(schema, items, value, path, faults),
            _ => scalar::check(schema, value, path, faults),
        }
    }

    fn type_fits(&self, schema: &view::Object, value: &Located, path: &Path, faults: &mut Faults) -> bool {
        let types = view::types(schema);
        if types.is_empty() || types.iter().any(|name| scalar::is_type(value, name)) {
            return true;
        }
        let expected = self.view.text_of_object(schema);
        faults.push(path, wrong_type(value, path, &expected, schema));
        false
    }

    fn table(&self, schema: &view::Object, table: &Table, value: &Located, path: &Path, faults: &mut Faults) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        for entry in &table.entries {
            let inner = path.key(&entry.key);
            match (properties.and_then(|properties| properties.get(&entry.key)), others) {
                (Some(schema), _) => self.value(schema, &entry.value, &inner, faults),
                (None, Some(Value::Bool(false))) => {
                    let known = properties.into_iter().flat_map(|properties| properties.keys());
                    faults.push(&inner, self.unknown_key(entry, known.map(String::as_str).collect(), path));
                }
                (None, Some(schema)) => self.value(schema, &entry.value, &inner, faults),
                (None, None) => {}
            }
        }
        if schema.get("unevaluatedProperties") == Some(&Value::Bool(false)) {
            let known: Vec<&str> = self.view.all_properties(schema);
            for entry in table.entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
                faults.push(&path.key(&entry.key), self.unknown_key(entry, known.clone(), path));
            }
        }
        let known = || properties.into_iter().flat_map(|properties| properties.keys()).map(String::as_str);
        let unknown = |entry: &&Entry| !known().any(|name| name == entry.key);
        let meant: Vec<&str> = if others == Some(&Value::Bool(false)) {
            table.entries.iter().filter(unknown).filter_map(|entry| closest(&entry.key, known())).collect()
        } else {
            Vec::new()
        };
        for name in
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            // A key that was meant is reported under the name it has.
            if table.get(name).is_none() && !meant.contains(&name) {
                let property = properties.and_then(|properties| properties.get(name));
                faults.push(&path.deeper(), self.missing_key(name, property, value, path));
            }
        }
    }

    fn unknown_key(&self, entry: &Entry, known: Vec<&str>, path: &Path) -> Diagnostic {
        let place = if path.text.is_empty() { String::new() } else { format!(" in \"{}\"", path.text) };
        let beside = self.engine_keys.iter().copied().filter(|_| path.text.is_empty());
        let known: Vec<&str> = known.into_iter().chain(beside).collect();
        Diagnostic::new(
            Code::UnknownKey,
            entry.key_span.clone(),
            format!("unknown option \"{}\"{place}", entry.key),
        )
        .hint(did_you_mean(&entry.key, known, "options here"))
    }

    fn missing_key(&self, name: &str, property: Option<&Value>, value: &Located, path: &Path) -> Diagnostic {
        let place = if path.text.is_empty() { String::new() } else { format!(" in \"{}\"", path.text) };
        let text = property.map(|property| self.view.text_of(property));
        let hint = match (text, property.and_then(|property| self.view.description(property))) {
            (Some(text), Some(about)) => format!("add `{name}` ({text}): {about}"),
            (Some(text), None) => format!("add `{name}` ({text})"),
            (None, _) => format!("add `{name}`"),
        };
        let message = format!("the option \"{name}\" is missing{place}");
        Diagnostic::new(Code::MissingKey, value.span.clone(), message).hint(hint)
    }

    fn array(
        &self,
        schema: &view::Object,
        items: &[Located],
        value: &Located,
        path: &Path,
        faults: &mut Faults,
    ) {
        let first = schema.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (at, item) in items.iter().enumerate() {
            if let Some(schema) = first.get(at).or_else(|| schema.get("items")) {
                self.value(schema, item, &path.index(at), faults);
            }
        }
        let limit =
            |key: &str| schema.get(key).and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok());
        let (minimum, maximum) = (limit("minItems").unwrap_or(0), limit("maxItems").unwrap_or(usize::MAX));
        if !(minimum..=maximum).contains(&items.len()) {
            let (bound, count) =
                if items.len() < minimum { ("at least", minimum) } else { ("at most", maximum) };
            let message =
                format!("\"{}\" must have {bound} {count} elements, found {}", path.text, items.len());
            let hint = self.view.hint_of_object(schema);
            faults.push(path, Diagnostic::new(Code::BadValue, value.span.clone(), message).hint(hint));
        }
    }
}

fn wrong_type(value: &Located, path: &Path, expected: &str, schema: &view::Object) -> Diagnostic {
    let message = format!("\"{}\" must be {expected}, found {}", path.text, value.type_name());
    Diagnostic::new(Code::WrongType, value.span.clone(), message)
        .label(format!("expected {expected}"))
        .hint(view::example(schema, expected))
}

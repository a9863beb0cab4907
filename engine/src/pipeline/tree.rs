//! TOML as a tree of values that know their place. Knows TOML's syntax (through the `toml` crate), but no key of a pipeline.

use serde_json::{Number, Value};
use toml::de::{DeInteger, DeTable, DeValue};

use super::Span;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceText};

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Located {
    /// Where the value is; for a `[table]` its header.
    pub(crate) span: Span,
    /// The value.
    pub(crate) tree: Tree,
    /// The text as written, if a variable of the environment was replaced in it.
    pub(crate) environment: Option<String>,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    /// Text, number or boolean; a TOML date is text.
    Scalar(Value),
    /// Text that one variable gave as a whole: it may also be meant as a number or a boolean.
    Variable(String),
    /// A value that can't be known (a variable that is not set, a number too large): reported already, and nothing follows from it.
    Missing,
    /// An array.
    Array(Vec<Located>),
    /// A table.
    Table(Table),
}

/// A table, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Table {
    /// The keys with their values.
    pub(crate) entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// Where the key is.
    pub(crate) key_span: Span,
    /// The value.
    pub(crate) value: Located,
}

impl Table {
    /// The entry of that key.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

impl Located {
    /// What users call the type.
    pub(crate) fn type_name(&self) -> &'static str {
        match &self.tree {
            Tree::Scalar(Value::Bool(_)) => "a boolean",
            Tree::Scalar(Value::Number(number)) if number.is_f64() => "a float",
            Tree::Scalar(Value::Number(_)) => "an integer",
            Tree::Scalar(_) | Tree::Variable(_) | Tree::Missing => "a string",
            Tree::Array(_) => "an array",
            Tree::Table(_) => "a table",
        }
    }

    /// The text, if it is text.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.tree {
            Tree::Scalar(Value::String(text)) | Tree::Variable(text) => Some(text),
            _ => None,
        }
    }

    /// Whether a variable without a value stands anywhere inside.
    pub(crate) fn is_incomplete(&self) -> bool {
        match &self.tree {
            Tree::Missing => true,
            Tree::Scalar(_) | Tree::Variable(_) => false,
            Tree::Array(items) => items.iter().any(Self::is_incomplete),
            Tree::Table(table) => table.entries.iter().any(|entry| entry.value.is_incomplete()),
        }
    }

    /// How many values there are inside, this one included.
    pub(crate) fn count(&self) -> usize {
        1 + match &self.tree {
            Tree::Array(items) => items.iter().map(Self::count).sum(),
            Tree::Table(table) => table.entries.iter().map(|entry| entry.value.count()).sum(),
            Tree::Scalar(_) | Tree::Variable(_) | Tree::Missing => 0,
        }
    }

    /// The value as JSON, without places.
    pub(crate) fn to_json(&self) -> Value {
        match &self.tree {
            Tree::Scalar(value) => value.clone(),
            Tree::Variable(text) => Value::String(text.clone()),
            Tree::Missing => Value::Null,
            Tree::Array(items) => items.iter().map(Self::to_json).collect(),
            Tree::Table(table) => table.to_json(),
        }
    }

    /// The place that a path of keys (and array indices) leads to, as far as it goes.
    pub(crate) fn locate<S: AsRef<str>>(&self, path: &[S]) -> Span {
        let Some((first, rest)) = path.split_first() else { return self.span.clone() };
        let first = first.as_ref();
        match &self.tree {
            Tree::Table(table) => table.get(first).map(|entry| entry.value.locate(rest)),
            Tree::Array(items) => {
                first.parse().ok().and_then(|at: usize| items.get(at)).map(|item| item.locate(rest))
            }
            _ => None,
        }
        .unwrap_or_else(|| self.span.clone())
    }
}

impl Table {
    /// The table as JSON, without places.
    pub(crate) fn to_json(&self) -> Value {
        Value::Object(self.entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect())
    }
}

/// What a scalar's text means when it is not to be text: an integer, a float or a boolean.
pub(crate) fn readings(text: &str) -> impl Iterator<Item = Value> {
    let text = text.trim();
    let integer = text.parse::<i64>().ok().map(Value::from);
    let float = text.parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number);
    let boolean = text.parse::<bool>().ok().map(Value::Bool);
    [integer, float, boolean].into_iter().flatten()
}

/// Reads the text; `None` when it is so far from TOML that nothing else can be said about it.
pub(super) fn parse(source: &SourceText, diagnostics: &mut Diagnostics) -> Option<Table> {
    let (root, errors) = DeTable::parse_recoverable(&source.text);
    let mut duplicates_only = true;
    let mut silent_until = 0;
    for error in &errors {
        let span = error.span().unwrap_or(source.text.len()..source.text.len());
        if error.message().starts_with("duplicate key") {
            if span.start >= silent_until {
                let (diagnostic, is_header) = duplicate(source, &span);
                diagnostics.push(diagnostic);
                if is_header {
                    // The keys of a table that is there twice are there twice too: once is enough.
                    silent_until =
                        source.text[span.end..].find("\n[").map_or(usize::MAX, |length| span.end + length);
                }
            }
        } else {
            duplicates_only = false;
            diagnostics.push(syntax_error(source, &span, error.message()));
        }
    }
    duplicates_only.then(|| table(root.into_inner(), diagnostics))
}

fn duplicate(source: &SourceText, span: &Span) -> (Diagnostic, bool) {
    let before = source.text[source.line_start(span.start)..span.start].trim();
    let key = source.slice(span);
    let is_header = before.starts_with('[');
    let stage = ["[sources.", "[transforms.", "[sinks."].contains(&before);
    let diagnostic = if stage {
        Diagnostic::new(Code::DuplicateId, span.clone(), format!("the id \"{key}\" is given twice"))
            .hint("each stage needs an id of its own: give this one another name")
    } else {
        Diagnostic::new(Code::DuplicateKey, span.clone(), format!("\"{key}\" is given twice"))
            .hint("TOML takes a key or table once only: remove one of the two")
    };
    (diagnostic.label("given again"), is_header)
}

fn syntax_error(source: &SourceText, span: &Span, message: &str) -> Diagnostic {
    let slice = source.slice(span);
    let (what, expected) =
        message.split_once(", expected ").map_or((message, None), |(what, rest)| (what, Some(rest)));
    let (what, expected) = match what {
        "string values must be quoted" if slice.is_empty() => ("the value is missing", None),
        "string values must be quoted" => (what, None),
        _ => (what, expected),
    };
    let hint = match what {
        "string values must be quoted" => format!("write `\"{slice}\"`"),
        "the value is missing" | "missing value" => "write a value behind the `=`".to_owned(),
        "unclosed table" | "unclosed array" => "close it with `]`".to_owned(),
        "unclosed inline table" => "close it with `}`".to_owned(),
        _ if what.contains("recursion") => "a pipeline never needs tables that deep".to_owned(),
        _ if what.contains("basic string") => {
            "close the text with `\"`; a backslash is written `\\\\`".to_owned()
        }
        _ => "TOML is made of `[table]` headers and lines of `key = value`".to_owned(),
    };
    let diagnostic = Diagnostic::new(Code::Syntax, span.clone(), format!("invalid TOML: {what}")).hint(hint);
    match expected {
        Some(expected) if expected != "nothing" => diagnostic.label(format!("expected {expected}")),
        _ => diagnostic,
    }
}

fn table(table: DeTable<'_>, diagnostics: &mut Diagnostics) -> Table {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| Entry {
            key_span: key.span(),
            key: key.into_inner().into_owned(),
            value: located(value.span(), value.into_inner(), diagnostics),
        })
        .collect();
    // A table whose subtable came first is moved by the parser: the file's order is the order of the keys.
    entries.sort_by_key(|entry| entry.key_span.start);
    Table { entries }
}

fn located(span: Span, value: DeValue<'_>, diagnostics: &mut Diagnostics) -> Located {
    let tree = match value {
        DeValue::String(text) => Tree::Scalar(Value::String(text.into_owned())),
        DeValue::Boolean(value) => Tree::Scalar(Value::Bool(value)),
        DeValue::Datetime(datetime) => Tree::Scalar(Value::String(datetime.to_string())),
        DeValue::Integer(integer) => {
            let message = || format!("{integer} is too large for an integer");
            let hint = "integers go from -2^63 to 2^64 - 1";
            number(integer_value(&integer), &span, message, hint, diagnostics)
        }
        DeValue::Float(float) => {
            let value = float.as_str().parse().ok().and_then(Number::from_f64);
            let message = || format!("{float} can't be used here");
            number(value.map(Value::Number), &span, message, "write a number that is finite", diagnostics)
        }
        DeValue::Array(items) => {
            let items = items.into_iter();
            Tree::Array(items.map(|item| located(item.span(), item.into_inner(), diagnostics)).collect())
        }
        DeValue::Table(inner) => Tree::Table(table(inner, diagnostics)),
    };
    Located { span, tree, environment: None }
}

fn number(
    value: Option<Value>,
    span: &Span,
    message: impl FnOnce() -> String,
    hint: &str,
    diagnostics: &mut Diagnostics,
) -> Tree {
    value.map_or_else(
        || {
            diagnostics.push(Diagnostic::new(Code::BadValue, span.clone(), message()).hint(hint));
            Tree::Missing
        },
        Tree::Scalar,
    )
}

fn integer_value(integer: &DeInteger<'_>) -> Option<Value> {
    let (digits, radix) = (integer.as_str(), integer.radix());
    let signed = i64::from_str_radix(digits, radix).map(Value::from);
    signed.or_else(|_| u64::from_str_radix(digits, radix).map(Value::from)).ok()
}

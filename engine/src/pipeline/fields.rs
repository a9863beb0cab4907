//! Reads the engine's own keys with their types and limits. Knows notations and ranges, not what a key is for.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Number, Value};
use tapedeck_sdk::options::{ByteSize, DurationText, FrequencyText};

use super::tree::{Entry, Located, Table, Tree, readings};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use tapedeck_sdk::names::{choose, did_you_mean, list};

/// A value of another type than the key takes.
pub(super) fn wrong_type(entry: &Entry, expected: &str, hint: &str) -> Diagnostic {
    let message = format!("\"{}\" must be {expected}, found {}", entry.key, entry.value.type_name());
    Diagnostic::new(Code::WrongType, entry.value.span.clone(), message)
        .label(format!("expected {expected}"))
        .hint(hint)
}

fn bad_value(entry: &Entry, message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Code::BadValue, entry.value.span.clone(), message)
}

/// Reports a key that isn't one of `known`. `place` says where ("in [session]").
pub(super) fn unknown_key(entry: &Entry, known: &[&str], place: &str) -> Diagnostic {
    let message = format!("unknown key \"{}\" {place}", entry.key);
    Diagnostic::new(Code::UnknownKey, entry.key_span.clone(), message).hint(did_you_mean(
        &entry.key,
        known.iter().copied(),
        "keys here",
    ))
}

/// What was found, or a message that the value is of another type. A variable without a value was reported before.
fn expect<T>(
    entry: &Entry,
    found: Option<T>,
    expected: &str,
    hint: &str,
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    if found.is_none() && entry.value.tree != Tree::Missing {
        diagnostics.push(wrong_type(entry, expected, hint));
    }
    found
}

/// `true` or `false`.
pub(super) fn truth(entry: &Entry, diagnostics: &mut Diagnostics) -> Option<bool> {
    let found = match &entry.value.tree {
        Tree::Scalar(Value::Bool(truth)) => Some(*truth),
        Tree::Variable(text) => text.parse().ok(),
        _ => None,
    };
    expect(entry, found, "a boolean", "write `true` or `false`", diagnostics)
}

/// A table.
pub(super) fn table<'e>(entry: &'e Entry, diagnostics: &mut Diagnostics) -> Option<&'e Table> {
    let found = if let Tree::Table(table) = &entry.value.tree { Some(table) } else { None };
    expect(entry, found, "a table", &format!("write `[{}]` or `{{ … }}`", entry.key), diagnostics)
}

/// Text.
pub(super) fn text<'e>(entry: &'e Entry, diagnostics: &mut Diagnostics) -> Option<&'e str> {
    expect(entry, entry.value.as_text(), "a string", "write it in quotation marks", diagnostics)
}

/// The number that a value is, or that a variable as a whole gave.
fn as_number(value: &Located) -> Option<Number> {
    let numeric = |value: Value| if let Value::Number(number) = value { Some(number) } else { None };
    match &value.tree {
        Tree::Scalar(value) => numeric(value.clone()),
        Tree::Variable(text) => readings(text).find_map(numeric),
        _ => None,
    }
}

/// A frequency in Hz within `above < frequency <= maximum`: a number of Hz, or text with a unit.
pub(super) fn frequency(
    entry: &Entry,
    (above, maximum): (f64, f64),
    diagnostics: &mut Diagnostics,
) -> Option<f64> {
    let example = format!("write for example `{0} = 60` or `{0} = \"60Hz\"`", entry.key);
    let number = match (as_number(&entry.value), entry.value.as_text()) {
        (Some(number), _) => number.as_f64()?,
        (None, Some(text)) => match text.parse::<FrequencyText>() {
            Ok(frequency) => frequency.0,
            Err(error) => {
                diagnostics.push(bad_value(entry, error).hint(example));
                return None;
            }
        },
        (None, None) => {
            return expect(entry, None, "a frequency", &example, diagnostics);
        }
    };
    if number > above && number <= maximum {
        return Some(number);
    }
    let message = format!("\"{}\" must be above {above} and at most {maximum} Hz, found {number}", entry.key);
    diagnostics.push(bad_value(entry, message).hint(example));
    None
}

/// An integer within a range.
pub(super) fn integer(
    entry: &Entry,
    range: RangeInclusive<u64>,
    diagnostics: &mut Diagnostics,
) -> Option<u64> {
    let found = as_number(&entry.value).filter(|number| !number.is_f64());
    let hint = format!("write for example `{} = {}`", entry.key, range.end());
    let number = expect(entry, found, "an integer", &hint, diagnostics)?;
    let within = number.as_u64().filter(|number| range.contains(number));
    if within.is_none() {
        let message =
            format!("\"{}\" must be {} to {}, found {number}", entry.key, range.start(), range.end());
        diagnostics.push(bad_value(entry, message).hint("choose a number within the limits"));
    }
    within
}

/// A duration within a range.
pub(super) fn duration(
    entry: &Entry,
    range: RangeInclusive<Duration>,
    diagnostics: &mut Diagnostics,
) -> Option<Duration> {
    let parsed = notation::<DurationText>(entry, "a duration", "5s", diagnostics)?.0;
    let limits = || format!("{:?} to {}", range.start(), long(*range.end()));
    within(entry, parsed, range.contains(&parsed), limits, "a duration", diagnostics)
}

/// The value, or a message that it is out of its limits.
fn within<T>(
    entry: &Entry,
    value: T,
    is_within: bool,
    limits: impl FnOnce() -> String,
    what: &str,
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    if !is_within {
        let found = entry.value.as_text().unwrap_or_default();
        let message = format!("\"{}\" must be {}, found {found}", entry.key, limits());
        diagnostics.push(bad_value(entry, message).hint(format!("choose {what} within the limits")));
    }
    is_within.then_some(value)
}

fn long(duration: Duration) -> String {
    let hours = duration.as_secs() / 3600;
    if hours > 0 { format!("{hours}h") } else { format!("{duration:?}") }
}

/// A size in bytes within a range.
pub(super) fn bytes(entry: &Entry, range: RangeInclusive<u64>, diagnostics: &mut Diagnostics) -> Option<u64> {
    let parsed = notation::<ByteSize>(entry, "a size", "64MiB", diagnostics)?.0;
    let limits = || format!("{} to {}", ByteSize(*range.start()), ByteSize(*range.end()));
    within(entry, parsed, range.contains(&parsed), limits, "a size", diagnostics)
}

fn notation<T: FromStr<Err = String>>(
    entry: &Entry,
    what: &str,
    example: &str,
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    let key = &entry.key;
    let hint = format!("write a number and a unit in quotation marks, for example `{key} = \"{example}\"`");
    let text = expect(entry, entry.value.as_text(), what, &hint, diagnostics)?;
    let parsed = text.parse();
    parsed.map_err(|error: String| diagnostics.push(bad_value(entry, error).hint(hint))).ok()
}

/// One of a few names.
pub(super) fn choice<T: Copy>(
    entry: &Entry,
    choices: &[(&str, T)],
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    let found = text(entry, diagnostics)?;
    let chosen = choices.iter().find(|(name, _)| *name == found).map(|(_, value)| *value);
    if chosen.is_none() {
        let names = || choices.iter().map(|(name, _)| *name);
        let message = format!("\"{}\" can't be \"{found}\": it takes {}", entry.key, list(names()));
        diagnostics.push(bad_value(entry, message).hint(choose(found, names())));
    }
    chosen
}

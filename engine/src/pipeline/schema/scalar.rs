//! Checks texts, numbers and booleans: types, constants, ranges, lengths and notations.

use serde_json::Value;
use tapedeck_sdk::options::{ByteSize, DurationText};

use super::tree::{Bounds, Node, Type};
use super::words::constant_text;
use super::{Fault, Path};
use crate::pipeline::tree::{Located, Tree};
use tapedeck_sdk::names::{choose, list};

impl Type {
    /// Whether the value is of the type. A float is no integer, even if its fraction is zero: serde doesn't take it.
    pub(super) fn takes(&self, value: &Located) -> bool {
        match (&value.tree, self) {
            (Tree::Missing, _) | (Tree::Table(_), Self::Table) | (Tree::Array(_), Self::Array) => true,
            (Tree::Scalar(Value::Number(number)), Self::Integer) => !number.is_f64(),
            (Tree::Scalar(Value::Number(_)), Self::Number) => true,
            (Tree::Scalar(Value::Bool(_)), Self::Boolean) => true,
            (Tree::Scalar(Value::String(_)) | Tree::Variable(_), Self::Text) => true,
            _ => false,
        }
    }
}

/// Checks what a schema says of a single value.
pub(super) fn check(node: &Node, value: &Located, path: &Path, faults: &mut Vec<Fault>) {
    let found = value.to_json();
    if node.constants.as_ref().is_some_and(|constants| !constants.contains(&found)) {
        faults.push(no_choice(&node.constant_texts(), value, path));
    }
    let wrong = match &found {
        Value::String(text) => text_fault(node, text, path),
        Value::Number(number) => {
            number.as_f64().and_then(|value| outside(&node.bounds, value)).map(|bound| {
                let unit = node.unit.as_ref().map_or(String::new(), |unit| format!(" {unit}"));
                let message = format!("\"{path}\" must be {bound}{unit}, found {number}");
                (message, "choose a number within the limits".to_owned())
            })
        }
        _ => None,
    };
    faults.extend(wrong.map(|(message, hint)| Fault::bad_value(path, value, message, hint)));
}

/// The value is none of some names.
pub(super) fn no_choice(names: &[String], value: &Located, path: &Path) -> Fault {
    let names = || names.iter().map(String::as_str);
    let found = constant_text(&value.to_json());
    let message = format!("\"{path}\" can't be \"{found}\": it takes {}", list(names()));
    Fault::bad_value(path, value, message, choose(&found, names()))
}

fn text_fault(node: &Node, text: &str, path: &Path) -> Option<(String, String)> {
    let invalid = match node.notation {
        Some(("duration", ..)) => text.parse::<DurationText>().err(),
        Some(_) => text.parse::<ByteSize>().err(),
        None => None,
    };
    if let Some(error) = invalid {
        return Some((format!("\"{path}\": {error}"), node.hint("")));
    }
    let (min, max) = (node.length.0, node.length.1.unwrap_or(usize::MAX));
    let (wrong, hint) = match text.chars().count() {
        0 if min == 1 => ("is empty".to_owned(), "write something, or leave it out"),
        length if length < min => (format!("must have at least {min} characters"), "write a longer one"),
        length if length > max => (format!("must have at most {max} characters"), "write a shorter one"),
        _ => return None,
    };
    Some((format!("\"{path}\" {wrong}"), hint.to_owned()))
}

/// What the number should have been, if it isn't.
fn outside(bounds: &Bounds, number: f64) -> Option<String> {
    let [low, high, above, below] = *bounds;
    let fits = low.is_none_or(|low| number >= low)
        && high.is_none_or(|high| number <= high)
        && above.is_none_or(|above| number > above)
        && below.is_none_or(|below| number < below);
    let bounds = [
        above.map(|above| format!("above {above}")),
        low.filter(|_| above.is_none()).map(|low| format!("at least {low}")),
        below.map(|below| format!("below {below}")),
        high.filter(|_| below.is_none()).map(|high| format!("at most {high}")),
    ];
    (!fits).then(|| bounds.into_iter().flatten().collect::<Vec<_>>().join(" and "))
}

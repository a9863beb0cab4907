//! Checks texts, numbers and booleans: constants, ranges, lengths and notations.

use serde_json::Value;
use tapedeck_sdk::options::{ByteSize, DurationText};

use super::view::{Object, constant_text, constants, example};
use super::{Faults, Path};
use crate::diagnostic::{Code, Diagnostic};
use crate::pipeline::tree::{Located, Tree};
use tapedeck_sdk::names::{choose, list};

/// Whether the value is of a type as JSON Schema names it. A float is no integer, even if its fraction is zero: serde doesn't take it.
pub(super) fn is_type(value: &Located, name: &str) -> bool {
    match (&value.tree, name) {
        (Tree::Missing, _) | (Tree::Table(_), "object") | (Tree::Array(_), "array") => true,
        (Tree::Scalar(Value::Number(number)), "integer") => !number.is_f64(),
        (Tree::Scalar(Value::Number(_)), "number") | (Tree::Scalar(Value::Bool(_)), "boolean") => true,
        (Tree::Scalar(Value::String(_)) | Tree::Variable(_), "string") => true,
        _ => false,
    }
}

/// Checks what an object says of a single value.
pub(super) fn check(schema: &Object, value: &Located, path: &Path, faults: &mut Faults) {
    let found = value.to_json();
    let schema_value = schema.get("const").or_else(|| schema.get("enum"));
    if schema_value.is_some() && !allowed(schema).contains(&&found) {
        let names: Vec<String> = allowed(schema).into_iter().map(constant_text).collect();
        faults.push(path, no_choice(&names, value, path));
    }
    match &found {
        Value::String(text) => {
            if let Some((message, hint)) = text_fault(schema, text, path) {
                faults.push(path, Diagnostic::new(Code::BadValue, value.span.clone(), message).hint(hint));
            }
        }
        Value::Number(number) => {
            if let Some(bound) = number.as_f64().and_then(|number| outside(schema, number)) {
                let unit = schema
                    .get("x-unit")
                    .and_then(Value::as_str)
                    .map_or(String::new(), |unit| format!(" {unit}"));
                let message = format!("\"{}\" must be {bound}{unit}, found {number}", path.text);
                let hint = "choose a number within the limits";
                faults.push(path, Diagnostic::new(Code::BadValue, value.span.clone(), message).hint(hint));
            }
        }
        _ => {}
    }
}

fn allowed(schema: &Object) -> Vec<&Value> {
    match schema.get("const") {
        Some(value) => vec![value],
        None => schema
            .get("enum")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter(|value| !value.is_null())
            .collect(),
    }
}

/// The value is none of some names.
pub(super) fn no_choice(names: &[String], value: &Located, path: &Path) -> Diagnostic {
    let names = || names.iter().map(String::as_str);
    let found = constant_text(&value.to_json());
    let message = format!("\"{}\" can't be \"{found}\": it takes {}", path.text, list(names()));
    let hint = choose(&found, names());
    Diagnostic::new(Code::BadValue, value.span.clone(), message).hint(hint)
}

fn text_fault(schema: &Object, text: &str, path: &Path) -> Option<(String, String)> {
    let notation = match schema.get("format").and_then(Value::as_str) {
        Some("duration") => text.parse::<DurationText>().err(),
        Some("bytes") => text.parse::<ByteSize>().err(),
        _ => None,
    };
    if let Some(error) = notation {
        return Some((format!("\"{}\": {error}", path.text), example(schema, "")));
    }
    let limit = |key: &str| schema.get(key).and_then(Value::as_u64);
    let length = text.chars().count() as u64;
    match (limit("minLength"), limit("maxLength")) {
        (Some(1), _) if length == 0 => {
            Some((format!("\"{}\" is empty", path.text), "write something, or leave it out".into()))
        }
        (Some(minimum), _) if length < minimum => Some((
            format!("\"{}\" must have at least {minimum} characters", path.text),
            "write a longer one".into(),
        )),
        (_, Some(maximum)) if length > maximum => Some((
            format!("\"{}\" must have at most {maximum} characters", path.text),
            "write a shorter one".into(),
        )),
        _ => None,
    }
}

/// What the number should have been, if it isn't.
fn outside(schema: &Object, number: f64) -> Option<String> {
    let own = |key: &str| schema.get(key).and_then(Value::as_f64);
    let (of_type_low, of_type_high) = type_range(schema.get("format").and_then(Value::as_str));
    let low = own("minimum").or(of_type_low);
    let high = own("maximum").or(of_type_high);
    let (above, below) = (own("exclusiveMinimum"), own("exclusiveMaximum"));
    let fits = low.is_none_or(|low| number >= low)
        && high.is_none_or(|high| number <= high)
        && above.is_none_or(|above| number > above)
        && below.is_none_or(|below| number < below);
    if fits {
        return None;
    }
    let bounds = [
        above.map(|above| format!("above {above}")),
        low.filter(|_| above.is_none()).map(|low| format!("at least {low}")),
        below.map(|below| format!("below {below}")),
        high.filter(|_| below.is_none()).map(|high| format!("at most {high}")),
    ];
    Some(bounds.into_iter().flatten().collect::<Vec<_>>().join(" and "))
}

/// The range of the number types whose ranges `schemars` leaves to the format.
fn type_range(format: Option<&str>) -> (Option<f64>, Option<f64>) {
    match format {
        Some("uint8") => (Some(0.0), Some(f64::from(u8::MAX))),
        Some("int8") => (Some(f64::from(i8::MIN)), Some(f64::from(i8::MAX))),
        Some("uint16") => (Some(0.0), Some(f64::from(u16::MAX))),
        Some("int16") => (Some(f64::from(i16::MIN)), Some(f64::from(i16::MAX))),
        Some("uint32") => (Some(0.0), Some(f64::from(u32::MAX))),
        Some("int32") => (Some(f64::from(i32::MIN)), Some(f64::from(i32::MAX))),
        Some("uint64" | "uint") => (Some(0.0), None),
        Some("int64" | "int") => (None, Some(9.223_372_036_854_775e18)),
        _ => (None, None),
    }
}

/// The constants of several schemas, if each of them has some and nothing else.
pub(super) fn all_constants(schemas: &[&Value]) -> Option<Vec<String>> {
    let each: Vec<Vec<&Value>> = schemas.iter().map(|schema| constants(schema)).collect();
    let complete = !each.is_empty() && each.iter().all(|constants| !constants.is_empty());
    complete.then(|| each.into_iter().flatten().map(constant_text).collect())
}

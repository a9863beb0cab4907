//! Options that come from the environment (a password, a token) stay out of recordings: the manifest holds the variable's name,
//! and whoever needs the value again looks it up. Knows nothing of plugins.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tapedeck_sdk::Error;

use super::Variables;
use super::tree::{Located, Tree};

/// An option whose text holds a variable of the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The keys (and array indices) that lead to the option.
    pub option: Vec<String>,
    /// The option's text as the pipeline has it: `${NAME}`.
    pub text: String,
}

/// The options of a stage that hold a value of the environment.
pub(super) fn references(options: &Located) -> Vec<Reference> {
    let mut found = Vec::new();
    collect(options, &mut Vec::new(), &mut found);
    found
}

fn collect(value: &Located, path: &mut Vec<String>, found: &mut Vec<Reference>) {
    let mut inside = |key: String, value: &Located| {
        path.push(key);
        collect(value, path, found);
        path.pop();
    };
    match &value.tree {
        Tree::Table(table) => {
            table.entries.iter().for_each(|entry| inside(entry.key.clone(), &entry.value));
        }
        Tree::Array(items) => {
            (0..).zip(items).for_each(|(at, item): (usize, _)| inside(at.to_string(), item));
        }
        // A number or a boolean is no secret, and its text would have another type.
        Tree::Scalar(Value::String(_)) | Tree::Variable(_) => {
            let text = value.environment.iter().cloned();
            found.extend(text.map(|text| Reference { option: path.clone(), text }));
        }
        Tree::Scalar(_) | Tree::Missing => {}
    }
}

/// The options with references in place of values.
pub(crate) fn without_values(options: &Value, references: &[Reference]) -> Value {
    let mut options = options.clone();
    for reference in references {
        if let Some(value) = place(&mut options, &reference.option) {
            *value = Value::String(reference.text.clone());
        }
    }
    options
}

/// The options with values in place of references.
///
/// # Errors
/// A variable that is not set here.
pub(crate) fn with_values(
    options: &Value,
    references: &[Reference],
    variables: &Variables,
) -> Result<Value, Error> {
    let mut options = options.clone();
    for Reference { option, text } in references {
        let key = option.join(".");
        let found = variables.expand(text).map_err(|name| {
            let message =
                format!("the option \"{key}\" came from the variable \"{name}\", which is not set here");
            Error::environment(message).with_hint(format!("set {name} to what it was when this was recorded"))
        })?;
        let value = place(&mut options, option)
            .ok_or_else(|| Error::data(format!("the manifest has no option \"{key}\"")))?;
        *value = Value::String(found);
    }
    Ok(options)
}

fn place<'v>(options: &'v mut Value, path: &[String]) -> Option<&'v mut Value> {
    path.iter().try_fold(options, |value, key| match value {
        Value::Object(table) => table.get_mut(key),
        Value::Array(items) => items.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    })
}

//! A plugin's options as rows of a table, for people. Knows JSON Schema; prints nothing.

use serde_json::Value;

use super::schema::View;

/// The most rows; a schema that refers to itself ends there.
const ROWS_MAX: usize = 2_000;

/// How many tables deep the rows go.
const DEPTH_MAX: usize = 8;

/// One option.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct OptionRow {
    /// The key, with dots between tables; `NAME` stands for any key, `[]` for any element: `attributes.NAME.type`.
    pub name: String,
    /// The type in words: "integer", "array of strings".
    pub type_name: String,
    /// What it is when left out.
    pub default: Option<Value>,
    /// The unit of a number.
    pub unit: Option<String>,
    /// Whether it must be there.
    pub required: bool,
    /// The values it takes, where these are few.
    pub choices: Vec<String>,
    /// What the author wrote about it.
    pub doc: String,
}

/// The options that a schema describes: each key, tables before what is inside of them, in the schema's order.
#[must_use]
pub fn option_rows(schema: &Value) -> Vec<OptionRow> {
    let mut rows = Vec::new();
    Rows { view: View::new(schema), rows: &mut rows, open: Vec::new() }.inside(schema, "", DEPTH_MAX);
    rows
}

struct Rows<'s, 'r> {
    view: View<'s>,
    rows: &'r mut Vec<OptionRow>,
    /// The schemas that are being looked into: one that refers to itself is not entered again.
    open: Vec<&'s Value>,
}

fn is_null(schema: &Value) -> bool {
    schema.get("type") == Some(&Value::from("null"))
}

fn requires(schema: &Value, name: &str) -> bool {
    let names = schema.get("required").and_then(Value::as_array);
    names.is_some_and(|names| names.iter().any(|other| other.as_str() == Some(name)))
}

impl<'s> Rows<'s, '_> {
    /// The rows of what is inside of a table or array.
    fn inside(&mut self, schema: &'s Value, prefix: &str, depth: usize) {
        if depth == 0 || self.rows.len() >= ROWS_MAX {
            return;
        }
        let schema = self.view.resolve(schema);
        if self.open.iter().any(|open| std::ptr::eq(*open, schema)) {
            return;
        }
        self.open.push(schema);
        let join = |key: &str| if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            self.row(&join(name), property, requires(schema, name), depth);
        }
        if let Some(others) = schema.get("additionalProperties").filter(|others| others.is_object()) {
            self.inside(others, &join("NAME"), depth - 1);
        }
        if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
            self.inside(items, &format!("{prefix}[]"), depth - 1);
        }
        for branch in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.inside(branch, prefix, depth - 1);
        }
        for key in ["anyOf", "oneOf"] {
            let branches = schema.get(key).and_then(Value::as_array).into_iter().flatten();
            let branches: Vec<&Value> =
                branches.map(|branch| self.view.resolve(branch)).filter(|branch| !is_null(branch)).collect();
            let first = self.rows.len();
            branches.iter().for_each(|branch| self.inside(branch, prefix, depth - 1));
            // What only one branch requires is not required where another one is chosen.
            for row in self.rows.iter_mut().skip(first).filter(|_| branches.len() > 1) {
                let name = row.name.strip_prefix(prefix).unwrap_or(&row.name).trim_start_matches('.');
                row.required &= name.contains('.') || branches.iter().all(|branch| requires(branch, name));
            }
        }
        self.open.pop();
    }

    fn row(&mut self, name: &str, property: &'s Value, required: bool, depth: usize) {
        let resolved = self.view.resolve(property);
        let either = |key: &str| property.get(key).or_else(|| resolved.get(key));
        let doc = either("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ");
        let row = OptionRow {
            name: name.to_owned(),
            type_name: self.view.type_name(property),
            default: either("default").filter(|default| !default.is_null()).cloned(),
            unit: either("x-unit").and_then(Value::as_str).map(str::to_owned),
            required,
            choices: self.view.choices(property),
            doc,
        };
        match self.rows.iter_mut().find(|other| other.name == row.name) {
            // The same key in several branches: the kinds of `type = "…"`, for example.
            Some(other) => {
                let news: Vec<String> =
                    row.choices.into_iter().filter(|choice| !other.choices.contains(choice)).collect();
                other.choices.extend(news);
                other.required &= row.required;
            }
            None => self.rows.push(row),
        }
        self.inside(property, name, depth - 1);
    }
}

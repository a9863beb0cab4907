//! A plugin's options as rows of a table, for people. Prints nothing.

use serde_json::Value;

use super::schema::{Id, Others, Schema, Steps};

/// The most rows.
const ROWS_MAX: usize = 2_000;

/// How many tables deep the rows go.
const DEPTH_MAX: usize = 8;

/// How many parts of a schema are looked into: one that refers to itself has many ways to each part.
const STEPS_MAX: usize = 20_000;

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
    let schema = Schema::compile(schema);
    let steps = Steps::new(STEPS_MAX);
    let mut rows = Rows { schema: &schema, rows: Vec::new(), open: Vec::new(), steps };
    rows.inside(Schema::ROOT, "", DEPTH_MAX);
    rows.rows
}

struct Rows<'s> {
    schema: &'s Schema,
    rows: Vec<OptionRow>,
    /// The schemas that are being looked into: one that refers to itself is not entered again.
    open: Vec<Id>,
    steps: Steps,
}

impl Rows<'_> {
    /// The rows of what is inside of a table or array.
    fn inside(&mut self, id: Id, prefix: &str, depth: usize) {
        let id = self.schema.resolve(id);
        if depth == 0 || self.rows.len() >= ROWS_MAX || self.open.contains(&id) || !self.steps.take(1) {
            return;
        }
        self.open.push(id);
        let node = self.schema.node(id);
        let join = |key: &str| if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
        for (name, &property) in &node.properties {
            self.row(&join(name), property, node.required.contains(name), depth);
        }
        if let Others::Of(others) = node.others {
            self.inside(others, &join("NAME"), depth - 1);
        }
        if let Some(items) = node.items {
            self.inside(items, &format!("{prefix}[]"), depth - 1);
        }
        node.all.iter().for_each(|&branch| self.inside(branch, prefix, depth - 1));
        for group in &node.any {
            let branches = group.iter().map(|branch| self.schema.resolve(*branch));
            let branches: Vec<Id> = branches.filter(|branch| !self.schema.node(*branch).is_null()).collect();
            let first = self.rows.len();
            branches.iter().for_each(|&branch| self.inside(branch, prefix, depth - 1));
            // What only one branch requires is not required where another one is chosen.
            for row in self.rows.iter_mut().skip(first).filter(|_| branches.len() > 1) {
                let name = row.name.strip_prefix(prefix).unwrap_or(&row.name).trim_start_matches('.');
                let requires = |branch: &Id| self.schema.node(*branch).required.contains(name);
                row.required &= name.contains('.') || branches.iter().all(requires);
            }
        }
        self.open.pop();
    }

    fn row(&mut self, name: &str, property: Id, required: bool, depth: usize) {
        let nodes = [property, self.schema.resolve(property)].map(|id| self.schema.node(id));
        let choices = self.schema.choices(property);
        let known = self.rows.iter_mut().find(|other| other.name == name);
        if let Some(other) = known {
            // The same key in several branches: the kinds of `type = "…"`, for example.
            let news: Vec<String> =
                choices.into_iter().filter(|choice| !other.choices.contains(choice)).collect();
            other.choices.extend(news);
            other.required &= required;
        } else if self.rows.len() < ROWS_MAX {
            self.rows.push(OptionRow {
                name: name.to_owned(),
                type_name: self.schema.type_name(property),
                default: nodes.iter().find_map(|node| node.default.clone()),
                unit: nodes.iter().find_map(|node| node.unit.clone()),
                required,
                choices,
                doc: nodes
                    .iter()
                    .find_map(|node| node.about.as_ref())
                    .map_or_else(String::new, |about| about.replace('\n', " ")),
            });
        }
        self.inside(property, name, depth - 1);
    }
}

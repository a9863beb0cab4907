//! Looks at a JSON Schema: references, properties, and what to call a type in a sentence. Judges no value.

use serde_json::{Map, Value};

use tapedeck_sdk::names::list;

/// An object of a schema.
pub(in crate::pipeline) type Object = Map<String, Value>;

/// How many references are followed at most.
const HOPS_MAX: usize = 16;

/// A schema with its definitions.
#[derive(Clone, Copy)]
pub(in crate::pipeline) struct View<'s> {
    root: &'s Value,
}

/// The types that an object names.
pub(super) fn types(schema: &Object) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The values that `const` and `enum` name.
pub(super) fn constants(schema: &Value) -> Vec<&Value> {
    match (schema.get("const"), schema.get("enum").and_then(Value::as_array)) {
        (Some(value), _) => vec![value],
        (None, Some(values)) => values.iter().filter(|value| !value.is_null()).collect(),
        (None, None) => Vec::new(),
    }
}

/// A constant as the user would write it, without quotation marks.
pub(super) fn constant_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// How to write a value of the type.
pub(super) fn example(schema: &Object, expected: &str) -> String {
    let example = schema.get("examples").and_then(|examples| examples.get(0));
    match (example, schema.get("format").and_then(Value::as_str)) {
        (Some(example), _) => format!("write for example `{example}`"),
        (None, Some("duration")) => "write a number and a unit, for example `\"250ms\"`".to_owned(),
        (None, Some("bytes")) => "write a number and a unit, for example `\"64MiB\"`".to_owned(),
        (None, _) => match types(schema)[..] {
            ["string", ..] => "write it in quotation marks".to_owned(),
            ["integer", ..] => "write it without quotation marks and without a point".to_owned(),
            ["number", ..] => "write it without quotation marks".to_owned(),
            ["boolean", ..] => "write `true` or `false`".to_owned(),
            ["array", ..] => "write it in brackets: `[…]`".to_owned(),
            ["object", ..] => "write it as a table: `{ … }`, or under a header of its own".to_owned(),
            _ => format!("write {expected}"),
        },
    }
}

impl<'s> View<'s> {
    pub(in crate::pipeline) fn new(root: &'s Value) -> Self {
        Self { root }
    }

    /// What a `$ref` of this schema means.
    pub(super) fn target(self, reference: &str) -> Option<&'s Value> {
        self.root.pointer(reference.strip_prefix('#')?)
    }

    /// The schema behind its references.
    pub(in crate::pipeline) fn resolve<'v>(self, schema: &'v Value) -> &'v Value
    where
        's: 'v,
    {
        let mut schema = schema;
        for _ in 0..HOPS_MAX {
            match schema.get("$ref").and_then(Value::as_str).and_then(|reference| self.target(reference)) {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }

    /// The schema behind its references, and what it is made of: `allOf`, `anyOf`, `oneOf`.
    fn parts<'v>(self, schema: &'v Value, hops: usize, parts: &mut Vec<&'v Value>)
    where
        's: 'v,
    {
        if hops == 0 || parts.len() > 1_000 {
            return;
        }
        let schema = self.resolve(schema);
        parts.push(schema);
        for key in ["allOf", "anyOf", "oneOf"] {
            for branch in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
                self.parts(branch, hops - 1, parts);
            }
        }
    }

    fn all_parts<'v>(self, schema: &'v Value) -> Vec<&'v Value>
    where
        's: 'v,
    {
        let mut parts = Vec::new();
        self.parts(schema, HOPS_MAX, &mut parts);
        parts
    }

    /// All properties that the schema names anywhere for the table itself.
    pub(in crate::pipeline) fn properties<'v>(
        self,
        schema: &'v Value,
    ) -> impl Iterator<Item = (&'v str, &'v Value)>
    where
        's: 'v,
    {
        let objects =
            self.all_parts(schema).into_iter().filter_map(|part| part.get("properties")?.as_object());
        objects.flatten().map(|(name, property)| (name.as_str(), property))
    }

    /// The names of [`properties`](Self::properties) for an object in hand.
    pub(super) fn all_properties<'v>(self, schema: &'v Object) -> Vec<&'v str>
    where
        's: 'v,
    {
        let own = schema.get("properties").and_then(Value::as_object).into_iter().flat_map(|map| map.keys());
        let mut names: Vec<&str> = own.map(String::as_str).collect();
        let keys = ["allOf", "anyOf", "oneOf"];
        let branches = keys.iter().filter_map(|key| schema.get(*key)?.as_array()).flatten();
        names.extend(branches.flat_map(|branch| self.properties(branch).map(|(name, _)| name)));
        let reference =
            schema.get("$ref").and_then(Value::as_str).and_then(|reference| self.target(reference));
        names.extend(reference.into_iter().flat_map(|target| self.properties(target).map(|(name, _)| name)));
        names
    }

    /// The schemas that a key of a table may be under.
    pub(super) fn schemas_of<'v>(self, schema: &'v Value, key: &str) -> Vec<&'v Value>
    where
        's: 'v,
    {
        let of_part = |part: &'v Value| {
            let named = part.get("properties").and_then(|properties| properties.get(key));
            named.or_else(|| part.get("additionalProperties").filter(|schema| schema.is_object()))
        };
        self.all_parts(schema).into_iter().filter_map(of_part).collect()
    }

    /// The schemas that an element of an array may be under.
    pub(super) fn schemas_of_item<'v>(self, schema: &'v Value, at: usize) -> Vec<&'v Value>
    where
        's: 'v,
    {
        let of_part = |part: &'v Value| {
            let first = part.get("prefixItems").and_then(|items| items.get(at));
            first.or_else(|| part.get("items").filter(|schema| schema.is_object()))
        };
        self.all_parts(schema).into_iter().filter_map(of_part).collect()
    }

    /// The first sentence of what the author wrote about an option.
    pub(in crate::pipeline) fn description<'v>(self, schema: &'v Value) -> Option<&'v str>
    where
        's: 'v,
    {
        let own = schema.get("description").or_else(|| self.resolve(schema).get("description"));
        let text = own.and_then(Value::as_str)?.trim();
        let end = text.find(". ").or_else(|| text.find(".\n")).unwrap_or(text.len());
        Some(text[..end].trim_end_matches('.'))
    }

    /// The type in words: "an integer", "an array of strings".
    pub(in crate::pipeline) fn text_of(self, schema: &Value) -> String {
        self.text(schema, HOPS_MAX)
    }

    /// The type without its article: "integer", "array of strings". What takes a few names is "string".
    pub(in crate::pipeline) fn type_name(self, schema: &Value) -> String {
        if self.choices(schema).is_empty() {
            let text = self.text_of(schema);
            text.replace(" or an ", " or ")
                .replace(" or a ", " or ")
                .trim_start_matches("a ")
                .trim_start_matches("an ")
                .to_owned()
        } else {
            "string".to_owned()
        }
    }

    /// The names that the schema takes, if it takes nothing else.
    pub(in crate::pipeline) fn choices(self, schema: &Value) -> Vec<String> {
        let schema = self.resolve(schema);
        let own = constants(schema);
        if !own.is_empty() {
            return own.into_iter().map(constant_text).collect();
        }
        let branches = ["anyOf", "oneOf"].iter().find_map(|key| schema.get(*key)?.as_array());
        let branches =
            branches.into_iter().flatten().filter(|branch| branch.get("type") != Some(&Value::from("null")));
        let each: Vec<Vec<String>> = branches
            .map(|branch| match self.resolve(branch) {
                // Names may be one level deeper: an optional choice is a choice or null.
                inner if constants(inner).is_empty() && !std::ptr::eq(inner, schema) => {
                    self.constant_branches(inner)
                }
                inner => constants(inner).into_iter().map(constant_text).collect(),
            })
            .collect();
        if each.iter().any(Vec::is_empty) { Vec::new() } else { each.into_iter().flatten().collect() }
    }

    fn constant_branches(self, schema: &Value) -> Vec<String> {
        let branches = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array);
        let branches: Vec<&Value> =
            branches.into_iter().flatten().map(|branch| self.resolve(branch)).collect();
        super::scalar::all_constants(&branches).unwrap_or_default()
    }

    /// The type of an object in hand in words.
    pub(super) fn text_of_object(self, schema: &Object) -> String {
        self.object_text(schema, HOPS_MAX)
    }

    /// What to write for an object in hand.
    pub(super) fn hint_of_object(self, schema: &Object) -> String {
        let text = self.text_of_object(schema);
        match schema.get("description").and_then(Value::as_str) {
            Some(about) => format!("it is {text}: {}", about.lines().next().unwrap_or_default()),
            None => example(schema, &text),
        }
    }

    fn text(self, schema: &Value, hops: usize) -> String {
        match self.resolve(schema) {
            Value::Object(schema) if hops > 0 => self.object_text(schema, hops - 1),
            _ => "anything".to_owned(),
        }
    }

    fn object_text(self, schema: &Object, hops: usize) -> String {
        for key in ["anyOf", "oneOf"] {
            if let Some(branches) = schema.get(key).and_then(Value::as_array) {
                return self.choice_text(branches, hops);
            }
        }
        let names = types(schema);
        let constants = constants_of(schema);
        if !constants.is_empty() {
            return one_of(&constants);
        }
        let texts: Vec<String> = names
            .iter()
            .filter(|name| **name != "null")
            .map(|name| self.type_text(schema, name, hops))
            .collect();
        if texts.is_empty() { "anything".to_owned() } else { texts.join(" or ") }
    }

    fn choice_text(self, branches: &[Value], hops: usize) -> String {
        let branches: Vec<&Value> = branches.iter().map(|branch| self.resolve(branch)).collect();
        let meant = branches.iter().filter(|branch| branch.get("type") != Some(&Value::from("null")));
        let mut names: Vec<String> = Vec::new();
        let mut texts: Vec<String> = Vec::new();
        for branch in meant {
            let constants = constants(branch);
            if constants.is_empty() {
                let text = if hops == 0 { "anything".to_owned() } else { self.text(branch, hops) };
                if !texts.contains(&text) {
                    texts.push(text);
                }
            } else {
                names.extend(constants.into_iter().map(constant_text));
            }
        }
        if !names.is_empty() {
            texts.insert(0, one_of(&names));
        }
        texts.join(" or ")
    }

    fn type_text(self, schema: &Object, name: &str, hops: usize) -> String {
        match (name, schema.get("format").and_then(Value::as_str)) {
            ("string", Some("duration")) => "a duration".to_owned(),
            ("string", Some("bytes")) => "a size".to_owned(),
            ("string", _) => "a string".to_owned(),
            ("integer", _) => "an integer".to_owned(),
            ("number", _) => "a number".to_owned(),
            ("boolean", _) => "a boolean".to_owned(),
            ("object", _) => "a table".to_owned(),
            ("array", _) => match schema.get("items").filter(|items| items.is_object() && hops > 0) {
                Some(items) => format!("an array of {}", plural(&self.text(items, hops))),
                None => "an array".to_owned(),
            },
            _ => name.to_owned(),
        }
    }
}

fn constants_of(schema: &Object) -> Vec<String> {
    let single = schema.get("const").into_iter();
    let several = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    single.chain(several).filter(|value| !value.is_null()).map(constant_text).collect()
}

fn one_of(names: &[String]) -> String {
    match names {
        [name] => format!("\"{name}\""),
        _ => format!("one of {}", list(names.iter().map(String::as_str))),
    }
}

fn plural(text: &str) -> String {
    match text.strip_prefix("a ").or_else(|| text.strip_prefix("an ")) {
        Some(noun) if noun.split(' ').count() == 1 => format!("{noun}s"),
        _ => text.to_owned(),
    }
}

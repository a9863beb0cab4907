//! A plugin's JSON Schema as a tree of typed nodes, made once. Judges no value.
//!
//! A reference is the number of the node that it means, so a schema that refers to itself is as small as any other.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use indexmap::{IndexMap, IndexSet};
use serde_json::{Map, Value};

/// How many references in a row are followed.
const HOPS_MAX: usize = 16;

/// The number of a node.
pub(in crate::pipeline) type Id = usize;

/// A schema: its nodes, the root first.
pub(in crate::pipeline) struct Schema {
    nodes: Vec<Node>,
    /// The properties that the schema names anywhere for the table itself.
    names: HashSet<String>,
}

/// What part of a schema says. What it does not say restricts nothing.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct Node {
    /// Takes nothing at all: the schema `false`.
    pub(super) refused: bool,
    pub(super) refers: Option<Id>,
    pub(super) types: Vec<Type>,
    pub(super) notation: Option<Notation>,
    /// The values that are taken, if only these are.
    pub(super) constants: Option<Vec<Value>>,
    pub(super) bounds: Bounds,
    /// How many characters a text has.
    pub(super) length: Count,
    /// Schemas of which each must take the value.
    pub(in crate::pipeline) all: Vec<Id>,
    /// Groups of schemas of which one must take it.
    pub(in crate::pipeline) any: Vec<Vec<Id>>,
    pub(in crate::pipeline) properties: IndexMap<String, Id>,
    pub(in crate::pipeline) others: Others,
    /// Whether a key that no part of the schema names is refused.
    pub(super) closed: bool,
    pub(in crate::pipeline) required: IndexSet<String>,
    /// The first elements of an array, and all others.
    first: Vec<Id>,
    pub(in crate::pipeline) items: Option<Id>,
    pub(super) elements: Count,
    pub(in crate::pipeline) about: Option<String>,
    pub(in crate::pipeline) unit: Option<String>,
    pub(in crate::pipeline) default: Option<Value>,
    pub(super) example: Option<Value>,
}

/// A type as JSON Schema names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Integer,
    Number,
    Boolean,
    Table,
    Array,
    Null,
}

/// The types, their names in a schema, what people call them, and how a value is written.
pub(super) const TYPES: [(Type, &str, &str, &str); 7] = [
    (Type::Text, "string", "a string", "write it in quotation marks"),
    (Type::Integer, "integer", "an integer", "write it without quotation marks and without a point"),
    (Type::Number, "number", "a number", "write it without quotation marks"),
    (Type::Boolean, "boolean", "a boolean", "write `true` or `false`"),
    (Type::Table, "object", "a table", "write it as a table: `{ … }`, or under a header of its own"),
    (Type::Array, "array", "an array", "write it in brackets: `[…]`"),
    (Type::Null, "null", "null", "leave it out"),
];

/// How a text is to be written: its format, what people call it, and an example.
pub(super) type Notation = (&'static str, &'static str, &'static str);

/// The notations that are known.
const NOTATIONS: [Notation; 2] = [("duration", "a duration", "250ms"), ("bytes", "a size", "64MiB")];

/// The keys of a table that have no schema of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::pipeline) enum Others {
    #[default]
    Taken,
    Refused,
    Of(Id),
}

/// The range of a number: at least, at most, above, below.
pub(super) type Bounds = [Option<f64>; 4];

/// How many there may be of something: the least count and the largest.
pub(super) type Count = (usize, Option<usize>);

/// How many steps may still be taken: a schema with many references in a circle has no end otherwise.
pub(in crate::pipeline) struct Steps(Cell<usize>);

impl Steps {
    pub(in crate::pipeline) fn new(steps: usize) -> Self {
        Self(Cell::new(steps))
    }

    /// Takes some steps; `false` when there are not that many left.
    pub(in crate::pipeline) fn take(&self, steps: usize) -> bool {
        let left = self.0.get().checked_sub(steps);
        self.0.set(left.unwrap_or(0));
        left.is_some()
    }
}

impl Node {
    /// A TOML value is never null: such a branch only says that the option may be left out.
    pub(in crate::pipeline) fn is_null(&self) -> bool {
        self.types == [Type::Null]
    }

    /// The only value that is taken.
    pub(super) fn constant(&self) -> Option<&Value> {
        self.constants.as_ref().filter(|constants| constants.len() == 1).map(|constants| &constants[0])
    }

    /// The schema of a key of the table.
    pub(super) fn of_key(&self, key: &str) -> Option<Id> {
        let of_others = if let Others::Of(id) = self.others { Some(id) } else { None };
        self.properties.get(key).copied().or(of_others)
    }

    /// The schema of an element of the array.
    pub(super) fn of_element(&self, at: usize) -> Option<Id> {
        self.first.get(at).copied().or(self.items)
    }

    /// All schemas of which the value is, or may be, one.
    pub(in crate::pipeline) fn branches(&self) -> impl DoubleEndedIterator<Item = Id> {
        self.all.iter().chain(self.any.iter().flatten()).copied()
    }
}

impl Schema {
    /// Compiles a schema. What is malformed in it restricts nothing.
    pub(in crate::pipeline) fn compile(root: &Value) -> Self {
        let mut compiler = Compiler { root, found: Vec::new(), ids: HashMap::new() };
        compiler.id(root);
        let mut nodes = Vec::new();
        while let Some(&value) = compiler.found.get(nodes.len()) {
            nodes.push(compiler.node(value));
        }
        let mut schema = Self { nodes, names: HashSet::new() };
        schema.names = schema.names_of(Self::ROOT).map(str::to_owned).collect();
        schema
    }

    /// The schema of all options together.
    pub(in crate::pipeline) const ROOT: Id = 0;

    pub(in crate::pipeline) fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    /// Whether the plugin has an option of that name.
    pub(in crate::pipeline) fn has_option(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// The schema behind its references.
    pub(in crate::pipeline) fn resolve(&self, id: Id) -> Id {
        let next = |id: &Id| self.nodes[*id].refers;
        std::iter::successors(Some(id), next).take(HOPS_MAX + 1).last().unwrap_or(id)
    }

    /// The schema behind its references, and all that it is made of.
    pub(super) fn parts(&self, id: Id) -> Vec<Id> {
        let (mut parts, mut next, mut seen) = (Vec::new(), vec![id], HashSet::new());
        while let Some(id) = next.pop() {
            let id = self.resolve(id);
            if seen.insert(id) {
                parts.push(id);
                next.extend(self.nodes[id].branches().rev());
            }
        }
        parts
    }

    /// All properties that a schema names anywhere for the table itself.
    pub(super) fn names_of(&self, id: Id) -> impl Iterator<Item = &str> {
        // What stands beside a reference counts, too.
        let own = self.nodes[id].refers.is_some().then_some(id);
        let parts = own.into_iter().chain(self.parts(id));
        parts.flat_map(|part| self.nodes[part].properties.keys().map(String::as_str))
    }
}

struct Compiler<'s> {
    root: &'s Value,
    /// The schemas that are referred to, by their numbers.
    found: Vec<&'s Value>,
    ids: HashMap<*const Value, Id>,
}

impl<'s> Compiler<'s> {
    fn id(&mut self, value: &'s Value) -> Id {
        *self.ids.entry(std::ptr::from_ref(value)).or_insert_with(|| {
            self.found.push(value);
            self.found.len() - 1
        })
    }

    fn ids_at(&mut self, object: &'s Map<String, Value>, key: &str) -> Vec<Id> {
        let values = object.get(key).and_then(Value::as_array).into_iter().flatten();
        values.map(|value| self.id(value)).collect()
    }

    fn node(&mut self, value: &'s Value) -> Node {
        let Value::Object(object) = value else {
            return Node { refused: *value == Value::Bool(false), ..Node::default() };
        };
        let text = |key: &str| object.get(key).and_then(Value::as_str);
        let target = text("$ref").and_then(|reference| self.root.pointer(reference.strip_prefix('#')?));
        let properties = object.get("properties").and_then(Value::as_object).into_iter().flatten();
        let properties = properties.map(|(name, schema)| (name.clone(), self.id(schema))).collect();
        let others = match object.get("additionalProperties") {
            Some(Value::Bool(false)) => Others::Refused,
            Some(schema @ Value::Object(_)) => Others::Of(self.id(schema)),
            _ => Others::Taken,
        };
        let constants = constants(object);
        let names_null = constants.is_none() && object.get("const") == Some(&Value::Null);
        Node {
            refused: false,
            refers: target.map(|target| self.id(target)),
            types: if names_null { vec![Type::Null] } else { types(object) },
            notation: NOTATIONS.into_iter().find(|known| text("format") == Some(known.0)),
            constants,
            bounds: bounds(object),
            length: count(object, "minLength", "maxLength"),
            all: self.ids_at(object, "allOf"),
            any: ["anyOf", "oneOf"]
                .into_iter()
                .filter(|key| object.get(*key).is_some_and(Value::is_array))
                .map(|key| self.ids_at(object, key))
                .collect(),
            properties,
            others,
            closed: object.get("unevaluatedProperties") == Some(&Value::Bool(false)),
            required: texts(object.get("required")).map(str::to_owned).collect(),
            first: self.ids_at(object, "prefixItems"),
            items: object.get("items").map(|items| self.id(items)),
            elements: count(object, "minItems", "maxItems"),
            about: text("description").map(str::to_owned),
            unit: text("x-unit").map(str::to_owned),
            default: object.get("default").filter(|default| !default.is_null()).cloned(),
            example: object.get("examples").and_then(|examples| examples.get(0)).cloned(),
        }
    }
}

/// The texts of an array.
fn texts(array: Option<&Value>) -> impl Iterator<Item = &str> {
    array.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn types(object: &Map<String, Value>) -> Vec<Type> {
    let names = object.get("type");
    let names = names.and_then(Value::as_str).into_iter().chain(texts(names));
    names.filter_map(|name| TYPES.iter().find(|known| known.1 == name)).map(|known| known.0).collect()
}

/// The values that `const` or `enum` name; null is none that TOML has.
fn constants(object: &Map<String, Value>) -> Option<Vec<Value>> {
    let values = match object.get("const") {
        Some(Value::Null) => return None,
        Some(value) => std::slice::from_ref(value),
        None => object.get("enum")?.as_array()?,
    };
    Some(values.iter().filter(|value| !value.is_null()).cloned().collect())
}

fn bounds(object: &Map<String, Value>) -> Bounds {
    let number = |key: &str| object.get(key).and_then(Value::as_f64);
    // The ranges of types that `schemars` leaves to the format.
    let (low, high) = match object.get("format").and_then(Value::as_str).unwrap_or_default() {
        "uint8" => (Some(0.0), Some(f64::from(u8::MAX))),
        "int8" => (Some(f64::from(i8::MIN)), Some(f64::from(i8::MAX))),
        "uint16" => (Some(0.0), Some(f64::from(u16::MAX))),
        "int16" => (Some(f64::from(i16::MIN)), Some(f64::from(i16::MAX))),
        "uint32" => (Some(0.0), Some(f64::from(u32::MAX))),
        "int32" => (Some(f64::from(i32::MIN)), Some(f64::from(i32::MAX))),
        "uint64" | "uint" => (Some(0.0), None),
        "int64" | "int" => (None, Some(9.223_372_036_854_775e18)),
        _ => (None, None),
    };
    let [above, below] = ["exclusiveMinimum", "exclusiveMaximum"].map(number);
    [number("minimum").or(low), number("maximum").or(high), above, below]
}

/// The least and the largest count that two keys name.
fn count(object: &Map<String, Value>, min: &str, max: &str) -> Count {
    let number = |key: &str| usize::try_from(object.get(key)?.as_u64()?).ok();
    (number(min).unwrap_or(0), number(max))
}

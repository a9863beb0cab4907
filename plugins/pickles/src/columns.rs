//! Whether the payloads of a stream are dicts of the same plain values, and which columns these make.

use tapedeck_kit::pickle::{Id, Pickle, Value, cells::whole};
use tapedeck_sdk::prelude::*;

/// The most keys of a dict that makes columns.
const COLUMNS_MAX: usize = 4096;

/// What the values of a key have been so far.
#[derive(Debug, Clone)]
struct Key {
    name: String,
    /// `None` while only `None` was seen.
    data_type: Option<DataType>,
    nullable: bool,
    /// The range of the whole numbers.
    range: (i128, i128),
}

impl Key {
    fn see(&mut self, value: &Value) -> bool {
        let data_type = match value {
            Value::None => {
                self.nullable = true;
                return true;
            }
            Value::Bool(_) => DataType::Bool,
            Value::Int(_) | Value::Long(_) => {
                let Some(number) = whole(value) else { return false };
                self.range = (self.range.0.min(number), self.range.1.max(number));
                DataType::Int64
            }
            Value::Float(_) => DataType::Float64,
            Value::Text(_) => DataType::Utf8,
            Value::Bytes(_) => DataType::Binary,
            _ => return false,
        };
        *self.data_type.get_or_insert(data_type) == data_type
    }

    /// The type that holds every value. `None` if there is none.
    fn data_type(&self) -> Option<DataType> {
        match self.data_type {
            Some(DataType::Int64) if self.range.1 <= i64::MAX.into() => Some(DataType::Int64),
            Some(DataType::Int64) if self.range.0 >= 0 => Some(DataType::UInt64),
            Some(DataType::Int64) => None,
            // Nothing but nulls: any type does.
            other => Some(other.unwrap_or(DataType::Utf8)),
        }
    }
}

/// The keys that all payloads so far have, in the same order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    keys: Vec<Key>,
    begun: bool,
}

impl Keys {
    /// Takes one more payload. False if it does not fit: the payloads make no columns.
    pub(crate) fn see(&mut self, pickle: &Pickle, payload: Id) -> bool {
        let Value::Dict(pairs) = pickle.get(payload) else { return false };
        if !self.begun {
            self.begun = true;
            for (key, _) in pairs {
                let Value::Text(name) = pickle.get(*key) else { return false };
                self.keys.push(Key {
                    name: name.to_string(),
                    data_type: None,
                    nullable: false,
                    range: (0, 0),
                });
            }
        }
        let same = |(key, (name, value)): (&mut Key, &(Id, Id))| {
            matches!(pickle.get(*name), Value::Text(name) if *name == key.name) && key.see(pickle.get(*value))
        };
        !pairs.is_empty()
            && pairs.len() == self.keys.len()
            && pairs.len() <= COLUMNS_MAX
            && self.keys.iter_mut().zip(pairs).all(same)
    }

    /// Begins the schema of the stream. `None` if names or types make none.
    pub(crate) fn schema(&self, stream: &str) -> Option<tapedeck_sdk::SchemaBuilder> {
        let names: Vec<&str> = self.keys.iter().map(|key| key.name.as_str()).collect();
        let kind = Kind::of_columns(&names);
        let fits = |(key, column): (&Key, &tapedeck_sdk::kinds::KindColumn)| {
            let same = key.data_type.is_none_or(|data_type| data_type == column.data_type);
            let small = key.range.0 >= 0 && key.range.1 <= u32::MAX.into();
            let small =
                small && key.data_type == Some(DataType::Int64) && column.data_type == DataType::UInt32;
            (same || small) && (column.nullable || !key.nullable)
        };
        if kind != Kind::Attributes && self.keys.iter().zip(kind.columns()).all(fits) {
            return Some(kind.schema(stream));
        }
        let mut schema = StreamSchema::builder(stream, Kind::Attributes);
        for key in &self.keys {
            let data_type = key.data_type()?;
            schema = if key.nullable {
                schema.nullable(&key.name, data_type)
            } else {
                schema.field(&key.name, data_type)
            };
        }
        Some(schema)
    }
}

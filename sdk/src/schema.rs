//! What a stream's frames look like: its columns. The conventions that they keep are in [`kinds`](crate::kinds).
//!
//! Every schema begins with `seq` and `timestamp`; plugins add the payload columns and number them from 0.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{DataType, Error, ErrorKind, Kind};

/// The most payload columns a stream may have.
pub const COLUMNS_MAX: usize = 65_536;

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Field {
    /// The column's name.
    pub name: String,
    /// The type of its values.
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// Whether values may be null.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nullable: bool,
    /// Key and value pairs for readers. Known keys: `tapedeck.unit`, and `tapedeck.length_max` (bytes) on `utf8` and `binary`
    /// columns whose values have an upper limit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl Field {
    /// The key of the unit of a column's values.
    pub const UNIT: &'static str = "tapedeck.unit";
    /// The key of the most bytes that a value of varying length has.
    pub const LENGTH_MAX: &'static str = "tapedeck.length_max";

    /// A column that is never null.
    #[must_use]
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Self { name: name.into(), data_type, nullable: false, metadata: BTreeMap::new() }
    }

    /// The most bytes that a value has, where that is known: the type's width, or the `tapedeck.length_max` metadata.
    #[must_use]
    pub fn length_max(&self) -> Option<usize> {
        self.data_type.width().or_else(|| self.metadata.get(Self::LENGTH_MAX)?.parse().ok())
    }
}

/// What a stream's frames look like.
///
/// `fields[0]` is `seq: u64` (a gap in a file IS a loss) and `fields[1]` is `timestamp: timestamp_ns`; both are the engine's.
/// [`StreamSchema::payload`] is what the plugin added.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "SchemaParts")]
pub struct StreamSchema {
    name: String,
    kind: Kind,
    fields: Vec<Field>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
}

#[derive(serde::Deserialize)]
struct SchemaParts {
    name: String,
    kind: Kind,
    fields: Vec<Field>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

impl TryFrom<SchemaParts> for StreamSchema {
    type Error = Error;
    fn try_from(parts: SchemaParts) -> Result<Self, Error> {
        let SchemaParts { name, kind, fields, metadata } = parts;
        let lead: Vec<_> =
            fields.iter().take(2).map(|field| (field.name.as_str(), field.data_type)).collect();
        if lead != [("seq", DataType::UInt64), ("timestamp", DataType::TimestampNs)] {
            return Err(Error::data(format!(
                "the schema of stream \"{name}\" does not begin with seq and timestamp"
            )));
        }
        let builder = SchemaBuilder { name, kind, fields: fields[2..].to_vec(), metadata };
        builder.check()?;
        Ok(Self { name: builder.name, kind, fields, metadata: builder.metadata })
    }
}

impl StreamSchema {
    /// How many columns stand before the payload: `seq` and `timestamp`.
    pub const LEAD: usize = 2;
    /// The metadata key that names the kind.
    pub const KIND: &'static str = "tapedeck.kind";
    /// The metadata key that names the stream.
    pub const STREAM: &'static str = "tapedeck.stream";

    /// Begins a schema. `name` is the stream's: the source's id, or `id.part` for a source with several streams.
    #[must_use]
    pub fn builder(name: &str, kind: Kind) -> SchemaBuilder {
        SchemaBuilder { name: name.to_owned(), kind, fields: Vec::new(), metadata: BTreeMap::new() }
    }

    /// The stream's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The convention that the payload keeps.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// All columns, `seq` and `timestamp` first.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The plugin's own columns.
    #[must_use]
    pub fn payload(&self) -> &[Field] {
        &self.fields[Self::LEAD..]
    }

    /// The payload column of that name.
    #[must_use]
    pub fn payload_index(&self, name: &str) -> Option<usize> {
        self.payload().iter().position(|field| field.name == name)
    }

    /// Key and value pairs for readers.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The same name, kind and metadata with no payload columns yet: what a transform starts from.
    #[must_use]
    pub fn to_builder(&self) -> SchemaBuilder {
        SchemaBuilder {
            name: self.name.clone(),
            kind: self.kind,
            fields: Vec::new(),
            metadata: self.metadata.clone(),
        }
    }

    /// The same stream under another name.
    ///
    /// # Errors
    /// The name is empty.
    pub fn renamed(&self, name: &str) -> Result<Arc<Self>, Error> {
        let builder = self.to_builder().name(name);
        self.payload().iter().cloned().fold(builder, SchemaBuilder::push).build()
    }

    /// The same stream with only these payload columns, given by rising index.
    ///
    /// # Errors
    /// A column that is not there, or indices that do not rise.
    pub fn projected(&self, columns: &[usize]) -> Result<Arc<Self>, Error> {
        let refuse = |what: String| Err(Error::plugin(format!("stream \"{}\": {what}", self.name)));
        if columns.windows(2).any(|pair| pair[0] >= pair[1]) {
            return refuse("the indices of the wanted columns do not rise".to_owned());
        }
        let mut builder = self.to_builder();
        for &column in columns {
            let Some(field) = self.payload().get(column) else {
                return refuse(format!("there is no column {column}, only {}", self.payload().len()));
            };
            builder = builder.push(field.clone());
        }
        builder.build()
    }
}

/// Collects the payload columns of a schema.
#[derive(Debug, Clone)]
pub struct SchemaBuilder {
    name: String,
    kind: Kind,
    fields: Vec<Field>,
    metadata: BTreeMap<String, String>,
}

impl SchemaBuilder {
    /// Gives the stream another name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Adds a column that is never null.
    #[must_use]
    pub fn field(self, name: &str, data_type: DataType) -> Self {
        self.push(Field::new(name, data_type))
    }

    /// Adds a column whose values may be null.
    #[must_use]
    pub fn nullable(self, name: &str, data_type: DataType) -> Self {
        self.push(Field { nullable: true, ..Field::new(name, data_type) })
    }

    /// Adds a column.
    #[must_use]
    pub fn push(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    /// Adds a key and value pair for readers.
    #[must_use]
    pub fn metadata(mut self, key: &str, value: impl Into<String>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }

    /// The finished schema.
    ///
    /// # Errors
    /// A column name that is empty, reserved or there twice; a fixed width of 0; more than [`COLUMNS_MAX`] columns.
    pub fn build(self) -> Result<Arc<StreamSchema>, Error> {
        self.check()?;
        let lead = [Field::new("seq", DataType::UInt64), Field::new("timestamp", DataType::TimestampNs)];
        let fields = lead.into_iter().chain(self.fields).collect();
        Ok(Arc::new(StreamSchema { name: self.name, kind: self.kind, fields, metadata: self.metadata }))
    }

    fn check(&self) -> Result<(), Error> {
        let refuse =
            |what: String| Err(Error::new(ErrorKind::Data, format!("stream \"{}\": {what}", self.name)));
        if self.name.is_empty() {
            return Err(Error::data("a stream needs a name"));
        }
        if self.fields.len() > COLUMNS_MAX {
            return refuse(format!("{} columns, the limit is {COLUMNS_MAX}", self.fields.len()));
        }
        let mut seen = std::collections::HashSet::new();
        for field in &self.fields {
            if field.name.is_empty() {
                return refuse("a column has an empty name".to_owned());
            }
            if field.name == "seq" || field.name == "timestamp" || !seen.insert(field.name.as_str()) {
                return refuse(format!("column name \"{}\" is there twice", field.name));
            }
            if field.data_type == DataType::FixedBinary(0) {
                return refuse(format!("column \"{}\" has a width of 0", field.name));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projection_keeps_all_of_the_stream_but_the_other_columns() {
        let builder = StreamSchema::builder("game", Kind::Event).metadata("key", "value");
        let builder =
            builder.field("a", DataType::Int8).nullable("b", DataType::Utf8).field("c", DataType::Bool);
        let schema = builder.build().unwrap();
        let part = schema.projected(&[1, 2]).unwrap();
        assert_eq!((part.name(), part.kind(), part.metadata()), ("game", Kind::Event, schema.metadata()));
        assert_eq!(part.payload(), &schema.payload()[1..]);
        assert_eq!(schema.projected(&[]).unwrap().payload(), []);
        for wrong in [&[3][..], &[0, 0], &[2, 1]] {
            assert_eq!(schema.projected(wrong).unwrap_err().kind, ErrorKind::Plugin, "{wrong:?}");
        }
    }
}

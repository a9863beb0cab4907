//! The conventions that the payload columns of a stream keep, one module for each kind: schema, columns, values, codes.
//!
//! Who reads a stream of a kind finds its columns once ([`terminal::Columns::of`]: kind, names and types are checked) and then reads
//! the rows of each batch by name. Who makes one begins with the kind's schema and puts rows of the same type.

pub mod attributes;
mod convention;
pub mod event;
pub mod image;
pub mod input;
pub mod message;
pub mod terminal;

use std::fmt;
use std::str::FromStr;

use crate::{DataType, Error, Field, SchemaBuilder, StreamSchema};

/// The convention that a stream's payload columns keep, so that a sink can refuse what it can't write before anything runs.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Any columns: game memory, sensor readings. See [`attributes`].
    Attributes,
    /// What happens in terminals: `connection`, `code`, `data`. See [`terminal`].
    Terminal,
    /// What happens in a game or a lesson: `type`, `player_id`, `data` (JSON), `state` (JSON, nullable). See [`event`].
    Event,
    /// Pictures: `width`, `height`, `format`, `pixels`. See [`image`].
    Image,
    /// Opaque messages: `topic`, `encoding`, `data`. See [`message`].
    Message,
    /// Keys, buttons, movements and wheels: `device`, `code`, `pressed`, `dx`, `dy`, `wheel_x`, `wheel_y`, `injected`. See [`input`].
    Input,
}

/// A payload column of a convention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindColumn {
    /// Its name.
    pub name: &'static str,
    /// The type of its values.
    pub data_type: DataType,
    /// Whether values may be null.
    pub nullable: bool,
}

impl Kind {
    /// All kinds.
    pub const ALL: &'static [Self] =
        &[Self::Attributes, Self::Terminal, Self::Event, Self::Image, Self::Message, Self::Input];

    /// The kind's name in schema metadata (`tapedeck.kind`).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attributes => "attributes",
            Self::Terminal => "terminal",
            Self::Event => "event",
            Self::Image => "image",
            Self::Message => "message",
            Self::Input => "input",
        }
    }

    /// The payload columns of the convention, in its order; none for attributes, which may have any.
    #[must_use]
    pub const fn columns(self) -> &'static [KindColumn] {
        match self {
            Self::Attributes => &[],
            Self::Terminal => terminal::COLUMNS,
            Self::Event => event::COLUMNS,
            Self::Image => image::COLUMNS,
            Self::Message => message::COLUMNS,
            Self::Input => input::COLUMNS,
        }
    }

    /// The kind whose convention has exactly these payload columns, in its order; else attributes.
    #[must_use]
    pub fn of_columns(names: &[&str]) -> Self {
        let fits = |kind: &&Self| {
            kind.columns().iter().map(|column| column.name).eq(names.iter().copied()) && !names.is_empty()
        };
        Self::ALL.iter().find(fits).copied().unwrap_or(Self::Attributes)
    }

    /// Begins the schema of a stream of this kind, the columns of its convention included.
    #[must_use]
    pub fn schema(self, name: &str) -> SchemaBuilder {
        let field = |column: &KindColumn| Field {
            nullable: column.nullable,
            ..Field::new(column.name, column.data_type)
        };
        self.columns().iter().map(field).fold(StreamSchema::builder(name, self), SchemaBuilder::push)
    }

    /// Where the columns of the convention stand among the payload of a stream, in the convention's order.
    fn find<const N: usize>(self, schema: &StreamSchema) -> Result<[usize; N], Error> {
        if schema.kind() != self {
            let message =
                format!("stream \"{}\" is of kind \"{}\", not \"{self}\"", schema.name(), schema.kind());
            return Err(Error::data(message).with_hint("the sink `arrow` takes streams of every kind"));
        }
        let mut found = [0; N];
        for (place, column) in found.iter_mut().zip(self.columns()) {
            let index = schema.payload_index(column.name);
            let Some(index) = index.filter(|&index| self.allows(column, schema.payload()[index].data_type))
            else {
                let (stream, name, data_type) = (schema.name(), column.name, column.data_type);
                let message = format!("stream \"{stream}\" has no column \"{name}\" of type {data_type}");
                let hint = format!(
                    "streams of kind \"{self}\" have it: the plugin that made \"{stream}\" is at fault"
                );
                return Err(Error::data(message).with_hint(hint));
            };
            *place = index;
        }
        Ok(found)
    }

    /// Whether a column may be of this type. Pictures of one size have pixels of one length.
    fn allows(self, column: &KindColumn, data_type: DataType) -> bool {
        data_type == column.data_type
            || (self == Self::Image
                && column.data_type == DataType::Binary
                && matches!(data_type, DataType::FixedBinary(_)))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.iter().find(|kind| kind.name() == name);
        found.copied().ok_or_else(|| Error::data(format!("unknown stream kind \"{name}\"")))
    }
}

#[cfg(test)]
mod tests;

//! What messages of a stream look like, and the keys under which a channel says so: with them a recording of ours comes back as it was.

use tapedeck_sdk::{Kind, RowWriter, StreamSchema};

use crate::columns::{ImageColumns, MessageColumns};
use crate::image::{Images, Shape};
use crate::json::Objects;
use crate::options::Attributes;
use crate::rows::Rows;

/// A channel's stream, as the JSON of its schema.
pub(crate) const SCHEMA_KEY: &str = "tapedeck.schema";
/// What its messages look like.
pub(crate) const FORM_KEY: &str = "tapedeck.form";
/// What is added to a message's sequence, which has 32 bits, to get the frame's `seq`.
pub(crate) const BASE_KEY: &str = "tapedeck.seq_base";
/// The topic in the stream, where a profile has changed it.
pub(crate) const TOPIC_KEY: &str = "tapedeck.topic";
/// The other texts of its messages, as a JSON object.
pub(crate) const LABELS_KEY: &str = "tapedeck.labels";
/// Says that its messages have no sensor time.
pub(crate) const UNTIMED_KEY: &str = "tapedeck.sensor_time_is_null";
/// Says that the channel's schema and other metadata are those of another program's file.
pub(crate) const FOREIGN_KEY: &str = "tapedeck.foreign";
/// What the keys of a channel's metadata that are ours begin with.
pub(crate) const OWN: &str = "tapedeck.";
/// The metadata record with the schemas of all streams in their order, also of those that have no frame.
pub(crate) const STREAMS_RECORD: &str = "tapedeck.streams";
/// The metadata records with the session, and with what was lost.
pub(crate) const SESSION_RECORD: &str = "tapedeck.session";
pub(crate) const LOSS_RECORD: &str = "tapedeck.loss";

/// In the metadata of a stream that another program recorded: the schema of its channel, and what else the channel says.
pub(crate) const FOREIGN_NAME: &str = "mcap.schema.name";
pub(crate) const FOREIGN_ENCODING: &str = "mcap.schema.encoding";
/// The schema's text, or its bytes in base64.
pub(crate) const FOREIGN_TEXT: &str = "mcap.schema.text";
pub(crate) const FOREIGN_BYTES: &str = "mcap.schema.base64";
pub(crate) const FOREIGN_CHANNEL: &str = "mcap.channel.";
/// What the keys of a foreign channel begin with in a stream's metadata.
pub(crate) const FOREIGN: &str = "mcap.";

/// What messages of a stream look like.
#[derive(Debug, Clone)]
pub(crate) enum Form {
    /// The bytes of a message as they are, a channel a topic.
    Raw(MessageColumns),
    /// Foxglove's pictures.
    Image(Images),
    /// Protocol buffers.
    Rows(Rows),
    /// JSON objects.
    Json(Objects),
}

impl Form {
    /// How a stream is written.
    pub(crate) fn of(schema: &StreamSchema, attributes: Attributes) -> Self {
        let message = MessageColumns::of(schema).map(Self::Raw);
        let special = message
            .or_else(|| ImageColumns::of(schema).map(|columns| Self::Image(Images::new(columns, schema))));
        special.unwrap_or_else(|| match schema.kind() {
            Kind::Event | Kind::Terminal => Self::Json(Objects::new(schema)),
            _ if attributes == Attributes::Json => Self::Json(Objects::new(schema)),
            _ => Self::Rows(Rows::new(schema, 1, None)),
        })
    }

    /// The form of that name. `None` if there is none, or the stream has not the columns for it.
    pub(crate) fn named(name: &str, schema: &StreamSchema) -> Option<Self> {
        match name {
            "raw" => MessageColumns::recorded(schema).map(Self::Raw),
            "image" => ImageColumns::of(schema).map(|columns| Self::Image(Images::new(columns, schema))),
            "rows" => Some(Self::Rows(Rows::new(schema, 1, None))),
            "json" => Some(Self::Json(Objects::new(schema))),
            _ => None,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Raw(_) => "raw",
            Self::Image(_) => "image",
            Self::Rows(_) => "rows",
            Self::Json(_) => "json",
        }
    }

    /// Sets the values of a row that are in the message itself. `places` says where each column is among those that are wanted.
    pub(crate) fn decode(
        &self,
        shape: Shape,
        message: &[u8],
        places: &[Option<usize>],
        writer: &mut RowWriter<'_, '_>,
    ) -> Result<(), &'static str> {
        match self {
            Self::Raw(columns) => {
                if let Some(place) = places.get(columns.data).copied().flatten() {
                    writer.set_bytes(place, message);
                }
                Ok(())
            }
            Self::Image(images) => images.decode(shape, message, places, writer),
            Self::Rows(rows) => rows.decode(message, places, writer),
            Self::Json(objects) => objects.decode(message, places, writer),
        }
    }
}

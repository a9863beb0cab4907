//! Where the columns of the known kinds are. The one place that looks for them by name.

use tapedeck_sdk::{DataType, Kind, StreamSchema};

/// Columns of messages that are the channel's: the same for all messages of a topic and publisher.
const LABELS: [&str; 4] = ["schema", "publisher", "frame_id", "qos"];
/// The column of a device's own time, in any kind.
const SENSOR_TIME: &str = "sensor_time";

fn column(schema: &StreamSchema, name: &str, data_type: DataType) -> Option<usize> {
    let index = schema.payload_index(name)?;
    let field = &schema.payload()[index];
    (field.data_type == data_type && !field.nullable).then_some(index)
}

/// The payload column with a device's own time.
pub(crate) fn sensor_time(schema: &StreamSchema) -> Option<usize> {
    let index = schema.payload_index(SENSOR_TIME)?;
    (schema.payload()[index].data_type == DataType::TimestampNs).then_some(index)
}

/// The payload columns of a stream of opaque messages.
#[derive(Debug, Clone)]
pub(crate) struct MessageColumns {
    pub(crate) topic: usize,
    pub(crate) encoding: usize,
    pub(crate) data: usize,
    pub(crate) sensor_time: Option<usize>,
    /// The name of the message's type, where the stream has it.
    pub(crate) schema: Option<usize>,
    /// Texts such as a message's publisher or type: they become the channel's.
    pub(crate) labels: Vec<usize>,
}

impl MessageColumns {
    /// Of a stream to be written. `None` if it has a column that a channel can't stand for.
    pub(crate) fn of(schema: &StreamSchema) -> Option<Self> {
        let columns = Self::recorded(schema)?;
        // What differs from message to message would take a channel each.
        let is_label = |&index: &usize| LABELS.contains(&schema.payload()[index].name.as_str());
        columns.labels.iter().all(is_label).then_some(columns)
    }

    /// Of a stream whose other columns are texts, as they may have been written.
    pub(crate) fn recorded(schema: &StreamSchema) -> Option<Self> {
        if schema.kind() != Kind::Message {
            return None;
        }
        let [topic, encoding] = ["topic", "encoding"].map(|name| column(schema, name, DataType::Utf8));
        let (topic, encoding, data) = (topic?, encoding?, column(schema, "data", DataType::Binary)?);
        let sensor_time = sensor_time(schema);
        let known = [Some(topic), Some(encoding), Some(data), sensor_time];
        let labels: Vec<usize> =
            (0..schema.payload().len()).filter(|index| !known.contains(&Some(*index))).collect();
        let texts = labels.iter().all(|&index| schema.payload()[index].data_type == DataType::Utf8);
        let kind_of = labels.iter().copied().find(|&index| schema.payload()[index].name == "schema");
        texts.then_some(Self { topic, encoding, data, sensor_time, schema: kind_of, labels })
    }
}

/// The payload columns of a stream of pictures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ImageColumns {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) format: usize,
    pub(crate) pixels: usize,
}

impl ImageColumns {
    pub(crate) fn of(schema: &StreamSchema) -> Option<Self> {
        if schema.kind() != Kind::Image {
            return None;
        }
        let [width, height] = ["width", "height"].map(|name| column(schema, name, DataType::UInt32));
        Some(Self {
            width: width?,
            height: height?,
            format: column(schema, "format", DataType::Utf8)?,
            pixels: column(schema, "pixels", DataType::Binary)?,
        })
    }
}

/// Whether a column's text is JSON by convention: the `data` and `state` of an event.
pub(crate) fn holds_json(schema: &StreamSchema, index: usize) -> bool {
    let field = &schema.payload()[index];
    schema.kind() == Kind::Event
        && field.data_type == DataType::Utf8
        && matches!(field.name.as_str(), "data" | "state")
}

/// The schema of a topic that another program recorded. `sensor_time` is when a message was published, where that is known.
pub(crate) fn foreign(name: &str) -> tapedeck_sdk::SchemaBuilder {
    StreamSchema::builder(name, Kind::Message)
        .field("topic", DataType::Utf8)
        .field("encoding", DataType::Utf8)
        .field("data", DataType::Binary)
        .nullable(SENSOR_TIME, DataType::TimestampNs)
}

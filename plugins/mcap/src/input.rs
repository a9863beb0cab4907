//! One input stream: which channel a row belongs to, and its message. Opens channels when their first row comes.

use std::collections::{BTreeMap, HashMap};

use mcap::records::MessageHeader;
use tapedeck_sdk::prelude::*;

use crate::columns::{self, MessageColumns};
use crate::form::{
    BASE_KEY, FOREIGN, FOREIGN_BYTES, FOREIGN_CHANNEL, FOREIGN_ENCODING, FOREIGN_KEY, FOREIGN_NAME,
    FOREIGN_TEXT, FORM_KEY, Form, LABELS_KEY, SCHEMA_KEY, TOPIC_KEY, UNTIMED_KEY,
};
use crate::image::Shape;
use crate::options::{McapOptions, Profile};
use crate::output::Output;
use crate::{descriptor, names};

/// The most bytes of a message. Readers take a whole chunk into memory.
pub(crate) const MESSAGE_BYTES_MAX: usize = 200 << 20;

/// A channel's schema: its name, how it is written, and what it says.
type ChannelSchema = (String, String, Vec<u8>);

/// An input stream.
pub(crate) struct Input {
    schema: Arc<StreamSchema>,
    /// The schema as channels have it, as JSON.
    json: String,
    form: Form,
    sensor_time: Option<usize>,
    profile: Profile,
    /// The upper half of `seq`: a channel has the lower one only.
    base: u64,
    /// Channels by what tells them apart.
    channels: HashMap<Vec<u8>, u16>,
    /// The channel of the row before, and what tells it apart.
    last: Option<(Vec<u8>, u16)>,
    key: Vec<u8>,
    message: Vec<u8>,
}

/// Why a row is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// MCAP has no times before 1970.
    Early,
    /// The message is too large.
    Large,
    /// The file has as many channels as the format allows.
    Channels,
}

impl Input {
    pub(crate) fn new(schema: &Arc<StreamSchema>, options: &McapOptions) -> Result<Self, Error> {
        Ok(Self {
            json: plain_json(schema)?,
            form: Form::of(schema, options.attributes),
            sensor_time: columns::sensor_time(schema),
            profile: options.profile,
            schema: schema.clone(),
            base: 0,
            channels: HashMap::new(),
            last: None,
            key: Vec::new(),
            message: Vec::new(),
        })
    }

    /// The schema as channels have it, as JSON.
    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    /// Writes a batch. Rows that can't be are handed to `refuse`, with their `seq`.
    pub(crate) fn write(
        &mut self,
        batch: &Batch,
        output: &mut Output,
        mut refuse: impl FnMut(u64, Refused),
    ) -> Result<(), Error> {
        for row in 0..batch.rows() {
            if let Some(refused) = self.write_row(batch, row, output)? {
                refuse(batch.seq()[row], refused);
            }
        }
        Ok(())
    }

    fn write_row(
        &mut self,
        batch: &Batch,
        row: usize,
        output: &mut Output,
    ) -> Result<Option<Refused>, Error> {
        let time = batch.timestamps()[row];
        let Ok(log_time) = u64::try_from(time) else { return Ok(Some(Refused::Early)) };
        let seq = batch.seq()[row];
        if seq >> 32 != self.base >> 32 {
            self.base = seq >> 32 << 32;
            self.channels.clear();
            self.last = None;
        }
        let Some(channel) = self.channel(batch, row, output)? else { return Ok(Some(Refused::Channels)) };
        let sensor_time = self.sensor_time.filter(|&column| !batch.column(column).is_null(row));
        let publish_time =
            sensor_time.map_or(log_time, |column| batch.column(column).values::<i64>()[row].cast_unsigned());
        self.message.clear();
        let data = match &self.form {
            Form::Raw(columns) => batch.column(columns.data).bytes_at(row),
            Form::Image(images) => {
                let taken = sensor_time.map_or(time, |column| batch.column(column).values::<i64>()[row]);
                images.encode(batch, row, taken, &mut self.message);
                &self.message[..]
            }
            Form::Rows(rows) => {
                rows.encode(batch, row, &mut self.message);
                &self.message[..]
            }
            Form::Json(objects) => {
                objects.encode(batch, row, &mut self.message);
                &self.message[..]
            }
        };
        if data.len() > MESSAGE_BYTES_MAX {
            return Ok(Some(Refused::Large));
        }
        let sequence = u32::try_from(seq & u64::from(u32::MAX)).unwrap_or(0);
        let header = MessageHeader { channel_id: channel, sequence, log_time, publish_time };
        output.message(&header, time, data)?;
        Ok(None)
    }

    /// The channel of a row.
    fn channel(&mut self, batch: &Batch, row: usize, output: &mut Output) -> Result<Option<u16>, Error> {
        self.key.clear();
        match &self.form {
            Form::Raw(columns) => raw_key(columns, batch, row, &mut self.key),
            Form::Image(images) => self.key.push(images.shape(batch, row) as u8),
            Form::Rows(_) | Form::Json(_) => {}
        }
        if let Some((key, channel)) = &self.last
            && *key == self.key
        {
            return Ok(Some(*channel));
        }
        let channel = match self.channels.get(&self.key) {
            Some(&channel) => channel,
            None => {
                let Some(channel) = self.open(batch, row, output)? else { return Ok(None) };
                self.channels.insert(self.key.clone(), channel);
                channel
            }
        };
        let (mut key, _) = self.last.take().unwrap_or_default();
        key.clone_from(&self.key);
        self.last = Some((key, channel));
        Ok(Some(channel))
    }

    /// Adds the channel of a row to the file.
    fn open(&self, batch: &Batch, row: usize, output: &mut Output) -> Result<Option<u16>, Error> {
        let mut metadata = BTreeMap::from([
            (SCHEMA_KEY.to_owned(), self.json.clone()),
            (FORM_KEY.to_owned(), self.form.name().to_owned()),
        ]);
        if self.base > 0 {
            metadata.insert(BASE_KEY.to_owned(), self.base.to_string());
        }
        let (schema, topic, encoding) = match &self.form {
            Form::Raw(columns) => self.raw_channel(columns, batch, row, &mut metadata),
            Form::Image(images) => {
                let (name, data) = images.shape(batch, row).schema();
                let topic = match images.shape(batch, row) {
                    Shape::Raw => self.topic(),
                    // One topic has one schema in most programs.
                    Shape::Compressed => format!("{}/compressed", self.topic()),
                    Shape::Video => format!("{}/video", self.topic()),
                };
                ((name.to_owned(), "protobuf".to_owned(), data), topic, "protobuf".to_owned())
            }
            Form::Rows(_) => {
                let (name, data) = descriptor::of_rows(&self.schema);
                ((name, "protobuf".to_owned(), data), self.topic(), "protobuf".to_owned())
            }
            Form::Json(objects) => {
                let name = format!("tapedeck.{}", self.schema.kind());
                let data = objects.json_schema(&name).into_bytes();
                ((name, "jsonschema".to_owned(), data), self.topic(), "json".to_owned())
            }
        };
        let (name, schema_encoding, data) = &schema;
        output.channel((name, schema_encoding, data), (&topic, &encoding), &metadata)
    }

    fn topic(&self) -> String {
        names::topic_of_stream(self.profile, self.schema.name())
    }

    /// The schema, topic and encoding of a channel of messages.
    fn raw_channel(
        &self,
        columns: &MessageColumns,
        batch: &Batch,
        row: usize,
        metadata: &mut BTreeMap<String, String>,
    ) -> (ChannelSchema, String, String) {
        let text = |column: usize| batch.column(column).str_at(row);
        let type_name = columns.schema.filter(|&column| !batch.column(column).is_null(row)).map(text);
        let topic = names::topic_of_message(self.profile, text(columns.topic), type_name);
        if topic != text(columns.topic) {
            metadata.insert(TOPIC_KEY.to_owned(), text(columns.topic).to_owned());
        }
        if !columns.labels.is_empty() {
            let label = |&column: &usize| {
                let value = (!batch.column(column).is_null(row)).then(|| text(column));
                (self.schema.payload()[column].name.clone(), serde_json::json!(value))
            };
            let labels: serde_json::Map<String, serde_json::Value> =
                columns.labels.iter().map(label).collect();
            metadata.insert(LABELS_KEY.to_owned(), serde_json::Value::Object(labels).to_string());
        }
        if columns.sensor_time.is_some_and(|column| batch.column(column).is_null(row)) {
            metadata.insert(UNTIMED_KEY.to_owned(), "true".to_owned());
        }
        if self.schema.metadata().keys().any(|key| key.starts_with(FOREIGN)) {
            metadata.insert(FOREIGN_KEY.to_owned(), "true".to_owned());
        }
        for (key, value) in self.schema.metadata() {
            if let Some(key) = key.strip_prefix(FOREIGN_CHANNEL) {
                metadata.entry(key.to_owned()).or_insert_with(|| value.clone());
            }
        }
        // Channels of dimos have no schema: the topic names the type.
        let named = type_name.filter(|_| self.profile != Profile::Dimos).unwrap_or_default();
        let schema =
            foreign_schema(&self.schema).unwrap_or_else(|| (named.to_owned(), String::new(), Vec::new()));
        (schema, topic, text(columns.encoding).to_owned())
    }
}

/// What tells the channel of a message apart.
fn raw_key(columns: &MessageColumns, batch: &Batch, row: usize, key: &mut Vec<u8>) {
    let put = |column: usize, key: &mut Vec<u8>| {
        let bytes = batch.column(column).bytes_at(row);
        key.extend_from_slice(&bytes.len().to_le_bytes());
        key.extend_from_slice(bytes);
    };
    put(columns.topic, key);
    put(columns.encoding, key);
    for &column in &columns.labels {
        key.push(u8::from(batch.column(column).is_null(row)));
        put(column, key);
    }
    if let Some(column) = columns.sensor_time {
        key.push(u8::from(batch.column(column).is_null(row)));
    }
}

/// The schema that a stream had in the file of another program.
fn foreign_schema(schema: &StreamSchema) -> Option<ChannelSchema> {
    use base64::Engine;
    let pair = |key: &str| schema.metadata().get(key);
    let name = pair(FOREIGN_NAME)?;
    let bytes =
        pair(FOREIGN_BYTES).and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
    let data = bytes.or_else(|| pair(FOREIGN_TEXT).map(|text| text.clone().into_bytes()));
    Some((name.clone(), pair(FOREIGN_ENCODING).cloned().unwrap_or_default(), data.unwrap_or_default()))
}

/// A schema as JSON, without what its channels have already.
fn plain_json(schema: &StreamSchema) -> Result<String, Error> {
    let plain = StreamSchema::builder(schema.name(), schema.kind());
    let kept = schema.metadata().iter().filter(|(key, _)| !key.starts_with(FOREIGN));
    let plain = kept.fold(plain, |plain, (key, value)| plain.metadata(key, value.clone()));
    let plain = schema.payload().iter().cloned().fold(plain, tapedeck_sdk::SchemaBuilder::push).build()?;
    serde_json::to_string(&*plain).map_err(|error| {
        Error::data(format!("can't write the schema of stream \"{}\": {error}", schema.name()))
    })
}

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
use crate::recent::{Key, Recent};
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
    recent: Recent,
    key: Vec<u8>,
    rest: Vec<u8>,
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
            recent: Recent::default(),
            key: Vec::new(),
            rest: Vec::new(),
            message: Vec::new(),
        })
    }

    /// The schema as channels have it, as JSON.
    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    /// Writes a batch. Rows that can't be written are handed to `refuse`, with their `seq`.
    pub(crate) fn write(
        &mut self,
        batch: &Batch,
        output: &mut Output,
        mut refuse: impl FnMut(u64, Refused),
    ) -> Result<(), Error> {
        let columns = Columns::of(batch, &self.form, self.sensor_time);
        for row in 0..batch.rows() {
            if let Some(refused) = self.write_row(batch, &columns, row, output)? {
                refuse(batch.seq()[row], refused);
            }
        }
        Ok(())
    }

    fn write_row(
        &mut self,
        batch: &Batch,
        columns: &Columns<'_>,
        row: usize,
        output: &mut Output,
    ) -> Result<Option<Refused>, Error> {
        let time = columns.times[row];
        let Ok(log_time) = u64::try_from(time) else { return Ok(Some(Refused::Early)) };
        let seq = columns.seq[row];
        if seq >> 32 != self.base >> 32 {
            self.base = seq >> 32 << 32;
            self.channels.clear();
            self.recent.clear();
        }
        let Some(channel) = self.channel(batch, columns, row, output)? else {
            return Ok(Some(Refused::Channels));
        };
        let sensor_time = columns.sensor_time(row);
        let publish_time = sensor_time.map_or(log_time, i64::cast_unsigned);
        self.message.clear();
        let data = match (&self.form, &columns.raw) {
            (Form::Raw(_), Some(raw)) => raw.data.at(row),
            (Form::Image(images), _) => {
                images.encode(batch, row, sensor_time.unwrap_or(time), &mut self.message);
                &self.message[..]
            }
            (Form::Json(objects), _) => {
                objects.encode(batch, row, &mut self.message);
                &self.message[..]
            }
            (Form::Rows(rows), _) => {
                rows.encode(batch, row, &mut self.message);
                &self.message[..]
            }
            (Form::Raw(_), None) => &[],
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
    fn channel(
        &mut self,
        batch: &Batch,
        columns: &Columns<'_>,
        row: usize,
        output: &mut Output,
    ) -> Result<Option<u16>, Error> {
        self.rest.clear();
        let (topic, encoding) = match (&self.form, &columns.raw) {
            (Form::Raw(_), Some(raw)) => {
                raw.put_rest(row, columns.sensor_time(row).is_some(), &mut self.rest);
                (raw.topic.at(row), raw.encoding.at(row))
            }
            (Form::Image(images), _) => {
                self.rest.push(images.shape(batch, row) as u8);
                Default::default()
            }
            (Form::Raw(_) | Form::Rows(_) | Form::Json(_), _) => Default::default(),
        };
        let key = Key { topic, encoding, rest: &self.rest };
        if let Some(channel) = self.recent.find(key) {
            return Ok(Some(channel));
        }
        self.key.clear();
        key.put(&mut self.key);
        let channel = match self.channels.get(&self.key) {
            Some(&channel) => channel,
            None => {
                let Some(channel) = self.open(batch, row, output)? else { return Ok(None) };
                self.channels.insert(self.key.clone(), channel);
                channel
            }
        };
        self.recent.put(Key { topic, encoding, rest: &self.rest }, channel);
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

/// The columns of a batch that are looked at in each row.
struct Columns<'batch> {
    seq: &'batch [u64],
    times: &'batch [i64],
    sensor_time: Option<(Column<'batch>, &'batch [i64])>,
    raw: Option<RawColumns<'batch>>,
}

impl<'batch> Columns<'batch> {
    fn of(batch: &'batch Batch, form: &Form, sensor_time: Option<usize>) -> Self {
        let sensor_time = sensor_time.map(|column| batch.column(column));
        Self {
            seq: batch.seq(),
            times: batch.timestamps(),
            sensor_time: sensor_time.map(|column| (column, column.values::<i64>())),
            raw: match form {
                Form::Raw(columns) => Some(RawColumns {
                    topic: Bytes::of(batch.column(columns.topic)),
                    encoding: Bytes::of(batch.column(columns.encoding)),
                    data: Bytes::of(batch.column(columns.data)),
                    labels: columns.labels.iter().map(|&column| batch.column(column)).collect(),
                }),
                Form::Image(_) | Form::Rows(_) | Form::Json(_) => None,
            },
        }
    }

    fn sensor_time(&self, row: usize) -> Option<i64> {
        let (column, times) = self.sensor_time.as_ref()?;
        (!column.is_null(row)).then(|| times[row])
    }
}

/// The values of a column of varying length.
#[derive(Clone, Copy)]
struct Bytes<'batch> {
    offsets: &'batch [i32],
    bytes: &'batch [u8],
}

impl<'batch> Bytes<'batch> {
    fn of(column: Column<'batch>) -> Self {
        Self { offsets: column.offsets(), bytes: column.value_bytes() }
    }

    fn at(self, row: usize) -> &'batch [u8] {
        // Offsets are never negative: batches are checked when they are made.
        let [begin, end] = [self.offsets[row], self.offsets[row + 1]].map(i32::cast_unsigned);
        &self.bytes[begin as usize..end as usize]
    }
}

/// The columns of a batch of opaque messages.
struct RawColumns<'batch> {
    topic: Bytes<'batch>,
    encoding: Bytes<'batch>,
    data: Bytes<'batch>,
    labels: Vec<Column<'batch>>,
}

impl RawColumns<'_> {
    /// What tells the channel of a message apart, but for topic and encoding.
    fn put_rest(&self, row: usize, timed: bool, out: &mut Vec<u8>) {
        out.push(u8::from(timed));
        for column in &self.labels {
            let bytes = column.bytes_at(row);
            out.push(u8::from(column.is_null(row)));
            out.extend_from_slice(&bytes.len().to_le_bytes());
            out.extend_from_slice(bytes);
        }
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

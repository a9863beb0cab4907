//! The streams that the channels of files make: ours as they were recorded, those of other programs as messages, a stream a topic.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mcap::records::{Channel, MessageHeader};
use tapedeck_sdk::prelude::*;
use tapedeck_sdk::{RowWriter, SchemaBuilder};

use crate::columns::{self, MessageColumns};
use crate::form::{
    BASE_KEY, FOREIGN_BYTES, FOREIGN_CHANNEL, FOREIGN_ENCODING, FOREIGN_KEY, FOREIGN_NAME, FOREIGN_TEXT,
    FORM_KEY, Form, LABELS_KEY, OWN, SCHEMA_KEY, TOPIC_KEY, UNTIMED_KEY,
};
use crate::image::Shape;
use crate::index::{Contents, Schema};
use crate::names;

/// The most bytes of a row's columns of fixed width.
const ROW_BYTES_MAX: u64 = 16 << 20;

/// A channel: its stream, and how its messages become rows.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) stream: usize,
    /// What is added to a sequence to get `seq`; `None` where rows are numbered by their place.
    pub(crate) base: Option<u64>,
    form: Arc<Form>,
    shape: Shape,
    topic: String,
    encoding: String,
    labels: Vec<(usize, Option<String>)>,
    untimed: bool,
    /// Bytes of the texts that each row has of its channel.
    pub(crate) text_bytes: usize,
}

impl Source {
    fn measured(self) -> Self {
        let labels = self.labels.iter().flat_map(|(_, text)| text).map(String::len);
        let text_bytes = match &*self.form {
            Form::Raw(_) => labels.sum::<usize>() + self.topic.len() + self.encoding.len(),
            Form::Image(_) | Form::Rows(_) | Form::Json(_) => 0,
        };
        Self { text_bytes, ..self }
    }

    /// Sets the values of a row. `places` says where each column of the stream is among those that are wanted.
    pub(crate) fn fill(
        &self,
        (header, data): (&MessageHeader, &[u8]),
        places: &[Option<usize>],
        writer: &mut RowWriter<'_, '_>,
    ) -> Result<(), &'static str> {
        self.form.decode(self.shape, data, places, writer)?;
        let Form::Raw(columns) = &*self.form else { return Ok(()) };
        let place = |column: usize| places.get(column).copied().flatten();
        if let Some(place) = place(columns.topic) {
            writer.set_str(place, &self.topic);
        }
        if let Some(place) = place(columns.encoding) {
            writer.set_str(place, &self.encoding);
        }
        for (column, text) in &self.labels {
            if let (Some(place), Some(text)) = (place(*column), text) {
                writer.set_str(place, text);
            }
        }
        // In files of other programs a message that was not stamped apart has the time of its recording, or 0.
        let unstamped = header.publish_time == header.log_time || header.publish_time == 0;
        let untimed = self.untimed || (self.base.is_none() && unstamped);
        if let (Some(place), false) = (columns.sensor_time.and_then(place), untimed) {
            writer.set(place, header.publish_time.cast_signed());
        }
        Ok(())
    }
}

/// The streams of a recording, and the channels that they are made of.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    pub(crate) schemas: Vec<Arc<StreamSchema>>,
    /// Whether a stream is one of ours.
    pub(crate) own: Vec<bool>,
    sources: Vec<Source>,
    /// For each file, by channel id, the source.
    channels: Vec<Vec<Option<usize>>>,
    /// Topics of other programs, with the schema and encoding of their messages.
    topics: HashMap<(String, Schema, String), usize>,
    /// The streams of each name, and how many names were numbered behind it.
    named: HashMap<String, Vec<usize>>,
    numbered: HashMap<String, usize>,
}

impl Streams {
    /// Adds the streams of a file.
    pub(crate) fn add(&mut self, file: usize, contents: &Contents) -> Result<(), Error> {
        for json in contents.streams.values() {
            if let Ok(schema) = serde_json::from_str::<StreamSchema>(json) {
                self.own_stream(&schema)?;
            }
        }
        for (&id, channel) in &contents.channels {
            let none = Schema::default();
            let schema = contents.schemas.get(&channel.schema_id).unwrap_or(&none);
            let source = match own_form(channel) {
                Some((own, form)) => self.own_source(channel, schema, &own, form)?,
                None => self.foreign_source(channel, schema)?,
            };
            self.sources.push(source);
            if self.channels.len() <= file {
                self.channels.resize_with(file + 1, Vec::new);
            }
            let channels = &mut self.channels[file];
            let place = usize::from(id);
            if channels.len() <= place {
                channels.resize(place + 1, None);
            }
            channels[place] = Some(self.sources.len() - 1);
        }
        Ok(())
    }

    /// The source of a channel of a file.
    pub(crate) fn source(&self, file: usize, channel: u16) -> Option<&Source> {
        let place = self.channels.get(file)?.get(usize::from(channel)).copied().flatten()?;
        self.sources.get(place)
    }

    /// Whether a channel of a file is one of a stream's.
    pub(crate) fn is_of(&self, file: usize, channel: u16, stream: usize) -> bool {
        self.source(file, channel).is_some_and(|source| source.stream == stream)
    }

    /// Whether all streams are ours.
    pub(crate) fn all_own(&self) -> bool {
        self.own.iter().all(|&own| own)
    }

    fn own_stream(&mut self, schema: &StreamSchema) -> Result<usize, Error> {
        let same = |&&stream: &&usize| {
            let known = &self.schemas[stream];
            known.kind() == schema.kind() && known.fields() == schema.fields()
        };
        if let Some(&stream) = self.named.get(schema.name()).and_then(|streams| streams.iter().find(same)) {
            return Ok(stream);
        }
        let width = |field: &Field| field.data_type.width().unwrap_or(8) as u64;
        if schema.fields().iter().map(width).sum::<u64>() > ROW_BYTES_MAX {
            let name = schema.name();
            return Err(Error::data(format!(
                "a row of stream \"{name}\" has more than 16 MiB of fixed width"
            )));
        }
        Ok(self.push(Arc::new(schema.clone()), true))
    }

    fn push(&mut self, schema: Arc<StreamSchema>, own: bool) -> usize {
        let stream = self.schemas.len();
        self.named.entry(schema.name().to_owned()).or_default().push(stream);
        self.schemas.push(schema);
        self.own.push(own);
        stream
    }

    fn own_source(
        &mut self,
        channel: &Channel,
        schema: &Schema,
        own: &StreamSchema,
        form: Form,
    ) -> Result<Source, Error> {
        let stream = self.own_stream(own)?;
        let pair = |key: &str| channel.metadata.get(key);
        if pair(FOREIGN_KEY).is_some() && self.schemas[stream].metadata() == own.metadata() {
            let known = &self.schemas[stream];
            let builder = described(known.to_builder(), channel, schema);
            self.schemas[stream] =
                known.payload().iter().cloned().fold(builder, SchemaBuilder::push).build()?;
        }
        let labels = pair(LABELS_KEY).and_then(|json| serde_json::from_str(json).ok());
        let labels: serde_json::Map<String, serde_json::Value> = labels.unwrap_or_default();
        let label = |(name, value): (String, serde_json::Value)| {
            let column = own.payload_index(&name)?;
            let text = own.payload()[column].data_type == DataType::Utf8;
            text.then(|| (column, value.as_str().map(str::to_owned)))
        };
        let mut labels: Vec<_> = labels.into_iter().filter_map(label).collect();
        if let Form::Raw(columns) = &form {
            labels.retain(|(column, _)| columns.labels.contains(column));
        }
        Ok(Source {
            stream,
            base: Some(pair(BASE_KEY).and_then(|base| base.parse().ok()).unwrap_or(0)),
            shape: match schema.name.as_str() {
                "foxglove.CompressedImage" => Shape::Compressed,
                "foxglove.CompressedVideo" => Shape::Video,
                _ => Shape::Raw,
            },
            form: Arc::new(form),
            topic: pair(TOPIC_KEY).unwrap_or(&channel.topic).clone(),
            encoding: channel.message_encoding.clone(),
            labels,
            untimed: pair(UNTIMED_KEY).is_some(),
            text_bytes: 0,
        }
        .measured())
    }

    fn foreign_source(&mut self, channel: &Channel, schema: &Schema) -> Result<Source, Error> {
        let key = (channel.topic.clone(), schema.clone(), channel.message_encoding.clone());
        let stream = match self.topics.get(&key) {
            Some(&stream) => stream,
            None => {
                let name = self.free_name(channel, schema);
                let stream = self.push(described(columns::foreign(&name), channel, schema).build()?, false);
                self.topics.insert(key, stream);
                stream
            }
        };
        let columns = MessageColumns::of(&self.schemas[stream])
            .ok_or_else(|| Error::plugin("the columns of a foreign topic are not those of a message"))?;
        Ok(Source {
            stream,
            base: None,
            form: Arc::new(Form::Raw(columns)),
            shape: Shape::Raw,
            topic: channel.topic.clone(),
            encoding: channel.message_encoding.clone(),
            labels: Vec::new(),
            untimed: false,
            text_bytes: 0,
        }
        .measured())
    }

    /// A name that no other stream has.
    fn free_name(&mut self, channel: &Channel, schema: &Schema) -> String {
        let taken = |name: &str| self.named.contains_key(name);
        let name = names::stream_of_topic(&channel.topic);
        if !taken(&name) {
            return name;
        }
        let typed = format!("{name}@{}", names::stream_of_topic(&schema.name));
        if !taken(&typed) {
            return typed;
        }
        // Goes on where the last search ended.
        let number = self.numbered.entry(typed.clone()).or_insert(1);
        loop {
            *number += 1;
            let name = format!("{typed}#{number}");
            if !self.named.contains_key(&name) {
                return name;
            }
        }
    }
}

/// What a channel of ours says of its stream.
fn own_form(channel: &Channel) -> Option<(StreamSchema, Form)> {
    let schema: StreamSchema = serde_json::from_str(channel.metadata.get(SCHEMA_KEY)?).ok()?;
    let form = Form::named(channel.metadata.get(FORM_KEY)?, &schema)?;
    Some((schema, form))
}

/// Adds what the file of another program says of a topic.
fn described(builder: SchemaBuilder, channel: &Channel, schema: &Schema) -> SchemaBuilder {
    let mut builder = builder;
    if channel.schema_id != 0 {
        builder = builder.metadata(FOREIGN_NAME, schema.name.clone());
        builder = builder.metadata(FOREIGN_ENCODING, schema.encoding.clone());
        builder = match std::str::from_utf8(&schema.data) {
            Ok(text) => builder.metadata(FOREIGN_TEXT, text),
            Err(_binary) => builder.metadata(FOREIGN_BYTES, STANDARD.encode(&schema.data)),
        };
    }
    let others = channel.metadata.iter().filter(|(key, _)| !key.starts_with(OWN));
    others.fold(builder, |builder, (key, value)| {
        builder.metadata(&format!("{FOREIGN_CHANNEL}{key}"), value.clone())
    })
}

//! How rows of a stream and observations go over into each other.

use serde_json::{Map, Value as Json, json};
use tapedeck_sdk::prelude::*;

use crate::names::{POSE, SENSOR_TIME, class_of, of_topic, type_of};

/// What we add to the configuration of a stream.
const OURS: &str = "tapedeck";

/// The columns that an observation has a place for, if a stream of messages has them.
const KNOWN: [&str; 6] = ["topic", "encoding", "data", "schema", "value", "tags"];

/// The key of a stream's metadata that has the class which dimos makes of its payloads.
pub(crate) const CLASS_KEY: &str = "dimos.class";

/// How payloads are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    /// The bytes of a message, which one of dimos' codecs reads.
    Raw,
    /// The bytes of a message, pickled.
    Wrapped,
    /// A dict of all columns, pickled.
    Dict,
}

/// What a table of observations is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) payload: Payload,
    pub(crate) topic: String,
    pub(crate) encoding: String,
    pub(crate) kind: Option<String>,
    /// The stream that it is of, if it is one of ours.
    pub(crate) schema: Option<StreamSchema>,
    /// The class that dimos makes of a payload.
    pub(crate) class: String,
}

/// Whether all columns of a stream of messages have a place in an observation.
pub(crate) fn is_plain(schema: &StreamSchema) -> bool {
    let known = |field: &Field| match field.name.as_str() {
        name if POSE.contains(&name) => field.data_type == DataType::Float64,
        "value" => matches!(field.data_type, DataType::Float64 | DataType::Int64),
        "data" => field.data_type == DataType::Binary,
        SENSOR_TIME => field.data_type == DataType::TimestampNs,
        name => KNOWN.contains(&name) && field.data_type == DataType::Utf8,
    };
    schema.kind() == Kind::Message && schema.payload().iter().all(known)
}

impl Table {
    /// The table of messages of a topic, an encoding and perhaps a type. `class` is what the stream says that dimos makes of them.
    pub(crate) fn of_message(
        name: String,
        (topic, encoding, kind): (&str, &str, Option<&str>),
        class: Option<&String>,
    ) -> Self {
        let known = class.cloned();
        let said = kind.filter(|kind| !kind.is_empty()).or(of_topic(topic).1);
        let class = match encoding {
            "lcm" | "lz4+lcm" => said.and_then(class_of).or(known),
            "jpeg" => class_of(said.unwrap_or("sensor_msgs.Image")),
            "json" => class_of("std_msgs.String"),
            "pickle" => known.or_else(|| Some("builtins.object".to_owned())),
            _ => None,
        };
        Self {
            name,
            payload: if class.is_some() { Payload::Raw } else { Payload::Wrapped },
            topic: topic.to_owned(),
            encoding: encoding.to_owned(),
            kind: kind.map(str::to_owned),
            schema: None,
            class: class.unwrap_or_else(|| "builtins.bytes".to_owned()),
        }
    }

    /// The table of a stream whose rows become dicts.
    pub(crate) fn of_rows(name: String) -> Self {
        Self {
            name,
            payload: Payload::Dict,
            topic: String::new(),
            encoding: String::new(),
            kind: None,
            schema: None,
            class: "builtins.dict".to_owned(),
        }
    }

    fn codec(&self) -> &str {
        if self.payload == Payload::Raw { &self.encoding } else { "pickle" }
    }

    /// What dimos asks for, and what it passes over.
    pub(crate) fn config(&self, schema: &StreamSchema) -> String {
        let payload = match self.payload {
            Payload::Raw => "raw",
            Payload::Wrapped => "wrapped",
            Payload::Dict => "dict",
        };
        let ours = json!({
            "payload": payload, "topic": self.topic, "encoding": self.encoding, "type": self.kind, "schema": schema,
        });
        json!({
            "payload_module": self.class, "codec_id": self.codec(), "eager_blobs": false, "page_size": 256, OURS: ours,
        })
        .to_string()
    }

    /// A table by its configuration. What can't be read is a stream of dimos' with nothing known of it.
    pub(crate) fn read(name: &str, config: &str) -> Self {
        let config: Map<String, Json> = serde_json::from_str(config).unwrap_or_default();
        let text =
            |table: &Map<String, Json>, key: &str| table.get(key).and_then(Json::as_str).map(str::to_owned);
        let class =
            text(&config, "payload_module").unwrap_or_default().replace("dimos.memory2.", "dimos.memory.");
        let foreign = Self {
            name: name.to_owned(),
            payload: Payload::Raw,
            topic: name.to_owned(),
            encoding: text(&config, "codec_id").unwrap_or_default(),
            kind: type_of(&class),
            schema: None,
            class,
        };
        let Some(Json::Object(ours)) = config.get(OURS) else { return foreign };
        let schema = ours.get("schema").cloned().and_then(|schema| serde_json::from_value(schema).ok());
        let payload = match text(ours, "payload").as_deref() {
            Some("raw") => Payload::Raw,
            Some("wrapped") => Payload::Wrapped,
            Some("dict") => Payload::Dict,
            _ => return foreign,
        };
        Self {
            payload,
            topic: text(ours, "topic").unwrap_or_default(),
            encoding: text(ours, "encoding").unwrap_or_default(),
            kind: text(ours, "type"),
            schema,
            ..foreign
        }
    }
}

/// What a stream of dimos' uses of its observations, besides their payloads.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Uses {
    pub(crate) value: bool,
    pub(crate) pose: bool,
    pub(crate) tags: bool,
}

/// The schema of a stream of dimos'.
pub(crate) fn foreign(table: &Table, uses: Uses) -> Result<Arc<StreamSchema>, Error> {
    let mut schema = Kind::Message.schema(&table.name).metadata(CLASS_KEY, table.class.clone());
    schema = schema.nullable("schema", DataType::Utf8);
    if uses.value {
        let whole = matches!(table.class.as_str(), "builtins.int" | "builtins.bool");
        schema = schema.nullable("value", if whole { DataType::Int64 } else { DataType::Float64 });
    }
    if uses.pose {
        schema = POSE.iter().fold(schema, |schema, name| schema.nullable(name, DataType::Float64));
    }
    if uses.tags {
        schema = schema.nullable("tags", DataType::Utf8);
    }
    schema.build()
}

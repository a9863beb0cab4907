//! What a recording says of itself beside its events, and how a stream carries it: as metadata under `lmsp.` and as checkpoints.

use serde_json::{Map, Value, json};
use tapedeck_kit::seconds;
use tapedeck_sdk::SchemaBuilder;
use tapedeck_sdk::kinds::event::CHECKPOINTS_KEY;
use tapedeck_sdk::prelude::*;

/// The version that is read and written.
pub(crate) const VERSION: &str = "1.0.0";

/// What the keys of a stream's metadata begin with.
const PREFIX: &str = "lmsp.";

/// The facts of a recording. None: not known (yet).
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Facts {
    pub(crate) player_id: Option<String>,
    pub(crate) challenge_id: Option<String>,
    /// Unix seconds.
    pub(crate) created_at: Option<f64>,
    pub(crate) duration: Option<f64>,
    pub(crate) success: Option<bool>,
    pub(crate) final_code: Option<String>,
    pub(crate) final_time: Option<f64>,
    /// Names and the number of the event that each stands for.
    pub(crate) checkpoints: Option<Vec<(String, u64)>>,
}

impl Facts {
    /// Takes a fact of a document, as JSON. Others than the known ones are passed over.
    pub(crate) fn take(&mut self, key: &str, text: &str) -> Result<(), String> {
        fn read<T: serde::de::DeserializeOwned>(key: &str, text: &str) -> Result<Option<T>, String> {
            serde_json::from_str(text).map_err(|error| format!("\"{key}\" can't be read: {error}"))
        }
        match key {
            "version" => {
                let version: Option<Value> = read(key, text)?;
                if version != Some(json!(VERSION)) {
                    return Err(unknown_version(&version.unwrap_or_default()));
                }
            }
            "player_id" => self.player_id = read(key, text)?,
            "challenge_id" => self.challenge_id = read(key, text)?,
            "created_at" => self.created_at = read(key, text)?,
            "duration" => self.duration = read(key, text)?,
            "success" => self.success = read(key, text)?,
            "final_code" => self.final_code = read(key, text)?,
            "final_time" => self.final_time = read(key, text)?,
            "checkpoints" => {
                let all: Map<String, Value> = read(key, text)?.unwrap_or_default();
                let checkpoint = |(name, index): (String, Value)| {
                    let index =
                        index.as_u64().ok_or_else(|| format!("checkpoint \"{name}\" has no event"))?;
                    Ok((name, index))
                };
                self.checkpoints = Some(all.into_iter().map(checkpoint).collect::<Result<_, String>>()?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Those that the metadata of a stream has.
    pub(crate) fn of(schema: &StreamSchema) -> Self {
        let mut facts = Self::default();
        for (key, text) in schema.metadata() {
            let key = if key == CHECKPOINTS_KEY { Some("checkpoints") } else { key.strip_prefix(PREFIX) };
            // What is none is somebody else's.
            _ = key.map(|key| facts.take(key, text));
        }
        facts
    }

    /// Adds them to the metadata of a stream.
    pub(crate) fn describe(&self, schema: SchemaBuilder) -> SchemaBuilder {
        let checkpoints = self.checkpoints.as_ref().map(|all| checkpoints(all));
        let facts = [
            ("player_id", self.player_id.as_ref().map(|text| json!(text))),
            ("challenge_id", self.challenge_id.as_ref().map(|text| json!(text))),
            ("created_at", self.created_at.map(|number| json!(number))),
            ("duration", self.duration.map(|number| json!(number))),
            ("success", self.success.map(|truth| json!(truth))),
            ("final_code", self.final_code.as_ref().map(|text| json!(text))),
            ("final_time", self.final_time.map(|number| json!(number))),
        ];
        let known = facts.into_iter().filter_map(|(key, value)| Some((format!("{PREFIX}{key}"), value?)));
        let known = known.chain(checkpoints.map(|all| (CHECKPOINTS_KEY.to_owned(), all)));
        known.fold(schema, |schema, (key, value)| schema.metadata(&key, value.to_string()))
    }

    /// When it began.
    pub(crate) fn start(&self) -> Timestamp {
        self.created_at.and_then(seconds::of_seconds).unwrap_or(Timestamp(0))
    }
}

/// Checkpoints as an object.
pub(crate) fn checkpoints(all: &[(String, u64)]) -> Value {
    Value::Object(all.iter().map(|(name, index)| (name.clone(), json!(index))).collect())
}

/// Of a version that nobody here knows.
pub(crate) fn unknown_version(version: &Value) -> String {
    format!("Unsupported version: {version} (known is \"{VERSION}\")")
}

/// The nanoseconds of a time since the beginning.
pub(crate) fn nanos(seconds: f64) -> i64 {
    seconds::of_seconds(seconds).map_or(0, |time| time.0)
}

/// The seconds of nanoseconds since the beginning.
pub(crate) fn relative(nanos: i64) -> f64 {
    seconds::to_seconds(Timestamp(nanos))
}

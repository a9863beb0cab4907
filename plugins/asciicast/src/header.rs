//! The header of a recording: what it says, how versions 1, 2 and 3 spell it, and how it is written. Pure: no files, no events.

use serde_json::{Map, Number, Value, json};
use tapedeck_sdk::kinds::terminal::Size;

/// The version of the format that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// Version 1: one JSON document. Read only.
    One,
    /// Version 2: a line an event, with the time since the start.
    Two,
    /// Version 3: a line an event, with the time since the event before.
    Three,
}

/// What a header says, whatever its version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Facts {
    pub(crate) idle_time_limit: Option<Number>,
    pub(crate) command: Option<String>,
    pub(crate) title: Option<String>,
    /// The values are strings, always: asciinema 3.2 refuses a file whose `env` holds a number.
    pub(crate) env: Map<String, Value>,
    pub(crate) theme: Option<Value>,
    pub(crate) tags: Option<Value>,
    pub(crate) terminal_type: Option<String>,
    pub(crate) terminal_version: Option<String>,
    /// What other recorders have written besides.
    pub(crate) others: Map<String, Value>,
}

/// The keys that a header of any version may have. `duration` is not written: it would be wrong of a part of the recording.
const KEYS: &[&str] = &[
    "version",
    "width",
    "height",
    "term",
    "timestamp",
    "duration",
    "idle_time_limit",
    "command",
    "title",
    "env",
    "theme",
    "tags",
    "stdout",
];

/// A whole header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: Version,
    pub(crate) size: Size,
    /// Seconds since 1970.
    pub(crate) timestamp: Option<u64>,
    pub(crate) facts: Facts,
}

impl Header {
    /// Reads the first line of a version 2 or 3 file, or a whole version 1 document.
    pub(crate) fn parse(header: &Map<String, Value>) -> Result<Self, String> {
        let version = header.get("version").ok_or("the header has no version")?;
        let version = match version.as_u64() {
            Some(1) => Version::One,
            Some(2) => Version::Two,
            Some(3) => Version::Three,
            _ => return Err(format!("asciicast version {version} is not known; versions 1 to 3 are read")),
        };
        let empty = Map::new();
        let terminal = if version == Version::Three {
            header.get("term").and_then(Value::as_object).ok_or("the header has no terminal")?
        } else {
            &empty
        };
        let [columns, rows] = if version == Version::Three {
            [terminal.get("cols"), terminal.get("rows")]
        } else {
            [header.get("width"), header.get("height")]
        };
        let cells =
            |value: Option<&Value>| value.and_then(Value::as_u64).and_then(|cells| cells.try_into().ok());
        let (Some(columns), Some(rows)) = (cells(columns), cells(rows)) else {
            return Err("the header has no size of the terminal".to_owned());
        };
        let text = |from: &Map<String, Value>, key: &str| from.get(key)?.as_str().map(str::to_owned);
        let theme = terminal.get("theme").or_else(|| header.get("theme"));
        let facts = Facts {
            idle_time_limit: header.get("idle_time_limit").and_then(Value::as_number).cloned(),
            command: text(header, "command"),
            title: text(header, "title"),
            env: header.get("env").and_then(Value::as_object).map(environment).unwrap_or_default(),
            theme: theme.filter(|theme| theme.is_object()).cloned(),
            tags: header.get("tags").filter(|tags| tags.is_array()).cloned(),
            terminal_type: text(terminal, "type"),
            terminal_version: text(terminal, "version"),
            others: header
                .iter()
                .filter(|(key, _)| !KEYS.contains(&key.as_str()))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        };
        Ok(Self {
            version,
            size: Size { columns, rows },
            timestamp: header.get("timestamp").and_then(seconds),
            facts,
        })
    }

    /// Adds the header's line.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let facts = &self.facts;
        let mut header = Map::new();
        let mut terminal = Map::new();
        if self.version == Version::Three {
            terminal.insert("cols".to_owned(), json!(self.size.columns));
            terminal.insert("rows".to_owned(), json!(self.size.rows));
            put(&mut terminal, "type", facts.terminal_type.as_ref().map(|text| json!(text)));
            put(&mut terminal, "version", facts.terminal_version.as_ref().map(|text| json!(text)));
            put(&mut terminal, "theme", facts.theme.clone());
            header.insert("version".to_owned(), json!(3));
            header.insert("term".to_owned(), Value::Object(terminal));
        } else {
            header.insert("version".to_owned(), json!(2));
            header.insert("width".to_owned(), json!(self.size.columns));
            header.insert("height".to_owned(), json!(self.size.rows));
        }
        put(&mut header, "timestamp", self.timestamp.map(|seconds| json!(seconds)));
        put(&mut header, "idle_time_limit", facts.idle_time_limit.clone().map(Value::Number));
        put(&mut header, "command", facts.command.as_ref().map(|text| json!(text)));
        put(&mut header, "title", facts.title.as_ref().map(|text| json!(text)));
        put(&mut header, "env", (!facts.env.is_empty()).then(|| Value::Object(facts.env.clone())));
        if self.version == Version::Three {
            put(&mut header, "tags", facts.tags.clone());
        } else {
            put(&mut header, "theme", facts.theme.clone());
        }
        header.extend(facts.others.clone());
        serde_json::to_writer(&mut *out, &header).expect("a header can be written into memory");
        out.push(b'\n');
    }
}

fn put(map: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value);
    }
}

/// Other recorders write numbers, and null for a variable that is not set.
fn environment(from: &Map<String, Value>) -> Map<String, Value> {
    let text = |(key, value): (&String, &Value)| {
        let text = match value {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some((key.clone(), Value::String(text)))
    };
    from.iter().filter_map(text).collect()
}

/// Whole seconds, also of a float.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, as is wanted"
)]
fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().filter(|&seconds| seconds >= 0.0).map(|seconds| seconds as u64))
}

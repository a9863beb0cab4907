//! The facts about a connection that stand beside its recording, as JSON. Knows nothing of events or how they are written.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tapedeck_sdk::kinds::terminal::{Code, Size};
use tapedeck_sdk::{Error, Timestamp};

use crate::encode::EVENT_CODES;

/// The most bytes of a sidecar.
const SIDECAR_BYTES_MAX: u64 = 16 << 20;

/// How a recording stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Recording,
    Complete,
    Interrupted,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Recording => "recording",
            Self::Complete => "complete",
            Self::Interrupted => "interrupted",
        }
    }
}

/// What is known of a connection.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) connection: String,
    pub(crate) status: Status,
    pub(crate) started_at: Timestamp,
    /// When the last frame came: the end, once the recording has ended.
    pub(crate) last_at: Timestamp,
    pub(crate) size: Size,
    /// Events that were written, in the order of [`Code::ALL`].
    pub(crate) events: [u64; EVENT_CODES],
    /// Bytes of input frames; `None` before the first, as sources need not record input.
    pub(crate) bytes_in: Option<u64>,
    pub(crate) bytes_out: u64,
    /// As the source says it, once the connection has ended: empty if nobody knows.
    pub(crate) exit_status: Option<String>,
    /// What went wrong.
    pub(crate) error: Option<String>,
    /// What the source says of the connection.
    pub(crate) told: Map<String, Value>,
}

/// The facts that every sidecar has, whether or not the source tells them.
const TOLD_ALWAYS: [&str; 4] = ["username", "source_ip", "source_port", "authentication_method"];

impl Facts {
    fn told_bytes(&self, key: &str) -> Option<u64> {
        self.told.get(key).and_then(Value::as_u64)
    }

    fn to_json(&self) -> Value {
        let ended = self.status != Status::Recording;
        let events: Map<_, _> = Code::ALL
            .iter()
            .zip(self.events)
            .map(|(code, count)| (code.letter().to_owned(), json!(count)))
            .collect();
        let mut json = Map::new();
        let mut put = |key: &str, value: Value| _ = json.insert(key.to_owned(), value);
        put("connection", json!(self.connection));
        put("status", json!(self.status.name()));
        for key in TOLD_ALWAYS {
            put(key, self.told.get(key).cloned().unwrap_or_default());
        }
        put("started_at", json!(self.started_at.to_iso8601()));
        put("ended_at", if ended { json!(self.last_at.to_iso8601()) } else { Value::Null });
        put("duration", json!(self.last_at.since(self.started_at).as_secs_f64()));
        put("width", json!(self.size.columns));
        put("height", json!(self.size.rows));
        put("events", Value::Object(events));
        // The source knows what passed, recorded or not.
        put("bytes_in", self.told_bytes("bytes_in").map_or(json!(self.bytes_in), Value::from));
        put("bytes_out", self.told_bytes("bytes_out").unwrap_or(self.bytes_out).into());
        put("exit_status", self.exit_status.as_ref().map_or(Value::Null, |text| exit_status(text)));
        if let Some(error) = &self.error {
            put("error", json!(error));
        }
        for (key, value) in &self.told {
            // A source can't pass its own facts off as what was counted here.
            json.entry(key).or_insert_with(|| value.clone());
        }
        Value::Object(json)
    }
}

/// A number, unless it is none.
fn exit_status(text: &str) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    text.parse().map_or_else(|_no_number| json!(text), |number: i32| json!(number))
}

/// A sidecar's file.
#[derive(Debug)]
pub(crate) struct Sidecar {
    path: PathBuf,
}

impl Sidecar {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Replaces the file, at once and whole.
    pub(crate) fn write(&self, facts: &Facts) -> Result<(), Error> {
        replace(&self.path, &facts.to_json())
            .map_err(|error| Error::io("write the facts", &self.path, &error))
    }
}

/// Writes JSON to a file in such a way that a reader sees the old or the new one, never half of one.
pub(crate) fn replace(path: &Path, json: &Value) -> io::Result<()> {
    let mut bytes = serde_json::to_vec_pretty(json)?;
    bytes.push(b'\n');
    let beside = path.with_added_extension("tmp");
    let written = write_new(&beside, &bytes).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // The error that counts is the one above.
        drop(std::fs::remove_file(&beside));
    }
    match written {
        // A full disk has no room for a second file. The old one's blocks are still its own, and that the recording was
        // interrupted must be seen.
        Err(error) if error.kind() == io::ErrorKind::StorageFull => overwrite(path, &bytes),
        other => other,
    }
}

/// What a sidecar says. Nothing else is read: no link, no pipe, nothing larger than one is.
pub(crate) fn read(path: &Path) -> io::Result<Option<Map<String, Value>>> {
    let fits = |found: std::fs::Metadata| found.is_file() && found.len() <= SIDECAR_BYTES_MAX;
    if !path.symlink_metadata().is_ok_and(fits) {
        return Ok(None);
    }
    Ok(serde_json::from_slice(&std::fs::read(path)?).ok())
}

/// Makes a file, in the place of what a killed recorder left there.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    drop(std::fs::remove_file(path));
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(bytes)
}

/// Writes over a file where it lies.
pub(crate) fn overwrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if !path.symlink_metadata()?.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)
}

//! A file that grows event by event, in one of three forms. Knows nothing of streams.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tapedeck_sdk::Error;

use crate::facts::{Facts, VERSION, checkpoints};
use crate::options::Form;
use crate::pickled::Pickler;
use tapedeck_kit::json::{Layout, put_ascii, put_line};

/// What a binary file begins with, and the version that follows.
pub(crate) const MAGIC: &[u8; 4] = b"LMSP";
pub(crate) const BINARY_VERSION: u32 = 1;

const BUFFER_BYTES: usize = 256 << 10;

/// An event, with JSON in `data` and `state`.
pub(crate) struct Written<'e> {
    pub(crate) timestamp: f64,
    pub(crate) kind: &'e str,
    pub(crate) player_id: &'e str,
    pub(crate) data: &'e str,
    pub(crate) state: &'e str,
}

enum Target {
    Text(Layout, Box<dyn Finish>),
    Binary(BufWriter<File>, Pickler, u64),
}

/// A stream of bytes that has an end of its own.
trait Finish: Write + Send {
    fn finish(self: Box<Self>) -> io::Result<()>;
}

impl Finish for BufWriter<File> {
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.flush()
    }
}

impl Finish for GzEncoder<BufWriter<File>> {
    fn finish(self: Box<Self>) -> io::Result<()> {
        GzEncoder::finish(*self)?.flush()
    }
}

/// How a file is written.
#[derive(Debug, Clone)]
pub(crate) struct Style {
    pub(crate) form: Form,
    pub(crate) level: u32,
    pub(crate) module: String,
}

/// A file that is being written.
pub(crate) struct Writer {
    target: Target,
    path: PathBuf,
    buffer: Vec<u8>,
    events: u64,
    last: f64,
}

impl Writer {
    /// Makes the file and writes what is known before the first event.
    pub(crate) fn create(path: &Path, style: &Style, facts: &Facts) -> Result<Self, Error> {
        let file = File::create(path).map_err(|error| Error::io("make the file", path, &error))?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        let target = match style.form {
            Form::Json => Target::Text(Layout::Indented, Box::new(file)),
            Form::Gzip => {
                Target::Text(Layout::Compact, Box::new(GzEncoder::new(file, Compression::new(style.level))))
            }
            Form::Binary => Target::Binary(file, Pickler::new(&style.module), 0),
        };
        let mut writer = Self { target, path: path.to_owned(), buffer: Vec::new(), events: 0, last: 0.0 };
        writer.head(facts)?;
        Ok(writer)
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    fn head(&mut self, facts: &Facts) -> Result<(), Error> {
        let text = |text: &Option<String>| json!(text.as_deref().unwrap_or_default());
        let (player, challenge) = (text(&facts.player_id), text(&facts.challenge_id));
        let created = json!(facts.created_at.unwrap_or(0.0));
        let head: [(&str, Value); 3] =
            [("player_id", player), ("challenge_id", challenge), ("created_at", created)];
        match &mut self.target {
            Target::Text(layout, _) => {
                let layout = *layout;
                self.buffer.push(b'{');
                for (key, value) in [("version", json!(VERSION))].into_iter().chain(head) {
                    self.put_fact(layout, key, &value);
                    self.buffer.push(b',');
                }
                self.put_key(layout, "events");
                self.buffer.push(b'[');
            }
            Target::Binary(_, _, count_at) => {
                self.buffer.extend_from_slice(MAGIC);
                self.buffer.extend_from_slice(&BINARY_VERSION.to_le_bytes());
                // The original reads these keys; what is not known yet is written over when the file ends.
                let known = head.map(|(key, value)| (key, value.to_string()));
                let later = [
                    ("duration", json!(facts.duration.unwrap_or(0.0)).to_string()),
                    ("success", json!(facts.success.unwrap_or(false)).to_string()),
                ];
                let table = Pickler::table(&[known.as_slice(), &later].concat()).map_err(Error::data)?;
                put_block(&mut self.buffer, &table)?;
                *count_at = self.buffer.len() as u64;
                // More than there are, until it is known: what a kill leaves is read to its end.
                self.buffer.extend_from_slice(&u32::MAX.to_le_bytes());
            }
        }
        self.hand_over()
    }

    fn put_key(&mut self, layout: Layout, key: &str) {
        if layout == Layout::Indented {
            put_line(1, &mut self.buffer);
        }
        self.buffer.extend_from_slice(format!("\"{key}\":").as_bytes());
        if layout == Layout::Indented {
            self.buffer.push(b' ');
        }
    }

    fn put_fact(&mut self, layout: Layout, key: &str, value: &Value) {
        self.put_key(layout, key);
        put_ascii(value.to_string().as_bytes(), layout, 1, &mut self.buffer);
    }

    /// Adds an event. What it says against the format is the inner error.
    pub(crate) fn event(&mut self, event: &Written<'_>) -> Result<Result<(), String>, Error> {
        match &self.target {
            Target::Text(layout, _) => {
                let layout = *layout;
                if self.events > 0 {
                    self.buffer.push(b',');
                }
                if layout == Layout::Indented {
                    put_line(2, &mut self.buffer);
                }
                let text = |text: &str| Value::from(text).to_string();
                let json = format!(
                    "{{\"timestamp\":{},\"event\":{{\"type\":{},\"player_id\":{},\"data\":{}}},\"game_state\":{}}}",
                    json!(event.timestamp),
                    text(event.kind),
                    text(event.player_id),
                    event.data,
                    event.state
                );
                put_ascii(json.as_bytes(), layout, 2, &mut self.buffer);
            }
            Target::Binary(_, pickler, _) => {
                let Written { timestamp, kind, player_id, data, state } = *event;
                match pickler.event(timestamp, kind, player_id, data, state) {
                    Ok(pickle) => put_block(&mut self.buffer, &pickle)?,
                    Err(why) => return Ok(Err(why)),
                }
            }
        }
        self.events += 1;
        self.last = event.timestamp;
        if self.buffer.len() >= BUFFER_BYTES { self.hand_over().map(Ok) } else { Ok(Ok(())) }
    }

    fn hand_over(&mut self) -> Result<(), Error> {
        let written = match &mut self.target {
            Target::Text(_, out) => out.write_all(&self.buffer),
            Target::Binary(out, ..) => out.write_all(&self.buffer),
        };
        self.buffer.clear();
        written.map_err(|error| Error::io("write frames", &self.path, &error))
    }

    /// Writes what stands behind the events.
    pub(crate) fn finish(mut self, facts: &Facts) -> Result<(), Error> {
        let duration = facts.duration.unwrap_or(self.last);
        let all = facts.checkpoints.as_deref().unwrap_or_default();
        let (code, time) = (facts.final_code.as_deref().unwrap_or_default(), facts.final_time.unwrap_or(0.0));
        let success = facts.success.unwrap_or(false);
        if let Target::Text(layout, _) = self.target {
            if layout == Layout::Indented && self.events > 0 {
                put_line(1, &mut self.buffer);
            }
            self.buffer.push(b']');
            let tail = [
                ("checkpoints", checkpoints(all)),
                ("duration", json!(duration)),
                ("success", json!(success)),
                ("final_code", json!(code)),
                ("final_time", json!(time)),
            ];
            for (key, value) in &tail {
                self.buffer.push(b',');
                self.put_fact(layout, key, value);
            }
            if layout == Layout::Indented {
                put_line(0, &mut self.buffer);
            }
            self.buffer.push(b'}');
            self.hand_over()?;
        } else {
            let all: Vec<(&str, String)> =
                all.iter().map(|(name, index)| (name.as_str(), index.to_string())).collect();
            put_block(&mut self.buffer, &Pickler::table(&all).map_err(Error::data)?)?;
            // What the original form has no place for: its reader stops before.
            let more = [
                ("final_code", json!(code).to_string()),
                ("final_time", json!(time).to_string()),
                ("duration", json!(duration).to_string()),
                ("success", json!(success).to_string()),
            ];
            put_block(&mut self.buffer, &Pickler::table(&more).map_err(Error::data)?)?;
            self.hand_over()?;
        }
        let Self { target, path, events, .. } = self;
        let finished = match target {
            Target::Text(_, out) => out.finish(),
            Target::Binary(out, _, count_at) => end_binary(out, count_at, events, duration, success),
        };
        finished.map_err(|error| Error::io("write the end of the recording", &path, &error))
    }
}

/// Fills in what the head of a binary file could not say: how many events there are, how long it took, and whether it was a success.
fn end_binary(
    out: BufWriter<File>,
    count_at: u64,
    events: u64,
    duration: f64,
    success: bool,
) -> io::Result<()> {
    let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.seek(SeekFrom::Start(count_at))?;
    file.write_all(&u32::try_from(events).unwrap_or(u32::MAX).to_le_bytes())?;
    // The two are the last of the table: a float and a truth have the same length whatever they are.
    let tail = [
        &[b'G'][..],
        &duration.to_be_bytes(),
        b"\x8c\x07success\x94",
        &[if success { 0x88 } else { 0x89 }],
        b"u.",
    ]
    .concat();
    file.seek(SeekFrom::Start(count_at - tail.len() as u64))?;
    file.write_all(&tail)?;
    file.flush()
}

/// Adds bytes behind their length.
fn put_block(out: &mut Vec<u8>, block: &[u8]) -> Result<(), Error> {
    let length = u32::try_from(block.len()).map_err(|_too_long| Error::data("an event has over 4 GiB"))?;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(block);
    Ok(())
}

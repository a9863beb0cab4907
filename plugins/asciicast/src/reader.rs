//! Reads recordings back: the file as a source of frames. Knows nothing of how text becomes events.

use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tapedeck_sdk::lines::{Found, LINE_BYTES_MAX, LineReader};
use tapedeck_sdk::prelude::*;
use tapedeck_sdk::terminal::{self, IDLE_LIMIT_KEY, SINGLE_KEY};

use crate::decode::{self, Event, Line};
use crate::encode::Code;
use crate::header::{Header, Version};
use crate::{HEADER_KEY, repair};

/// The most rows of a batch, and about the most bytes.
const BATCH_ROWS_MAX: usize = 1024;
const BATCH_BYTES_MAX: usize = 8 << 20;

/// Asciicasts.
pub struct AsciicastFormat;

impl Format for AsciicastFormat {
    fn name(&self) -> &'static str {
        "asciicast"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["cast"]
    }

    fn holds_every_frame(&self) -> bool {
        false
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Recording>, Error> {
        let mut file = File::open(path).map_err(|error| Error::io("open the recording", path, &error))?;
        let begin = begin(&mut file).map_err(|error| Error::io("read the recording", path, &error))?;
        let (header, events) = begin.map_err(|what| {
            let error = Error::data(format!("not an asciicast: {what}: {}", path.display()));
            error.with_hint("Asciicasts begin with a line of JSON that has a version.")
        })?;
        Ok(Box::new(CastSource::new(path, header, events)?))
    }

    fn repair(&self, path: &Path) -> Result<Repair, Error> {
        repair::repair(path)
    }
}

/// What comes after the header.
pub(crate) enum Events {
    /// Lines of version 2 or 3, to be read one by one.
    Lines(LineReader<BufReader<File>>),
    /// The outputs of a version 1 document, all there.
    Outputs(std::vec::IntoIter<(u64, String)>),
}

/// Reads the header of an open file. The inner error says why the file is no asciicast.
pub(crate) fn begin(file: &mut File) -> std::io::Result<Result<(Header, Events), String>> {
    let mut lines = LineReader::new(BufReader::new(file.try_clone()?));
    let found = lines.advance()?;
    let first = match found {
        Found::Line { .. } => decode::header(lines.text()),
        Found::Malformed(what) => Err(what.to_owned()),
        Found::End => Err("the file is empty".to_owned()),
    };
    let why = match first {
        Ok(header) => return Ok(Ok((header, Events::Lines(lines)))),
        Err(why) => why,
    };
    // A version 1 document may well stand on one line, and may as well not.
    let opening = lines.text().starts_with('{');
    file.seek(SeekFrom::Start(0))?;
    if !opening || file.metadata()?.len() > LINE_BYTES_MAX {
        return Ok(Err(why));
    }
    let mut text = Vec::new();
    std::io::Read::read_to_end(file, &mut text)?;
    let document = std::str::from_utf8(&text).ok().and_then(|text| decode::document(text).ok());
    Ok(document.map(|(header, outputs)| (header, Events::Outputs(outputs.into_iter()))).ok_or(why))
}

/// A recording that is read back.
struct CastSource {
    streams: [Arc<StreamSchema>; 1],
    pool: BatchPool,
    connection: String,
    header: Header,
    events: Events,
    /// When the recording began, on its own clock.
    started_at: u64,
    /// Nanoseconds from there to the last event.
    at: u64,
    rows: u64,
    /// What is in the way of the next event.
    wrong: Option<Wrong>,
    path: PathBuf,
}

impl CastSource {
    fn new(path: &Path, header: Header, events: Events) -> Result<Self, Error> {
        let connection = path
            .file_stem()
            .map_or_else(|| "terminal".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let mut line = Vec::new();
        header.write(&mut line);
        let mut schema = terminal::schema(&connection)
            .metadata(SINGLE_KEY, "true")
            .metadata(HEADER_KEY, String::from_utf8_lossy(line.trim_ascii_end()));
        if let Some(limit) = &header.facts.idle_time_limit {
            schema = schema.metadata(IDLE_LIMIT_KEY, limit.to_string());
        }
        let schema = schema.build()?;
        let started_at = header.timestamp.unwrap_or(0).saturating_mul(1_000_000_000);
        let pool = BatchPool::new(schema.clone());
        Ok(Self {
            streams: [schema],
            pool,
            connection,
            header,
            events,
            started_at,
            at: 0,
            rows: 0,
            wrong: None,
            path: path.to_owned(),
        })
    }

    fn damaged(&self, what: &str) -> Error {
        let event = self.rows;
        Error::data(format!(
            "the recording is damaged: event {event} can't be read: {what}: {}",
            self.path.display()
        ))
        .with_hint("What comes before it was read.")
    }
}

/// Adds a row.
fn push(builder: &mut BatchBuilder<'_>, seq: u64, at: u64, connection: &str, code: Code, data: &[u8]) {
    let at = Timestamp(i64::try_from(at).unwrap_or(i64::MAX));
    builder.push_row(at).set_str(0, connection).set_str(1, code.letter()).set_bytes(2, data);
    let last = builder.rows() - 1;
    builder.seq_mut()[last] = seq;
}

impl Recording for CastSource {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn next(&mut self) -> Result<Option<(usize, Batch)>, Error> {
        let mut builder = self.pool.builder(BATCH_ROWS_MAX);
        if self.rows == 0 {
            let size = format!("{}x{}", self.header.size.columns, self.header.size.rows);
            push(&mut builder, 0, self.started_at, &self.connection, Code::Resize, size.as_bytes());
            self.rows = 1;
        }
        while self.wrong.is_none() && builder.room() > 0 && builder.byte_len() < BATCH_BYTES_MAX {
            let version = self.header.version;
            match step(&mut self.events) {
                Ok(Step::Event(event)) => {
                    let since = if version == Version::Two { 0 } else { self.at };
                    self.at = since.saturating_add(event.time).max(self.at);
                    let at = self.started_at.saturating_add(self.at);
                    push(&mut builder, self.rows, at, &self.connection, event.code, event.text.as_bytes());
                    self.rows += 1;
                }
                Ok(Step::Nothing) => {}
                Ok(Step::End) => break,
                Err(wrong) => self.wrong = Some(wrong),
            }
        }
        // What could be read goes out first.
        if builder.rows() > 0 {
            return Ok(Some((0, builder.finish())));
        }
        drop(builder);
        match &self.wrong {
            None => Ok(None),
            Some(Wrong::Malformed(what)) => Err(self.damaged(what)),
            Some(Wrong::Io(error)) => Err(Error::io("read the recording", &self.path, error)),
        }
    }
}

/// Why there is no next event.
enum Wrong {
    Malformed(String),
    Io(std::io::Error),
}

/// What the next line is.
enum Step<'events> {
    Event(Event<'events>),
    /// A line that says nothing.
    Nothing,
    End,
}

/// Goes on by a line. A torn end is the end.
fn step(events: &mut Events) -> Result<Step<'_>, Wrong> {
    let lines = match events {
        Events::Outputs(outputs) => {
            let event = |(time, text): (u64, String)| Event { time, code: Code::Output, text: text.into() };
            return Ok(outputs.next().map_or(Step::End, |output| Step::Event(event(output))));
        }
        Events::Lines(lines) => lines,
    };
    let ended = match lines.advance().map_err(Wrong::Io)? {
        Found::Line { ended } => ended,
        Found::Malformed(what) => return Err(Wrong::Malformed(what.to_owned())),
        Found::End => return Ok(Step::End),
    };
    match decode::line(lines.text()) {
        Ok(Line::Event(event)) => Ok(Step::Event(event)),
        Ok(Line::Ignored) => Ok(Step::Nothing),
        Err(_) if !ended => Ok(Step::End),
        Err(what) => Err(Wrong::Malformed(what)),
    }
}

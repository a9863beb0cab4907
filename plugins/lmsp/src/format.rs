//! Recordings of events, seen from the reading side.

use std::io::Read;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use tapedeck_kit::lines::{LineRecording, RowCursor};
use tapedeck_sdk::prelude::*;

use crate::binary::Binary;
use crate::document::Document;
use crate::facts::Facts;
use crate::rows::{EventRows, Events, schema};
use crate::writer::MAGIC;

/// What gzip files begin with.
const GZIP: &[u8] = b"\x1f\x8b";

/// Recordings of events with game states: compressed JSON, JSON, or pickles behind a binary header.
pub struct LmspFormat;

impl Format for LmspFormat {
    fn name(&self) -> &'static str {
        "lmsp"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["lmsp.gz", "lmsp", "json"]
    }

    fn matches(&self, head: &[u8], _path: &Path) -> bool {
        if head.starts_with(MAGIC) {
            return true;
        }
        if !head.starts_with(GZIP) {
            return begins_as_document(head);
        }
        let mut text = Vec::new();
        // The head may end in the middle of the compressed text.
        _ = MultiGzDecoder::new(head).take(HEAD_TEXT_BYTES).read_to_end(&mut text);
        begins_as_document(&text)
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Recording>, Error> {
        let mut cursor = read_through(path, None)?;
        let mut facts = cursor.0.rows().facts().clone();
        if facts.created_at.is_some() && facts.start() != cursor.2 {
            // It says when it began behind its events.
            cursor = read_through(path, Some(facts.start()))?;
            facts = cursor.0.rows().facts().clone();
        }
        let (cursor, timed, _) = cursor;
        if let (Some(0), Some(what)) = (cursor.extent().map(|extent| extent.frames), cursor.bad_lines()) {
            return Err(Error::data(format!("no event can be read: {what}: {}", path.display())));
        }
        let schema = schema(&stream_name(path), &facts, timed)?;
        Ok(Box::new(LineRecording::new(cursor, schema)?))
    }

    fn repair(&self, path: &Path) -> Result<Repair, Error> {
        crate::repair::repair(path)
    }
}

/// Enough of a compressed head to tell.
const HEAD_TEXT_BYTES: u64 = 4096;

/// Whether a text begins as recordings do: an object with the keys of their head.
fn begins_as_document(head: &[u8]) -> bool {
    let plain: Vec<u8> = head.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).take(1024).collect();
    let has = |key: &str| plain.windows(key.len()).any(|part| part == key.as_bytes());
    plain.starts_with(b"{\"version\":\"") && has("\"player_id\":") && has("\"challenge_id\":")
}

/// The stream's name: that of the file, without any of its extensions.
fn stream_name(path: &Path) -> String {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let name = [".gz", ".lmsp", ".json", ".bin"]
        .iter()
        .fold(name.as_str(), |name, end| name.strip_suffix(end).unwrap_or(name));
    if name.is_empty() { "events".to_owned() } else { name.to_owned() }
}

/// The events of a file, from its beginning.
pub(crate) fn events(path: &Path) -> Result<Box<dyn Events>, Error> {
    let failed = |error: std::io::Error| Error::io("read the recording", path, &error);
    let mut head = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| Error::io("open the recording", path, &error))?;
    file.take(4).read_to_end(&mut head).map_err(failed)?;
    let none = |why: &str| {
        Error::data(format!("not a recording of events: {why}: {}", path.display()))
            .with_hint("a recording is JSON, compressed or not, with `version`, `player_id` and `events`, or begins with LMSP")
    };
    if head == MAGIC {
        let binary = Binary::open(path).map_err(failed)?;
        return binary.headless().map(&none).map_or_else(|| Ok(Box::new(binary) as Box<dyn Events>), Err);
    }
    let document = Document::open(path, head.starts_with(GZIP)).map_err(failed)?;
    document.headless().map(&none).map_or_else(|| Ok(Box::new(document) as Box<dyn Events>), Err)
}

type Cursor = RowCursor<EventRows>;

/// Reads a file to its end: its rows, whether one has a time that nanoseconds can't tell, and when it was taken to have begun.
fn read_through(path: &Path, start: Option<Timestamp>) -> Result<(Cursor, bool, Timestamp), Error> {
    let events = events(path)?;
    let start = start.unwrap_or_else(|| Facts::start(events.facts()));
    let mut cursor = RowCursor::new(EventRows::new(events, start), path);
    let mut timed = false;
    cursor.read_to_end(|rows| timed |= !rows.is_exact())?;
    Ok((cursor, timed, start))
}

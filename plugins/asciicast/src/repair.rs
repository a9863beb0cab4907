//! Mends what a killed recorder left behind: a torn last line, and a sidecar that says `recording` still.

use std::fs::{File, OpenOptions};
use std::path::Path;

use serde_json::{Map, Value, json};
use tapedeck_sdk::lines::Found;
use tapedeck_sdk::{Error, Repair, Timestamp};

use crate::decode::{self, Line};

use crate::header::Version;
use crate::reader::{self, Events};
use crate::sidecar::{self, Status};

/// How a file ends.
enum Ending {
    Whole,
    /// In a line without an end, which begins at this byte.
    Torn(u64),
    /// In something that no recorder leaves behind, or does not begin as an asciicast.
    Malformed(String),
}

pub(crate) fn repair(path: &Path) -> Result<Repair, Error> {
    if path.extension().is_some_and(|extension| extension == "json") {
        // A sidecar is replaced whole, and mended together with its recording.
        let facts = std::fs::read(path).map_err(|error| Error::io("read the facts", path, &error))?;
        let facts: Option<Map<String, Value>> = serde_json::from_slice(&facts).ok();
        if facts.is_some_and(|facts| facts.contains_key("status") && facts.contains_key("connection")) {
            return Ok(Repair::Intact);
        }
    }
    let reading = |error: std::io::Error| Error::io("read the recording", path, &error);
    let file = OpenOptions::new().read(true).write(true).open(path);
    let mut file = file.map_err(|error| Error::io("open the recording", path, &error))?;
    let (ending, duration) = survey(&mut file).map_err(reading)?;
    let cut = match ending {
        Ending::Malformed(what) => return Ok(Repair::Unreadable(what)),
        Ending::Whole => None,
        Ending::Torn(at) => {
            let mend = file.metadata().and_then(|metadata| file.set_len(at).map(|()| metadata.len() - at));
            Some(mend.map_err(|error| Error::io("mend the recording", path, &error))?)
        }
    };
    let sidecar = path.with_extension("json");
    let ended =
        end_sidecar(&sidecar, duration).map_err(|error| Error::io("mend the facts", &sidecar, &error))?;
    let cut = cut.map(|bytes| format!("cut {bytes} bytes of a torn last line"));
    let ended = ended.then(|| "the facts beside it say that it was interrupted".to_owned());
    let mended: Vec<String> = cut.into_iter().chain(ended).collect();
    Ok(if mended.is_empty() { Repair::Intact } else { Repair::Mended(mended.join("; ")) })
}

/// Reads a whole file. Also says how long the recording is, in nanoseconds.
fn survey(file: &mut File) -> std::io::Result<(Ending, u64)> {
    let (header, events) = match reader::begin(file)? {
        Ok(begin) => begin,
        Err(what) => return Ok((Ending::Malformed(what), 0)),
    };
    let Events::Lines(mut lines) = events else { return Ok((Ending::Whole, 0)) };
    let (mut duration, mut count) = (0_u64, 0_u64);
    loop {
        let ended = match lines.advance()? {
            Found::End => return Ok((Ending::Whole, duration)),
            Found::Malformed(what) => return Ok((Ending::Malformed(what.to_owned()), duration)),
            Found::Line { ended } => ended,
        };
        count += 1;
        match decode::line(lines.text()) {
            Ok(Line::Ignored) => {}
            Ok(Line::Event(event)) => {
                let since = if header.version == Version::Two { 0 } else { duration };
                duration = since.saturating_add(event.time).max(duration);
            }
            // An event is whole or it is not: a last one that is whole counts, whether or not its line end was written.
            Err(_) if !ended => return Ok((Ending::Torn(lines.begin()), duration)),
            Err(what) => {
                return Ok((Ending::Malformed(format!("event {count} can't be read: {what}")), duration));
            }
        }
    }
}

/// Makes a sidecar that says `recording` say `interrupted`. What is no sidecar of ours stays as it is.
fn end_sidecar(path: &Path, duration: u64) -> std::io::Result<bool> {
    let Ok(text) = std::fs::read(path) else { return Ok(false) };
    let Ok(mut facts) = serde_json::from_slice::<Map<String, Value>>(&text) else { return Ok(false) };
    if facts.get("status").and_then(Value::as_str) != Some(Status::Recording.name()) {
        return Ok(false);
    }
    let duration = std::time::Duration::from_nanos(duration);
    let started_at = facts.get("started_at").and_then(Value::as_str).and_then(Timestamp::from_iso8601);
    facts.insert("status".to_owned(), json!(Status::Interrupted.name()));
    facts.insert("ended_at".to_owned(), json!(started_at.map(|start| (start + duration).to_iso8601())));
    facts.insert("duration".to_owned(), json!(duration.as_secs_f64()));
    sidecar::replace(path, &Value::Object(facts)).map(|()| true)
}

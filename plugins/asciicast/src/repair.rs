//! Mends what a killed recorder left behind: a torn last line, and a sidecar that says `recording` still.

use std::path::Path;

use serde_json::{Value, json};
use tapedeck_sdk::{Error, Repair, Timestamp};

use crate::reader;
use crate::sidecar::{self, Status};

pub(crate) fn repair(path: &Path) -> Result<Repair, Error> {
    if path.extension().is_some_and(|extension| extension == "json") {
        // A sidecar is replaced whole, and mended together with its recording.
        let facts = sidecar::read(path).map_err(|error| Error::io("read the facts", path, &error))?;
        if facts.is_some_and(|facts| facts.contains_key("status") && facts.contains_key("connection")) {
            return Ok(Repair::Intact);
        }
    }
    let mut cursor = match reader::begin(path)? {
        Ok(cursor) => cursor,
        Err(what) => return Ok(Repair::Unreadable(what)),
    };
    let lines = cursor.mend()?;
    let times = cursor.extent().and_then(|extent| extent.timestamps);
    let duration = times.map_or(0, |(first, last)| last.abs_diff(first));
    let sidecar = path.with_extension("json");
    let ended =
        end_sidecar(&sidecar, duration).map_err(|error| Error::io("mend the facts", &sidecar, &error))?;
    let ended = ended.then(|| "the facts beside it say that it was interrupted".to_owned());
    Ok(match (lines, ended) {
        (lines, None) => lines,
        (Repair::Intact, Some(ended)) => Repair::Mended(ended),
        (Repair::Mended(what), Some(ended)) => Repair::Mended(format!("{what}; {ended}")),
        (Repair::Unreadable(what), Some(ended)) => Repair::Unreadable(format!("{what}; {ended}")),
    })
}

/// Makes a sidecar that says `recording` say `interrupted`. What is no sidecar of ours stays as it is.
fn end_sidecar(path: &Path, duration: u64) -> std::io::Result<bool> {
    let Ok(Some(mut facts)) = sidecar::read(path) else { return Ok(false) };
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

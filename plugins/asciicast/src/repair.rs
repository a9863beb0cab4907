//! Mends what a killed recorder left behind: a torn last line, and a sidecar that says `recording` still.

use std::path::Path;

use serde_json::{Map, Value, json};
use tapedeck_kit::lines::Ending;
use tapedeck_sdk::{Error, Repair, Timestamp};

use crate::reader;
use crate::sidecar::{self, Status};

pub(crate) fn repair(path: &Path) -> Result<Repair, Error> {
    if path.extension().is_some_and(|extension| extension == "json") {
        // A sidecar is replaced whole, and mended together with its recording.
        let facts = std::fs::read(path).map_err(|error| Error::io("read the facts", path, &error))?;
        let facts: Option<Map<String, Value>> = serde_json::from_slice(&facts).ok();
        if facts.is_some_and(|facts| facts.contains_key("status") && facts.contains_key("connection")) {
            return Ok(Repair::Intact);
        }
    }
    let mut cursor = match reader::begin(path)? {
        Ok(cursor) => cursor,
        Err(what) => return Ok(Repair::Unreadable(what)),
    };
    cursor.read_to_end(|_| {})?;
    let cut = match cursor.ending().unwrap_or(&Ending::Whole).mend(path)? {
        Repair::Intact => None,
        Repair::Mended(what) => Some(what),
        unreadable @ Repair::Unreadable(_) => return Ok(unreadable),
    };
    let times = cursor.extent().and_then(|extent| extent.timestamps);
    let duration = times.map_or(0, |(first, last)| last.abs_diff(first));
    let sidecar = path.with_extension("json");
    let ended =
        end_sidecar(&sidecar, duration).map_err(|error| Error::io("mend the facts", &sidecar, &error))?;
    let ended = ended.then(|| "the facts beside it say that it was interrupted".to_owned());
    let mended: Vec<String> = cut.into_iter().chain(ended).collect();
    Ok(if mended.is_empty() { Repair::Intact } else { Repair::Mended(mended.join("; ")) })
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

//! One frame of a recording, as JSON: the one that is nearest to a moment; of events the last one before it, whose state holds then; or the one
//! that a checkpoint stands for.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tapedeck_sdk::batch::Column;
use tapedeck_sdk::kinds::event;
use tapedeck_sdk::names::did_you_mean;
use tapedeck_sdk::{Batch, DataType, Error, Kind, StreamSchema, Timestamp};

use crate::registry::Registry;
use crate::replay::{Moment, Reel};

/// Which frame is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The one at a moment.
    Moment(Moment),
    /// The one that this checkpoint stands for.
    Checkpoint(String),
}

impl std::str::FromStr for Place {
    type Err = std::convert::Infallible;

    /// A moment, or else the name of a checkpoint.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Self::Checkpoint(text.to_owned()), Self::Moment))
    }
}

/// The nearest frame.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Nearest {
    /// The stream's name.
    pub stream: String,
    /// The frame's number.
    pub seq: u64,
    /// Its time, in ISO 8601.
    pub timestamp: String,
    /// The same in ns since the Unix epoch.
    pub timestamp_ns: i64,
    /// How far it is from the moment in seconds; below zero: it is earlier.
    pub distance_seconds: f64,
    /// Its values by column. Bytes are hexadecimal (`0x00ff`); what JSON has no number for is a text; what is JSON by convention is JSON.
    pub values: Map<String, Value>,
}

/// The frame at `place`, in the stream of that name or the only one. `None` where none is within `tolerance`.
///
/// # Errors
/// The recording can't be read, has several streams and none is named, or has no such checkpoint.
pub fn at(
    registry: &Registry,
    path: &Path,
    stream: Option<&str>,
    place: &Place,
    tolerance: Option<Duration>,
) -> Result<Option<Nearest>, Error> {
    let wanted: Vec<String> = stream.map(str::to_owned).into_iter().collect();
    let mut reel = Reel::open(registry, &[path.to_owned()], &wanted)?;
    if reel.streams().len() > 1 {
        let names: Vec<&str> = reel.streams().iter().map(|schema| schema.name()).collect();
        return Err(Error::environment(format!("there are {} streams in {}", names.len(), path.display()))
            .with_hint(format!("name one with --stream: {}", names.join(", "))));
    }
    let time = match place {
        Place::Checkpoint(name) => return checkpoint(&mut reel, name, path),
        Place::Moment(Moment::At(time)) => *time,
        Place::Moment(Moment::After(after)) => {
            // The beginning is that of the whole recording, not of the stream.
            let mut whole = Reel::open(registry, &[path.to_owned()], &[])?;
            let Some(begin) = whole.begin()? else { return Ok(None) };
            begin + *after
        }
    };
    if reel.streams().is_empty() {
        return Ok(None);
    }
    let is_event = reel.streams()[0].kind() == Kind::Event;
    let found = if is_event { reel.latest(0, time)? } else { reel.closest(0, time)? };
    let near = |(batch, row): &(Batch, usize)| {
        let distance = Duration::from_nanos(batch.timestamps()[*row].abs_diff(time.0));
        tolerance.is_none_or(|tolerance| distance <= tolerance)
    };
    Ok(found.filter(near).map(|(batch, row)| nearest(&batch, row, time)))
}

/// The frame that a checkpoint stands for.
fn checkpoint(reel: &mut Reel, name: &str, path: &Path) -> Result<Option<Nearest>, Error> {
    let Some(schema) = reel.streams().first() else { return Ok(None) };
    let all = checkpoints(schema);
    let Some(seq) = all.iter().find(|(known, _)| known == name).map(|(_, seq)| *seq) else {
        let error = Error::environment(format!("Checkpoint '{name}' not found: {}", path.display()));
        return Err(error.with_hint(if all.is_empty() {
            "a moment is a duration from the beginning (10s) or a time (2026-11-25T03:21:24Z)".to_owned()
        } else {
            did_you_mean(name, all.iter().map(|(name, _)| name.as_str()), "checkpoints")
        }));
    };
    reel.seek(Timestamp(i64::MIN))?;
    while let Some((_, batch)) = reel.read()? {
        if let Ok(row) = batch.seq().binary_search(&seq) {
            return Ok(Some(nearest(&batch, row, Timestamp(batch.timestamps()[row]))));
        }
    }
    Ok(None)
}

/// The checkpoints of a stream, and the `seq` of the frame that each stands for.
pub(crate) fn checkpoints(schema: &StreamSchema) -> Vec<(String, u64)> {
    let text = schema.metadata().get(event::CHECKPOINTS_KEY);
    let all: Map<String, Value> = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    all.into_iter().filter_map(|(name, seq)| Some((name, seq.as_u64()?))).collect()
}

fn nearest(batch: &Batch, row: usize, time: Timestamp) -> Nearest {
    let at = batch.timestamps()[row];
    let schema = batch.schema();
    let columns = schema.payload().iter().zip(batch.columns());
    let is_json = |name: &str| schema.kind() == Kind::Event && event::JSON_COLUMNS.contains(&name);
    let values = columns.map(|(field, column)| {
        let value = value(column, row);
        let json =
            value.as_str().filter(|_| is_json(&field.name)).and_then(|text| serde_json::from_str(text).ok());
        (field.name.clone(), json.unwrap_or(value))
    });
    Nearest {
        stream: schema.name().to_owned(),
        seq: batch.seq()[row],
        timestamp: Timestamp(at).to_iso8601(),
        timestamp_ns: at,
        distance_seconds: seconds(at.saturating_sub(time.0)),
        values: values.collect(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown to people; the exact time stands beside it")]
fn seconds(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

/// A value as JSON: bytes are hexadecimal (`0x00ff`), and what JSON has no number for is a text.
#[must_use]
pub fn value(column: Column<'_>, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Bool => json!(column.bool_at(row)),
        DataType::Int8 => json!(column.values::<i8>()[row]),
        DataType::Int16 => json!(column.values::<i16>()[row]),
        DataType::Int32 => json!(column.values::<i32>()[row]),
        DataType::Int64 => json!(column.values::<i64>()[row]),
        DataType::UInt8 => json!(column.values::<u8>()[row]),
        DataType::UInt16 => json!(column.values::<u16>()[row]),
        DataType::UInt32 => json!(column.values::<u32>()[row]),
        DataType::UInt64 => json!(column.values::<u64>()[row]),
        DataType::Float32 => {
            float(f64::from(column.values::<f32>()[row]), column.values::<f32>()[row].to_string())
        }
        DataType::Float64 => float(column.values::<f64>()[row], column.values::<f64>()[row].to_string()),
        DataType::TimestampNs => json!(Timestamp(column.values::<i64>()[row]).to_iso8601()),
        DataType::Utf8 => json!(column.str_at(row)),
        _ => json!(hexadecimal(column.bytes_at(row))),
    }
}

/// A number if JSON has one for it. `text` is the shortest that gives the number again in its own width.
fn float(number: f64, text: String) -> Value {
    let shortest =
        text.parse::<f64>().ok().filter(|_| number.is_finite()).and_then(serde_json::Number::from_f64);
    shortest.map_or(Value::String(text), Value::Number)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

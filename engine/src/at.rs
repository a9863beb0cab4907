//! One frame of a recording: the one that is nearest to a moment, as JSON.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tapedeck_sdk::batch::Column;
use tapedeck_sdk::{Batch, DataType, Error, Timestamp};

use crate::registry::Registry;
use crate::replay::{Moment, Reel};

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
    /// Its values by column. Bytes are hexadecimal (`0x00ff`); what JSON has no number for is a text.
    pub values: Map<String, Value>,
}

/// The frame that is nearest to `moment`, in the stream of that name or the only one. `None` where none is within `tolerance`.
///
/// # Errors
/// The recording can't be read, or has several streams and none is named.
pub fn at(
    registry: &Registry,
    path: &Path,
    stream: Option<&str>,
    moment: Moment,
    tolerance: Option<Duration>,
) -> Result<Option<Nearest>, Error> {
    let wanted: Vec<String> = stream.map(str::to_owned).into_iter().collect();
    let mut reel = Reel::open(registry, &[path.to_owned()], &wanted)?;
    if reel.streams().len() > 1 {
        let names: Vec<&str> = reel.streams().iter().map(|schema| schema.name()).collect();
        return Err(Error::environment(format!("there are {} streams in {}", names.len(), path.display()))
            .with_hint(format!("name one with --stream: {}", names.join(", "))));
    }
    let time = match moment {
        Moment::At(time) => time,
        Moment::After(after) => {
            // The beginning is that of the whole recording, not of the stream.
            let mut whole = Reel::open(registry, &[path.to_owned()], &[])?;
            let Some(begin) = whole.begin()? else { return Ok(None) };
            begin + after
        }
    };
    if reel.streams().is_empty() {
        return Ok(None);
    }
    let found = reel.closest(0, time)?;
    let near = |(batch, row): &(Batch, usize)| {
        let distance = Duration::from_nanos(batch.timestamps()[*row].abs_diff(time.0));
        tolerance.is_none_or(|tolerance| distance <= tolerance)
    };
    Ok(found.filter(near).map(|(batch, row)| nearest(&batch, row, time)))
}

fn nearest(batch: &Batch, row: usize, time: Timestamp) -> Nearest {
    let at = batch.timestamps()[row];
    let schema = batch.schema();
    let columns = schema.payload().iter().zip(batch.columns());
    let values = columns.map(|(field, column)| (field.name.clone(), value(column, row)));
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

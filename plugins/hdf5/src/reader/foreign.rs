//! Which datasets of a file that another program wrote are which columns: 1-D datasets of the length of `timestamps`, and the
//! matrices of the `siphon` layout. What does not fit is left out.

use std::sync::Arc;

use tapedeck_sdk::{DataType, Error, Field, Kind, SchemaBuilder, StreamSchema};

use super::track::{Clock, Datasets, Part, Track};
use crate::datasets::{SEQ, UNIT};
use crate::raw::{Dataset, Element, Failure, Group, Node, texts};
use crate::siphon::{
    ATTRIBUTE_NAMES, FRAMES, INPUTS, KEY_MAPPING, LATENCIES, LATENCY, LATENCY_NAMES, MEMORY_DATA, TIMESTAMPS,
};

/// The most datasets that are looked at.
const NAMES_MAX: u64 = 100_000;
const MILLISECOND_NS: i64 = 1_000_000;

/// Datasets, and how their elements become columns.
type Parts = Vec<(Dataset, Part)>;

/// The streams of a file: the values under the name `stem`, and pictures if there are some.
pub(super) fn tracks(root: &Group, stem: &str) -> Result<Vec<Track>, Failure> {
    if !root.contains(TIMESTAMPS) {
        return Err(Failure::new("it has no dataset \"timestamps\", so it is no recording"));
    }
    let (rows, clock) = {
        let times = root.dataset(TIMESTAMPS)?;
        (times.rows(), clock(&times))
    };
    let builder = StreamSchema::builder(stem, Kind::Attributes);
    let (mut builder, mut parts) = if root.contains(MEMORY_DATA) || root.contains(INPUTS) {
        siphon_parts(root, builder, true)?
    } else {
        (builder, Vec::new())
    };
    let mut count = builder.clone().build().map_err(invalid)?.payload().len();
    for name in root.names(NAMES_MAX)? {
        if matches!(name.as_str(), TIMESTAMPS | SEQ | MEMORY_DATA | INPUTS | LATENCY | FRAMES | "timestamp") {
            continue;
        }
        let dataset = match root.open(&name) {
            Ok(Node::Dataset(dataset)) => dataset,
            Ok(Node::Elsewhere) => return Err(Failure::elsewhere(&name)),
            _ => continue,
        };
        if let Some((field, part)) = column(&name, &dataset, count).filter(|_| dataset.rows() == rows) {
            builder = builder.push(field);
            parts.push((dataset, part));
            count += 1;
        }
    }
    let seq = if root.contains(SEQ) { root.dataset(SEQ).ok() } else { None };
    let seq = seq.filter(|seq| {
        seq.rows() == rows && matches!(seq.element(), Some(Element::Unsigned(8) | Element::Signed(8)))
    });
    let schema = builder.build().map_err(invalid)?;
    let times = (root.dataset(TIMESTAMPS)?, clock);
    let values =
        Track::new(Datasets { schema, parts, size: None, seq, times, validity: None, lengths: None })?;
    let frames = pictures(root, FRAMES, None, (root.dataset(TIMESTAMPS)?, clock))?;
    Ok([values].into_iter().chain(frames).collect())
}

/// The columns of the `siphon` layout.
pub(super) fn siphon_columns(
    group: &Group,
    builder: SchemaBuilder,
    is_foreign: bool,
) -> Result<(Arc<StreamSchema>, Parts), Failure> {
    let (builder, parts) = siphon_parts(group, builder, is_foreign)?;
    Ok((builder.build().map_err(invalid)?, parts))
}

fn siphon_parts(
    group: &Group,
    mut builder: SchemaBuilder,
    is_foreign: bool,
) -> Result<(SchemaBuilder, Parts), Failure> {
    let (mut parts, mut first) = (Vec::new(), 0);
    for (link, key, data_type) in [
        (MEMORY_DATA, ATTRIBUTE_NAMES, DataType::Float32),
        (INPUTS, KEY_MAPPING, DataType::Bool),
        (LATENCY, LATENCY_NAMES, DataType::Float32),
    ] {
        if !group.contains(link) {
            continue;
        }
        let dataset = group.dataset(link)?;
        let &[_, columns] = dataset.dimensions() else { continue };
        let known = texts(&dataset, key);
        if link == LATENCY && known.is_none() && !is_foreign {
            continue;
        }
        let names =
            known.filter(|names| names.len() as u64 == columns).unwrap_or_else(|| usual_names(link, columns));
        if names.len() as u64 != columns {
            continue;
        }
        let part = if data_type == DataType::Bool { Part::Flags { first } } else { Part::Matrix { first } };
        builder = names.iter().fold(builder, |builder, name| builder.field(name, data_type));
        first += names.len();
        parts.push((dataset, part));
    }
    Ok((builder, parts))
}

/// Names for the columns of a matrix that does not tell them.
fn usual_names(link: &str, columns: u64) -> Vec<String> {
    const LATENCY_NAMES: [&str; LATENCIES] =
        ["frame_capture", "memory_read", "keystroke_capture", "disk_write_queue", "total"];
    if link == LATENCY {
        return LATENCY_NAMES.iter().map(|name| format!("latency_{name}")).collect();
    }
    let most = tapedeck_sdk::COLUMNS_MAX as u64;
    (0..columns.min(most)).map(|column| format!("{link}_{column}")).collect()
}

/// Pictures, if there are any.
pub(super) fn pictures(
    group: &Group,
    name: &str,
    seq: Option<Dataset>,
    times: (Dataset, Clock),
) -> Result<Option<Track>, Failure> {
    if !group.contains(FRAMES) {
        return Ok(None);
    }
    let dataset = group.dataset(FRAMES)?;
    let &[_, height, width, 4] = dataset.dimensions() else { return Ok(None) };
    let (Ok(width), Ok(height)) = (u32::try_from(width), u32::try_from(height)) else { return Ok(None) };
    let mut format = Field::new("format", DataType::Utf8);
    format.metadata.insert(Field::LENGTH_MAX.to_owned(), "5".to_owned());
    let mut pixels = Field::new("pixels", DataType::Binary);
    pixels.metadata.insert(Field::LENGTH_MAX.to_owned(), dataset.row_bytes().unwrap_or(0).to_string());
    let builder = StreamSchema::builder(name, Kind::Image)
        .field("width", DataType::UInt32)
        .field("height", DataType::UInt32);
    let schema = builder.push(format).push(pixels).build().map_err(invalid)?;
    let parts = vec![(dataset, Part::Pixels)];
    Track::new(Datasets {
        schema,
        parts,
        size: Some([width, height]),
        seq,
        times,
        validity: None,
        lengths: None,
    })
    .map(Some)
}

/// The column that a dataset can be.
fn column(name: &str, dataset: &Dataset, column: usize) -> Option<(Field, Part)> {
    let element = dataset.element().filter(|_| dataset.is_readable())?;
    let (data_type, part) = match (dataset.dimensions(), element) {
        ([_], Element::Bool) => (DataType::Bool, Part::Bool { column }),
        ([_], Element::Signed(1)) => (DataType::Int8, Part::Fixed { column }),
        ([_], Element::Signed(2)) => (DataType::Int16, Part::Fixed { column }),
        ([_], Element::Signed(4)) => (DataType::Int32, Part::Fixed { column }),
        ([_], Element::Signed(8)) => (DataType::Int64, Part::Fixed { column }),
        ([_], Element::Unsigned(1)) => (DataType::UInt8, Part::Fixed { column }),
        ([_], Element::Unsigned(2)) => (DataType::UInt16, Part::Fixed { column }),
        ([_], Element::Unsigned(4)) => (DataType::UInt32, Part::Fixed { column }),
        ([_], Element::Unsigned(8)) => (DataType::UInt64, Part::Fixed { column }),
        ([_], Element::Float(4)) => (DataType::Float32, Part::Fixed { column }),
        ([_], Element::Float(8)) => (DataType::Float64, Part::Fixed { column }),
        ([_], Element::Text(_)) => (DataType::Utf8, Part::Padded { column, length: None }),
        (&[_, length], Element::Unsigned(1)) => (
            DataType::FixedBinary(u32::try_from(length).ok().filter(|&length| length > 0)?),
            Part::Fixed { column },
        ),
        _ => return None,
    };
    let mut field = Field::new(name, data_type);
    if let Element::Text(length) = element {
        field.metadata.insert(Field::LENGTH_MAX.to_owned(), length.to_string());
    }
    if let Some([unit]) = texts(dataset, UNIT).as_deref() {
        field.metadata.insert(Field::UNIT.to_owned(), unit.clone());
    }
    Some((field, part))
}

/// Floating-point times are seconds; integers are what their `unit` says, or milliseconds.
fn clock(times: &Dataset) -> Clock {
    if matches!(times.element(), Some(Element::Float(_))) {
        return Clock::Seconds;
    }
    let nanoseconds = match texts(times, UNIT).unwrap_or_default().first().map(String::as_str) {
        Some("s") => 1_000 * MILLISECOND_NS,
        Some("us" | "µs") => MILLISECOND_NS / 1_000,
        Some("ns") => 1,
        _ => MILLISECOND_NS,
    };
    Clock::Integer { nanoseconds }
}

fn invalid(error: Error) -> Failure {
    Failure::new(error.message)
}

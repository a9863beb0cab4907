//! Batches as JSON lines (RFC 8259, one object a line). Pure: makes bytes, writes none.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use tapedeck_sdk::kinds::event;
use tapedeck_sdk::{Batch, Column, DataType, Kind, StreamSchema, Timestamp};

use crate::{NonFinite, Notation, Timestamps};

/// What stands before each value of a stream's lines.
pub(crate) struct Keys {
    /// `{"seq":`, `,"timestamp":`…
    before: Vec<Vec<u8>>,
    /// Which columns hold JSON, to be written as what it is.
    json: Vec<bool>,
}

impl Keys {
    pub(crate) fn new(schema: &StreamSchema) -> Self {
        let key = |(index, name): (usize, &str)| {
            let mut key = vec![if index == 0 { b'{' } else { b',' }];
            string(name, &mut key);
            key.push(b':');
            key
        };
        let before = schema.fields().iter().map(|field| field.name.as_str()).enumerate().map(key).collect();
        let json = schema.fields().iter().map(|field| holds_json(schema.kind(), &field.name)).collect();
        Self { before, json }
    }
}

/// Whether a column's text is JSON by convention: the `data` and `state` of an event.
pub(crate) fn holds_json(kind: Kind, name: &str) -> bool {
    kind == Kind::Event && event::JSON_COLUMNS.contains(&name)
}

/// The columns of one batch, ready to be written row by row.
pub(crate) struct Rows<'batch> {
    columns: Vec<Column<'batch>>,
    keys: &'batch Keys,
    notation: Notation,
}

impl<'batch> Rows<'batch> {
    pub(crate) fn new(batch: &'batch Batch, keys: &'batch Keys, notation: Notation) -> Self {
        let columns = (0..batch.schema().fields().len()).map(|index| batch.any_column(index)).collect();
        Self { columns, keys, notation }
    }

    /// Adds the line of a row.
    pub(crate) fn line(&self, row: usize, out: &mut Vec<u8>) {
        for (index, column) in self.columns.iter().enumerate() {
            out.extend_from_slice(&self.keys.before[index]);
            if column.is_null(row) {
                out.extend_from_slice(b"null");
            } else if self.keys.json[index] {
                json(column.str_at(row), out);
            } else {
                self.value(column, row, out);
            }
        }
        out.extend_from_slice(b"}\n");
    }

    fn value(&self, column: &Column<'_>, row: usize, out: &mut Vec<u8>) {
        let mut integer = itoa::Buffer::new();
        let mut put = |text: &str| out.extend_from_slice(text.as_bytes());
        match column.data_type() {
            DataType::Bool => put(if column.bool_at(row) { "true" } else { "false" }),
            DataType::Int8 => put(integer.format(column.values::<i8>()[row])),
            DataType::Int16 => put(integer.format(column.values::<i16>()[row])),
            DataType::Int32 => put(integer.format(column.values::<i32>()[row])),
            DataType::Int64 => put(integer.format(column.values::<i64>()[row])),
            DataType::UInt8 => put(integer.format(column.values::<u8>()[row])),
            DataType::UInt16 => put(integer.format(column.values::<u16>()[row])),
            DataType::UInt32 => put(integer.format(column.values::<u32>()[row])),
            DataType::UInt64 => put(integer.format(column.values::<u64>()[row])),
            DataType::Float32 => {
                let value = column.values::<f32>()[row];
                float(f64::from(value), || shortest_f32(value), self.notation.non_finite, out);
            }
            DataType::Float64 => {
                float(column.values()[row], || column.values()[row], self.notation.non_finite, out);
            }
            DataType::TimestampNs => {
                timestamp(Timestamp(column.values()[row]), self.notation.timestamps, out)
            }
            DataType::Utf8 => string(column.str_at(row), out),
            DataType::Binary | DataType::FixedBinary(_) => base64(column.bytes_at(row), out),
        }
    }
}

/// The shortest number that is the same again, or what stands for one that JSON does not have.
fn float(value: f64, number: impl Fn() -> f64, non_finite: NonFinite, out: &mut Vec<u8>) {
    let text = match (value.is_finite(), non_finite) {
        (true, _) => return out.extend_from_slice(zmij::Buffer::new().format_finite(number()).as_bytes()),
        (false, NonFinite::Null) => "null",
        (false, NonFinite::Text) if value.is_nan() => "\"NaN\"",
        (false, NonFinite::Text) if value > 0.0 => "\"Infinity\"",
        (false, NonFinite::Text) => "\"-Infinity\"",
    };
    out.extend_from_slice(text.as_bytes());
}

/// The `f64` whose shortest text is that of the `f32`: 0.1, not 0.10000000149011612.
fn shortest_f32(value: f32) -> f64 {
    zmij::Buffer::new().format_finite(value).parse().unwrap_or(f64::from(value))
}

fn timestamp(time: Timestamp, timestamps: Timestamps, out: &mut Vec<u8>) {
    match timestamps {
        Timestamps::Iso => {
            out.push(b'"');
            out.extend_from_slice(&time.iso8601_bytes());
            out.push(b'"');
        }
        Timestamps::Ns => out.extend_from_slice(itoa::Buffer::new().format(time.0).as_bytes()),
    }
}

/// JSON as it is, on one line: a line break can stand only between its parts. What is no JSON is written as text.
fn json(text: &str, out: &mut Vec<u8>) {
    if serde_json::from_str::<&RawValue>(text).is_err() {
        return string(text, out);
    }
    out.extend(text.trim().bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
}

fn string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("text can be written into memory");
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let begin = out.len();
    out.resize(begin + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD
        .encode_slice(bytes, &mut out[begin..])
        .expect("there is room for four characters for each three bytes");
    out.truncate(begin + written);
    out.push(b'"');
}

//! Batches as comma-separated lines (RFC 4180, with `\n` as the line end). Pure: makes bytes, writes none.

use tapedeck_sdk::{Batch, Column, DataType, StreamSchema, Timestamp};

use crate::Timestamps;

/// The header line.
pub(crate) fn header(schema: &StreamSchema) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, field) in schema.fields().iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if field.name.contains([',', '"', '\n', '\r']) {
            quoted(&mut out, &field.name)
        } else {
            out.extend_from_slice(field.name.as_bytes())
        }
    }
    out.push(b'\n');
    out
}

/// The columns of one batch, ready to be written row by row.
pub(crate) struct Rows<'batch> {
    columns: Vec<Column<'batch>>,
    timestamps: Timestamps,
}

impl<'batch> Rows<'batch> {
    pub(crate) fn new(batch: &'batch Batch, timestamps: Timestamps) -> Self {
        let columns = (0..batch.schema().fields().len()).map(|index| batch.any_column(index)).collect();
        Self { columns, timestamps }
    }

    /// Adds the line of a row. A null is nothing at all; text is always in quotes, so that an empty text is `""`.
    pub(crate) fn line(&self, row: usize, out: &mut Vec<u8>) {
        for (index, column) in self.columns.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            if !column.is_null(row) {
                self.value(column, row, out);
            }
        }
        out.push(b'\n');
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
                float(f64::from(column.values::<f32>()[row]), || shortest_f32(column.values()[row]), out)
            }
            DataType::Float64 => float(column.values()[row], || column.values()[row], out),
            DataType::TimestampNs => timestamp(Timestamp(column.values()[row]), self.timestamps, out),
            DataType::Utf8 => quoted(out, column.str_at(row)),
            DataType::Binary | DataType::FixedBinary(_) => hexadecimal(column.bytes_at(row), out),
        }
    }
}

/// The shortest text that gives the same number again. Special values are as Python, NumPy and pandas read them.
fn float(value: f64, number: impl Fn() -> f64, out: &mut Vec<u8>) {
    let text = if value.is_nan() {
        "NaN"
    } else if value.is_infinite() {
        if value > 0.0 { "inf" } else { "-inf" }
    } else {
        return out.extend_from_slice(zmij::Buffer::new().format_finite(number()).as_bytes());
    };
    out.extend_from_slice(text.as_bytes());
}

/// The `f64` whose shortest text is that of the `f32`: 0.1, not 0.10000000149011612.
fn shortest_f32(value: f32) -> f64 {
    zmij::Buffer::new().format_finite(value).parse().unwrap_or(f64::from(value))
}

pub(crate) fn timestamp(time: Timestamp, timestamps: Timestamps, out: &mut Vec<u8>) {
    match timestamps {
        Timestamps::Iso => out.extend_from_slice(&time.iso8601_bytes()),
        Timestamps::Ns => out.extend_from_slice(itoa::Buffer::new().format(time.0).as_bytes()),
        Timestamps::Seconds => {
            let (whole, part) =
                (time.0.unsigned_abs() / 1_000_000_000, time.0.unsigned_abs() % 1_000_000_000);
            if time.0 < 0 {
                out.push(b'-');
            }
            out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
            out.push(b'.');
            let mut digits = itoa::Buffer::new();
            let digits = digits.format(part);
            out.extend_from_slice(&b"000000000"[digits.len()..]);
            out.extend_from_slice(digits.as_bytes());
        }
    }
}

fn quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for (index, part) in text.split('"').enumerate() {
        if index > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}

fn hexadecimal(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"0x");
    for byte in bytes {
        out.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
    }
}

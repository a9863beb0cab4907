//! Rows as JSON objects (RFC 8259), a key a column. What JSON has no notation for stands under a key that says how it is written:
//! `data$base64`, `data$text`, `x$bits`. Every value comes back as it was.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tapedeck_kit::json::Pairs;
use tapedeck_sdk::{Batch, Column, DataType, RowWriter, StreamSchema};

use crate::columns::holds_json;

/// Bytes that are not text.
const BASE64: &str = "$base64";
/// Text that is not JSON, in a column of JSON.
const TEXT: &str = "$text";
/// A NaN that is not the usual one, as the number that its bits are.
const BITS: &str = "$bits";

/// Why a message can't be read.
const MALFORMED: &str = "malformed JSON";

/// How the columns of a stream are written.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    columns: Vec<Written>,
}

#[derive(Debug, Clone)]
struct Written {
    name: String,
    /// The key as JSON, with its colon.
    key: Vec<u8>,
    data_type: DataType,
    /// Its text is JSON, and is written as what it is.
    json: bool,
}

impl Objects {
    pub(crate) fn new(schema: &StreamSchema) -> Self {
        let written = |(index, field): (usize, &tapedeck_sdk::Field)| Written {
            name: field.name.clone(),
            key: key(&field.name),
            data_type: field.data_type,
            json: holds_json(schema, index),
        };
        Self { columns: schema.payload().iter().enumerate().map(written).collect() }
    }

    /// The JSON Schema (draft 2020-12) of the objects.
    pub(crate) fn json_schema(&self, title: &str) -> String {
        let property = |written: &Written| {
            let kind = match written.data_type {
                _ if written.json => json!({}),
                DataType::Bool => json!({ "type": "boolean" }),
                DataType::Float32 | DataType::Float64 => json!({ "type": "number" }),
                DataType::Utf8 | DataType::Binary | DataType::FixedBinary(_) => json!({ "type": "string" }),
                _ => json!({ "type": "integer" }),
            };
            (written.name.clone(), kind)
        };
        let properties: serde_json::Map<String, Value> = self.columns.iter().map(property).collect();
        json!({ "title": title, "type": "object", "properties": properties }).to_string()
    }

    /// Adds a row.
    pub(crate) fn encode(&self, batch: &Batch, row: usize, out: &mut Vec<u8>) {
        let begin = out.len();
        for (index, written) in self.columns.iter().enumerate() {
            let column = batch.column(index);
            // What is missing has no key: in a column of JSON `null` is a value, and elsewhere it is not of the schema's type.
            if column.is_null(row) {
                continue;
            }
            out.push(if out.len() == begin { b'{' } else { b',' });
            written.put(&column, row, out);
        }
        out.extend_from_slice(if out.len() == begin { b"{}" } else { b"}" });
    }

    /// Sets the values of a row. `places` says where each column is among those that are wanted. Other keys are passed over.
    pub(crate) fn decode(
        &self,
        message: &[u8],
        places: &[Option<usize>],
        writer: &mut RowWriter<'_, '_>,
    ) -> Result<(), &'static str> {
        let pairs: Pairs<'_> = serde_json::from_slice(message).map_err(|_syntax| MALFORMED)?;
        let mut next = 0;
        for (key, value) in pairs.0 {
            // Keys stand in the order of the columns: a value is set once.
            let named = |written: &Written| written.form(&key).is_some();
            let Some(found) = self.columns[next..].iter().position(named) else { continue };
            let column = next + found;
            next = column + 1;
            let Some(place) = places.get(column).copied().flatten() else { continue };
            let written = &self.columns[column];
            if value.get() == "null" && !written.json {
                continue;
            }
            let form = written.form(&key).unwrap_or_default();
            written.set(form, value.get(), place, writer).ok_or(MALFORMED)?;
        }
        Ok(())
    }
}

impl Written {
    /// What stands behind the column's name in a key of it.
    fn form<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(self.name.as_str()).filter(|form| matches!(*form, "" | BASE64 | TEXT | BITS))
    }

    /// Adds a key and its value, which is none that is missing.
    fn put(&self, column: &Column<'_>, row: usize, out: &mut Vec<u8>) {
        match self.data_type {
            DataType::Utf8 if self.json => self.put_json(column.str_at(row), out),
            DataType::Utf8 => self.put_text("", column.str_at(row), out),
            DataType::Binary | DataType::FixedBinary(_) => {
                let bytes = column.bytes_at(row);
                match std::str::from_utf8(bytes) {
                    Ok(text) => self.put_text("", text, out),
                    Err(_not_text) => self.put_text(BASE64, &STANDARD.encode(bytes), out),
                }
            }
            DataType::Float32 => {
                let value = column.values::<f32>()[row];
                let odd = value.is_nan() && value.to_bits() != f32::NAN.to_bits();
                match special(value.into()) {
                    Some(_) if odd => self.put_bits(value.to_bits().into(), out),
                    Some(text) => self.put_text("", text, out),
                    None => self.put_plain(zmij::Buffer::new().format_finite(value), out),
                }
            }
            DataType::Float64 => {
                let value = column.values::<f64>()[row];
                let odd = value.is_nan() && value.to_bits() != f64::NAN.to_bits();
                match special(value) {
                    Some(_) if odd => self.put_bits(value.to_bits(), out),
                    Some(text) => self.put_text("", text, out),
                    None => self.put_plain(zmij::Buffer::new().format_finite(value), out),
                }
            }
            DataType::Bool => self.put_plain(if column.bool_at(row) { "true" } else { "false" }, out),
            _ => self.put_plain(itoa::Buffer::new().format(integer(column, row)), out),
        }
    }

    fn put_plain(&self, value: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key);
        out.extend_from_slice(value.as_bytes());
    }

    fn put_text(&self, form: &str, text: &str, out: &mut Vec<u8>) {
        if form.is_empty() {
            out.extend_from_slice(&self.key);
        } else {
            out.extend_from_slice(&key(&format!("{}{form}", self.name)));
        }
        string(text, out);
    }

    fn put_bits(&self, bits: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&key(&format!("{}{BITS}", self.name)));
        out.extend_from_slice(itoa::Buffer::new().format(bits).as_bytes());
    }

    /// JSON goes through byte by byte; all else is told to be text.
    fn put_json(&self, text: &str, out: &mut Vec<u8>) {
        match serde_json::from_str::<&RawValue>(text) {
            Ok(value) if value.get().len() == text.len() => self.put_plain(text, out),
            Ok(_) | Err(_) => self.put_text(TEXT, text, out),
        }
    }

    /// Sets a value of a row. `None` when it is not of the type.
    fn set(&self, form: &str, raw: &str, place: usize, writer: &mut RowWriter<'_, '_>) -> Option<()> {
        match (self.data_type, form) {
            (DataType::Bool, "") => _ = writer.set_bool(place, raw.parse().ok()?),
            (DataType::Int8, "") => _ = writer.set(place, raw.parse::<i8>().ok()?),
            (DataType::Int16, "") => _ = writer.set(place, raw.parse::<i16>().ok()?),
            (DataType::Int32, "") => _ = writer.set(place, raw.parse::<i32>().ok()?),
            (DataType::Int64 | DataType::TimestampNs, "") => {
                _ = writer.set(place, raw.parse::<i64>().ok()?);
            }
            (DataType::UInt8, "") => _ = writer.set(place, raw.parse::<u8>().ok()?),
            (DataType::UInt16, "") => _ = writer.set(place, raw.parse::<u16>().ok()?),
            (DataType::UInt32, "") => _ = writer.set(place, raw.parse::<u32>().ok()?),
            (DataType::UInt64, "") => _ = writer.set(place, raw.parse::<u64>().ok()?),
            (DataType::Float32, BITS) => _ = writer.set(place, f32::from_bits(raw.parse().ok()?)),
            (DataType::Float64, BITS) => _ = writer.set(place, f64::from_bits(raw.parse().ok()?)),
            (DataType::Float32, "") => _ = writer.set(place, raw.trim_matches('"').parse::<f32>().ok()?),
            (DataType::Float64, "") => _ = writer.set(place, raw.trim_matches('"').parse::<f64>().ok()?),
            (DataType::Utf8, "") if self.json => _ = writer.set_str(place, raw),
            (DataType::Utf8, "" | TEXT) => _ = writer.set_str(place, &text(raw)?),
            (DataType::Binary, "") => _ = writer.set_bytes(place, text(raw)?.as_bytes()),
            (DataType::Binary, BASE64) => _ = writer.set_bytes(place, &STANDARD.decode(text(raw)?).ok()?),
            (DataType::FixedBinary(length), "" | BASE64) => {
                let text = text(raw)?;
                let bytes = if form.is_empty() { text.into_bytes() } else { STANDARD.decode(text).ok()? };
                if bytes.len() != length as usize {
                    return None;
                }
                _ = writer.set_bytes(place, &bytes);
            }
            _ => return None,
        }
        Some(())
    }
}

/// The text of a number that JSON doesn't have, as protobuf's JSON has it.
fn special(value: f64) -> Option<&'static str> {
    match value {
        value if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        _ => None,
    }
}

fn integer(column: &Column<'_>, row: usize) -> i128 {
    match column.data_type() {
        DataType::Int8 => column.values::<i8>()[row].into(),
        DataType::Int16 => column.values::<i16>()[row].into(),
        DataType::Int32 => column.values::<i32>()[row].into(),
        DataType::Int64 | DataType::TimestampNs => column.values::<i64>()[row].into(),
        DataType::UInt8 => column.values::<u8>()[row].into(),
        DataType::UInt16 => column.values::<u16>()[row].into(),
        DataType::UInt32 => column.values::<u32>()[row].into(),
        DataType::UInt64 => column.values::<u64>()[row].into(),
        other => unreachable!("{other} is not an integer"),
    }
}

fn key(name: &str) -> Vec<u8> {
    let mut key = Vec::new();
    string(name, &mut key);
    key.push(b':');
    key
}

fn string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("text can be written into memory");
}

fn text(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}

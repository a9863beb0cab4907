//! Checks a slab that came from outside, byte by byte, before anything reads it.

use super::layout::{Directory, ENTRY_BYTES, Entry, HEADER_BYTES, MAGIC, SLAB_BYTES_MAX, read_u32};
use crate::{DataType, Error, Field, StreamSchema};

/// Whether the header of `bytes` is that of a slab of this schema. Takes the same time whatever the number of columns.
pub(super) fn header(schema: &StreamSchema, bytes: &[u8]) -> Result<(), Error> {
    let refuse = |what: String| Err(Error::data(format!("a batch of stream \"{}\" {what}", schema.name())));
    let columns = schema.fields().len();
    if bytes.len() < HEADER_BYTES + columns * ENTRY_BYTES || bytes.len() > SLAB_BYTES_MAX {
        return refuse(format!("is {} bytes long", bytes.len()));
    }
    if read_u32(bytes, 0) != MAGIC {
        return refuse("does not begin with \"TDS1\"".to_owned());
    }
    if read_u32(bytes, 8) as usize != columns {
        return refuse(format!("has {} columns, the schema has {columns}", read_u32(bytes, 8)));
    }
    let length = u64::from_le_bytes(*bytes[16..].first_chunk().expect("the header is longer"));
    if length != bytes.len() as u64 {
        return refuse(format!("says it is {length} bytes long and is {}", bytes.len()));
    }
    Ok(())
}

/// Whether `bytes` is a slab of this schema.
pub(super) fn slab(schema: &StreamSchema, bytes: &[u8]) -> Result<(), Error> {
    header(schema, bytes)?;
    let rows = Directory::rows(bytes);
    for (index, field) in schema.fields().iter().enumerate() {
        if let Err(what) = column(bytes, Directory::entry(bytes, index), field, rows) {
            let (stream, column) = (schema.name(), &field.name);
            return Err(Error::data(format!(
                "a batch of stream \"{stream}\" breaks the layout in column \"{column}\": {what}"
            )));
        }
    }
    Ok(())
}

fn column(bytes: &[u8], entry: Entry, field: &Field, rows: usize) -> Result<(), String> {
    let buffer = |name: &str, offset: u32, length: usize| {
        let offset = offset as usize;
        if !offset.is_multiple_of(8) {
            return Err(format!("its {name} begin at {offset}, which is no multiple of 8"));
        }
        let end = offset.checked_add(length).filter(|&end| end <= bytes.len());
        end.map(|end| &bytes[offset..end]).ok_or_else(|| format!("its {name} reach beyond the end"))
    };
    if entry.validity != 0 {
        if !field.nullable {
            return Err("it has nulls and is not nullable".to_owned());
        }
        buffer("validity bits", entry.validity, rows.div_ceil(8))?;
    }
    let length = entry.values_length as usize;
    let values = buffer("values", entry.values, length)?;
    let expected = match field.data_type {
        DataType::Bool => Some(rows.div_ceil(8)),
        other => match other.width() {
            Some(width) => Some(rows.checked_mul(width).ok_or("its length overflows")?),
            None => None,
        },
    };
    if let Some(expected) = expected {
        return if length == expected {
            Ok(())
        } else {
            Err(format!("it has {length} bytes of values, not {expected}"))
        };
    }
    if entry.offsets == 0 {
        return Err("it has no offsets".to_owned());
    }
    let size = rows.checked_add(1).and_then(|count| count.checked_mul(4)).ok_or("its length overflows")?;
    let offsets = buffer("offsets", entry.offsets, size)?.as_chunks::<4>().0;
    variable(offsets, values, field.data_type == DataType::Utf8)
}

fn variable(offsets: &[[u8; 4]], values: &[u8], text: bool) -> Result<(), String> {
    let mut before = 0;
    for (row, offset) in offsets.iter().enumerate() {
        let offset = u32::from_le_bytes(*offset) as usize;
        if offset < before || offset > values.len() || (row == 0 && offset != 0) {
            return Err(format!("its offset {row} is {offset}"));
        }
        if text && std::str::from_utf8(&values[before..offset]).is_err() {
            return Err(format!("value {} is not UTF-8", row - 1));
        }
        before = offset;
    }
    Ok(())
}

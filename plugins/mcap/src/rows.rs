//! Rows as protocol buffers: a field a column. A null is a field that is not there; all others are, zeros included.

use tapedeck_sdk::{Batch, DataType, Field, RowWriter, StreamSchema};

use crate::wire::{Fields, MALFORMED, Value, Wire, put_tag, put_varint, unzigzag, zigzag};

/// Field numbers that the language keeps for itself.
const RESERVED: std::ops::Range<u32> = 19_000..20_000;

/// The field number of a payload column, the first one being `first`.
pub(crate) fn field_number(first: u32, column: usize) -> u32 {
    // A stream has at most 65,536 columns.
    let number = first.saturating_add(u32::try_from(column).unwrap_or(u32::MAX));
    if number < RESERVED.start { number } else { number + RESERVED.end - RESERVED.start }
}

/// The payload column of a field number.
fn column_of(first: u32, number: u32) -> Option<usize> {
    let number = match number {
        number if number >= RESERVED.end => number - (RESERVED.end - RESERVED.start),
        number if number >= RESERVED.start => return None,
        number => number,
    };
    usize::try_from(number.checked_sub(first)?).ok()
}

fn wire_of(data_type: DataType) -> Wire {
    match data_type {
        DataType::Bool | DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 => {
            Wire::Varint
        }
        DataType::Int32 | DataType::UInt32 | DataType::Float32 => Wire::Fixed32,
        DataType::Int64 | DataType::UInt64 | DataType::Float64 | DataType::TimestampNs => Wire::Fixed64,
        DataType::Utf8 | DataType::Binary | DataType::FixedBinary(_) => Wire::Bytes,
    }
}

/// How the columns of a stream are written.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    /// The field number of the first column.
    first: u32,
    columns: Vec<Written>,
}

#[derive(Debug, Clone)]
struct Written {
    data_type: DataType,
    tag: Vec<u8>,
    /// Left out: what it holds is written elsewhere.
    skipped: bool,
}

impl Rows {
    pub(crate) fn new(schema: &StreamSchema, first: u32, skipped: Option<usize>) -> Self {
        let written = |(index, field): (usize, &Field)| {
            let mut tag = Vec::new();
            put_tag(&mut tag, field_number(first, index), wire_of(field.data_type));
            Written { data_type: field.data_type, tag, skipped: skipped == Some(index) }
        };
        Self { first, columns: schema.payload().iter().enumerate().map(written).collect() }
    }

    /// Adds a row to a message.
    pub(crate) fn encode(&self, batch: &Batch, row: usize, out: &mut Vec<u8>) {
        for (index, written) in self.columns.iter().enumerate() {
            let column = batch.column(index);
            if written.skipped || column.is_null(row) {
                continue;
            }
            out.extend_from_slice(&written.tag);
            match written.data_type {
                DataType::Bool => out.push(u8::from(column.bool_at(row))),
                DataType::Int8 => put_varint(out, zigzag(column.values::<i8>()[row].into())),
                DataType::Int16 => put_varint(out, zigzag(column.values::<i16>()[row].into())),
                DataType::UInt8 => put_varint(out, column.values::<u8>()[row].into()),
                DataType::UInt16 => put_varint(out, column.values::<u16>()[row].into()),
                DataType::Utf8 | DataType::Binary | DataType::FixedBinary(_) => {
                    let bytes = column.bytes_at(row);
                    put_varint(out, bytes.len() as u64);
                    out.extend_from_slice(bytes);
                }
                DataType::Int32
                | DataType::UInt32
                | DataType::Float32
                | DataType::Int64
                | DataType::UInt64
                | DataType::Float64
                | DataType::TimestampNs => out.extend_from_slice(column.bytes_at(row)),
            }
        }
    }

    /// Sets the values of a row. `places` says where each column is among those that are wanted. Fields of other numbers are passed over.
    pub(crate) fn decode(
        &self,
        message: &[u8],
        places: &[Option<usize>],
        writer: &mut RowWriter<'_, '_>,
    ) -> Result<(), &'static str> {
        let mut next = 0;
        for field in Fields(message) {
            let (number, value) = field?;
            let Some(column) = column_of(self.first, number) else { continue };
            let Some(written) = self.columns.get(column).filter(|written| !written.skipped) else { continue };
            // A value is set once: a message of ours has its fields in their order.
            if column < next {
                return Err(MALFORMED);
            }
            next = column + 1;
            if let Some(place) = places.get(column).copied().flatten() {
                set(writer, place, written.data_type, value).ok_or(MALFORMED)?;
            }
        }
        Ok(())
    }
}

/// Sets a value of a row. `None` when it is not of the type.
fn set(writer: &mut RowWriter<'_, '_>, column: usize, data_type: DataType, value: Value<'_>) -> Option<()> {
    match (data_type, value) {
        (DataType::Bool, Value::Varint(value)) => _ = writer.set_bool(column, value != 0),
        (DataType::Int8, Value::Varint(value)) => {
            _ = writer.set(column, i8::try_from(unzigzag(value)).ok()?);
        }
        (DataType::Int16, Value::Varint(value)) => {
            _ = writer.set(column, i16::try_from(unzigzag(value)).ok()?);
        }
        (DataType::UInt8, Value::Varint(value)) => _ = writer.set(column, u8::try_from(value).ok()?),
        (DataType::UInt16, Value::Varint(value)) => _ = writer.set(column, u16::try_from(value).ok()?),
        (DataType::Int32, Value::Fixed32(bytes)) => _ = writer.set(column, i32::from_le_bytes(bytes)),
        (DataType::UInt32, Value::Fixed32(bytes)) => _ = writer.set(column, u32::from_le_bytes(bytes)),
        (DataType::Float32, Value::Fixed32(bytes)) => _ = writer.set(column, f32::from_le_bytes(bytes)),
        (DataType::Int64 | DataType::TimestampNs, Value::Fixed64(bytes)) => {
            _ = writer.set(column, i64::from_le_bytes(bytes));
        }
        (DataType::UInt64, Value::Fixed64(bytes)) => _ = writer.set(column, u64::from_le_bytes(bytes)),
        (DataType::Float64, Value::Fixed64(bytes)) => _ = writer.set(column, f64::from_le_bytes(bytes)),
        (DataType::Utf8, Value::Bytes(bytes)) => {
            _ = writer.set_str(column, std::str::from_utf8(bytes).ok()?);
        }
        (DataType::Binary, Value::Bytes(bytes)) => _ = writer.set_bytes(column, bytes),
        (DataType::FixedBinary(length), Value::Bytes(bytes)) if bytes.len() == length as usize => {
            _ = writer.set_bytes(column, bytes);
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_numbers_leave_out_what_the_language_keeps() {
        for column in [0, 1, 18_997, 18_998, 18_999, 20_000, 65_535] {
            let number = field_number(1, column);
            assert!(!RESERVED.contains(&number));
            assert_eq!(column_of(1, number), Some(column));
        }
        assert_eq!(column_of(1, 19_500), None);
        assert_eq!(column_of(1000, 7), None);
    }
}

//! Cells of columns as the values that Python has for them, and back.

use std::borrow::Cow;

use tapedeck_sdk::{Column, DataType, RowWriter};

use super::Value;

/// A value of a column as Python has it.
#[must_use]
pub fn get<'b>(column: Column<'b>, row: usize) -> Value<'b> {
    if column.is_null(row) {
        return Value::None;
    }
    match column.data_type() {
        DataType::Bool => Value::Bool(column.bool_at(row)),
        DataType::Int8 => Value::Int(column.values::<i8>()[row].into()),
        DataType::Int16 => Value::Int(column.values::<i16>()[row].into()),
        DataType::Int32 => Value::Int(column.values::<i32>()[row].into()),
        DataType::Int64 | DataType::TimestampNs => Value::Int(column.values::<i64>()[row]),
        DataType::UInt8 => Value::Int(column.values::<u8>()[row].into()),
        DataType::UInt16 => Value::Int(column.values::<u16>()[row].into()),
        DataType::UInt32 => Value::Int(column.values::<u32>()[row].into()),
        DataType::UInt64 => {
            let number = column.values::<u64>()[row];
            i64::try_from(number).map_or_else(|_| large(number), Value::Int)
        }
        DataType::Float32 => Value::Float(column.values::<f32>()[row].into()),
        DataType::Float64 => Value::Float(column.values::<f64>()[row]),
        DataType::Utf8 => Value::Text(Cow::Borrowed(column.str_at(row))),
        DataType::Binary | DataType::FixedBinary(_) => Value::Bytes(Cow::Borrowed(column.bytes_at(row))),
    }
}

/// A number that only 65 bits with a sign hold.
fn large<'b>(number: u64) -> Value<'b> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.push(0);
    Value::Long(Cow::Owned(bytes))
}

/// A whole number. `None` if 65 bits don't hold it.
#[must_use]
pub fn whole(value: &Value<'_>) -> Option<i128> {
    match value {
        Value::Int(number) => Some((*number).into()),
        Value::Long(bytes) => match **bytes {
            [ref low @ .., 0] => low.try_into().ok().map(|low| u64::from_le_bytes(low).into()),
            _ => None,
        },
        _ => None,
    }
}

/// Sets a column to a value. False if the value is of another type, or too large for the column's.
pub fn set(writer: &mut RowWriter<'_, '_>, column: usize, data_type: DataType, value: &Value<'_>) -> bool {
    macro_rules! number {
        ($type:ty) => {
            match whole(value).map(<$type>::try_from) {
                Some(Ok(value)) => _ = writer.set(column, value),
                _ => return false,
            }
        };
    }
    match (data_type, value) {
        (_, Value::None) => _ = writer.set_null(column),
        (DataType::Bool, Value::Bool(value)) => _ = writer.set_bool(column, *value),
        (DataType::Int8, _) => number!(i8),
        (DataType::Int16, _) => number!(i16),
        (DataType::Int32, _) => number!(i32),
        (DataType::Int64 | DataType::TimestampNs, _) => number!(i64),
        (DataType::UInt8, _) => number!(u8),
        (DataType::UInt16, _) => number!(u16),
        (DataType::UInt32, _) => number!(u32),
        (DataType::UInt64, _) => number!(u64),
        #[expect(clippy::cast_possible_truncation, reason = "it was one of 32 bits, or infinite as one")]
        (DataType::Float32, Value::Float(value)) => _ = writer.set(column, *value as f32),
        (DataType::Float64, Value::Float(value)) => _ = writer.set(column, *value),
        (DataType::Utf8, Value::Text(value)) => _ = writer.set_str(column, value),
        (DataType::Binary, Value::Bytes(value)) => _ = writer.set_bytes(column, value),
        (DataType::FixedBinary(length), Value::Bytes(value)) if value.len() == length as usize => {
            _ = writer.set_bytes(column, value);
        }
        _ => return false,
    }
    true
}

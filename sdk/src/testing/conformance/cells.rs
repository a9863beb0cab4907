//! Whether a value that was read back is the value that was written, as far as the format can tell.

use crate::{Column, DataType, Timestamp};

/// How faithful a format is. `seq` and `timestamp` come back exactly in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fidelity {
    /// The same columns of the same types, and every value bit by bit.
    Exact,
    /// As `Exact`, but the format has no nulls: anything may stand where one was.
    NoNulls,
    /// A text format. Columns are found by name and may have other types. Numbers are equal as numbers (an `f32` after rounding to
    /// one), NaN and the infinities may come back as null or text, truth values as `0` and `1` or text, times as nanoseconds
    /// or ISO 8601, bytes as hexadecimal, base64 or text; null, empty text and empty bytes are the same.
    Text,
}

/// A value, widened.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cell<'a> {
    Null,
    Bool(bool),
    Integer(i128),
    Time(i64),
    Single(f32),
    Double(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

fn cell(column: Column<'_>, row: usize) -> Cell<'_> {
    if column.is_null(row) {
        return Cell::Null;
    }
    match column.data_type() {
        DataType::Bool => Cell::Bool(column.bool_at(row)),
        DataType::Int8 => Cell::Integer(column.values::<i8>()[row].into()),
        DataType::Int16 => Cell::Integer(column.values::<i16>()[row].into()),
        DataType::Int32 => Cell::Integer(column.values::<i32>()[row].into()),
        DataType::Int64 => Cell::Integer(column.values::<i64>()[row].into()),
        DataType::UInt8 => Cell::Integer(column.values::<u8>()[row].into()),
        DataType::UInt16 => Cell::Integer(column.values::<u16>()[row].into()),
        DataType::UInt32 => Cell::Integer(column.values::<u32>()[row].into()),
        DataType::UInt64 => Cell::Integer(column.values::<u64>()[row].into()),
        DataType::TimestampNs => Cell::Time(column.values::<i64>()[row]),
        DataType::Float32 => Cell::Single(column.values::<f32>()[row]),
        DataType::Float64 => Cell::Double(column.values::<f64>()[row]),
        DataType::Utf8 => Cell::Text(column.str_at(row)),
        DataType::Binary | DataType::FixedBinary(_) => Cell::Bytes(column.bytes_at(row)),
    }
}

/// Whether the values are the same; if not, both as text.
pub(super) fn same(
    fidelity: Fidelity,
    written: (Column<'_>, usize),
    read: (Column<'_>, usize),
) -> Result<(), String> {
    let [wrote, found] = [cell(written.0, written.1), cell(read.0, read.1)];
    let equal = match fidelity {
        Fidelity::NoNulls if wrote == Cell::Null => true,
        Fidelity::Exact | Fidelity::NoNulls => bits(wrote) == bits(found),
        Fidelity::Text => as_text(wrote, found),
    };
    if equal { Ok(()) } else { Err(format!("{found:?} was read, {wrote:?} was written")) }
}

/// Floats by their bits: NaN equals itself, and −0 is not 0.
fn bits(cell: Cell<'_>) -> Cell<'_> {
    match cell {
        Cell::Single(number) => Cell::Integer(number.to_bits().into()),
        Cell::Double(number) => Cell::Integer(number.to_bits().into()),
        other => other,
    }
}

fn as_text(wrote: Cell<'_>, found: Cell<'_>) -> bool {
    let empty = |cell: Cell<'_>| matches!(cell, Cell::Null | Cell::Text("") | Cell::Bytes([]));
    match wrote {
        Cell::Null => empty(found),
        Cell::Bool(value) => match found {
            Cell::Bool(found) => found == value,
            Cell::Integer(found) => found == i128::from(value),
            Cell::Text(text) => {
                text == if value { "true" } else { "false" } || text == if value { "1" } else { "0" }
            }
            _ => false,
        },
        Cell::Integer(value) => number(found)
            .is_some_and(|found| found == Number::Integer(value) || found.double() == double(value)),
        Cell::Time(value) => match found {
            Cell::Time(found) => found == value,
            Cell::Text(text) => {
                Timestamp::from_iso8601(text) == Some(Timestamp(value)) || text.parse() == Ok(value)
            }
            other => number(other) == Some(Number::Integer(value.into())),
        },
        Cell::Single(value) if !value.is_finite() => not_finite(value.into(), found),
        #[expect(clippy::cast_possible_truncation, reason = "rounding to a single is what is asked for")]
        Cell::Single(value) => number(found).is_some_and(|found| found.double() as f32 == value),
        Cell::Double(value) if !value.is_finite() => not_finite(value, found),
        Cell::Double(value) => number(found).is_some_and(|found| found.double() == value),
        Cell::Text(text) => found == wrote || (text.is_empty() && empty(found)),
        Cell::Bytes(bytes) => match found {
            Cell::Bytes(found) => found == bytes,
            Cell::Text(text) => {
                text.eq_ignore_ascii_case(&hexadecimal(bytes))
                    || text == base64(bytes)
                    || text.as_bytes() == bytes
            }
            Cell::Null => bytes.is_empty(),
            _ => false,
        },
    }
}

fn not_finite(value: f64, found: Cell<'_>) -> bool {
    match found {
        Cell::Null | Cell::Text(_) => true,
        other => number(other).is_some_and(|found| {
            found.double().to_bits() == value.to_bits() || (found.double().is_nan() && value.is_nan())
        }),
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Integer(i128),
    Double(f64),
}

impl Number {
    fn double(self) -> f64 {
        match self {
            Self::Integer(value) => double(value),
            Self::Double(value) => value,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a reader that took the number for a double lost the same")]
fn double(value: i128) -> f64 {
    value as f64
}

fn number(found: Cell<'_>) -> Option<Number> {
    match found {
        Cell::Integer(value) => Some(Number::Integer(value)),
        Cell::Time(value) => Some(Number::Integer(value.into())),
        Cell::Single(value) => Some(Number::Double(value.into())),
        Cell::Double(value) => Some(Number::Double(value)),
        Cell::Text(text) => {
            text.parse().map(Number::Integer).or_else(|_not_whole| text.parse().map(Number::Double)).ok()
        }
        _ => None,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |number: u8| char::from(b"0123456789abcdef"[usize::from(number)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |part: &[u8]| {
        let word =
            part.iter().fold(0_usize, |word, &byte| word << 8 | usize::from(byte)) << (8 * (3 - part.len()));
        let letter = move |place: usize| {
            if place > part.len() { '=' } else { char::from(LETTERS[word >> (18 - 6 * place) & 63]) }
        };
        [letter(0), letter(1), letter(2), letter(3)]
    };
    bytes.chunks(3).flat_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_known_in_base64_and_hexadecimal() {
        // The vectors of RFC 4648.
        for (bytes, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), expected);
        }
        assert_eq!(hexadecimal(&[0, 0xab, 0xff]), "00abff");
    }

    #[test]
    fn a_text_format_may_lose_types_but_not_values() {
        let same = [
            (Cell::Integer(5), Cell::Text("5")),
            (Cell::Integer(5), Cell::Double(5.0)),
            (Cell::Single(0.1), Cell::Double(0.1)),
            (Cell::Double(f64::NAN), Cell::Null),
            (Cell::Bool(true), Cell::Text("true")),
            (Cell::Time(1_000_000_000), Cell::Text("1970-01-01T00:00:01Z")),
            (Cell::Bytes(b"foo"), Cell::Text("Zm9v")),
            (Cell::Null, Cell::Text("")),
        ];
        let different = [
            (Cell::Integer(5), Cell::Text("6")),
            (Cell::Integer(5), Cell::Null),
            (Cell::Double(0.1), Cell::Single(0.1)),
            (Cell::Bool(true), Cell::Text("0")),
            (Cell::Text("a"), Cell::Null),
            (Cell::Null, Cell::Integer(0)),
            (Cell::Bytes(b"foo"), Cell::Text("bar")),
        ];
        assert!(same.into_iter().all(|(wrote, found)| as_text(wrote, found)));
        assert!(different.into_iter().all(|(wrote, found)| !as_text(wrote, found)));
    }
}

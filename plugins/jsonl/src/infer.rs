//! Guesses the type of a column from its values, and reads values of a known type. Knows nothing of files.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tapedeck_sdk::{DataType, RowWriter, Timestamp};

/// What a value is, by the look of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Bool,
    /// A whole number that an `i64` and a `u64` hold, and one that only one of them does.
    Whole,
    Negative,
    Large,
    /// Any other number.
    Number,
    /// The text of a number that JSON doesn't have.
    Special,
    Time,
    Text,
    /// An object or an array.
    Nested,
}

/// What a column of floats may hold. The texts alone don't make one.
const NUMBERS: [Look; 4] = [Look::Whole, Look::Negative, Look::Number, Look::Special];

fn look(raw: &str) -> Option<Look> {
    Some(match raw.as_bytes().first()? {
        b'n' => return None,
        b't' | b'f' => Look::Bool,
        b'{' | b'[' => Look::Nested,
        b'"' => match raw.trim_matches('"') {
            "NaN" | "Infinity" | "-Infinity" => Look::Special,
            text if Timestamp::from_iso8601(text)
                .is_some_and(|time| time.iso8601_bytes() == text.as_bytes()) =>
            {
                Look::Time
            }
            _ => Look::Text,
        },
        _ if raw == "-0" || raw.contains(['.', 'e', 'E']) => Look::Number,
        b'-' if raw.parse::<i64>().is_ok() => Look::Negative,
        _ if raw.parse::<i64>().is_ok() => Look::Whole,
        _ if raw.parse::<u64>().is_ok() => Look::Large,
        _ => Look::Number,
    })
}

/// What is known of a column after some of its values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guess {
    seen: u16,
    /// How many values there were, nulls included: a key that a line doesn't have is null there.
    count: u64,
    nulls: bool,
}

impl Guess {
    /// Takes one more value, as it stands in the file.
    pub(crate) fn see(&mut self, raw: &str) {
        self.count += 1;
        match look(raw) {
            Some(look) => self.seen |= 1 << look as u16,
            None => self.nulls = true,
        }
    }

    /// How many values there were, nulls included.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The type that all values have. Text, when they have no other in common, or there are none.
    pub(crate) fn data_type(&self) -> DataType {
        let only =
            |looks: &[Look]| self.seen & !looks.iter().fold(0, |bits, &look| bits | 1 << look as u16) == 0;
        let any = |look: Look| self.seen & 1 << look as u16 != 0;
        match () {
            () if self.seen == 0 => DataType::Utf8,
            () if only(&[Look::Bool]) => DataType::Bool,
            () if only(&[Look::Whole, Look::Negative]) => DataType::Int64,
            // Negative numbers beside large ones fit neither: they are read as text, which loses nothing.
            () if only(&[Look::Whole, Look::Large]) => DataType::UInt64,
            () if only(&NUMBERS) && NUMBERS[..3].iter().any(|&look| any(look)) => DataType::Float64,
            () if only(&[Look::Time]) => DataType::TimestampNs,
            () => DataType::Utf8,
        }
    }

    /// Whether values of a type may look like those that were seen.
    pub(crate) fn fits(&self, data_type: DataType) -> bool {
        let negative = self.seen & 1 << Look::Negative as u16 != 0;
        match (self.data_type(), data_type) {
            // JSON of any form stands in a text.
            (_, DataType::Utf8) | (DataType::Utf8, DataType::Binary) => true,
            (DataType::Int64 | DataType::UInt64, DataType::Float64) => true,
            (DataType::Int64 | DataType::UInt64, DataType::UInt32) => !negative,
            (guess, data_type) => self.seen == 0 || guess == data_type,
        }
    }

    /// Whether there are nulls among `rows` rows.
    pub(crate) fn nullable(&self, rows: u64) -> bool {
        self.nulls || self.count < rows
    }
}

/// Sets a value of a row. `None` when it is not of the type.
pub(crate) fn set(
    writer: &mut RowWriter<'_, '_>,
    column: usize,
    data_type: DataType,
    json: bool,
    raw: &str,
) -> Option<()> {
    match data_type {
        _ if raw == "null" => {}
        DataType::Bool => _ = writer.set_bool(column, raw == "true"),
        DataType::UInt32 => _ = writer.set(column, raw.parse::<u32>().ok()?),
        DataType::Int64 => _ = writer.set(column, raw.parse::<i64>().ok()?),
        DataType::UInt64 => _ = writer.set(column, raw.parse::<u64>().ok()?),
        DataType::Float64 => _ = writer.set(column, float(raw)?),
        DataType::TimestampNs => _ = writer.set(column, timestamp(raw)?.0),
        DataType::Binary => _ = writer.set_bytes(column, &STANDARD.decode(text(raw)?).ok()?),
        _ if json => _ = writer.set_str(column, &json_text(raw)?),
        _ if raw.starts_with('"') => _ = writer.set_str(column, &text(raw)?),
        _ => _ = writer.set_str(column, raw),
    }
    Some(())
}

/// A point in time in any of the notations that the sink has: ISO 8601 text, or nanoseconds.
pub(crate) fn timestamp(raw: &str) -> Option<Timestamp> {
    if raw.starts_with('"') { Timestamp::from_iso8601(&text(raw)?) } else { raw.parse().ok().map(Timestamp) }
}

fn text(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}

fn float(raw: &str) -> Option<f64> {
    match raw {
        "\"NaN\"" => Some(f64::NAN),
        "\"Infinity\"" => Some(f64::INFINITY),
        "\"-Infinity\"" => Some(f64::NEG_INFINITY),
        number => number.parse().ok(),
    }
}

/// The text of a column that holds JSON. What was no JSON was written as a string: it is one whose content is none.
fn json_text(raw: &str) -> Option<String> {
    if raw.starts_with('"') {
        let content = text(raw)?;
        if serde_json::from_str::<serde::de::IgnoredAny>(&content).is_err() {
            return Some(content);
        }
    }
    Some(raw.to_owned())
}

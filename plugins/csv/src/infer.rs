//! Guesses the type of a column from the text of its values. Knows nothing of files.

use tapedeck_sdk::{DataType, Timestamp};

use crate::parse::Cell;

/// Whole numbers up to this size are exact in an `f64`.
const EXACT_IN_F64: u64 = 1 << 53;

/// What is known of a column after some of its values.
#[derive(Debug, Clone)]
pub(crate) struct Guess {
    values: bool,
    nulls: bool,
    /// What all values so far can be read as, most particular first.
    possible: Vec<DataType>,
}

impl Guess {
    pub(crate) fn new() -> Self {
        let possible = vec![
            DataType::Bool,
            DataType::Int64,
            DataType::UInt64,
            DataType::Float64,
            DataType::TimestampNs,
            DataType::Binary,
            // Only where the kind of the stream says it: it is never the first.
            DataType::UInt32,
        ];
        Self { values: false, nulls: false, possible }
    }

    /// Takes one more value.
    pub(crate) fn see(&mut self, cell: Cell<'_>) {
        if is_null(cell) {
            self.nulls = true;
            return;
        }
        self.values = true;
        self.possible.retain(|&data_type| !cell.quoted && fits(cell.text, data_type));
    }

    /// The type that all values have. Text, when they have no other in common, or there are none.
    pub(crate) fn data_type(&self) -> DataType {
        if self.values { self.possible.first().copied().unwrap_or(DataType::Utf8) } else { DataType::Utf8 }
    }

    /// Whether all values can be read as of a type.
    pub(crate) fn fits(&self, data_type: DataType) -> bool {
        !self.values || data_type == DataType::Utf8 || self.possible.contains(&data_type)
    }

    pub(crate) fn nullable(&self) -> bool {
        self.nulls
    }
}

/// Whether a field stands for no value at all.
pub(crate) fn is_null(cell: Cell<'_>) -> bool {
    cell.text.is_empty() && !cell.quoted
}

/// Whether the text is of the type and nothing would be lost by reading it so: `007` is text.
fn fits(text: &str, data_type: DataType) -> bool {
    match data_type {
        DataType::Bool => matches!(text, "true" | "false"),
        DataType::Int64 => is_whole(text) && text.parse::<i64>().is_ok(),
        DataType::UInt64 => is_whole(text) && text.parse::<u64>().is_ok(),
        DataType::UInt32 => is_whole(text) && text.parse::<u32>().is_ok(),
        DataType::Float64 => is_float(text),
        DataType::TimestampNs => {
            Timestamp::from_iso8601(text).is_some_and(|time| time.iso8601_bytes() == text.as_bytes())
        }
        DataType::Binary => bytes(text).is_some(),
        _ => true,
    }
}

/// Digits without leading zeros, with a minus sign or none.
fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain && text != "-0" && (digits == "0" || !digits.starts_with('0'))
}

fn is_float(text: &str) -> bool {
    if matches!(text, "NaN" | "inf" | "-inf") {
        return true;
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return is_whole(text) && digits.parse::<u64>().is_ok_and(|number| number <= EXACT_IN_F64);
    }
    let zeros = digits.starts_with('0') && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && !zeros
        && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// The bytes that `0x00ff` stands for.
pub(crate) fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?.as_bytes();
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

/// A point in time in any of the notations that the sink has: ISO 8601, nanoseconds, or seconds with decimals.
pub(crate) fn timestamp(text: &str) -> Option<Timestamp> {
    if is_whole(text) {
        return text.parse().ok().map(Timestamp);
    }
    let Some((whole, decimals)) = text.split_once('.').filter(|_| !text.contains(':')) else {
        return Timestamp::from_iso8601(text);
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = whole.strip_prefix('-').unwrap_or(whole);
    if !digits(seconds) || seconds.is_empty() || !digits(decimals) || !(1..=9).contains(&decimals.len()) {
        return None;
    }
    let nanos: i128 = format!("{decimals:0<9}").parse().ok()?;
    let total = seconds.parse::<i128>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanos)?;
    i64::try_from(if whole.starts_with('-') { -total } else { total }).ok().map(Timestamp)
}

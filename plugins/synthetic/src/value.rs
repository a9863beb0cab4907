//! The formula of every value, one at a time. [`crate::fill`] makes whole columns of the same values, faster.

use tapedeck_sdk::DataType;

/// How the values of a column run from row to row.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// One more with each row.
    #[default]
    Ramp,
    /// A sine of so many rows as `period` says.
    Sine,
    /// Noise.
    Random,
    /// The same in every row.
    Constant,
    /// One more each `period` rows.
    Steps,
}

impl Pattern {
    /// The `period` when none is given, in rows.
    pub const DEFAULT_PERIOD: u64 = 60;
}

/// How many bytes a value of a `binary` column has.
pub const BINARY_BYTES: usize = 8;

/// How many bytes a value of a `utf8` column has at the most: the digits of a 64-bit number.
pub const TEXT_BYTES_MAX: usize = 20;

/// What [`value`] has.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// Of a `bool` column.
    Bool(bool),
    /// Of a column of integers or timestamps, widened.
    Integer(i128),
    /// Of a column of floats, widened.
    Float(f64),
    /// Of a `utf8` column.
    Text(String),
    /// Of a `binary` or `fixed_binary` column.
    Bytes(Vec<u8>),
}

/// 64 noisy bits: splitmix64, started at `seed ^ column × 0xD1342543DE82EF95` and moved on by `row + 1` steps.
///
/// ```python
/// M = 2**64 - 1
/// def noise(seed, column, row):
///     z = ((seed ^ (column * 0xD1342543DE82EF95 & M)) + (row + 1) * 0x9E3779B97F4A7C15) & M
///     z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & M
///     z = (z ^ z >> 27) * 0x94D049BB133111EB & M
///     return z ^ z >> 31
/// ```
#[must_use]
#[inline]
pub fn noise(seed: u64, column: u64, row: u64) -> u64 {
    let start = seed ^ column.wrapping_mul(0xD134_2543_DE82_EF95);
    let z = start.wrapping_add(row.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// 64 noisy bits as a number from 0 to below 1: the upper 53 of them, divided by 2⁵³.
#[must_use]
#[inline]
#[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
pub fn unit_interval(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
}

/// The whole number that a value is made of: `column + row` for a ramp, `column` for a constant, `column + row / period` for steps,
/// [`noise`], and `round(50 + 50 × sine)` (0 to 100) for a sine. It wraps at 2⁶⁴.
#[must_use]
#[inline]
pub fn whole(pattern: Pattern, period: u64, seed: u64, column: u64, row: u64) -> u64 {
    match pattern {
        Pattern::Ramp => column.wrapping_add(row),
        Pattern::Constant => column,
        Pattern::Steps => column.wrapping_add(row / period),
        Pattern::Random => noise(seed, column, row),
        Pattern::Sine => percent(sine(period, column, row)),
    }
}

/// A sine of −1…1 as a whole number of 0…100.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number is between 0 and 100"
)]
pub fn percent(sine: f64) -> u64 {
    (50.0 + 50.0 * sine).round() as u64
}

/// `sin(2π × ((column + row) mod period) / period)`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a period is a number of rows, far below 2^53")]
pub fn sine(period: u64, column: u64, row: u64) -> f64 {
    let phase = column.wrapping_add(row) % period;
    (std::f64::consts::TAU * phase as f64 / period as f64).sin()
}

/// Whether a value is null: the noise of the seed `seed ^ 0x6E756C6C` ("null"), as a number from 0 to 1, is below `nulls`.
#[must_use]
#[inline]
pub fn is_null(nulls: f64, seed: u64, column: u64, row: u64) -> bool {
    nulls > 0.0 && unit_interval(noise(seed ^ 0x6E75_6C6C, column, row)) < nulls
}

/// The value in a column (numbered from 0) and row (numbered from 0 from the start of the source, which is its `seq` unless
/// ticks were missed).
///
/// With `n` = [`whole`]: integers and timestamps are the low bits of `n`; floats are `n` (as a signed number), but
/// [`unit_interval`]`(n)` for noise and the [`sine`] itself for a sine; a `bool` is true when `n` is odd; text is `n` in decimal digits;
/// bytes are `n`'s eight bytes, lowest first, over and over.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "the low bits are wanted")]
#[expect(clippy::cast_precision_loss, reason = "a float holds what it can")]
pub fn value(
    data_type: DataType,
    pattern: Pattern,
    period: u64,
    nulls: f64,
    seed: u64,
    column: u64,
    row: u64,
) -> Value {
    if is_null(nulls, seed, column, row) {
        return Value::Null;
    }
    let n = whole(pattern, period, seed, column, row);
    let float = match pattern {
        Pattern::Random => unit_interval(n),
        Pattern::Sine => sine(period, column, row),
        _ => n as i64 as f64,
    };
    let bytes = |length: usize| Value::Bytes(n.to_le_bytes().into_iter().cycle().take(length).collect());
    match data_type {
        DataType::Bool => Value::Bool(n & 1 == 1),
        DataType::Int8 => Value::Integer((n as i8).into()),
        DataType::Int16 => Value::Integer((n as i16).into()),
        DataType::Int32 => Value::Integer((n as i32).into()),
        DataType::Int64 | DataType::TimestampNs => Value::Integer((n as i64).into()),
        DataType::UInt8 => Value::Integer((n as u8).into()),
        DataType::UInt16 => Value::Integer((n as u16).into()),
        DataType::UInt32 => Value::Integer((n as u32).into()),
        DataType::UInt64 => Value::Integer(n.into()),
        DataType::Float32 => Value::Float((float as f32).into()),
        DataType::Float64 => Value::Float(float),
        DataType::Utf8 => Value::Text(n.to_string()),
        DataType::Binary => bytes(BINARY_BYTES),
        DataType::FixedBinary(length) => bytes(length as usize),
    }
}

//! The types that a column can have, and how they are spelled.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// The type of a column; the memory of each is Arrow's of the same name, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// One bit a value, least significant bit first.
    Bool,
    /// Signed 8-bit integer.
    Int8,
    /// Signed 16-bit integer.
    Int16,
    /// Signed 32-bit integer.
    Int32,
    /// Signed 64-bit integer.
    Int64,
    /// Unsigned 8-bit integer.
    UInt8,
    /// Unsigned 16-bit integer.
    UInt16,
    /// Unsigned 32-bit integer.
    UInt32,
    /// Unsigned 64-bit integer.
    UInt64,
    /// IEEE 754 single precision.
    Float32,
    /// IEEE 754 double precision.
    Float64,
    /// Nanoseconds since the Unix epoch, UTC, in an `i64`.
    TimestampNs,
    /// UTF-8 text of varying length, with `i32` offsets.
    Utf8,
    /// Bytes of varying length, with `i32` offsets.
    Binary,
    /// Bytes of one length.
    FixedBinary(u32),
}

impl DataType {
    /// How many bytes a value takes in the values buffer; `None` for `Bool` (one bit) and for varying lengths.
    #[must_use]
    pub const fn width(self) -> Option<usize> {
        match self {
            Self::Int8 | Self::UInt8 => Some(1),
            Self::Int16 | Self::UInt16 => Some(2),
            Self::Int32 | Self::UInt32 | Self::Float32 => Some(4),
            Self::Int64 | Self::UInt64 | Self::Float64 | Self::TimestampNs => Some(8),
            Self::FixedBinary(length) => Some(length as usize),
            Self::Bool | Self::Utf8 | Self::Binary => None,
        }
    }

    /// Whether values vary in length.
    #[must_use]
    pub const fn is_variable(self) -> bool {
        matches!(self, Self::Utf8 | Self::Binary)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Bool => "bool",
            Self::Int8 => "i8",
            Self::Int16 => "i16",
            Self::Int32 => "i32",
            Self::Int64 => "i64",
            Self::UInt8 => "u8",
            Self::UInt16 => "u16",
            Self::UInt32 => "u32",
            Self::UInt64 => "u64",
            Self::Float32 => "f32",
            Self::Float64 => "f64",
            Self::TimestampNs => "timestamp_ns",
            Self::Utf8 => "utf8",
            Self::Binary => "binary",
            Self::FixedBinary(length) => return write!(formatter, "fixed_binary[{length}]"),
        };
        formatter.write_str(name)
    }
}

impl FromStr for DataType {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        Ok(match name {
            "bool" => Self::Bool,
            "i8" => Self::Int8,
            "i16" => Self::Int16,
            "i32" => Self::Int32,
            "i64" => Self::Int64,
            "u8" => Self::UInt8,
            "u16" => Self::UInt16,
            "u32" => Self::UInt32,
            "u64" => Self::UInt64,
            "f32" => Self::Float32,
            "f64" => Self::Float64,
            "timestamp_ns" => Self::TimestampNs,
            "utf8" => Self::Utf8,
            "binary" => Self::Binary,
            other => {
                let length = other.strip_prefix("fixed_binary[").and_then(|rest| rest.strip_suffix(']'));
                let length = length.and_then(|digits| digits.parse().ok());
                Self::FixedBinary(
                    length.ok_or_else(|| Error::data(format!("unknown column type \"{name}\"")))?,
                )
            }
        })
    }
}

impl serde::Serialize for DataType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for DataType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

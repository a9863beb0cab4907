//! The options, and what can be said of them without knowing a stream.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use tapedeck_sdk::{DataType, Error};

/// The most bytes of a value that a field may span.
const FIELD_BYTES_MAX: u32 = 1 << 24;

/// Options of the `decode` transform.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecodeOptions {
    /// The column to decode. Default: the only `binary` or `fixed_binary` column there is.
    pub column: Option<String>,
    /// Whether the other columns go on, in front of the decoded ones. The decoded column itself does not.
    #[serde(default = "yes")]
    pub keep: bool,
    /// The fields by the names of the columns they become.
    #[schemars(with = "BTreeMap<String, FieldOptions>")]
    pub fields: IndexMap<String, FieldOptions>,
}

/// One field of the layout.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldOptions {
    /// Where the field begins, from the start of the value.
    #[schemars(extend("x-unit" = "bytes"))]
    pub offset: u32,
    /// What is there.
    #[serde(rename = "type")]
    pub field_type: FieldType,
    /// Which byte comes first.
    #[serde(default)]
    pub endian: Endian,
    /// How long `bytes` and `utf8` are. Default: up to the end of the value. Text ends at the first zero byte in any case.
    #[schemars(extend("x-unit" = "bytes"))]
    pub length: Option<u32>,
    /// What a number is multiplied with; the column is `f64` then.
    pub scale: Option<f64>,
    /// What is added to a number, after `scale`; the column is `f64` then.
    pub bias: Option<f64>,
    /// The bits of an unsigned number that count, moved down to the lowest one (`0xF0` of `0x57` is 5).
    pub mask: Option<u64>,
    /// The one bit of a whole number that counts, 0 being the lowest; the column is `bool` then.
    pub bit: Option<u32>,
    /// The unit, for readers.
    pub unit: Option<String>,
}

/// What a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// Signed, 8 bits.
    I8,
    /// Signed, 16 bits.
    I16,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// Unsigned, 8 bits.
    U8,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 double precision.
    F64,
    /// One byte that is not zero.
    Bool,
    /// Bytes as they are.
    Bytes,
    /// UTF-8 text.
    Utf8,
}

/// Which byte of a number comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Endian {
    /// The lowest.
    #[default]
    Little,
    /// The highest, as in network protocols.
    Big,
}

impl FieldType {
    /// The column type of the field's plain values; bytes and text by their length.
    pub(crate) fn data_type(self, length: Option<u32>) -> DataType {
        match self {
            Self::I8 => DataType::Int8,
            Self::I16 => DataType::Int16,
            Self::I32 => DataType::Int32,
            Self::I64 => DataType::Int64,
            Self::U8 => DataType::UInt8,
            Self::U16 => DataType::UInt16,
            Self::U32 => DataType::UInt32,
            Self::U64 => DataType::UInt64,
            Self::F32 => DataType::Float32,
            Self::F64 => DataType::Float64,
            Self::Bool => DataType::Bool,
            Self::Bytes => length.map_or(DataType::Binary, DataType::FixedBinary),
            Self::Utf8 => DataType::Utf8,
        }
    }

    /// How many bytes the field takes; `None` for what goes up to the end of the value.
    pub(crate) fn width(self, length: Option<u32>) -> Option<usize> {
        match self {
            Self::Bool => Some(1),
            Self::Bytes | Self::Utf8 => length.map(|length| length as usize),
            number => number.data_type(None).width(),
        }
    }

    fn is_unsigned(self) -> bool {
        matches!(self, Self::U8 | Self::U16 | Self::U32 | Self::U64)
    }

    fn is_whole(self) -> bool {
        self.is_unsigned() || matches!(self, Self::I8 | Self::I16 | Self::I32 | Self::I64)
    }

    fn is_number(self) -> bool {
        self.is_whole() || matches!(self, Self::F32 | Self::F64)
    }
}

fn yes() -> bool {
    true
}

pub(crate) fn check(options: &DecodeOptions) -> Result<(), Error> {
    if options.fields.is_empty() {
        let error = Error::option(["fields"], "there is no field to decode");
        return Err(error.with_hint("Name at least one: fields.NAME = { offset = 0, type = \"f32\" }."));
    }
    options.fields.iter().try_for_each(|(name, field)| {
        wrong(field).map_or(Ok(()), |(key, message)| {
            Err(Error::option(["fields", name, key], format!("field \"{name}\": {message}")))
        })
    })
}

/// The key to blame and why.
fn wrong(field: &FieldOptions) -> Option<(&'static str, String)> {
    let kind = field.field_type;
    let bits = kind.width(None).map_or(0, |width| width * 8);
    let textual = matches!(kind, FieldType::Bytes | FieldType::Utf8);
    let length = field.length.unwrap_or(0);
    let checks = [
        (field.offset > FIELD_BYTES_MAX, "offset", format!("it begins beyond {FIELD_BYTES_MAX} bytes")),
        (
            field.length.is_some() && !textual,
            "length",
            "only \"bytes\" and \"utf8\" have a length".to_owned(),
        ),
        (field.length == Some(0), "length", "a length of 0 holds nothing".to_owned()),
        (length > FIELD_BYTES_MAX, "length", format!("it is longer than {FIELD_BYTES_MAX} bytes")),
        (field.scale.is_some() && !kind.is_number(), "scale", "only numbers can be scaled".to_owned()),
        (
            field.bias.is_some() && !kind.is_number(),
            "bias",
            "only numbers can have something added".to_owned(),
        ),
        (field.scale.is_some_and(|scale| !scale.is_finite()), "scale", "the scale is not finite".to_owned()),
        (field.bias.is_some_and(|bias| !bias.is_finite()), "bias", "the bias is not finite".to_owned()),
        (
            field.mask.is_some() && !kind.is_unsigned(),
            "mask",
            "only u8, u16, u32 and u64 can have a mask".to_owned(),
        ),
        (field.mask == Some(0), "mask", "a mask of 0 leaves no bit".to_owned()),
        (
            field.mask.is_some_and(|mask| bits < 64 && mask >> bits != 0),
            "mask",
            format!("the mask has more than {bits} bits"),
        ),
        (
            field.bit.is_some() && !kind.is_whole(),
            "bit",
            "only whole numbers have bits to choose from".to_owned(),
        ),
        (
            field.bit.is_some_and(|bit| bit as usize >= bits),
            "bit",
            format!("the highest bit is {}", bits.saturating_sub(1)),
        ),
        (
            field.bit.is_some() && (field.mask.is_some() || field.scale.is_some() || field.bias.is_some()),
            "bit",
            "a single bit has no mask, scale or bias".to_owned(),
        ),
    ];
    checks.into_iter().find(|(found, ..)| *found).map(|(_, key, message)| (key, message))
}

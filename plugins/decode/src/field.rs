//! How the values of one field are taken out of the bytes. Pure but for the builder it fills.

use tapedeck_sdk::{BatchBuilder, Column, DataType};

use crate::options::{Endian, FieldOptions, FieldType};

/// What becomes of the field's bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Recipe {
    /// They are the value, but for the byte order.
    Plain,
    /// Some bits of an unsigned number.
    Masked(u64),
    /// A number, with mask, scale and bias.
    Scaled { mask: Option<u64>, scale: f64, bias: f64 },
    /// One bit.
    Bit(u32),
    /// Not zero.
    Truth,
    /// All of them, up to the end.
    Rest,
    /// Up to the first zero.
    Text,
}

/// One field, ready to be decoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    field_type: FieldType,
    offset: usize,
    /// `None`: up to the end of the value.
    width: Option<usize>,
    endian: Endian,
    recipe: Recipe,
}

impl Field {
    pub(crate) fn new(options: &FieldOptions) -> Self {
        let field_type = options.field_type;
        let recipe = match (field_type, options.bit, options.mask) {
            (FieldType::Bool, ..) => Recipe::Truth,
            (FieldType::Utf8, ..) => Recipe::Text,
            (FieldType::Bytes, ..) if options.length.is_none() => Recipe::Rest,
            (_, Some(bit), _) => Recipe::Bit(bit),
            (_, None, mask) if options.scale.is_some() || options.bias.is_some() => Recipe::Scaled {
                mask,
                scale: options.scale.unwrap_or(1.0),
                bias: options.bias.unwrap_or(0.0),
            },
            (_, None, Some(mask)) => Recipe::Masked(mask),
            (_, None, None) => Recipe::Plain,
        };
        let (offset, width) = (options.offset as usize, field_type.width(options.length));
        Self { field_type, offset, width, endian: options.endian, recipe }
    }

    /// The type of the column that the field becomes.
    pub(crate) fn data_type(&self) -> DataType {
        match self.recipe {
            Recipe::Scaled { .. } => DataType::Float64,
            Recipe::Bit(_) => DataType::Bool,
            _ => self.field_type.data_type(self.width.and_then(|width| u32::try_from(width).ok())),
        }
    }

    /// How long a value must be.
    pub(crate) fn end(&self) -> usize {
        self.offset + self.width.unwrap_or(0)
    }

    /// Whether a value that is long enough has a value for the column.
    pub(crate) fn always_there(&self) -> bool {
        self.recipe != Recipe::Text
    }

    /// Fills a column for all rows of the builder. Rows whose value is there but can't be decoded are marked in `failed`.
    pub(crate) fn decode(
        &self,
        builder: &mut BatchBuilder<'_>,
        column: usize,
        from: Column<'_>,
        failed: &mut [bool],
    ) {
        if matches!(self.recipe, Recipe::Rest | Recipe::Text) {
            return builder.fill_variable(column, failed.len(), |row, out| {
                let bytes = self.bytes(from, row);
                let bytes = if self.recipe == Recipe::Text { bytes.and_then(text) } else { bytes };
                out.extend_from_slice(bytes.unwrap_or_default());
                failed[row] |= bytes.is_none() && !from.is_null(row);
                bytes.is_some()
            });
        }
        for (row, failed) in failed.iter_mut().enumerate() {
            match self.bytes(from, row) {
                Some(bytes) => self.put(builder, column, row, bytes),
                None => {
                    builder.set_null(column, row);
                    *failed |= !from.is_null(row);
                }
            }
        }
    }

    /// The field's bytes, if the value is there and long enough.
    fn bytes<'from>(&self, from: Column<'from>, row: usize) -> Option<&'from [u8]> {
        if from.is_null(row) {
            return None;
        }
        let rest = from.bytes_at(row).get(self.offset..)?;
        match self.width {
            Some(width) => rest.get(..width),
            None => Some(rest),
        }
    }

    fn put(&self, builder: &mut BatchBuilder<'_>, column: usize, row: usize, bytes: &[u8]) {
        match self.recipe {
            Recipe::Plain | Recipe::Rest | Recipe::Text => {
                let swapped = self.endian == Endian::Big && self.field_type != FieldType::Bytes;
                let place = builder.slot(column, row);
                let place = &mut builder.slab_mut()[place];
                place.copy_from_slice(bytes);
                if swapped {
                    place.reverse();
                }
            }
            Recipe::Masked(mask) => {
                let value = masked(self.raw(bytes), mask).to_le_bytes();
                let place = builder.slot(column, row);
                builder.slab_mut()[place].copy_from_slice(&value[..bytes.len()]);
            }
            Recipe::Scaled { mask, scale, bias } => {
                let number = mask
                    .map_or_else(|| self.number(bytes), |mask| double(masked(self.raw(bytes), mask).into()));
                builder.set(column, row, number * scale + bias);
            }
            Recipe::Bit(bit) => builder.set_bool(column, row, self.raw(bytes) >> bit & 1 == 1),
            Recipe::Truth => builder.set_bool(column, row, bytes != [0]),
        }
    }

    /// The bytes of a number as bits, the lowest first. A number has 8 bytes at the most.
    fn raw(&self, bytes: &[u8]) -> u64 {
        let add = |bits: u64, byte: &u8| bits << 8 | u64::from(*byte);
        match self.endian {
            Endian::Little => bytes.iter().rev().fold(0, add),
            Endian::Big => bytes.iter().fold(0, add),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "the bits are of that type"
    )]
    fn number(&self, bytes: &[u8]) -> f64 {
        let raw = self.raw(bytes);
        match self.field_type {
            FieldType::I8 => (raw as i8).into(),
            FieldType::I16 => (raw as i16).into(),
            FieldType::I32 => (raw as i32).into(),
            FieldType::I64 => double((raw as i64).into()),
            FieldType::F32 => f32::from_bits(raw as u32).into(),
            FieldType::F64 => f64::from_bits(raw),
            _ => double(raw.into()),
        }
    }
}

fn masked(raw: u64, mask: u64) -> u64 {
    (raw & mask) >> mask.trailing_zeros()
}

#[expect(clippy::cast_precision_loss, reason = "a scaled number is a double, and as precise as one")]
fn double(number: i128) -> f64 {
    number as f64
}

/// Up to the first zero byte; `None` if it is not UTF-8.
fn text(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    std::str::from_utf8(&bytes[..end]).ok().map(str::as_bytes)
}

//! What the rows of one dataset are made of: a pure function from the rows of a batch to bytes. It knows no file.

use std::ops::Range;

use tapedeck_sdk::{Batch, Column, DataType, StreamSchema};

/// The numbers a dataset's rows come from. Column numbers are those of [`StreamSchema::fields`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fill {
    /// The bytes of a column of fixed width; zero under a null.
    Fixed { column: usize, width: usize },
    /// A nullable `f32` column; NaN under a null.
    Float32 { column: usize },
    /// A nullable `f64` column; NaN under a null.
    Float64 { column: usize },
    /// A `bool` column as a byte of 0 or 1.
    Bool { column: usize },
    /// A `utf8` or `binary` column as so many bytes, filled up with NULs.
    Padded { column: usize, length: usize },
    /// The lengths of columns of varying length side by side, `u32` each.
    Lengths { columns: Vec<(usize, usize)> },
    /// The timestamp in seconds, `f64`.
    Seconds,
    /// The timestamp in whole milliseconds, `i64`.
    Milliseconds,
    /// A bit for each payload column, least significant bit first: 1 where there is a value. So many bytes a row.
    Validity { bytes: usize },
    /// Numeric columns side by side as `f32`; NaN under a null, or where there is no column.
    Matrix { columns: Vec<Option<usize>> },
    /// Columns side by side as bytes: 1 where the value is neither zero nor null.
    Flags { columns: Vec<usize> },
}

impl Fill {
    /// Bytes of a row.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Fixed { width, .. } => *width,
            Self::Float32 { .. } => 4,
            Self::Float64 { .. } | Self::Seconds | Self::Milliseconds => 8,
            Self::Bool { .. } => 1,
            Self::Padded { length, .. } => *length,
            Self::Lengths { columns } => columns.len() * 4,
            Self::Validity { bytes } => *bytes,
            Self::Matrix { columns } => columns.len() * 4,
            Self::Flags { columns } => columns.len(),
        }
    }

    /// The rows' bytes where they lie in the batch as the dataset wants them.
    pub(crate) fn in_place<'batch>(&self, batch: &'batch Batch, rows: &Range<usize>) -> Option<&'batch [u8]> {
        let (column, width) = match self {
            Self::Fixed { column, width } => (batch.any_column(*column), *width),
            Self::Float32 { column } | Self::Float64 { column } => {
                let column = batch.any_column(*column);
                (column, column.validity().is_none().then(|| self.width())?)
            }
            _ => return None,
        };
        Some(&column.value_bytes()[rows.start * width..rows.end * width])
    }

    /// Writes the rows' bytes to `out`, which is `rows.len() × width` long. Returns how many values had to be cut.
    pub(crate) fn write(&self, batch: &Batch, rows: &Range<usize>, out: &mut [u8]) -> u64 {
        if let Some(bytes) = self.in_place(batch, rows) {
            copy(bytes, out);
            return 0;
        }
        match self {
            Self::Fixed { .. } => {}
            Self::Float32 { column } => {
                let column = batch.any_column(*column);
                let values = &column.values::<f32>()[rows.clone()];
                each(rows, out, |index, row| {
                    if column.is_null(row) { f32::NAN } else { values[index] }.to_le_bytes()
                });
            }
            Self::Float64 { column } => {
                let column = batch.any_column(*column);
                let values = &column.values::<f64>()[rows.clone()];
                each(rows, out, |index, row| {
                    if column.is_null(row) { f64::NAN } else { values[index] }.to_le_bytes()
                });
            }
            Self::Bool { column } => {
                let column = batch.any_column(*column);
                each(rows, out, |_, row| [u8::from(column.bool_at(row))]);
            }
            Self::Padded { column, length } => return padded(batch.any_column(*column), rows, *length, out),
            Self::Lengths { columns } => {
                for (place, &(column, length)) in columns.iter().enumerate() {
                    let column = batch.any_column(column);
                    for (index, row) in rows.clone().enumerate() {
                        let kept = u32::try_from(kept(column, row, length).len()).unwrap_or(u32::MAX);
                        out[(index * columns.len() + place) * 4..][..4].copy_from_slice(&kept.to_le_bytes());
                    }
                }
            }
            Self::Seconds => {
                let timestamps = batch.timestamps();
                each(rows, out, |_, row| tapedeck_sdk::Timestamp(timestamps[row]).seconds().to_le_bytes());
            }
            Self::Milliseconds => {
                let timestamps = batch.timestamps();
                each(rows, out, |_, row| timestamps[row].div_euclid(1_000_000).to_le_bytes());
            }
            Self::Validity { bytes } => validity(batch, rows, *bytes, out),
            Self::Matrix { columns } => {
                let stride = columns.len() * 4;
                for (place, column) in columns.iter().enumerate() {
                    let column = column.map(|column| batch.any_column(column));
                    for (index, row) in rows.clone().enumerate() {
                        let value = column.map_or(f32::NAN, |column| as_f32(column, row));
                        out[index * stride + place * 4..][..4].copy_from_slice(&value.to_le_bytes());
                    }
                }
            }
            Self::Flags { columns } => {
                for (place, &column) in columns.iter().enumerate() {
                    let column = batch.any_column(column);
                    for (index, row) in rows.clone().enumerate() {
                        out[index * columns.len() + place] = u8::from(is_set(column, row));
                    }
                }
            }
        }
        0
    }
}

/// Single values are what a recording at the frame rate consists of: a move of a register each, not a call.
fn copy(bytes: &[u8], out: &mut [u8]) {
    match (bytes.first_chunk::<8>(), bytes.first_chunk::<4>(), out.len()) {
        (Some(bytes), _, 8) => out[..8].copy_from_slice(bytes),
        (_, Some(bytes), 4) => out[..4].copy_from_slice(bytes),
        _ => out.copy_from_slice(bytes),
    }
}

fn each<const WIDTH: usize>(
    rows: &Range<usize>,
    out: &mut [u8],
    value: impl Fn(usize, usize) -> [u8; WIDTH],
) {
    for ((index, row), slot) in rows.clone().enumerate().zip(out.as_chunks_mut::<WIDTH>().0) {
        *slot = value(index, row);
    }
}

/// The part of a value of varying length that fits. A text is cut between characters.
fn kept(column: Column<'_>, row: usize, length: usize) -> &[u8] {
    let bytes = if column.is_null(row) { &[] } else { column.bytes_at(row) };
    if bytes.len() <= length {
        return bytes;
    }
    let is_begin = |&end: &usize| column.data_type() != DataType::Utf8 || (bytes[end] & 0xc0) != 0x80;
    &bytes[..(0..=length).rev().find(is_begin).unwrap_or(0)]
}

fn padded(column: Column<'_>, rows: &Range<usize>, length: usize, out: &mut [u8]) -> u64 {
    let mut cut = 0;
    for (row, slot) in rows.clone().zip(out.chunks_exact_mut(length)) {
        let kept = kept(column, row, length);
        cut += u64::from(!column.is_null(row) && kept.len() < column.bytes_at(row).len());
        slot[..kept.len()].copy_from_slice(kept);
        slot[kept.len()..].fill(0);
    }
    cut
}

fn validity(batch: &Batch, rows: &Range<usize>, bytes: usize, out: &mut [u8]) {
    out.fill(0xff);
    for (payload, column) in batch.columns().enumerate() {
        let Some(bits) = column.validity() else { continue };
        let (byte, mask) = (payload / 8, !(1_u8 << (payload % 8)));
        for (index, row) in rows.clone().enumerate() {
            if bits[row / 8] & (1 << (row % 8)) == 0 {
                out[index * bytes + byte] &= mask;
            }
        }
    }
}

/// Whether a column can be a column of [`Fill::Matrix`] or [`Fill::Flags`].
pub(crate) fn is_numeric(data_type: DataType) -> bool {
    !matches!(data_type, DataType::Utf8 | DataType::Binary | DataType::FixedBinary(_) | DataType::TimestampNs)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the layout keeps every number as f32"
)]
fn as_f32(column: Column<'_>, row: usize) -> f32 {
    if column.is_null(row) {
        return f32::NAN;
    }
    match column.data_type() {
        DataType::Bool => f32::from(u8::from(column.bool_at(row))),
        DataType::Int8 => f32::from(column.values::<i8>()[row]),
        DataType::Int16 => f32::from(column.values::<i16>()[row]),
        DataType::Int32 => column.values::<i32>()[row] as f32,
        DataType::Int64 => column.values::<i64>()[row] as f32,
        DataType::UInt8 => f32::from(column.values::<u8>()[row]),
        DataType::UInt16 => f32::from(column.values::<u16>()[row]),
        DataType::UInt32 => column.values::<u32>()[row] as f32,
        DataType::UInt64 => column.values::<u64>()[row] as f32,
        DataType::Float32 => column.values::<f32>()[row],
        DataType::Float64 => column.values::<f64>()[row] as f32,
        DataType::TimestampNs | DataType::Utf8 | DataType::Binary | DataType::FixedBinary(_) => f32::NAN,
    }
}

fn is_set(column: Column<'_>, row: usize) -> bool {
    !column.is_null(row)
        && match column.data_type() {
            DataType::Bool => column.bool_at(row),
            _ => column.bytes_at(row).iter().any(|&byte| byte != 0),
        }
}

/// Bytes of a row of [`Fill::Validity`]; none when no column can be null.
pub(crate) fn validity_bytes(schema: &StreamSchema) -> Option<usize> {
    schema.payload().iter().any(|field| field.nullable).then(|| schema.payload().len().div_ceil(8))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tapedeck_sdk::{BatchPool, Kind, Timestamp};

    use super::*;

    fn schema() -> Arc<StreamSchema> {
        let builder = StreamSchema::builder("s", Kind::Attributes)
            .nullable("a", DataType::Int32)
            .nullable("b", DataType::Float64);
        builder.field("c", DataType::Bool).field("d", DataType::Utf8).build().unwrap()
    }

    fn batch() -> Batch {
        let mut pool = BatchPool::new(schema());
        let mut builder = pool.builder(2);
        builder
            .push_row(Timestamp(1_500_000_000))
            .set(0, 7_i32)
            .set_null(1)
            .set_bool(2, true)
            .set_str(3, "añb");
        builder.push_row(Timestamp(-1)).set_null(0).set(1, 2.5).set_bool(2, false).set_str(3, "");
        builder.finish()
    }

    fn written(fill: &Fill) -> Vec<u8> {
        let mut out = vec![0xaa; fill.width() * 2];
        fill.write(&batch(), &(0..2), &mut out);
        out
    }

    #[test]
    fn a_null_is_zero_or_not_a_number_and_its_validity_bit_is_off() {
        assert_eq!(written(&Fill::Fixed { column: 2, width: 4 }), [7, 0, 0, 0, 0, 0, 0, 0]);
        let floats = written(&Fill::Float64 { column: 3 });
        assert!(f64::from_le_bytes(*floats.first_chunk().unwrap()).is_nan());
        assert_eq!(floats[8..], 2.5_f64.to_le_bytes());
        assert_eq!(written(&Fill::Validity { bytes: 1 }), [0b1111_1101, 0b1111_1110]);
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_between_characters_and_counted() {
        let mut out = [1_u8; 4];
        let fill = Fill::Padded { column: 5, length: 2 };
        assert_eq!(fill.write(&batch(), &(0..2), &mut out), 1);
        assert_eq!(out, [b'a', 0, 0, 0]);
        assert_eq!(written(&Fill::Lengths { columns: vec![(5, 2)] }), [1, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_matrix_holds_every_number_as_f32_and_nan_where_there_is_none() {
        let matrix = written(&Fill::Matrix { columns: vec![Some(2), Some(4), None] });
        let numbers: Vec<f32> = matrix.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        assert_eq!((numbers[0], numbers[1], numbers[4]), (7.0, 1.0, 0.0));
        assert!(numbers[2].is_nan() && numbers[3].is_nan());
        assert_eq!(written(&Fill::Flags { columns: vec![2, 4] }), [1, 1, 0, 0]);
    }

    #[test]
    fn milliseconds_round_down_before_the_epoch_too() {
        assert_eq!(written(&Fill::Milliseconds), [1500_i64.to_le_bytes(), (-1_i64).to_le_bytes()].concat());
    }
}

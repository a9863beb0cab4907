//! How the bytes of some rows of a stream's datasets become a batch. Reads nothing.

use tapedeck_sdk::{BatchBuilder, DataType, Timestamp};

use super::track::{Datasets, PIXELS, Part};
use crate::raw::Failure;

/// The bytes of some rows of every dataset.
pub(super) struct Block<'track> {
    pub(super) datasets: &'track Datasets,
    /// Where each column of the datasets' schema goes, if it is wanted.
    pub(super) places: &'track [Option<usize>],
    /// The bytes of each dataset, in the order of [`Datasets::all`].
    pub(super) blocks: &'track [Vec<u8>],
    pub(super) first_row: u64,
    pub(super) rows: usize,
}

impl Block<'_> {
    fn parts(&self) -> impl Iterator<Item = (&Part, &[u8], usize)> {
        let parts = self.datasets.parts.iter().zip(self.blocks);
        parts.map(|((_, part), block)| (part, block.as_slice(), block.len() / self.rows))
    }

    /// The blocks of `seq`, the times, `validity` and `lengths`.
    fn others(&self) -> [Option<&[u8]>; 4] {
        let mut rest = self.blocks[self.datasets.parts.len()..].iter();
        let mut take = |there: bool| if there { rest.next().map(Vec::as_slice) } else { None };
        let seq = take(self.datasets.seq.is_some());
        let times = take(true);
        [seq, times, take(self.datasets.validity.is_some()), take(self.datasets.lengths.is_some())]
    }

    fn is_null(&self, validity: Option<&[u8]>, column: usize, row: usize) -> bool {
        let bits = self.datasets.schema.payload().len().div_ceil(8);
        self.datasets.schema.payload()[column].nullable
            && validity.is_some_and(|block| block[row * bits + column / 8] & (1 << (column % 8)) == 0)
    }

    /// Fills `seq` and the times, of which there is always something.
    fn fill_lead(&self, builder: &mut BatchBuilder<'_>) {
        let [seq, times, ..] = self.others();
        for (row, slot) in (0..).zip(builder.seq_mut()) {
            *slot = self.first_row + row;
        }
        for (slot, word) in builder.seq_mut().iter_mut().zip(words(seq)) {
            *slot = u64::from_le_bytes(*word);
        }
        for (slot, word) in builder.timestamps_mut().iter_mut().zip(words(times)) {
            *slot = self.datasets.times.1.nanoseconds(*word);
        }
    }

    /// Fills the rows of a batch.
    pub(super) fn fill(&self, builder: &mut BatchBuilder<'_>) -> Result<(), Failure> {
        let by_row = self.datasets.size.is_some()
            || builder.schema().fields().iter().any(|field| field.data_type.is_variable());
        if by_row {
            self.fill_rows(builder)?
        } else {
            self.fill_columns(builder)
        }
        self.fill_lead(builder);
        Ok(())
    }

    /// All columns have a fixed width: column by column.
    fn fill_columns(&self, builder: &mut BatchBuilder<'_>) {
        builder.push_rows(self.rows);
        for (part, block, width) in self.parts() {
            match part {
                Part::Fixed { column } => {
                    let Some(to) = self.places[*column] else { continue };
                    let begin = builder.slot(to, 0).start;
                    builder.slab_mut()[begin..begin + block.len()].copy_from_slice(block);
                }
                Part::Bool { column } => {
                    let Some(to) = self.places[*column] else { continue };
                    block.iter().zip(0..).for_each(|(&byte, row)| builder.set_bool(to, row, byte != 0))
                }
                Part::Matrix { first } => {
                    for (place, word) in block.as_chunks::<4>().0.iter().enumerate() {
                        let (row, column) = (place / (width / 4), place % (width / 4));
                        if let Some(to) = self.places[first + column] {
                            builder.set(to, row, f32::from_le_bytes(*word));
                        }
                    }
                }
                Part::Flags { first } => {
                    for (place, &byte) in block.iter().enumerate() {
                        if let Some(to) = self.places[first + place % width] {
                            builder.set_bool(to, place / width, byte != 0);
                        }
                    }
                }
                Part::Padded { .. } | Part::Pixels => {}
            }
        }
        let [_, _, validity, _] = self.others();
        let wanted = self.places.iter().enumerate().filter_map(|(column, to)| Some((column, (*to)?)));
        for (column, to) in wanted.filter(|_| validity.is_some()) {
            let nulls = (0..self.rows).filter(|&row| self.is_null(validity, column, row));
            nulls.for_each(|row| builder.set_null(to, row));
        }
    }

    /// Some column varies in length: row by row.
    fn fill_rows(&self, builder: &mut BatchBuilder<'_>) -> Result<(), Failure> {
        let [_, _, validity, lengths] = self.others();
        for row in 0..self.rows {
            let mut writer = builder.push_row(Timestamp(0));
            if let Some(size) = self.datasets.size {
                self.set_size(&mut writer, size);
            }
            for (part, block, width) in self.parts() {
                let bytes = &block[row * width..(row + 1) * width];
                match part {
                    Part::Fixed { column } | Part::Bool { column } | Part::Padded { column, .. } => {
                        let Some(to) = self.places[*column] else { continue };
                        if self.is_null(validity, *column, row) {
                            writer.set_null(to);
                            continue;
                        }
                        let data_type = self.datasets.schema.payload()[*column].data_type;
                        match part {
                            Part::Bool { .. } => drop(writer.set_bool(to, bytes[0] != 0)),
                            Part::Padded { length, .. } => {
                                let value = self.unpadded(bytes, *length, lengths, row);
                                set_variable(&mut writer, to, value, data_type)?;
                            }
                            _ => set_fixed(&mut writer, to, bytes, data_type),
                        }
                    }
                    Part::Matrix { first } => {
                        for (place, word) in bytes.as_chunks::<4>().0.iter().enumerate() {
                            if let Some(to) = self.places[first + place] {
                                writer.set(to, f32::from_le_bytes(*word));
                            }
                        }
                    }
                    Part::Flags { first } => {
                        for (place, &byte) in bytes.iter().enumerate() {
                            if let Some(to) = self.places[first + place] {
                                writer.set_bool(to, byte != 0);
                            }
                        }
                    }
                    Part::Pixels => {
                        if let Some(to) = self.places[PIXELS] {
                            writer.set_bytes(to, bytes);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// What all pictures have in common.
    fn set_size(&self, writer: &mut RowWriter<'_, '_>, [width, height]: [u32; 2]) {
        if let Some(to) = self.places[0] {
            writer.set(to, width);
        }
        if let Some(to) = self.places[1] {
            writer.set(to, height);
        }
        if let Some(to) = self.places[2] {
            writer.set_str(to, "bgra8");
        }
    }

    /// A value without the NULs behind it.
    fn unpadded<'bytes>(
        &self,
        bytes: &'bytes [u8],
        length: Option<usize>,
        lengths: Option<&[u8]>,
        row: usize,
    ) -> &'bytes [u8] {
        let places = lengths.map_or(0, |block| block.len() / self.rows / 4);
        let known = length.zip(lengths).map(|(place, block)| {
            let word =
                block[(row * places + place) * 4..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
            usize::try_from(word).unwrap_or(usize::MAX)
        });
        let end = || bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        &bytes[..known.unwrap_or_else(end).min(bytes.len())]
    }
}

/// The 64-bit numbers of a block; none if there is no block.
fn words(block: Option<&[u8]>) -> &[[u8; 8]] {
    block.map_or(&[], |block| block.as_chunks().0)
}

type RowWriter<'builder, 'pool> = tapedeck_sdk::RowWriter<'builder, 'pool>;

fn set_fixed(writer: &mut RowWriter<'_, '_>, column: usize, bytes: &[u8], data_type: DataType) {
    macro_rules! number {
        ($type:ty) => {
            bytes.first_chunk().map(|bytes| writer.set(column, <$type>::from_le_bytes(*bytes))).is_some()
        };
    }
    let set = match data_type {
        DataType::Int8 => number!(i8),
        DataType::Int16 => number!(i16),
        DataType::Int32 => number!(i32),
        DataType::Int64 | DataType::TimestampNs => number!(i64),
        DataType::UInt8 => number!(u8),
        DataType::UInt16 => number!(u16),
        DataType::UInt32 => number!(u32),
        DataType::UInt64 => number!(u64),
        DataType::Float32 => number!(f32),
        DataType::Float64 => number!(f64),
        DataType::FixedBinary(_) => {
            writer.set_bytes(column, bytes);
            true
        }
        DataType::Bool | DataType::Utf8 | DataType::Binary => false,
    };
    debug_assert!(set, "`fits` lets no other type through");
}

fn set_variable(
    writer: &mut RowWriter<'_, '_>,
    column: usize,
    value: &[u8],
    data_type: DataType,
) -> Result<(), Failure> {
    if data_type == DataType::Utf8 {
        let text = std::str::from_utf8(value)
            .map_err(|error| Failure::new(format!("a text is not UTF-8: {error}")))?;
        writer.set_str(column, text);
    } else {
        writer.set_bytes(column, value);
    }
    Ok(())
}

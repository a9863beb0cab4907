//! Copies rows from one batch into another of the same columns: how sinks gather single frames into blocks.

use std::ops::Range;

use super::column::{bit, clear_bit, set_bit};
use super::layout::{Directory, Shape, word, write_u32};
use super::{Batch, BatchBuilder};

impl BatchBuilder<'_> {
    /// Adds rows of a batch whose columns are of the same types, `seq` and timestamps included.
    ///
    /// # Panics
    /// There is no room for so many rows, or a column is of another type.
    pub fn append(&mut self, batch: &Batch, rows: Range<usize>) {
        assert!(rows.len() <= self.room(), "{} more rows don't fit, there is room for {}", rows.len(), self.room());
        self.end_row();
        let (layout, bytes, variable, first) = self.parts();
        for (index, slot) in layout.slots.iter().enumerate() {
            let column = batch.any_column(index);
            debug_assert_eq!(column.data_type(), layout.schema.fields()[index].data_type, "column {index}");
            match slot.shape {
                Shape::Fixed(8) if rows.len() == 1 => {
                    let value: &[u8; 8] =
                        column.value_bytes()[rows.start * 8..].first_chunk().expect("the row is inside the batch");
                    bytes[slot.values + first * 8..][..8].copy_from_slice(value);
                }
                Shape::Fixed(width) => {
                    let values = &column.value_bytes()[rows.start * width..rows.end * width];
                    bytes[slot.values + first * width..][..values.len()].copy_from_slice(values);
                }
                Shape::Bit => {
                    for (to, row) in (first..).zip(rows.clone()) {
                        let bits = &mut bytes[slot.values..];
                        if bit(column.value_bytes(), row) { set_bit(bits, to) } else { clear_bit(bits, to) }
                    }
                }
                Shape::Variable(number) => {
                    let offsets = column.offsets();
                    let [begin, end] = [offsets[rows.start], offsets[rows.end]].map(|at| usize::try_from(at).unwrap_or(0));
                    let base = variable[number].len();
                    variable[number].extend_from_slice(&column.value_bytes()[begin..end]);
                    for (to, row) in (first..).zip(rows.clone()) {
                        let at = usize::try_from(offsets[row + 1]).unwrap_or(0) - begin + base;
                        write_u32(bytes, slot.offsets + (to + 1) * 4, word(at));
                    }
                }
            }
            if let Some(validity) = column.validity() {
                let mut entry = Directory::entry(bytes, index);
                if entry.validity == 0 {
                    assert!(slot.nullable, "column {index} is not nullable");
                    bytes[slot.validity..slot.validity + layout.capacity.div_ceil(8)].fill(0xff);
                    entry.validity = word(slot.validity);
                    Directory::set_entry(bytes, index, entry);
                }
                for (to, row) in (first..).zip(rows.clone()).filter(|&(_, row)| !bit(validity, row)) {
                    debug_assert!(row < batch.rows());
                    clear_bit(&mut bytes[slot.validity..], to);
                }
            } else if slot.nullable && Directory::entry(bytes, index).validity != 0 {
                for to in first..first + rows.len() {
                    set_bit(&mut bytes[slot.validity..], to);
                }
            }
        }
        self.set_rows(first + rows.len());
    }
}

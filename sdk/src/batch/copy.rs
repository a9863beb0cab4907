//! Fills a batch column by column from the columns of other batches: what transforms stand on.
//!
//! [`BatchBuilder::push_rows_of`] adds rows, and then every payload column is given its values for these rows once: with
//! [`copy_column`](BatchBuilder::copy_column), [`gather_column`](BatchBuilder::gather_column) or
//! [`fill_variable`](BatchBuilder::fill_variable), or in place (`column_mut`, `set`, `set_bool`, `set_null`).

use std::ops::Range;

use super::column::{bit, clear_bit, set_bit};
use super::layout::{Directory, Layout, Shape, Slot, word, write_u32};
use super::{Batch, BatchBuilder, Column};
use crate::{DataType, StreamSchema};

impl BatchBuilder<'_> {
    /// Adds rows with the `seq` and timestamps of rows of another batch, whose payload columns may be quite different. Columns
    /// of varying length are empty until they are filled; all others must be filled: the memory may hold values of an earlier batch.
    ///
    /// # Panics
    /// There is no room for so many rows, or the batch has no such rows.
    pub fn push_rows_of(&mut self, batch: &Batch, rows: Range<usize>) {
        assert!(
            rows.len() <= self.room(),
            "{} more rows don't fit, there is room for {}",
            rows.len(),
            self.room()
        );
        self.end_row();
        let (layout, bytes, variable, first) = self.parts();
        for (lead, slot) in layout.slots[..StreamSchema::LEAD].iter().enumerate() {
            let values = &batch.any_column(lead).value_bytes()[rows.start * 8..rows.end * 8];
            bytes[slot.values + first * 8..][..values.len()].copy_from_slice(values);
        }
        empty_variable(layout, bytes, variable, first..first + rows.len());
        self.set_rows(first + rows.len());
    }

    /// Gives a payload column the values of rows of another column, for the rows that were added last.
    ///
    /// # Panics
    /// The columns are of different types, the other one has nulls and this one is not nullable, there are no such rows, or
    /// a column of varying length was filled before.
    pub fn copy_column(&mut self, column: usize, from: Column<'_>, rows: Range<usize>) {
        let index = column + StreamSchema::LEAD;
        let first = self.fresh_rows(rows.len());
        let (layout, bytes, variable, _) = self.parts();
        assert_eq!(layout.schema.fields()[index].data_type, from.data_type(), "the types of column {column}");
        if let Shape::Variable(number) = layout.slots[index].shape {
            expect_unfilled(bytes, layout.slots[index], first, variable[number].len(), column);
        }
        copy_rows(layout, bytes, variable, index, first, from, rows);
    }

    /// Gives `count` neighbouring payload columns, from `to` on, the values of as many of another batch, from `from` on, for the rows
    /// that were added last. Many times faster than [`copy_column`](Self::copy_column) for each when both batches have one row.
    ///
    /// # Panics
    /// As for `copy_column`, for any of them.
    pub fn copy_columns(&mut self, to: usize, batch: &Batch, from: usize, count: usize, rows: Range<usize>) {
        if rows == (0..1) && self.copy_run(to, batch, from, count) {
            return;
        }
        for column in 0..count {
            self.copy_column(to + column, batch.column(from + column), rows.clone());
        }
    }

    /// Copies columns of fixed width in one piece, if they lie in the same way in both batches, which have one row each.
    fn copy_run(&mut self, to: usize, batch: &Batch, from: usize, count: usize) -> bool {
        let [to, from] = [to, from].map(|column| column + StreamSchema::LEAD);
        let (layout, bytes, _, rows) = self.parts();
        if layout.capacity != 1 || rows != 1 || batch.rows() != 1 || count == 0 {
            return false;
        }
        let (slots, source) = (&layout.slots[to..to + count], batch.as_bytes());
        let (begin, place) = (Directory::entry(source, from).values as usize, slots[0].values);
        let (mut end, mut validity) = (place, 0);
        for (offset, slot) in slots.iter().enumerate() {
            let (entry, width) = (Directory::entry(source, from + offset), slot.shape.bytes(1));
            let alike = width > 0 && entry.values_length as usize == width;
            if !alike || entry.values as usize + place != begin + slot.values {
                return false;
            }
            debug_assert_eq!(
                layout.schema.fields()[to + offset].data_type,
                batch.schema().fields()[from + offset].data_type,
                "column {}",
                to + offset
            );
            (end, validity) = (slot.values + width, validity | entry.validity);
        }
        bytes[place..end].copy_from_slice(&source[begin..begin + end - place]);
        for index in (0..count).filter(|_| validity != 0) {
            let is_null = batch.any_column(from + index).is_null(0);
            Marks::new(layout, bytes, to + index).mark(0, !is_null);
        }
        true
    }

    /// Gives a payload column its values one by one, for the `count` rows that were added last: `pick(0)` to `pick(count - 1)` say
    /// from which column and row the value is taken, `None` makes it null. A value that is null where it comes from is null here.
    ///
    /// # Panics
    /// As for [`copy_column`](Self::copy_column).
    pub fn gather_column<'from>(
        &mut self,
        column: usize,
        count: usize,
        mut pick: impl FnMut(usize) -> Option<(Column<'from>, usize)>,
    ) {
        let index = column + StreamSchema::LEAD;
        let first = self.fresh_rows(count);
        let (layout, bytes, variable, _) = self.parts();
        let (slot, data_type) = (layout.slots[index], layout.schema.fields()[index].data_type);
        let pick = |row: usize| {
            let (from, at) = pick(row)?;
            assert_eq!(data_type, from.data_type(), "the types of column {column}");
            (!from.is_null(at)).then_some((from, at))
        };
        // Bitmaps and offsets lie before all values.
        let (head, values) = bytes.split_at_mut(layout.values_begin);
        let begin = slot.values.saturating_sub(layout.values_begin);
        match slot.shape {
            // A width that is known here makes each copy a single instruction.
            Shape::Fixed(8) => gather_fixed(
                &mut values[begin + first * 8..],
                8,
                Marks::new(layout, head, index),
                first..first + count,
                pick,
            ),
            Shape::Fixed(4) => gather_fixed(
                &mut values[begin + first * 4..],
                4,
                Marks::new(layout, head, index),
                first..first + count,
                pick,
            ),
            Shape::Fixed(width) => {
                gather_fixed(
                    &mut values[begin + first * width..],
                    width,
                    Marks::new(layout, head, index),
                    first..first + count,
                    pick,
                );
            }
            Shape::Bit => {
                let (mut pick, mut marks, bits) =
                    (pick, Marks::new(layout, head, index), &mut values[begin..]);
                for row in 0..count {
                    let source = pick(row);
                    let value = source.is_some_and(|(from, at)| from.bool_at(at));
                    if value {
                        set_bit(bits, first + row)
                    } else {
                        clear_bit(bits, first + row)
                    }
                    marks.mark(first + row, source.is_some());
                }
            }
            Shape::Variable(number) => {
                let (mut pick, data) = (pick, &mut variable[number]);
                expect_unfilled(head, slot, first, data.len(), column);
                for row in 0..count {
                    let source = pick(row);
                    if let Some((from, at)) = source {
                        data.extend_from_slice(from.bytes_at(at));
                    }
                    write_u32(head, slot.offsets + (first + row + 1) * 4, word(data.len()));
                    Marks::new(layout, head, index).mark(first + row, source.is_some());
                }
            }
        }
    }

    /// Gives a column of varying length its values one by one, for the `count` rows that were added last: `value(0, …)` to
    /// `value(count - 1, …)` add the value's bytes to what they are given, and say whether there is one (else it is null).
    ///
    /// # Panics
    /// The column is not of varying length, was filled before, is `utf8` and a value is not UTF-8, or is not nullable and a value is.
    pub fn fill_variable(
        &mut self,
        column: usize,
        count: usize,
        mut value: impl FnMut(usize, &mut Vec<u8>) -> bool,
    ) {
        let index = column + StreamSchema::LEAD;
        let first = self.fresh_rows(count);
        let (layout, bytes, variable, _) = self.parts();
        let slot = layout.slots[index];
        let Shape::Variable(number) = slot.shape else { panic!("column {column} is not of varying length") };
        let data = &mut variable[number];
        expect_unfilled(bytes, slot, first, data.len(), column);
        let text = layout.schema.fields()[index].data_type == DataType::Utf8;
        for row in 0..count {
            let begin = data.len();
            let valid = value(row, data);
            assert!(data.len() >= begin, "a value of column {column} is shorter than nothing");
            assert!(
                !text || std::str::from_utf8(&data[begin..]).is_ok(),
                "a value of column {column} is not UTF-8"
            );
            write_u32(bytes, slot.offsets + (first + row + 1) * 4, word(data.len()));
            Marks::new(layout, bytes, index).mark(first + row, valid);
        }
    }

    /// The index of the first of the `count` rows that were added last.
    fn fresh_rows(&self, count: usize) -> usize {
        self.rows().checked_sub(count).expect("so many rows were added before")
    }
}

/// Makes the values of varying length in new rows empty, so that a column that nobody fills is well formed.
pub(super) fn empty_variable(layout: &Layout, bytes: &mut [u8], variable: &[Vec<u8>], rows: Range<usize>) {
    for slot in &layout.slots {
        let Shape::Variable(number) = slot.shape else { continue };
        let end = word(variable[number].len());
        rows.clone().for_each(|row| write_u32(bytes, slot.offsets + (row + 1) * 4, end));
    }
}

/// A second filling would leave offsets that fall.
fn expect_unfilled(bytes: &[u8], slot: Slot, first: usize, length: usize, column: usize) {
    let begin = super::layout::read_u32(bytes, slot.offsets + first * 4) as usize;
    assert!(begin == length, "column {column} was filled before");
}

/// Takes down which values of a column are there.
struct Marks<'slab> {
    layout: &'slab Layout,
    /// The slab, at least as far as the validity bitmaps go.
    head: &'slab mut [u8],
    index: usize,
    /// Whether the directory names the column's bitmap.
    named: bool,
}

impl<'slab> Marks<'slab> {
    fn new(layout: &'slab Layout, head: &'slab mut [u8], index: usize) -> Self {
        let named = Directory::entry(head, index).validity != 0;
        Self { layout, head, index, named }
    }

    #[inline]
    fn mark(&mut self, row: usize, valid: bool) {
        let slot = &self.layout.slots[self.index];
        if valid {
            if self.named {
                set_bit(&mut self.head[slot.validity..], row);
            }
        } else {
            if !self.named {
                name_validity(self.layout, self.head, self.index);
                self.named = true;
            }
            clear_bit(&mut self.head[slot.validity..], row);
        }
    }
}

/// The hot loop of [`BatchBuilder::gather_column`] for columns of fixed width; `values` begins with the first of the rows.
#[inline(always)]
fn gather_fixed<'from>(
    values: &mut [u8],
    width: usize,
    mut marks: Marks<'_>,
    rows: Range<usize>,
    mut pick: impl FnMut(usize) -> Option<(Column<'from>, usize)>,
) {
    for (row, place) in values.chunks_exact_mut(width).take(rows.len()).enumerate() {
        let source = pick(row);
        match source {
            Some((from, at)) => place.copy_from_slice(&from.value_bytes()[at * width..][..width]),
            None => place.fill(0),
        }
        marks.mark(rows.start + row, source.is_some());
    }
}

/// Makes the directory name the column's validity bitmap, with every value there.
fn name_validity(layout: &Layout, bytes: &mut [u8], index: usize) {
    let slot = layout.slots[index];
    let mut entry = Directory::entry(bytes, index);
    if entry.validity == 0 {
        assert!(slot.nullable, "column {index} is not nullable");
        bytes[slot.validity..slot.validity + layout.capacity.div_ceil(8)].fill(0xff);
        entry.validity = word(slot.validity);
        Directory::set_entry(bytes, index, entry);
    }
}

/// Copies rows of one column (numbered with `seq` as 0) to row `first` and on.
#[inline]
pub(super) fn copy_rows(
    layout: &Layout,
    bytes: &mut [u8],
    variable: &mut [Vec<u8>],
    index: usize,
    first: usize,
    from: Column<'_>,
    rows: Range<usize>,
) {
    let slot = layout.slots[index];
    match slot.shape {
        Shape::Fixed(8) if rows.len() == 1 => {
            let value: &[u8; 8] =
                from.value_bytes()[rows.start * 8..].first_chunk().expect("the row is inside the batch");
            bytes[slot.values + first * 8..][..8].copy_from_slice(value);
        }
        Shape::Fixed(width) => {
            let values = &from.value_bytes()[rows.start * width..rows.end * width];
            bytes[slot.values + first * width..][..values.len()].copy_from_slice(values);
        }
        Shape::Bit => {
            for (to, row) in (first..).zip(rows.clone()) {
                let bits = &mut bytes[slot.values..];
                if bit(from.value_bytes(), row) { set_bit(bits, to) } else { clear_bit(bits, to) }
            }
        }
        Shape::Variable(number) => {
            let offsets = from.offsets();
            let [begin, end] =
                [offsets[rows.start], offsets[rows.end]].map(|at| usize::try_from(at).unwrap_or(0));
            let base = variable[number].len();
            variable[number].extend_from_slice(&from.value_bytes()[begin..end]);
            for (to, row) in (first..).zip(rows.clone()) {
                let at = usize::try_from(offsets[row + 1]).unwrap_or(0) - begin + base;
                write_u32(bytes, slot.offsets + (to + 1) * 4, word(at));
            }
        }
    }
    if let Some(validity) = from.validity() {
        name_validity(layout, bytes, index);
        for (to, row) in (first..).zip(rows) {
            let bits = &mut bytes[slot.validity..];
            if bit(validity, row) { set_bit(bits, to) } else { clear_bit(bits, to) }
        }
    } else if slot.nullable && Directory::entry(bytes, index).validity != 0 {
        for to in first..first + rows.len() {
            set_bit(&mut bytes[slot.validity..], to);
        }
    }
}

//! Fills a slab: row by row ([`BatchBuilder::push_row`]) or column by column ([`BatchBuilder::push_rows`]).

use std::ops::Range;
use std::sync::Arc;

use super::column::{Primitive, clear_bit, set_bit};
use super::layout::{Directory, Layout, SLAB_BYTES_MAX, Shape, aligned, word, write_u32};
use super::pool::{Home, Memory};
use super::{Batch, column};
use crate::{DataType, StreamSchema, Timestamp};

/// A batch that is being filled. Columns are payload columns, numbered from 0.
pub struct BatchBuilder<'pool> {
    memory: Memory,
    home: Arc<Home>,
    /// The bytes of each column of varying length, until `finish` lays them behind the rest.
    variable: &'pool mut [Vec<u8>],
    rows: usize,
}

impl<'pool> BatchBuilder<'pool> {
    pub(super) fn new(memory: Memory, home: Arc<Home>, variable: &'pool mut [Vec<u8>]) -> Self {
        Self::resume(memory, home, variable, 0)
    }

    /// Goes on with a slab that was taken apart with [`into_parts`](Self::into_parts).
    pub(super) fn resume(
        memory: Memory,
        home: Arc<Home>,
        variable: &'pool mut [Vec<u8>],
        rows: usize,
    ) -> Self {
        Self { memory, home, variable, rows }
    }

    /// The slab as it is now and its number of rows, to go on with later.
    pub(super) fn into_parts(self) -> (Memory, usize) {
        (self.memory, self.rows)
    }

    /// The schema of the batch.
    #[must_use]
    pub fn schema(&self) -> &Arc<StreamSchema> {
        &self.home.layout.schema
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many more rows there is room for.
    #[must_use]
    pub fn room(&self) -> usize {
        self.home.layout.capacity - self.rows
    }

    /// Bytes so far.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.home.layout.fixed_bytes + self.variable.iter().map(Vec::len).sum::<usize>()
    }

    /// Adds a row. A value that is not set is null in a nullable column, else zero, false or empty.
    ///
    /// # Panics
    /// There is no room left.
    pub fn push_row(&mut self, timestamp: Timestamp) -> RowWriter<'_, 'pool> {
        let row = self.grow(1);
        self.zero(row);
        self.put_timestamp(row, timestamp);
        RowWriter { builder: self, row }
    }

    /// The row that was added last.
    ///
    /// # Panics
    /// There is none.
    pub fn last_row(&mut self) -> RowWriter<'_, 'pool> {
        let row = self.rows.checked_sub(1).expect("a row was added before");
        RowWriter { builder: self, row }
    }

    /// Adds `count` rows at once, all with no timestamp yet, and returns their indices. Every value of every column must then be
    /// set through [`column_mut`](Self::column_mut), [`timestamps_mut`](Self::timestamps_mut), [`slot`](Self::slot) or the
    /// `set_*` calls: the memory may hold values of an earlier batch. Columns of varying length are empty until they are set through
    /// [`fill_variable`](Self::fill_variable) or, a single row, through [`last_row`](Self::last_row).
    ///
    /// # Panics
    /// There is no room for so many.
    pub fn push_rows(&mut self, count: usize) -> Range<usize> {
        let first = self.grow(count);
        super::copy::empty_variable(
            &self.home.layout,
            self.memory.bytes_mut(),
            self.variable,
            first..first + count,
        );
        let begin = self.home.layout.slots[1].values + first * 8;
        for slot in self.memory.bytes_mut()[begin..begin + count * 8].as_chunks_mut::<8>().0 {
            *slot = Timestamp::UNSET.0.to_le_bytes();
        }
        first..first + count
    }

    /// All rows of a column of fixed width.
    ///
    /// # Panics
    /// The column is of another type.
    pub fn column_mut<T: Primitive>(&mut self, column: usize) -> &mut [T] {
        let index = column + StreamSchema::LEAD;
        column::expect_type::<T>(self.schema().fields()[index].data_type);
        let begin = self.home.layout.slots[index].values;
        let bytes = &mut self.memory.bytes_mut()[begin..begin + self.rows * size_of::<T>()];
        bytemuck::cast_slice_mut(bytes)
    }

    /// The timestamps of all rows, nanoseconds since the Unix epoch.
    pub fn timestamps_mut(&mut self) -> &mut [i64] {
        let begin = self.home.layout.slots[1].values;
        bytemuck::cast_slice_mut(&mut self.memory.bytes_mut()[begin..begin + self.rows * 8])
    }

    /// The `seq` of all rows. Only for readers of recordings: at any other source the engine numbers the rows.
    pub fn seq_mut(&mut self) -> &mut [u64] {
        let begin = self.home.layout.slots[0].values;
        bytemuck::cast_slice_mut(&mut self.memory.bytes_mut()[begin..begin + self.rows * 8])
    }

    /// Where in [`slab_mut`](Self::slab_mut) a value of fixed width lies, so that it can be read into place.
    ///
    /// # Panics
    /// The column is `bool` or varies in length.
    #[must_use]
    pub fn slot(&self, column: usize, row: usize) -> Range<usize> {
        let slot = self.home.layout.slots[column + StreamSchema::LEAD];
        let Shape::Fixed(width) = slot.shape else { panic!("column {column} has no slots of fixed width") };
        let begin = slot.values + row * width;
        begin..begin + width
    }

    /// The slab's memory, for [`slot`](Self::slot).
    pub fn slab_mut(&mut self) -> &mut [u8] {
        self.memory.bytes_mut()
    }

    /// Sets a value of fixed width.
    ///
    /// # Panics
    /// The column is of another type.
    pub fn set<T: Primitive>(&mut self, column: usize, row: usize, value: T) {
        self.column_mut::<T>(column)[row] = value;
        self.mark_valid(column, row);
    }

    /// Sets a truth value.
    ///
    /// # Panics
    /// The column is of another type.
    pub fn set_bool(&mut self, column: usize, row: usize, value: bool) {
        let slot = self.home.layout.slots[column + StreamSchema::LEAD];
        assert!(slot.shape == Shape::Bit, "column {column} is not of type bool");
        let bits = &mut self.memory.bytes_mut()[slot.values..];
        if value {
            set_bit(bits, row)
        } else {
            clear_bit(bits, row)
        }
        self.mark_valid(column, row);
    }

    /// Makes a value null (and zero).
    ///
    /// # Panics
    /// The column is not nullable.
    pub fn set_null(&mut self, column: usize, row: usize) {
        let index = column + StreamSchema::LEAD;
        let layout = &self.home.layout;
        let slot = layout.slots[index];
        assert!(slot.nullable, "column {column} is not nullable");
        let bytes = self.memory.bytes_mut();
        let mut entry = Directory::entry(bytes, index);
        if entry.validity == 0 {
            bytes[slot.validity..slot.validity + layout.capacity.div_ceil(8)].fill(0xff);
            entry.validity = word(slot.validity);
            Directory::set_entry(bytes, index, entry);
        }
        clear_bit(&mut bytes[slot.validity..], row);
        match slot.shape {
            Shape::Fixed(width) => bytes[slot.values + row * width..][..width].fill(0),
            Shape::Bit => clear_bit(&mut bytes[slot.values..], row),
            Shape::Variable(_) => {}
        }
    }

    /// The finished batch.
    ///
    /// # Panics
    /// The batch is over [`SLAB_BYTES_MAX`].
    #[must_use]
    pub fn finish(mut self) -> Batch {
        let home = self.home.clone();
        self.end_row();
        home.layout.set_lengths(self.memory.bytes_mut(), self.rows);
        let length = self.lay_variable(&home.layout);
        let columns = home.layout.slots.len();
        Directory::set_header(self.memory.bytes_mut(), word(self.rows), word(columns), length);
        Batch::new(self.memory, length, home.layout.schema.clone(), Some(home))
    }

    /// Lays the bytes of varying length behind the fixed part. Returns the slab's length.
    fn lay_variable(&mut self, layout: &Layout) -> usize {
        if self.variable.is_empty() {
            return layout.fixed_bytes;
        }
        let total = self.variable.iter().fold(layout.fixed_bytes, |at, data| at + aligned(data.len()));
        assert!(total <= SLAB_BYTES_MAX, "a batch of stream \"{}\" is over 1 GiB", layout.schema.name());
        self.memory.reserve(total);
        let mut at = layout.fixed_bytes;
        for (column, slot) in layout.slots.iter().enumerate() {
            let Shape::Variable(index) = slot.shape else { continue };
            let data = &self.variable[index];
            let bytes = self.memory.bytes_mut();
            bytes[at..at + data.len()].copy_from_slice(data);
            let mut entry = Directory::entry(bytes, column);
            (entry.values, entry.values_length) = (word(at), word(data.len()));
            if self.rows == 0 {
                write_u32(bytes, slot.offsets, 0);
            }
            Directory::set_entry(bytes, column, entry);
            at += aligned(data.len());
        }
        total
    }

    fn grow(&mut self, count: usize) -> usize {
        let (first, capacity) = (self.rows, self.home.layout.capacity);
        assert!(first + count <= capacity, "{count} more rows don't fit: {first} of {capacity} are taken");
        self.end_row();
        self.rows += count;
        first
    }

    /// Closes the offsets of the row before: a value of varying length that was not set is empty.
    pub(super) fn end_row(&mut self) {
        if self.variable.is_empty() {
            return;
        }
        for slot in &self.home.layout.slots {
            let Shape::Variable(index) = slot.shape else { continue };
            let end = word(self.variable[index].len());
            write_u32(self.memory.bytes_mut(), slot.offsets + self.rows * 4, end);
        }
    }

    /// A fresh row: zero, and null where that is possible.
    fn zero(&mut self, row: usize) {
        let home = self.home.clone();
        let layout = &home.layout;
        let bytes = self.memory.bytes_mut();
        if layout.capacity == 1 {
            bytes[layout.values_begin..layout.fixed_bytes].fill(0);
        }
        for (index, slot) in layout.slots.iter().enumerate() {
            match slot.shape {
                Shape::Fixed(width) if layout.capacity > 1 => {
                    bytes[slot.values + row * width..][..width].fill(0)
                }
                Shape::Bit => clear_bit(&mut bytes[slot.values..], row),
                Shape::Fixed(_) | Shape::Variable(_) => {}
            }
            if slot.nullable {
                let at = super::layout::HEADER_BYTES + index * super::layout::ENTRY_BYTES + 8;
                if super::layout::read_u32(bytes, at) == 0 {
                    bytes[slot.validity..slot.validity + layout.capacity.div_ceil(8)].fill(0xff);
                    write_u32(bytes, at, word(slot.validity));
                }
                clear_bit(&mut bytes[slot.validity..], row);
            }
        }
    }

    pub(super) fn put_timestamp(&mut self, row: usize, timestamp: Timestamp) {
        let at = self.home.layout.slots[1].values + row * 8;
        self.memory.bytes_mut()[at..at + 8].copy_from_slice(&timestamp.0.to_le_bytes());
    }

    fn mark_valid(&mut self, column: usize, row: usize) {
        let index = column + StreamSchema::LEAD;
        let validity = Directory::entry(self.memory.bytes(), index).validity as usize;
        if validity != 0 {
            set_bit(&mut self.memory.bytes_mut()[validity..], row);
        }
    }

    pub(super) fn parts(&mut self) -> (&Layout, &mut [u8], &mut [Vec<u8>], usize) {
        (&self.home.layout, self.memory.bytes_mut(), self.variable, self.rows)
    }

    pub(super) fn set_rows(&mut self, rows: usize) {
        self.rows = rows;
    }
}

/// Sets the values of one row. Setting one twice is allowed for fixed widths only.
pub struct RowWriter<'builder, 'pool> {
    builder: &'builder mut BatchBuilder<'pool>,
    row: usize,
}

impl RowWriter<'_, '_> {
    /// Sets a value of fixed width.
    ///
    /// # Panics
    /// The column is of another type.
    pub fn set<T: Primitive>(&mut self, column: usize, value: T) -> &mut Self {
        self.builder.set(column, self.row, value);
        self
    }

    /// Sets a truth value.
    ///
    /// # Panics
    /// The column is of another type.
    pub fn set_bool(&mut self, column: usize, value: bool) -> &mut Self {
        self.builder.set_bool(column, self.row, value);
        self
    }

    /// Sets text. See [`set_bytes`](Self::set_bytes).
    ///
    /// # Panics
    /// The column is of another type, or was set before in this row.
    pub fn set_str(&mut self, column: usize, text: &str) -> &mut Self {
        self.put_variable(column, text.as_bytes());
        self
    }

    /// Sets bytes, of varying or of fixed length.
    ///
    /// # Panics
    /// The column is of another type or length, or one of varying length that was set before in this row.
    pub fn set_bytes(&mut self, column: usize, bytes: &[u8]) -> &mut Self {
        match self.builder.schema().payload()[column].data_type {
            DataType::FixedBinary(length) => {
                assert_eq!(bytes.len(), length as usize, "column {column} takes values of {length} bytes");
                let slot = self.builder.slot(column, self.row);
                self.builder.slab_mut()[slot].copy_from_slice(bytes);
                self.builder.mark_valid(column, self.row);
            }
            DataType::Binary => self.put_variable(column, bytes),
            other => panic!("column {column} is of type {other}, not binary"),
        }
        self
    }

    /// Makes a value null.
    ///
    /// # Panics
    /// The column is not nullable.
    pub fn set_null(&mut self, column: usize) -> &mut Self {
        self.builder.set_null(column, self.row);
        self
    }

    fn put_variable(&mut self, column: usize, bytes: &[u8]) {
        let slot = self.builder.home.layout.slots[column + StreamSchema::LEAD];
        let Shape::Variable(index) = slot.shape else { panic!("column {column} is not of varying length") };
        let data = &mut self.builder.variable[index];
        let begin =
            super::layout::read_u32(self.builder.memory.bytes(), slot.offsets + self.row * 4) as usize;
        assert!(data.len() == begin, "column {column} was set before in this row");
        data.extend_from_slice(bytes);
        self.builder.mark_valid(column, self.row);
    }
}

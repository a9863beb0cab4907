//! Where in a slab each buffer lies: a pure function of the schema and the number of rows there is room for.

use std::sync::Arc;

use crate::{DataType, StreamSchema};

/// `'T' 'D' 'S' '1'`, little-endian.
pub(super) const MAGIC: u32 = 0x3153_4454;
pub(super) const HEADER_BYTES: usize = 32;
pub(super) const ENTRY_BYTES: usize = 16;

/// The most bytes that a slab has (1 GiB): offsets are 32 bits wide, and no batch of frames is sensibly larger.
pub const SLAB_BYTES_MAX: usize = 1 << 30;

/// One column's line in the directory; see the module [`crate::batch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Entry {
    pub(super) values: u32,
    pub(super) values_length: u32,
    pub(super) validity: u32,
    pub(super) offsets: u32,
}

/// Reads and writes the header and the directory of a slab.
pub(super) struct Directory;

impl Directory {
    pub(super) fn rows(slab: &[u8]) -> usize {
        read_u32(slab, 4) as usize
    }

    pub(super) fn entry(slab: &[u8], column: usize) -> Entry {
        let at = HEADER_BYTES + column * ENTRY_BYTES;
        let bytes: &[u8; ENTRY_BYTES] =
            slab[at..].first_chunk().expect("the directory has an entry for each column");
        let word = |index: usize| {
            u32::from_le_bytes([bytes[index], bytes[index + 1], bytes[index + 2], bytes[index + 3]])
        };
        Entry { values: word(0), values_length: word(4), validity: word(8), offsets: word(12) }
    }

    pub(super) fn set_entry(slab: &mut [u8], column: usize, entry: Entry) {
        let at = HEADER_BYTES + column * ENTRY_BYTES;
        for (index, word) in
            [entry.values, entry.values_length, entry.validity, entry.offsets].into_iter().enumerate()
        {
            write_u32(slab, at + index * 4, word);
        }
    }

    pub(super) fn set_header(slab: &mut [u8], rows: u32, columns: u32, length: usize) {
        slab[..HEADER_BYTES].fill(0);
        write_u32(slab, 0, MAGIC);
        write_u32(slab, 4, rows);
        write_u32(slab, 8, columns);
        slab[16..24].copy_from_slice(&(length as u64).to_le_bytes());
    }
}

pub(super) fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("the caller stays inside the slab"))
}

pub(super) fn write_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// How the values of a column lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// So many bytes each.
    Fixed(usize),
    /// One bit each.
    Bit,
    /// Varying length; the number is the index among such columns.
    Variable(usize),
}

/// Where one column's buffers lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) shape: Shape,
    pub(super) nullable: bool,
    /// Room for a validity bitmap, whether or not the directory names it.
    pub(super) validity: usize,
    /// Room for the offsets (varying length only).
    pub(super) offsets: usize,
    /// The values (not for varying length: they are laid behind everything else when the batch is finished).
    pub(super) values: usize,
}

/// Where everything lies, for one schema and one number of rows.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) schema: Arc<StreamSchema>,
    pub(super) capacity: usize,
    pub(super) slots: Vec<Slot>,
    pub(super) variable_columns: usize,
    /// Where the fixed values begin: one contiguous run when the capacity is 1.
    pub(super) values_begin: usize,
    /// Bytes of everything whose place is known beforehand.
    pub(super) fixed_bytes: usize,
    /// The directory of a slab that is full and has no nulls.
    directory: Vec<u8>,
}

impl Layout {
    /// # Panics
    /// The fixed part would be longer than [`SLAB_BYTES_MAX`]; see [`Layout::capacity_max`].
    pub(super) fn new(schema: Arc<StreamSchema>, capacity: usize) -> Self {
        let mut at = HEADER_BYTES + schema.fields().len() * ENTRY_BYTES;
        let bitmap = aligned(capacity.div_ceil(8));
        let mut take = |bytes: usize| {
            let begin = at;
            at += aligned(bytes);
            begin
        };
        let mut slots = Vec::with_capacity(schema.fields().len());
        let mut variable_columns = 0;
        for field in schema.fields() {
            let shape = match field.data_type {
                DataType::Bool => Shape::Bit,
                other => match other.width() {
                    Some(width) => Shape::Fixed(width),
                    None => {
                        variable_columns += 1;
                        Shape::Variable(variable_columns - 1)
                    }
                },
            };
            let validity = if field.nullable { take(bitmap) } else { 0 };
            let offsets = if matches!(shape, Shape::Variable(_)) { take((capacity + 1) * 4) } else { 0 };
            slots.push(Slot { shape, nullable: field.nullable, validity, offsets, values: 0 });
        }
        let values_begin = take(0);
        for slot in &mut slots {
            slot.values = match slot.shape {
                Shape::Fixed(width) => take(width * capacity),
                Shape::Bit => take(bitmap),
                Shape::Variable(_) => 0,
            };
        }
        assert!(
            at <= SLAB_BYTES_MAX,
            "a batch of {capacity} rows of stream \"{}\" is over 1 GiB",
            schema.name()
        );
        let directory = full_directory(&slots, capacity);
        Self { schema, capacity, slots, variable_columns, values_begin, fixed_bytes: at, directory }
    }

    /// Writes the directory for a fresh slab: nothing is null, nothing of varying length is there yet, and every row is (see
    /// [`set_lengths`](Self::set_lengths)).
    pub(super) fn write_directory(&self, slab: &mut [u8]) {
        slab[HEADER_BYTES..HEADER_BYTES + self.directory.len()].copy_from_slice(&self.directory);
    }

    /// Corrects the lengths of the values when the slab has fewer rows than there is room for.
    pub(super) fn set_lengths(&self, slab: &mut [u8], rows: usize) {
        if rows == self.capacity {
            return;
        }
        for (column, slot) in self.slots.iter().enumerate() {
            write_u32(slab, HEADER_BYTES + column * ENTRY_BYTES + 4, word(slot.shape.bytes(rows)));
        }
    }
}

impl Shape {
    /// Bytes that the values of so many rows take; 0 for varying lengths.
    pub(super) fn bytes(self, rows: usize) -> usize {
        match self {
            Self::Fixed(width) => width * rows,
            Self::Bit => rows.div_ceil(8),
            Self::Variable(_) => 0,
        }
    }
}

fn full_directory(slots: &[Slot], capacity: usize) -> Vec<u8> {
    let mut slab = vec![0; HEADER_BYTES + slots.len() * ENTRY_BYTES];
    for (column, slot) in slots.iter().enumerate() {
        let [values, values_length, offsets] =
            [slot.values, slot.shape.bytes(capacity), slot.offsets].map(word);
        Directory::set_entry(&mut slab, column, Entry { values, values_length, validity: 0, offsets });
    }
    slab.split_off(HEADER_BYTES)
}

/// The next multiple of 8.
pub(super) const fn aligned(bytes: usize) -> usize {
    bytes.next_multiple_of(8)
}

/// An offset in a slab, which is never above [`SLAB_BYTES_MAX`].
pub(super) fn word(offset: usize) -> u32 {
    u32::try_from(offset).expect("slab offsets are below 1 GiB")
}

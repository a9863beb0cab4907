//! What flows: consecutive frames of one stream in one slab of memory.
//!
//! # The slab, version 1
//!
//! One contiguous block, whatever the number of columns. Little-endian; every buffer begins at a multiple of 8 bytes from the
//! start of the slab, and the slab itself at a multiple of 16. A C reader:
//!
//! ```c
//! struct tapedeck_slab {            // offset 0
//!     uint32_t magic;               //  0: 'T' 'D' 'S' '1' = 0x31534454
//!     uint32_t rows;                //  4
//!     uint32_t columns;             //  8: seq and timestamp included
//!     uint32_t reserved;            // 12: zero
//!     uint64_t length;              // 16: bytes of the whole slab
//!     uint64_t reserved2;           // 24: zero
//!     struct tapedeck_column {      // 32: one for each column, in the schema's order
//!         uint32_t values;          //  offset of the values buffer from the start of the slab
//!         uint32_t values_length;   //  bytes used in it
//!         uint32_t validity;        //  offset of the validity bitmap; 0 = no value is null
//!         uint32_t offsets;         //  offset of the i32 offsets, rows + 1 of them; 0 = not of varying length
//!     } column[];
//! };
//! ```
//!
//! The buffers are those of the [Arrow columnar format](https://arrow.apache.org/docs/format/Columnar.html) 1.5: a validity
//! bitmap has a 1 for each value that is not null, least significant bit first; `bool` values are a bitmap too; a text or byte
//! string of varying length `i` is `values[offsets[i] .. offsets[i + 1]]`. Column 0 is `seq: u64`, column 1 is
//! `timestamp: i64` nanoseconds since the Unix epoch. Values under a null are zero. Bytes between buffers mean nothing.
//!
//! A slab is at most [`SLAB_BYTES_MAX`] long. The schema does not travel with it: it was given once, when the plugin was opened.

mod append;
mod builder;
mod column;
mod copy;
mod gather;
mod intake;
mod layout;
mod pool;
mod relabel;
mod verify;

#[cfg(feature = "arrow")]
mod arrow;
#[cfg(test)]
mod copy_tests;
#[cfg(feature = "arrow")]
mod import;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use builder::{BatchBuilder, RowWriter};
pub use column::{Column, Primitive};
pub use gather::Gather;
pub use intake::Intake;
pub use layout::SLAB_BYTES_MAX;
pub use pool::BatchPool;
pub use relabel::Relabel;

#[cfg(feature = "arrow")]
pub use arrow::{arrow_schema, stream_schema};
#[cfg(feature = "arrow")]
pub use import::ArrowImport;

use crate::native::ForeignSlab;
use crate::{StreamSchema, Timestamp};
use layout::{Directory, HEADER_BYTES};
use pool::Home;
pub(crate) use pool::Memory;

/// Consecutive frames of one stream. Cheap to clone: clones share one slab, which never changes once it is shared.
#[derive(Clone)]
pub struct Batch {
    pub(crate) slab: Arc<Slab>,
    pub(crate) schema: Arc<StreamSchema>,
}

pub(crate) struct Slab {
    pub(crate) memory: Memory,
    /// Bytes of the slab that are in use; the memory behind it may be longer.
    length: usize,
    rows: usize,
    home: Option<Arc<Home>>,
}

impl Drop for Slab {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            home.give_back(std::mem::take(&mut self.memory));
        }
    }
}

impl Batch {
    fn new(memory: Memory, length: usize, schema: Arc<StreamSchema>, home: Option<Arc<Home>>) -> Self {
        let rows = Directory::rows(memory.bytes());
        Self { slab: Arc::new(Slab { memory, length, rows, home }), schema }
    }

    /// Takes a slab that came from outside: another process, a WASM guest, a file. One copy.
    ///
    /// # Errors
    /// A slab that breaks any rule of the layout, or does not fit the schema. Never panics, whatever the bytes.
    pub fn from_bytes(schema: Arc<StreamSchema>, bytes: &[u8]) -> Result<Self, crate::Error> {
        // Copied before it is looked at: whoever gave it may still be able to change it.
        let memory = Memory::copied(bytes);
        verify::slab(&schema, &memory.bytes()[..bytes.len()])?;
        Ok(Self::new(memory, bytes.len(), schema, None))
    }

    /// Takes a slab as it is, without a copy and without more than a look at its header: for what this process itself has laid out
    /// (see [`from_bytes`](Self::from_bytes) for what strangers have). It is copied if it does not begin at a multiple of 8.
    ///
    /// # Errors
    /// The header is not that of a batch of this schema.
    pub fn adopt(schema: Arc<StreamSchema>, slab: ForeignSlab) -> Result<Self, crate::Error> {
        verify::header(&schema, slab.bytes())?;
        let length = slab.bytes().len();
        let aligned = slab.bytes().as_ptr().addr().is_multiple_of(8);
        let memory = if aligned { Memory::Foreign(slab) } else { Memory::copied(slab.bytes()) };
        Ok(Self::new(memory, length, schema, None))
    }

    /// A slab that went through a door and came back, as a batch of this schema.
    pub(crate) fn of_slab(slab: Arc<Slab>, schema: Arc<StreamSchema>) -> Result<Self, crate::Error> {
        verify::header(&schema, &slab.memory.bytes()[..slab.length])?;
        Ok(Self { slab, schema })
    }

    /// How many frames.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.slab.rows
    }

    /// The stream's schema.
    #[must_use]
    pub fn schema(&self) -> &Arc<StreamSchema> {
        &self.schema
    }

    /// The whole slab, as it crosses a door.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.slab.memory.bytes()[..self.slab.length]
    }

    /// Bytes of the slab.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.slab.length
    }

    /// The `seq` of each frame.
    #[must_use]
    pub fn seq(&self) -> &[u64] {
        self.any_column(0).values()
    }

    /// The timestamp of each frame, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn timestamps(&self) -> &[i64] {
        self.any_column(1).values()
    }

    /// A payload column, numbered from 0.
    ///
    /// # Panics
    /// There is no such column.
    #[must_use]
    pub fn column(&self, payload: usize) -> Column<'_> {
        self.any_column(payload + StreamSchema::LEAD)
    }

    /// The payload columns, in order.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = Column<'_>> {
        (0..self.schema().payload().len()).map(|payload| self.column(payload))
    }

    /// A column of [`StreamSchema::fields`]: `seq` is 0, `timestamp` is 1.
    ///
    /// # Panics
    /// There is no such column.
    #[must_use]
    pub fn any_column(&self, index: usize) -> Column<'_> {
        let data_type = self.schema.fields()[index].data_type;
        Column::new(self.as_bytes(), Directory::entry(self.as_bytes(), index), data_type, self.slab.rows)
    }

    /// Numbers the rows from `first_seq` and gives rows without a timestamp the time `unset`. This is the engine's, at the source:
    /// a plugin has no use for it. Copies the slab if somebody else holds it.
    pub fn stamp(&mut self, first_seq: u64, unset: Timestamp) {
        let rows = self.rows();
        let directory = [Directory::entry(self.as_bytes(), 0), Directory::entry(self.as_bytes(), 1)];
        let bytes = self.unshared_bytes();
        let seq = &mut bytes[directory[0].values as usize..][..rows * 8];
        for (row, slot) in (0_u64..).zip(seq.as_chunks_mut::<8>().0) {
            *slot = (first_seq + row).to_le_bytes();
        }
        let timestamps = &mut bytes[directory[1].values as usize..][..rows * 8];
        for slot in timestamps.as_chunks_mut::<8>().0 {
            if i64::from_le_bytes(*slot) == Timestamp::UNSET.0 {
                *slot = unset.0.to_le_bytes();
            }
        }
    }

    fn unshared_bytes(&mut self) -> &mut [u8] {
        let ours = Arc::get_mut(&mut self.slab).is_some_and(|slab| matches!(slab.memory, Memory::Own(_)));
        if !ours {
            *self = Self::new(Memory::copied(self.as_bytes()), self.slab.length, self.schema.clone(), None);
        }
        let slab = Arc::get_mut(&mut self.slab).expect("just made sure that nobody else holds the slab");
        slab.memory.bytes_mut()
    }

    /// Bytes that every slab begins with, before the column directory.
    pub const HEADER_BYTES: usize = HEADER_BYTES;
}

impl fmt::Debug for Batch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seq = self.seq();
        formatter
            .debug_struct("Batch")
            .field("stream", &self.schema().name())
            .field("rows", &self.rows())
            .field("seq", &seq.first().zip(seq.last()))
            .field("bytes", &self.byte_len())
            .finish()
    }
}

/// Two batches are equal when they hold the same rows of the same schema, wherever the bytes lie.
impl PartialEq for Batch {
    fn eq(&self, other: &Self) -> bool {
        self.rows() == other.rows()
            && self.schema() == other.schema()
            && (0..self.schema().fields().len())
                .all(|index| self.any_column(index) == other.any_column(index))
    }
}

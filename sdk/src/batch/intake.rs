//! Takes in slabs from somebody who is not trusted: copied into memory that is used again, and checked before anything reads them.

use std::sync::Arc;

use super::layout::{ENTRY_BYTES, HEADER_BYTES, Layout};
use super::pool::{Home, Memory};
use super::{Batch, verify};
use crate::{Error, StreamSchema};

/// Turns the bytes of one stream's slabs into batches.
///
/// As [`Batch::from_bytes`], for many slabs one after the other: the memory of batches that nobody holds any more is used again, and
/// a slab that is laid out like the one before it is known to be sound, as long as its columns are of fixed width.
pub struct Intake {
    home: Arc<Home>,
    /// Rows, columns and directory of the slab that was checked last.
    checked: Vec<u8>,
    /// Whether a sound directory is all that there is to check.
    fixed: bool,
}

impl Intake {
    /// Takes in slabs of this schema.
    #[must_use]
    pub fn new(schema: Arc<StreamSchema>) -> Self {
        let fixed = schema.fields().iter().all(|field| !field.data_type.is_variable());
        Self { home: Arc::new(Home::new(Layout::new(schema, 1))), checked: Vec::new(), fixed }
    }

    /// The schema of the batches.
    #[must_use]
    pub fn schema(&self) -> &Arc<StreamSchema> {
        &self.home.layout.schema
    }

    /// Takes in a slab. One copy.
    ///
    /// # Errors
    /// A slab that breaks any rule of the layout, or does not fit the schema. Never panics, whatever the bytes.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Batch, Error> {
        let schema = self.home.layout.schema.clone();
        verify::header(&schema, bytes)?;
        let memory = self.home.take_copy(bytes);
        // What is looked at is the copy: the bytes themselves may change at any time.
        let copy = &memory.bytes()[..bytes.len()];
        let directory = &copy[..HEADER_BYTES + schema.fields().len() * ENTRY_BYTES];
        if !(self.fixed && self.checked == directory) {
            verify::slab(&schema, copy)?;
            self.checked.clear();
            self.checked.extend_from_slice(directory);
        }
        Ok(Batch::new(memory, bytes.len(), schema, Some(self.home.clone())))
    }
}

impl Home {
    fn take_copy(&self, bytes: &[u8]) -> Memory {
        let mut memory = self.take_any();
        memory.reserve(bytes.len());
        memory.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        memory
    }
}

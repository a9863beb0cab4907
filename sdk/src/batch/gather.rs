//! Collects single frames into blocks: what a sink keeps between two writes. It decides nothing about when a block is full.

use std::ops::Range;
use std::sync::Arc;

use super::pool::{Home, Memory};
use super::{Batch, BatchBuilder, BatchPool};
use crate::StreamSchema;

/// Rows of one stream that wait to become one batch. Unlike a [`BatchBuilder`] it borrows nothing, so a sink can keep it between
/// calls.
///
/// The memory of the block is taken when the first row comes and goes back to the pool when the last holder of the block drops it:
/// the steady state allocates nothing per row.
pub struct Gather {
    home: Arc<Home>,
    memory: Memory,
    variable: Vec<Vec<u8>>,
    rows: usize,
}

impl Gather {
    /// Blocks of up to `rows` rows of this schema.
    ///
    /// # Panics
    /// The block would be over [`SLAB_BYTES_MAX`](super::SLAB_BYTES_MAX).
    #[must_use]
    pub fn new(schema: Arc<StreamSchema>, rows: usize) -> Self {
        let (home, variable) = BatchPool::new(schema).into_parts(rows);
        Self { home, memory: Memory::default(), variable, rows: 0 }
    }

    /// The schema of the rows.
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

    /// Bytes so far in columns of varying length. The others' room was taken when the block was begun.
    #[must_use]
    pub fn variable_bytes(&self) -> usize {
        self.variable.iter().map(Vec::len).sum()
    }

    /// Adds rows of a batch whose columns are of the same types, `seq` and timestamps included.
    ///
    /// # Panics
    /// There is no room for so many rows, or a column is of another type.
    pub fn append(&mut self, batch: &Batch, rows: Range<usize>) {
        if rows.is_empty() {
            return;
        }
        let mut builder = self.builder();
        builder.append(batch, rows);
        (self.memory, self.rows) = builder.into_parts();
    }

    /// The rows so far as one batch, and an empty block for the next ones. `None` when there are no rows.
    pub fn take(&mut self) -> Option<Batch> {
        if self.rows == 0 {
            return None;
        }
        let batch = self.builder().finish();
        self.variable.iter_mut().for_each(Vec::clear);
        self.rows = 0;
        Some(batch)
    }

    fn builder(&mut self) -> BatchBuilder<'_> {
        let memory = if self.rows == 0 { self.home.take() } else { std::mem::take(&mut self.memory) };
        BatchBuilder::resume(memory, self.home.clone(), &mut self.variable, self.rows)
    }
}

//! Single frames on their way to a sink that reaches nobody before a flush: kept for a moment and handed over as one block. A row of
//! a thousand columns touches a thousand places in the sink's memory; a block touches each once for many rows.

use std::sync::Arc;

use tapedeck_sdk::{Batch, BatchPool, StreamSchema};

/// A batch of this many bytes is a block by itself.
const BLOCK_BYTES: usize = 128 << 10;
/// The most that is gathered: about what stays in a processor's cache.
const GATHERED_BYTES_MAX: usize = 2 << 20;
const GATHERED_ROWS_MAX: usize = 256;

/// Frames of one stream that wait to be handed over.
pub(crate) struct Gathering {
    waiting: Vec<Batch>,
    rows: usize,
    bytes: usize,
    pool: BatchPool,
}

impl Gathering {
    pub(crate) fn new(schema: Arc<StreamSchema>) -> Self {
        Self {
            waiting: Vec::with_capacity(GATHERED_ROWS_MAX),
            rows: 0,
            bytes: 0,
            pool: BatchPool::new(schema),
        }
    }

    /// Whether a batch is worth waiting with, rather than a block by itself.
    pub(crate) fn takes(batch: &Batch) -> bool {
        batch.byte_len() < BLOCK_BYTES && batch.rows() < GATHERED_ROWS_MAX
    }

    /// Keeps a batch. True when it is time to hand over.
    pub(crate) fn keep(&mut self, batch: Batch) -> bool {
        self.rows += batch.rows();
        self.bytes += batch.byte_len();
        self.waiting.push(batch);
        self.rows >= GATHERED_ROWS_MAX || self.bytes >= GATHERED_BYTES_MAX
    }

    /// Everything that waits, as one block.
    pub(crate) fn hand_over(&mut self) -> Option<Batch> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        if self.waiting.len() < 2 {
            return self.waiting.pop();
        }
        let mut block = self.pool.builder(rows);
        for batch in &self.waiting {
            block.append(batch, 0..batch.rows());
        }
        self.waiting.clear();
        Some(block.finish())
    }
}

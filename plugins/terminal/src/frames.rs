//! Frames of a terminal on their way into a batch. Knows nothing of where they come from.

use tapedeck_sdk::kinds::terminal::{self, Code};
use tapedeck_sdk::prelude::*;

/// The most frames of a batch. Each call makes fewer.
const BATCH_ROWS_MAX: usize = 16;

/// Frames on their way into a batch. Always the same memory.
#[derive(Default)]
pub(crate) struct Frames {
    pub(crate) rows: Vec<(Timestamp, Code, usize)>,
    /// The data of all rows, each up to the place that its row names.
    pub(crate) data: Vec<u8>,
}

impl Frames {
    pub(crate) fn push(&mut self, at: Timestamp, code: Code, data: &[u8]) {
        self.data.extend_from_slice(data);
        self.end(at, code);
    }

    /// Makes a row of what was added to `data` since the last one.
    pub(crate) fn end(&mut self, at: Timestamp, code: Code) {
        self.rows.push((at, code, self.data.len()));
    }

    pub(crate) fn take(&mut self, pool: &mut BatchPool) -> Batch {
        let mut builder = pool.builder(BATCH_ROWS_MAX);
        let mut begin = 0;
        for (at, code, end) in self.rows.drain(..) {
            let data = &self.data[begin..end];
            let row = terminal::Row { connection: "local", code: code.letter(), data };
            row.put(&mut builder.push_row(at));
            begin = end;
        }
        self.data.clear();
        builder.finish()
    }
}

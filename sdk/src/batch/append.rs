//! Copies rows from one batch into another of the same columns: how sinks gather single frames into blocks.

use std::ops::Range;

use super::copy::copy_rows;
use super::{Batch, BatchBuilder};

impl BatchBuilder<'_> {
    /// Adds rows of a batch whose columns are of the same types, `seq` and timestamps included.
    ///
    /// # Panics
    /// There is no room for so many rows, or a column is of another type.
    pub fn append(&mut self, batch: &Batch, rows: Range<usize>) {
        assert!(
            rows.len() <= self.room(),
            "{} more rows don't fit, there is room for {}",
            rows.len(),
            self.room()
        );
        self.end_row();
        let (layout, bytes, variable, first) = self.parts();
        for index in 0..layout.slots.len() {
            let column = batch.any_column(index);
            debug_assert_eq!(column.data_type(), layout.schema.fields()[index].data_type, "column {index}");
            copy_rows(layout, bytes, variable, index, first, column, rows.clone());
        }
        self.set_rows(first + rows.len());
    }
}

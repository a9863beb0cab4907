//! Rows on their way through: in order, each until it is decided what is left of it. Knows nothing of how that is decided.

use std::collections::VecDeque;

use tapedeck_sdk::prelude::*;

/// The most rows of a batch that is made here, and about the most bytes.
const BATCH_ROWS_MAX: usize = 1024;
const BATCH_BYTES_MAX: usize = 8 << 20;

/// What becomes of a row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lot {
    Undecided,
    Unchanged,
    /// Other data.
    Changed(Vec<u8>),
    LeftOut,
}

struct Row {
    batch: Batch,
    row: usize,
    lot: Lot,
    arrived_at: Timestamp,
}

/// The row that holds up all others.
pub(crate) struct Blocking<'rows> {
    pub(crate) batch: &'rows Batch,
    pub(crate) row: usize,
    /// When it was taken in. Its own timestamp may be of another clock, or of a recording made long ago.
    pub(crate) arrived_at: Timestamp,
}

/// Rows of one stream that were taken in and not yet given out.
pub(crate) struct Rows {
    queue: VecDeque<Row>,
    /// The number of the first row in the queue; numbers go on for ever.
    first: u64,
    pool: BatchPool,
    relabel: Relabel,
    /// The column of the data.
    data: usize,
    arrived_at: Timestamp,
}

impl Rows {
    pub(crate) fn new(
        input: &Arc<StreamSchema>,
        output: &Arc<StreamSchema>,
        data: usize,
    ) -> Result<Self, Error> {
        let relabel = Relabel::new(input.clone(), output.clone())?;
        let pool = BatchPool::new(output.clone());
        Ok(Self { queue: VecDeque::new(), first: 0, pool, relabel, data, arrived_at: Timestamp(0) })
    }

    /// The time when the next rows are taken in.
    pub(crate) fn arrive(&mut self, at: Timestamp) {
        self.arrived_at = at;
    }

    /// Takes a row in. Returns its number.
    pub(crate) fn push(&mut self, batch: &Batch, row: usize, lot: Lot) -> u64 {
        self.queue.push_back(Row { batch: batch.clone(), row, lot, arrived_at: self.arrived_at });
        self.first + self.queue.len() as u64 - 1
    }

    /// Says what becomes of a row.
    pub(crate) fn decide(&mut self, number: u64, lot: Lot) {
        let place = number.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        if let Some(row) = place.and_then(|place| self.queue.get_mut(place)) {
            row.lot = lot;
        }
    }

    /// The row that holds up all others, if there is one.
    pub(crate) fn blocking(&self) -> Option<Blocking<'_>> {
        let Row { batch, row, arrived_at, .. } = self.queue.iter().find(|row| row.lot == Lot::Undecided)?;
        Some(Blocking { batch, row: *row, arrived_at: *arrived_at })
    }

    /// Gives out every row whose turn has come. `batch` is the one whose rows were taken in last.
    pub(crate) fn give(&mut self, batch: &Batch, mut put: impl FnMut(Batch)) -> Result<(), Error> {
        let whole = self.queue.len() == batch.rows()
            && self.queue.front().is_some_and(|row| std::ptr::eq(row.batch.as_bytes(), batch.as_bytes()));
        if whole && self.queue.iter().all(|row| row.lot == Lot::Unchanged) {
            self.first += self.queue.len() as u64;
            self.queue.clear();
            put(self.relabel.apply(batch.clone())?);
            return Ok(());
        }
        self.give_rows(put);
        Ok(())
    }

    /// The same row by row.
    pub(crate) fn give_rows(&mut self, mut put: impl FnMut(Batch)) {
        loop {
            let decided =
                self.queue.iter().take(BATCH_ROWS_MAX).take_while(|row| row.lot != Lot::Undecided).count();
            if decided == 0 {
                return;
            }
            let mut builder = self.pool.builder(decided.next_power_of_two());
            let mut taken = 0;
            for row in self.queue.iter().take(decided) {
                if builder.byte_len() > BATCH_BYTES_MAX {
                    break;
                }
                append(&mut builder, row, self.data);
                taken += 1;
            }
            if builder.rows() > 0 {
                put(builder.finish());
            }
            self.queue.drain(..taken);
            self.first += taken as u64;
        }
    }
}

fn append(builder: &mut BatchBuilder<'_>, row: &Row, data: usize) {
    let rows = row.row..row.row + 1;
    match &row.lot {
        Lot::LeftOut | Lot::Undecided => {}
        Lot::Unchanged => builder.append(&row.batch, rows),
        Lot::Changed(bytes) => {
            builder.push_rows_of(&row.batch, rows.clone());
            for column in (0..row.batch.schema().payload().len()).filter(|&column| column != data) {
                builder.copy_column(column, row.batch.column(column), rows.clone());
            }
            builder.fill_variable(data, 1, |_, value| {
                value.extend_from_slice(bytes);
                true
            });
        }
    }
}

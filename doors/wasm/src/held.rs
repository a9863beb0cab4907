//! Rows that a transform may hold back: what is lost with an instance that breaks. Does not know what a transform leaves out by intent.

use std::collections::VecDeque;

use tapedeck_sdk::Batch;

/// The most batches of one input that are told apart; those beyond them count as part of the last one.
const BATCHES_MAX: usize = 1024;

/// A batch that was given.
struct Given {
    last_seq: u64,
    rows: u64,
    /// How many flushes there had been.
    flushes: u64,
}

/// For each input the batches of which rows may be held back: those after the last row that came out. What two flushes have not brought
/// out was left out by intent.
#[derive(Default)]
pub(crate) struct Held {
    inputs: Vec<VecDeque<Given>>,
    outputs: usize,
    flushes: u64,
}

impl Held {
    pub(crate) fn new(inputs: usize, outputs: usize) -> Self {
        let given = || VecDeque::with_capacity(BATCHES_MAX);
        Self { inputs: std::iter::repeat_with(given).take(inputs).collect(), outputs, flushes: 0 }
    }

    /// A batch went in.
    pub(crate) fn give(&mut self, input: usize, batch: &Batch) {
        let (Some(given), Some(&last_seq)) = (self.inputs.get_mut(input), batch.seq().last()) else { return };
        let rows = batch.rows() as u64;
        let is_full = given.len() == BATCHES_MAX;
        match given.back_mut().filter(|_| is_full) {
            Some(last) => (last.last_seq, last.rows) = (last_seq, last.rows + rows),
            None => given.push_back(Given { last_seq, rows, flushes: self.flushes }),
        }
    }

    /// A batch came out: nothing before its last row is held back any more. Which input it is of is known where there are as many
    /// outputs.
    pub(crate) fn hand_on(&mut self, output: usize, batch: &Batch) {
        if self.outputs != self.inputs.len() {
            return;
        }
        let (Some(given), Some(&seq)) = (self.inputs.get_mut(output), batch.seq().last()) else { return };
        while given.pop_front_if(|first| first.last_seq <= seq).is_some() {}
        if let Some(first) = given.front_mut() {
            first.rows = first.rows.min(first.last_seq - seq);
        }
    }

    /// What was held back long enough has been handed on.
    pub(crate) fn flush(&mut self) {
        self.flushes += 1;
        for given in &mut self.inputs {
            while given.pop_front_if(|first| first.flushes + 1 < self.flushes).is_some() {}
        }
    }

    /// How many rows are lost with the instance, at most. Nothing is held back afterwards.
    pub(crate) fn lose(&mut self) -> u64 {
        self.inputs.iter_mut().flat_map(|given| given.drain(..)).map(|given| given.rows).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapedeck_sdk::testing::samples;
    use tapedeck_sdk::{BatchPool, Timestamp};

    /// Rows with the numbers from `first` on.
    fn rows(first: u64, count: usize) -> Batch {
        let mut pool = BatchPool::new(samples::fixed_schema("game"));
        let mut builder = pool.builder(count);
        for _ in 0..count {
            builder.push_row(Timestamp(0));
        }
        builder.seq_mut().iter_mut().zip(first..).for_each(|(seq, number)| *seq = number);
        builder.finish()
    }

    #[test]
    fn what_came_out_is_not_held_back() {
        let mut held = Held::new(1, 1);
        held.give(0, &rows(0, 10));
        held.give(0, &rows(10, 10));
        held.hand_on(0, &rows(0, 13));
        assert_eq!(held.lose(), 7);
        assert_eq!(held.lose(), 0);
    }

    #[test]
    fn what_two_flushes_have_not_brought_out_was_left_out() {
        let mut held = Held::new(2, 1);
        held.give(0, &rows(0, 10));
        held.flush();
        held.give(1, &rows(0, 3));
        held.flush();
        assert_eq!(held.lose(), 3);
    }

    #[test]
    fn what_is_remembered_has_a_limit_and_no_row_is_forgotten() {
        let mut held = Held::new(1, 1);
        (0..5000).for_each(|seq| held.give(0, &rows(seq, 1)));
        assert_eq!(held.inputs[0].len(), BATCHES_MAX);
        assert_eq!(held.lose(), 5000);
    }
}

//! Whether the rows that come out of a transform are rows that went in: a `seq` it was given, in order. A gap in a file is the loss,
//! so nobody may make up a number or mix them up.

use tapedeck_sdk::{Batch, Error};

/// The most gaps that are remembered of one input; beyond them the oldest are forgiven.
const RUNS_MAX: usize = 4096;

/// Consecutive numbers, both ends included.
type Run = (u64, u64);

/// What one transform was given, and what it gave.
pub(crate) struct Lineage {
    /// For each input, in rising order.
    given: Vec<Vec<Run>>,
    /// The last number that came out, for each output.
    last: Vec<Option<u64>>,
    /// How many frames the transform had lost when rows came out last.
    failed: u64,
}

impl Lineage {
    pub(crate) fn new(inputs: usize, outputs: usize) -> Self {
        Self { given: vec![Vec::new(); inputs], last: vec![None; outputs], failed: 0 }
    }

    /// Rows go in.
    pub(crate) fn give(&mut self, input: usize, batch: &Batch) {
        let Some(runs) = self.given.get_mut(input) else { return };
        let seq = batch.seq();
        let (Some(&first), Some(&last)) = (seq.first(), seq.last()) else { return };
        if last.wrapping_sub(first) < seq.len() as u64 {
            add(runs, (first, last));
        } else {
            seq.iter().for_each(|&number| add(runs, (number, number)));
        }
        if runs.len() > RUNS_MAX {
            let end = runs[1].1;
            runs[0].1 = end;
            runs.remove(1);
        }
    }

    /// Rows come out of a transform that has lost `failed` frames so far.
    ///
    /// # Errors
    /// A row that was not given, or one out of order.
    pub(crate) fn check(&mut self, output: usize, batch: &Batch, failed: u64) -> Result<(), Error> {
        let Some(before) = self.last.get_mut(output) else { return Ok(()) };
        let seq = batch.seq();
        let (Some(&first), Some(&last)) = (seq.first(), seq.last()) else { return Ok(()) };
        if !seq.is_sorted_by(|one, next| one < next) || before.is_some_and(|before| first <= before) {
            return Err(Error::plugin(format!(
                "gave rows of stream \"{}\" out of order, or one twice",
                batch.schema().name()
            ))
            .with_hint("this is a bug of the plugin: rows keep the order in which they came"));
        }
        let whole = self.given.iter().any(|runs| run_of(runs, first).is_some_and(|run| last <= run.1));
        let known = |number: u64| self.given.iter().any(|runs| run_of(runs, number).is_some());
        if let Some(made_up) = seq.iter().find(|&&number| !whole && !known(number)) {
            return Err(Error::plugin(format!(
                "gave a row of stream \"{}\" with the seq {made_up}, which it was not given",
                batch.schema().name()
            ))
            .with_hint("this is a bug of the plugin: a row keeps the seq that it came with"));
        }
        *before = Some(last);
        self.failed = failed;
        Ok(())
    }

    /// How many rows went in behind the last one that came out, but for those that are lost already: `failed` frames
    /// so far. Without the rows of an input from a number on that are in hand.
    pub(crate) fn held(&self, failed: u64, in_hand: Option<(usize, u64)>) -> u64 {
        let one_each = self.given.len() == self.last.len();
        let mut held: u64 = 0;
        for (input, runs) in self.given.iter().enumerate() {
            // Where outputs are not those of the inputs one by one, a row of any is behind the last of all.
            let last = if one_each { self.last[input] } else { self.last.iter().copied().flatten().max() };
            let end = in_hand.filter(|(of, _)| *of == input).map_or(u64::MAX, |(_, first)| first);
            let rows = |&(first, last_given): &Run| {
                let from = last.map_or(first, |last| first.max(last.saturating_add(1)));
                last_given.saturating_add(1).min(end).saturating_sub(from)
            };
            held = held.saturating_add(runs.iter().map(rows).sum());
        }
        held.saturating_sub(failed.saturating_sub(self.failed))
    }
}

fn add(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        Some(last) if run.0 <= last.1.saturating_add(1) => last.1 = last.1.max(run.1),
        _ => runs.push(run),
    }
}

fn run_of(runs: &[Run], number: u64) -> Option<Run> {
    // Nearly always the last one.
    let last = runs.last().filter(|run| run.0 <= number);
    let run = last.or_else(|| runs.get(runs.partition_point(|run| run.0 <= number).checked_sub(1)?));
    run.copied().filter(|run| number <= run.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapedeck_sdk::testing::samples;
    use tapedeck_sdk::{BatchPool, Kind, Timestamp};

    fn rows(numbers: &[u64]) -> Batch {
        let mut pool = BatchPool::new(samples::schema(Kind::Attributes, "game"));
        let mut builder = pool.builder(numbers.len());
        for _ in numbers {
            builder.push_row(Timestamp(0));
        }
        builder.seq_mut().copy_from_slice(numbers);
        builder.finish()
    }

    #[test]
    fn rows_that_went_in_may_come_out_in_order_and_no_others() {
        let mut lineage = Lineage::new(1, 1);
        lineage.give(0, &rows(&[5, 6, 7]));
        lineage.give(0, &rows(&[10, 12]));
        lineage.check(0, &rows(&[5]), 0).unwrap();
        assert!(lineage.check(0, &rows(&[5]), 0).unwrap_err().message.contains("one twice"));
        assert!(lineage.check(0, &rows(&[6, 6]), 0).unwrap_err().message.contains("one twice"));
        lineage.check(0, &rows(&[6, 7, 10, 12]), 0).unwrap();
        assert!(lineage.check(0, &rows(&[10]), 0).unwrap_err().message.contains("out of order"));
        assert!(lineage.check(0, &rows(&[13]), 0).unwrap_err().message.contains("seq 13"));
        let mut fresh = Lineage::new(1, 1);
        fresh.give(0, &rows(&[5, 6, 7, 10, 12]));
        assert!(fresh.check(0, &rows(&[6, 8]), 0).unwrap_err().message.contains("seq 8"));
        assert!(fresh.check(0, &rows(&[7, 6]), 0).is_err());
    }

    #[test]
    fn what_is_remembered_has_a_limit() {
        let mut lineage = Lineage::new(1, 1);
        for number in 0..20_000 {
            lineage.give(0, &rows(&[number * 2]));
        }
        assert!(lineage.given[0].len() <= RUNS_MAX);
        assert!(lineage.check(0, &rows(&[39_997]), 0).is_err());
        lineage.check(0, &rows(&[0, 39_998]), 0).unwrap();
    }

    #[test]
    fn what_is_behind_the_last_row_is_held_unless_it_is_in_hand_or_lost_already() {
        let mut lineage = Lineage::new(1, 1);
        assert_eq!(lineage.held(0, None), 0);
        lineage.give(0, &rows(&[5, 6, 7]));
        lineage.give(0, &rows(&[10, 12]));
        assert_eq!(lineage.held(0, None), 5);
        lineage.check(0, &rows(&[6]), 0).unwrap();
        assert_eq!((lineage.held(0, None), lineage.held(0, Some((0, 10)))), (3, 1));
        assert_eq!(lineage.held(2, None), 1, "two of them are counted");
        lineage.check(0, &rows(&[12]), 2).unwrap();
        assert_eq!((lineage.held(2, None), lineage.held(2, Some((0, 10)))), (0, 0));
        let mut two = Lineage::new(2, 2);
        two.give(0, &rows(&[0, 1]));
        two.give(1, &rows(&[0, 1, 2]));
        two.check(1, &rows(&[0]), 0).unwrap();
        assert_eq!(two.held(0, None), 4);
    }
}

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
}

impl Lineage {
    pub(crate) fn new(inputs: usize, outputs: usize) -> Self {
        Self { given: vec![Vec::new(); inputs], last: vec![None; outputs] }
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

    /// Rows come out.
    ///
    /// # Errors
    /// A row that was not given, or one out of order.
    pub(crate) fn check(&mut self, output: usize, batch: &Batch) -> Result<(), Error> {
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
        Ok(())
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
        lineage.check(0, &rows(&[5])).unwrap();
        assert!(lineage.check(0, &rows(&[5])).unwrap_err().message.contains("one twice"));
        assert!(lineage.check(0, &rows(&[6, 6])).unwrap_err().message.contains("one twice"));
        lineage.check(0, &rows(&[6, 7, 10, 12])).unwrap();
        assert!(lineage.check(0, &rows(&[10])).unwrap_err().message.contains("out of order"));
        assert!(lineage.check(0, &rows(&[13])).unwrap_err().message.contains("seq 13"));
        let mut fresh = Lineage::new(1, 1);
        fresh.give(0, &rows(&[5, 6, 7, 10, 12]));
        assert!(fresh.check(0, &rows(&[6, 8])).unwrap_err().message.contains("seq 8"));
        assert!(fresh.check(0, &rows(&[7, 6])).is_err());
    }

    #[test]
    fn what_is_remembered_has_a_limit() {
        let mut lineage = Lineage::new(1, 1);
        for number in 0..20_000 {
            lineage.give(0, &rows(&[number * 2]));
        }
        assert!(lineage.given[0].len() <= RUNS_MAX);
        assert!(lineage.check(0, &rows(&[39_997])).is_err());
        lineage.check(0, &rows(&[0, 39_998])).unwrap();
    }
}

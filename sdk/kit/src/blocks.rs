//! A stream of a recording as blocks of rows, each readable by itself: in which block a moment is, and which frame is nearest to it.
//! Knows no format, and reads nothing itself.

use std::collections::{HashMap, VecDeque};

use tapedeck_sdk::{Batch, Error, Timestamp};

/// The most bytes of batches that a [`BlockCache`] holds.
const CACHE_BYTES_MAX: usize = 64 << 20;

/// A frame, as the number of its block and of its row there.
pub type Place = (usize, usize);

/// A stream as blocks of rows, none of them empty.
pub trait Blocks {
    /// How many blocks there are.
    fn blocks(&self) -> usize;

    /// How many rows a block has.
    fn rows(&self, block: usize) -> usize;

    /// Whether times are known never to go back.
    fn is_sorted(&self) -> bool;

    /// The first block with a frame at or after a moment.
    ///
    /// # Errors
    /// Reading failed.
    fn first_block(&mut self, to: Timestamp) -> Result<Option<usize>, Error>;

    /// The rows of a block. Called several times in a row for the same one: keep the last ones in a [`BlockCache`].
    ///
    /// # Errors
    /// Reading failed.
    fn batch(&mut self, block: usize) -> Result<Batch, Error>;

    /// The times of a block, without its other columns.
    ///
    /// # Errors
    /// Reading failed.
    fn times(&mut self, block: usize) -> Result<Vec<i64>, Error>;

    /// Looks at the times of a block whose rows may be wanted next. To be replaced where rows cost much more than their times.
    ///
    /// # Errors
    /// Reading failed.
    fn look<T>(&mut self, block: usize, look: impl FnOnce(&[i64]) -> T) -> Result<T, Error> {
        Ok(look(self.batch(block)?.timestamps()))
    }

    /// What is wrong with the end of the stream, if frames may be missing there.
    ///
    /// # Errors
    /// The recording is damaged.
    fn end(&self) -> Result<(), Error> {
        Ok(())
    }

    /// The first frame, in the order of the file, at or after a moment.
    ///
    /// # Errors
    /// Reading failed.
    fn find(&mut self, to: Timestamp) -> Result<Option<Place>, Error> {
        self.find_by(to, |blocks, block, sorted| Ok(first_row(&blocks.times(block)?, to, sorted)))
    }

    /// As [`find`](Self::find), where the rows are wanted next.
    #[doc(hidden)]
    fn find_rows(&mut self, to: Timestamp) -> Result<Option<Place>, Error> {
        self.find_by(to, |blocks, block, sorted| blocks.look(block, |times| first_row(times, to, sorted)))
    }

    /// The first place that `find_in` finds in a block, from the first block on that may have it.
    #[doc(hidden)]
    fn find_by(
        &mut self,
        to: Timestamp,
        find_in: impl Fn(&mut Self, usize, bool) -> Result<Option<usize>, Error>,
    ) -> Result<Option<Place>, Error> {
        if to.0 == i64::MIN {
            return Ok((self.blocks() > 0).then_some((0, 0)));
        }
        let Some(first) = self.first_block(to)? else { return Ok(None) };
        let sorted = self.is_sorted();
        // What an index says of a block is not always true in files of other programs.
        for block in first..self.blocks() {
            if let Some(row) = find_in(self, block, sorted)? {
                return Ok(Some((block, row)));
            }
        }
        Ok(None)
    }

    /// The frame that is nearest to a moment, of several the first: as [`Recording::closest`](tapedeck_sdk::Recording::closest) has it.
    ///
    /// # Errors
    /// Reading failed.
    fn nearest(&mut self, to: Timestamp) -> Result<Option<(Batch, usize)>, Error> {
        let after = self.find_rows(to)?;
        if after.is_none() {
            self.end()?;
        }
        let (block, row) = match (self.before(after), after) {
            (None, None) => return Ok(None),
            (None, Some(after)) => after,
            (Some(before), after) => {
                let earlier = self.time(before)?;
                let later = after.map(|after| self.time(after)).transpose()?;
                match after.zip(later) {
                    Some((after, later)) if later.abs_diff(to.0) < earlier.abs_diff(to.0) => after,
                    _ => self.first_of(before, earlier)?,
                }
            }
        };
        Ok(Some((self.batch(block)?, row)))
    }

    /// The frame before another one, or before the end.
    #[doc(hidden)]
    fn before(&self, place: Option<Place>) -> Option<Place> {
        match place {
            Some((block, row)) if row > 0 => Some((block, row - 1)),
            other => {
                let block = other.map_or(self.blocks(), |(block, _)| block).checked_sub(1)?;
                Some((block, self.rows(block).saturating_sub(1)))
            }
        }
    }

    /// The first frame of the same time as this one.
    #[doc(hidden)]
    fn first_of(&mut self, place: Place, time: i64) -> Result<Place, Error> {
        match self.find_rows(Timestamp(time))? {
            Some(first) if self.time(first)? == time => Ok(first),
            // Times went back before it.
            _ => Ok(place),
        }
    }

    /// The time of a frame.
    #[doc(hidden)]
    fn time(&mut self, (block, row): Place) -> Result<i64, Error> {
        let time = self.look(block, |times| times.get(row).copied())?;
        time.ok_or_else(|| {
            Error::data(format!("the recording is damaged: block {block} ends before row {row}"))
        })
    }
}

fn first_row(times: &[i64], to: Timestamp, sorted: bool) -> Option<usize> {
    if sorted {
        Some(times.partition_point(|&time| time < to.0)).filter(|&row| row < times.len())
    } else {
        times.iter().position(|&time| time >= to.0)
    }
}

/// The times of blocks, so far as to find the first frame at or after any moment, also where times go back.
#[derive(Debug, Clone)]
pub struct TimeIndex {
    /// The latest time in each block and all before it: rises, whatever the times do.
    latest: Vec<i64>,
    earliest: i64,
    last: i64,
    sorted: bool,
}

impl Default for TimeIndex {
    fn default() -> Self {
        Self { latest: Vec::new(), earliest: i64::MAX, last: i64::MIN, sorted: true }
    }
}

impl TimeIndex {
    /// Adds a block by its times, of which there are some.
    pub fn push(&mut self, times: &[i64]) {
        let (mut earliest, mut latest) = (i64::MAX, i64::MIN);
        for &time in times {
            self.sorted &= time >= self.last;
            self.last = time;
            (earliest, latest) = (earliest.min(time), latest.max(time));
        }
        self.add(earliest, latest);
    }

    /// Adds a block of which only the earliest and the latest time are known.
    pub fn push_range(&mut self, earliest: i64, latest: i64) {
        self.sorted = false;
        self.add(earliest, latest);
    }

    fn add(&mut self, earliest: i64, latest: i64) {
        self.earliest = self.earliest.min(earliest);
        self.latest.push(self.latest.last().map_or(latest, |&before| before.max(latest)));
    }

    /// Whether times are known never to go back.
    #[must_use]
    pub fn is_sorted(&self) -> bool {
        self.sorted
    }

    /// The first block with a time at or after a moment.
    #[must_use]
    pub fn first_block(&self, to: Timestamp) -> Option<usize> {
        let block = self.latest.partition_point(|&latest| latest < to.0);
        (block < self.latest.len()).then_some(block)
    }

    /// The earliest and the latest time; `None` without blocks.
    #[must_use]
    pub fn range(&self) -> Option<(i64, i64)> {
        self.latest.last().map(|&latest| (self.earliest, latest))
    }
}

/// The batches of blocks that were read last, at most 64 MiB of them.
#[derive(Debug, Default)]
pub struct BlockCache {
    batches: HashMap<usize, Batch>,
    /// The blocks, the one that was read first in front.
    order: VecDeque<usize>,
    bytes: usize,
}

impl BlockCache {
    /// The batch of a block, if it is still here.
    #[must_use]
    pub fn get(&self, block: usize) -> Option<&Batch> {
        self.batches.get(&block)
    }

    /// Keeps the batch of a block that is not here.
    pub fn put(&mut self, block: usize, batch: &Batch) {
        self.bytes += batch.byte_len();
        self.batches.insert(block, batch.clone());
        self.order.push_back(block);
        while self.bytes > CACHE_BYTES_MAX && self.order.len() > 1 {
            let oldest = self.order.pop_front().and_then(|oldest| self.batches.remove(&oldest));
            self.bytes -= oldest.map_or(0, |batch| batch.byte_len());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use tapedeck_sdk::{BatchPool, Kind, StreamSchema};

    /// Blocks in memory.
    struct Memory(Vec<Batch>, TimeIndex);

    impl Memory {
        fn new(blocks: &[&[i64]]) -> Self {
            let schema = StreamSchema::builder("s", Kind::Attributes).build().unwrap();
            let mut index = TimeIndex::default();
            blocks.iter().for_each(|times| index.push(times));
            Self(blocks.iter().map(|times| batch(&schema, times)).collect(), index)
        }

        fn all(&self) -> Vec<i64> {
            self.0.iter().flat_map(|batch| batch.timestamps().to_vec()).collect()
        }

        /// A place as the number of the frame.
        fn number(&self, place: Option<Place>) -> Option<usize> {
            place.map(|(block, row)| self.0[..block].iter().map(Batch::rows).sum::<usize>() + row)
        }
    }

    fn batch(schema: &Arc<StreamSchema>, times: &[i64]) -> Batch {
        let mut pool = BatchPool::new(schema.clone());
        let mut builder = pool.builder(times.len());
        for &time in times {
            builder.push_row(Timestamp(time));
        }
        builder.finish()
    }

    impl Blocks for Memory {
        fn blocks(&self) -> usize {
            self.0.len()
        }
        fn rows(&self, block: usize) -> usize {
            self.0[block].rows()
        }
        fn is_sorted(&self) -> bool {
            self.1.is_sorted()
        }
        fn first_block(&mut self, to: Timestamp) -> Result<Option<usize>, Error> {
            Ok(self.1.first_block(to))
        }
        fn batch(&mut self, block: usize) -> Result<Batch, Error> {
            Ok(self.0[block].clone())
        }
        fn times(&mut self, block: usize) -> Result<Vec<i64>, Error> {
            Ok(self.0[block].timestamps().to_vec())
        }
    }

    const MOMENTS: [i64; 17] =
        [i64::MIN, i64::MIN + 1, -3, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, i64::MAX - 1, i64::MAX];

    #[test]
    fn the_first_frame_at_or_after_a_moment_is_found_wherever_times_go() {
        let cases: [&[&[i64]]; 6] = [
            &[],
            &[&[5]],
            &[&[1, 3], &[3, 3, 5], &[9]],
            &[&[5, 5], &[5], &[5, 5]],
            &[&[4, 9, 2], &[3, 3], &[10, 1]],
            &[&[i64::MIN, 0], &[i64::MAX]],
        ];
        for case in cases {
            let mut blocks = Memory::new(case);
            let all = blocks.all();
            assert_eq!(blocks.is_sorted(), all.is_sorted());
            assert_eq!(blocks.1.range(), all.iter().min().copied().zip(all.iter().max().copied()));
            for to in MOMENTS {
                let found = blocks.find(Timestamp(to)).unwrap();
                assert_eq!(blocks.number(found), all.iter().position(|&time| time >= to), "{to} in {case:?}");
            }
        }
    }

    #[test]
    fn the_nearest_frame_is_the_first_of_the_nearest() {
        let cases: [&[&[i64]]; 5] = [
            &[],
            &[&[5]],
            &[&[1, 3], &[3, 3, 7], &[9]],
            &[&[5, 5], &[5], &[5, 5]],
            &[&[i64::MIN, 0], &[i64::MAX]],
        ];
        for case in cases {
            let mut blocks = Memory::new(case);
            let all = blocks.all();
            for to in MOMENTS {
                let found = blocks.nearest(Timestamp(to)).unwrap();
                let found = found.map(|(batch, row)| batch.timestamps()[row]);
                assert_eq!(
                    found,
                    all.iter().copied().min_by_key(|time| time.abs_diff(to)),
                    "{to} in {case:?}"
                );
            }
        }
        let mut equal = Memory::new(&[&[1], &[5], &[5, 8]]);
        assert_eq!(equal.first_of((2, 0), 5).unwrap(), (1, 0));
    }

    #[test]
    fn where_times_go_back_the_nearest_frame_is_one_beside_the_place() {
        let mut blocks = Memory::new(&[&[4, 9, 2], &[3, 3]]);
        let (batch, row) = blocks.nearest(Timestamp(5)).unwrap().unwrap();
        assert_eq!(batch.timestamps()[row], 4);
        let (batch, row) = blocks.nearest(Timestamp(20)).unwrap().unwrap();
        assert_eq!(batch.timestamps()[row], 3);
    }

    #[test]
    fn a_block_that_has_not_what_its_index_says_is_passed_over() {
        let mut blocks = Memory::new(&[&[1], &[2], &[8]]);
        blocks.1 = TimeIndex::default();
        [9, 9, 9].into_iter().for_each(|latest| blocks.1.push_range(0, latest));
        assert_eq!(blocks.find(Timestamp(5)).unwrap(), Some((2, 0)));
        assert_eq!(blocks.find(Timestamp(9)).unwrap(), None);
    }

    #[test]
    fn a_cache_keeps_the_newest_and_never_too_much() {
        let schema = StreamSchema::builder("s", Kind::Attributes).build().unwrap();
        let one = batch(&schema, &vec![0; 1 << 20]);
        let mut cache = BlockCache::default();
        (0..10).for_each(|block| cache.put(block, &one));
        assert!(cache.bytes <= CACHE_BYTES_MAX && cache.get(9).is_some() && cache.get(0).is_none());
        assert_eq!(cache.batches.len(), cache.order.len());
    }
}

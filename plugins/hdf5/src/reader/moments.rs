//! A stream of a file as blocks of rows, among which moments are looked for.

use std::path::Path;

use tapedeck_kit::blocks::Blocks;
use tapedeck_sdk::{Batch, Error, Timestamp};

use super::not_a_recording;
use super::track::Track;

/// Of blocks with fewer rows than this, which are large, the times are read alone.
const ROWS_MIN: usize = 64;

/// A stream, and the file that errors name.
pub(super) struct Moments<'reader> {
    pub(super) track: &'reader mut Track,
    pub(super) path: &'reader Path,
}

impl Moments<'_> {
    /// Lets the stream go on with its first frame at or after a moment.
    pub(super) fn seek(&mut self, to: Timestamp) -> Result<(), Error> {
        let found = self.find(to)?;
        let row = found.map_or(self.track.rows(), |(block, row)| self.first_row(block) + row as u64);
        let time = match found {
            Some(_) if to.0 != i64::MIN => self.track.times(row..row + 1),
            _ => Ok(Vec::new()),
        };
        let time = time.map_err(|failure| not_a_recording(self.path, &failure))?;
        self.track.go_to(row, time.first().copied().unwrap_or(i64::MIN));
        Ok(())
    }

    fn first_row(&self, block: usize) -> u64 {
        (block * self.track.block_rows()) as u64
    }
}

impl Blocks for Moments<'_> {
    fn blocks(&self) -> usize {
        usize::try_from(self.track.rows().div_ceil(self.track.block_rows() as u64)).unwrap_or(usize::MAX)
    }

    fn rows(&self, block: usize) -> usize {
        let left = self.track.rows() - self.first_row(block);
        usize::try_from(left).unwrap_or(usize::MAX).min(self.track.block_rows())
    }

    fn is_sorted(&self) -> bool {
        self.track.is_sorted()
    }

    fn first_block(&mut self, to: Timestamp) -> Result<Option<usize>, Error> {
        let index = self.track.index().map_err(|failure| not_a_recording(self.path, &failure))?;
        Ok(index.first_block(to))
    }

    fn batch(&mut self, block: usize) -> Result<Batch, Error> {
        self.track.block(block).map_err(|failure| not_a_recording(self.path, &failure))
    }

    fn times(&mut self, block: usize) -> Result<Vec<i64>, Error> {
        let first = self.first_row(block);
        let times = self.track.times(first..first + self.rows(block) as u64);
        times.map_err(|failure| not_a_recording(self.path, &failure))
    }

    fn look<T>(&mut self, block: usize, look: impl FnOnce(&[i64]) -> T) -> Result<T, Error> {
        if self.track.block_rows() < ROWS_MIN {
            return Ok(look(&self.times(block)?));
        }
        Ok(look(self.batch(block)?.timestamps()))
    }
}

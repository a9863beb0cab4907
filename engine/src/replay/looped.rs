//! A reel that is played once or several times, one batch after the other. Knows nothing of when frames are due.

use std::sync::Arc;

use tapedeck_sdk::{Batch, BatchPool, Error, StreamSchema};

use super::options::Loop;
use super::{Reel, Window};

/// Between two passes of a recording that has one frame only, which has no interval.
const PASS_GAP_NS: i64 = 50_000_000;

/// A reel and how often it is played.
pub(super) struct LoopedReel {
    reel: Reel,
    window: Window,
    again: Loop,
    pass: u64,
    /// Whether nothing was read in this pass.
    is_empty: bool,
    passes: Passes,
}

impl LoopedReel {
    /// The reel shows the window already.
    pub(super) fn new(reel: Reel, window: Window, again: Loop) -> Self {
        let passes = Passes::new(reel.streams());
        Self { reel, window, again, pass: 0, is_empty: true, passes }
    }

    /// The next batch and its stream; `None` at the end of the last pass.
    pub(super) fn read(&mut self) -> Result<Option<(usize, Batch)>, Error> {
        while self.again.plays(self.pass) {
            if let Some((stream, batch)) = self.reel.read()? {
                self.is_empty = false;
                let batch = if self.again.plays(1) { self.passes.place(stream, batch) } else { batch };
                return Ok(Some((stream, batch)));
            }
            // What is empty would be read again and again.
            if std::mem::replace(&mut self.is_empty, true) {
                return Ok(None);
            }
            self.passes.end();
            self.pass += 1;
            if self.again.plays(self.pass) {
                self.reel.show(self.window)?;
            }
        }
        Ok(None)
    }
}

/// Numbers and times that go on rising from one pass to the next.
struct Passes {
    pools: Vec<BatchPool>,
    /// Added to each stream's numbers, and to all times.
    seq_offset: Vec<u64>,
    time_offset: i64,
    /// Of this pass: each stream's first and last number, frames, and the first and the last time of all.
    seq: Vec<Option<(u64, u64)>>,
    frames: i64,
    times: Option<(i64, i64)>,
}

impl Passes {
    fn new(streams: &[Arc<StreamSchema>]) -> Self {
        Self {
            pools: streams.iter().map(|schema| BatchPool::new(schema.clone())).collect(),
            seq_offset: vec![0; streams.len()],
            time_offset: 0,
            seq: vec![None; streams.len()],
            frames: 0,
            times: None,
        }
    }

    fn place(&mut self, stream: usize, batch: Batch) -> Batch {
        if let (Some(&first), Some(&last)) = (batch.seq().first(), batch.seq().last()) {
            self.seq[stream] = Some((self.seq[stream].map_or(first, |(first, _)| first), last));
        }
        let times = batch.timestamps();
        if let (Some(&first), Some(&last)) = (times.iter().min(), times.iter().max()) {
            let (earliest, latest) = self.times.unwrap_or((first, last));
            self.times = Some((earliest.min(first), latest.max(last)));
        }
        self.frames += i64::try_from(batch.rows()).unwrap_or(i64::MAX);
        let (seq, time) = (self.seq_offset[stream], self.time_offset);
        if seq == 0 && time == 0 {
            return batch;
        }
        let mut builder = self.pools[stream].builder(batch.rows());
        builder.append(&batch, 0..batch.rows());
        builder.seq_mut().iter_mut().for_each(|number| *number = number.saturating_add(seq));
        builder.timestamps_mut().iter_mut().for_each(|at| *at = at.saturating_add(time));
        builder.finish()
    }

    /// The pass has ended: the next one begins a mean interval after its last frame.
    fn end(&mut self) {
        for (offset, seq) in self.seq_offset.iter_mut().zip(&mut self.seq) {
            let span = seq.take().map_or(0, |(first, last)| last.saturating_sub(first).saturating_add(1));
            *offset = offset.saturating_add(span);
        }
        let (first, last) = self.times.take().unwrap_or((0, 0));
        let span = last.saturating_sub(first);
        let interval = span / (std::mem::take(&mut self.frames) - 1).max(1);
        let gap = if interval > 0 { interval } else { PASS_GAP_NS };
        self.time_offset = self.time_offset.saturating_add(span).saturating_add(gap);
    }
}

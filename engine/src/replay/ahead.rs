//! A thread that reads a reel ahead of its player, within a limit in bytes. Knows nothing of when frames are due.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded};
use tapedeck_sdk::{Batch, BatchPool, Error, StreamSchema};

use super::options::{Loop, Timing};
use super::{Reel, Window};
use crate::threads;

/// The most bytes that are read ahead of a schedule, which a slow disk must not delay.
const TIMED_BYTES_MAX: u64 = 64 << 20;
/// The most bytes that are read ahead where frames go as fast as possible: more would only be memory that is out of the caches.
const UNTIMED_BYTES_MAX: u64 = 8 << 20;
/// The most batches that are read ahead.
const AHEAD_BATCHES_MAX: usize = 4096;
/// How long the reader waits for room before it looks whether somebody still wants to have it.
const RECHECK: Duration = Duration::from_millis(5);
/// Between two passes of a recording that has one frame only, which has no interval.
const PASS_GAP_NS: i64 = 50_000_000;

/// What is shared with the thread.
#[derive(Default)]
struct Shared {
    bytes: AtomicU64,
    error: Mutex<Option<Error>>,
}

/// The player's end.
pub(super) struct Ahead {
    receiver: Receiver<(usize, Batch)>,
    shared: Arc<Shared>,
}

impl Ahead {
    /// Starts to read. The reel shows the window already.
    pub(super) fn start(
        reel: Reel,
        window: Window,
        again: Loop,
        timing: Timing,
        id: &str,
    ) -> io::Result<Self> {
        let bytes_max = match timing {
            Timing::Recorded => TIMED_BYTES_MAX,
            Timing::None => UNTIMED_BYTES_MAX,
        };
        let (sender, receiver) = bounded(AHEAD_BATCHES_MAX);
        let shared = Arc::new(Shared::default());
        let passes = Passes::new(reel.streams());
        let mut reader = Reader { reel, passes, sender, bytes_max, shared: shared.clone() };
        // It ends by itself when nobody receives any more.
        drop(threads::start(&format!("{id} ahead"), move || reader.run(window, again))?);
        Ok(Self { receiver, shared })
    }

    /// The next batch and its stream; `None` at the end. `Err(None)`: not yet.
    pub(super) fn next(&self, patience: Duration) -> Result<Option<(usize, Batch)>, Option<Error>> {
        match self.receiver.recv_timeout(patience) {
            Ok((stream, batch)) => {
                self.shared.bytes.fetch_sub(batch.byte_len() as u64, Ordering::Relaxed);
                Ok(Some((stream, batch)))
            }
            Err(RecvTimeoutError::Timeout) => Err(None),
            Err(RecvTimeoutError::Disconnected) => {
                match self.shared.error.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    Some(error) => Err(Some(error)),
                    None => Ok(None),
                }
            }
        }
    }
}

struct Reader {
    reel: Reel,
    passes: Passes,
    sender: Sender<(usize, Batch)>,
    bytes_max: u64,
    shared: Arc<Shared>,
}

impl Reader {
    fn run(&mut self, window: Window, again: Loop) {
        if let Err(error) = self.play(window, again) {
            *self.shared.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    }

    fn play(&mut self, window: Window, again: Loop) -> Result<(), Error> {
        let mut pass = 0;
        while again.plays(pass) {
            if pass > 0 {
                self.reel.show(window)?;
            }
            let mut frames = 0;
            while let Some((stream, batch)) = self.reel.read()? {
                frames += batch.rows();
                let batch = self.passes.place(stream, batch);
                if !self.send(stream, batch) {
                    return Ok(());
                }
            }
            // What is empty would be read again and again.
            if frames == 0 {
                return Ok(());
            }
            self.passes.end();
            pass += 1;
        }
        Ok(())
    }

    /// False when nobody wants to have it any more.
    fn send(&self, stream: usize, batch: Batch) -> bool {
        let bytes = batch.byte_len() as u64;
        // A batch that is larger than the limit goes alone.
        while self.shared.bytes.load(Ordering::Relaxed) > self.bytes_max.saturating_sub(bytes)
            && !self.sender.is_empty()
        {
            if Arc::strong_count(&self.shared) == 1 {
                return false;
            }
            std::thread::park_timeout(RECHECK);
        }
        self.shared.bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut item = (stream, batch);
        loop {
            match self.sender.send_timeout(item, RECHECK) {
                Ok(()) => return true,
                Err(SendTimeoutError::Timeout(back)) => item = back,
                Err(SendTimeoutError::Disconnected(_)) => return false,
            }
        }
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
            let span = seq.take().map_or(0, |(first, last)| (last - first).saturating_add(1));
            *offset = offset.saturating_add(span);
        }
        let (first, last) = self.times.take().unwrap_or((0, 0));
        let span = last.saturating_sub(first);
        let interval = span / (std::mem::take(&mut self.frames) - 1).max(1);
        let gap = if interval > 0 { interval } else { PASS_GAP_NS };
        self.time_offset = self.time_offset.saturating_add(span).saturating_add(gap);
    }
}

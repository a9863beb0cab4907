//! A thread that reads a reel ahead of its player, within a limit in bytes: a slow disk delays no frame. Knows
//! nothing of when frames are due.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tapedeck_sdk::{Batch, Error};

use super::looped::LoopedReel;
use crate::threads;

/// The most bytes that are read ahead.
const AHEAD_BYTES_MAX: u64 = 64 << 20;
/// A reader that has come to the limit goes on when so many bytes are left: it is woken for many batches, not for each.
const REFILL_BYTES: u64 = AHEAD_BYTES_MAX / 2;
/// The most batches that are read ahead.
const AHEAD_BATCHES_MAX: usize = 4096;

/// What is shared with the thread.
#[derive(Default)]
struct Shared {
    /// Of the batches that were read and not taken yet.
    bytes: AtomicU64,
    /// Whether the reader waits for room.
    waits: AtomicBool,
    /// Whether nobody takes what is read any more.
    closed: AtomicBool,
    error: Mutex<Option<Error>>,
}

/// The player's end.
pub(super) struct Ahead {
    receiver: Receiver<(usize, Batch)>,
    shared: Arc<Shared>,
    reader: Thread,
}

impl Ahead {
    /// Starts to read.
    pub(super) fn start(reel: LoopedReel, id: &str) -> io::Result<Self> {
        let (sender, receiver) = bounded(AHEAD_BATCHES_MAX);
        let shared = Arc::new(Shared::default());
        let mut reader = Reader { reel, sender, shared: shared.clone() };
        // It ends by itself when nobody receives any more.
        let thread = threads::start(&format!("{id} ahead"), move || reader.run())?;
        Ok(Self { receiver, shared, reader: thread.thread().clone() })
    }

    /// The next batch and its stream; `None` at the end. `Err(None)`: not yet.
    pub(super) fn next(&self, patience: Duration) -> Result<Option<(usize, Batch)>, Option<Error>> {
        match self.receiver.recv_timeout(patience) {
            Ok((stream, batch)) => {
                self.took(batch.byte_len() as u64);
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

    fn took(&self, bytes: u64) {
        let left = self.shared.bytes.fetch_sub(bytes, Ordering::SeqCst) - bytes;
        if left <= REFILL_BYTES && self.shared.waits.swap(false, Ordering::SeqCst) {
            self.reader.unpark();
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.reader.unpark();
    }
}

struct Reader {
    reel: LoopedReel,
    sender: Sender<(usize, Batch)>,
    shared: Arc<Shared>,
}

impl Reader {
    fn run(&mut self) {
        if let Err(error) = self.read_all() {
            *self.shared.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    }

    fn read_all(&mut self) -> Result<(), Error> {
        while let Some((stream, batch)) = self.reel.read()? {
            let bytes = batch.byte_len() as u64;
            if !self.wait_for_room(bytes) {
                return Ok(());
            }
            self.shared.bytes.fetch_add(bytes, Ordering::SeqCst);
            if self.sender.send((stream, batch)).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// False when nobody wants to have it any more.
    fn wait_for_room(&self, bytes: u64) -> bool {
        // A batch that is larger than the limit goes alone.
        let is_full = |waiting: u64| waiting > 0 && waiting.saturating_add(bytes) > AHEAD_BYTES_MAX;
        while is_full(self.shared.bytes.load(Ordering::SeqCst)) {
            self.shared.waits.store(true, Ordering::SeqCst);
            if self.shared.closed.load(Ordering::SeqCst) {
                return false;
            }
            // Whoever took something before `waits` was set has woken nobody.
            if is_full(self.shared.bytes.load(Ordering::SeqCst)) {
                std::thread::park();
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::Loop;
    use super::super::tests::large;
    use super::*;
    use crate::replay::Window;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A reader of eight batches of 24 MB that has come to its limit.
    fn full() -> Ahead {
        let folder = tempfile::tempdir().unwrap();
        let reel = LoopedReel::new(large(folder.path(), 8), Window::default(), Loop::default());
        let ahead = Ahead::start(reel, "replay").unwrap();
        wait_until("the reader waits", || ahead.shared.waits.load(Ordering::SeqCst));
        assert!(ahead.shared.bytes.load(Ordering::SeqCst) <= AHEAD_BYTES_MAX);
        ahead
    }

    fn wait_until(what: &str, holds: impl Fn() -> bool) {
        for _ in 0..20_000 {
            if holds() {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
        panic!("{what}: not within 20 s");
    }

    #[test]
    fn a_reader_that_has_come_to_its_limit_goes_on_when_there_is_room() {
        let ahead = full();
        for _ in 0..8 {
            assert!(matches!(ahead.next(PATIENCE), Ok(Some((0, _)))));
        }
        assert!(matches!(ahead.next(PATIENCE), Ok(None)));
    }

    #[test]
    fn a_reader_that_waits_for_room_ends_with_its_player() {
        let ahead = full();
        let shared = ahead.shared.clone();
        drop(ahead);
        wait_until("the reader ends", || Arc::strong_count(&shared) == 1);
    }
}

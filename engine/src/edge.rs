//! A bounded queue of batches between two threads: one stage above, one below, limits, a policy, and a true count of what was
//! dropped. Lock-free: a send is one push of a pointer and a few plain stores.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use tapedeck_sdk::Batch;

use crate::ledger::{Ledger, LossCount};
use crate::pipeline::{QueueConfig, WhenFull};

/// How long a blocked sender waits before it looks again, should a wake-up be missed.
const RECHECK: Duration = Duration::from_millis(1);

/// What both ends see. Each counter has one writer; readers see it a moment late, never wrong.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct EdgeCounters {
    sent: Counts,
    dropped: Counts,
    /// The frames among them, for the ledger.
    lost: LossCount,
    taken: Counts,
    /// The timestamp of the last frame taken, for the limit in time.
    taken_until: AtomicU64,
    blocked: AtomicBool,
    /// The thread that sends, once it has had to wait.
    sender: OnceLock<Thread>,
    closed: AtomicBool,
}

/// Frames and bytes, on a cache line of their own so that the two ends don't disturb each other.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Counts {
    frames: AtomicU64,
    bytes: AtomicU64,
}

impl Counts {
    /// Adds; there is only one writer, so no read-modify-write is needed.
    fn add(&self, frames: u64, bytes: u64) {
        self.frames.store(self.frames.load(Ordering::Relaxed) + frames, Ordering::Relaxed);
        self.bytes.store(self.bytes.load(Ordering::Relaxed) + bytes, Ordering::Release);
    }

    fn get(&self) -> (u64, u64) {
        let bytes = self.bytes.load(Ordering::Acquire);
        (self.frames.load(Ordering::Relaxed), bytes)
    }
}

impl EdgeCounters {
    /// Frames that were offered to the edge.
    #[must_use]
    pub fn offered(&self) -> u64 {
        self.sent.get().0
    }

    /// Frames that a limit dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.get().0
    }

    /// Only the upper end drops.
    #[cold]
    fn drop_frames(&self, frames: u64, bytes: u64) {
        self.dropped.add(frames, bytes);
        self.lost.add(frames);
    }

    /// Keeps the count of what was dropped in the ledger, too.
    pub(crate) fn keep(&self, ledger: &Arc<Ledger>, count: usize) {
        self.lost.keep(ledger, count);
    }

    /// Frames that the stage below took out.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.get().0
    }

    /// Frames that wait.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.offered().saturating_sub(self.dropped() + self.taken())
    }
}

/// Makes an edge.
#[must_use]
pub fn edge(config: QueueConfig) -> (EdgeSender, EdgeReceiver) {
    let counters = Arc::new(EdgeCounters::default());
    let (sender, receiver) = bounded(config.frames);
    let above = EdgeSender {
        sender,
        receiver: receiver.clone(),
        counters: counters.clone(),
        config,
        room: Room::default(),
    };
    (above, EdgeReceiver { receiver, counters, keeps_time: config.time.is_some() })
}

/// What the sender last knew of the frames and bytes in the queue; the truth is never more.
#[derive(Debug, Default)]
struct Room {
    frames: u64,
    bytes: u64,
}

/// The upper end. Dropping it closes the edge: the lower end gets what is left, then the end.
pub struct EdgeSender {
    sender: Sender<Batch>,
    /// For `drop_oldest`, which takes from the other end.
    receiver: Receiver<Batch>,
    counters: Arc<EdgeCounters>,
    config: QueueConfig,
    room: Room,
}

impl EdgeSender {
    /// What both ends see.
    #[must_use]
    pub fn counters(&self) -> &Arc<EdgeCounters> {
        &self.counters
    }

    /// Sends a batch, or does what the policy says when a limit is reached. Frames that nobody will ever take (the stage below is
    /// gone) are counted as dropped.
    #[inline]
    pub fn send(&mut self, batch: Batch) {
        let (frames, bytes) = (batch.rows() as u64, batch.byte_len() as u64);
        self.counters.sent.add(frames, bytes);
        if self.over(frames, bytes, &batch) && !self.make_room(frames, bytes, &batch) {
            self.counters.drop_frames(frames, bytes);
            return;
        }
        self.room.frames += frames;
        self.room.bytes += bytes;
        match self.sender.try_send(batch) {
            Ok(()) => {}
            Err(TrySendError::Full(batch)) => self.send_to_full(batch),
            Err(TrySendError::Disconnected(_)) => self.counters.drop_frames(frames, bytes),
        }
    }

    /// Whether the batch would be over a limit, as far as the sender knows. An empty queue takes any batch.
    #[inline]
    fn over(&self, frames: u64, bytes: u64, batch: &Batch) -> bool {
        self.room.frames > 0
            && (self.room.frames + frames > self.config.frames as u64
                || self.room.bytes + bytes > self.config.bytes
                || self.config.time.is_some_and(|limit| self.waits_longer_than(limit, batch)))
    }

    fn waits_longer_than(&self, limit: Duration, batch: &Batch) -> bool {
        let newest = batch.timestamps().last().copied().unwrap_or(0);
        let taken_until = self.counters.taken_until.load(Ordering::Relaxed).cast_signed();
        taken_until != 0 && u128::from(newest.saturating_sub(taken_until).unsigned_abs()) > limit.as_nanos()
    }

    /// Counts anew what is in the queue, with what the other end has taken meanwhile.
    fn refresh(&mut self) {
        let (sent, dropped, taken) =
            (self.counters.sent.get(), self.counters.dropped.get(), self.counters.taken.get());
        self.room.frames = sent.0.saturating_sub(dropped.0 + taken.0);
        self.room.bytes = sent.1.saturating_sub(dropped.1 + taken.1);
    }

    /// Waits, or drops older frames, until the batch is within the limits. False when the batch itself is to be dropped.
    #[cold]
    fn make_room(&mut self, frames: u64, bytes: u64, batch: &Batch) -> bool {
        loop {
            self.refresh();
            // The batch at hand is already among what was sent.
            self.room.frames -= frames.min(self.room.frames);
            self.room.bytes -= bytes.min(self.room.bytes);
            if !self.over(frames, bytes, batch) {
                return true;
            }
            match self.config.when_full {
                WhenFull::DropNewest => return false,
                WhenFull::DropOldest => self.drop_oldest(),
                WhenFull::Block if self.counters.closed.load(Ordering::Acquire) => return false,
                WhenFull::Block => self.wait_for_room(),
            }
        }
    }

    fn wait_for_room(&self) {
        self.counters.sender.get_or_init(std::thread::current);
        self.counters.blocked.store(true, Ordering::SeqCst);
        std::thread::park_timeout(RECHECK);
    }

    fn drop_oldest(&self) {
        if let Ok(oldest) = self.receiver.try_recv() {
            self.counters.drop_frames(oldest.rows() as u64, oldest.byte_len() as u64);
        }
    }

    /// The channel has a slot for each frame, so it can be full of small batches only; then the policy decides too.
    #[cold]
    fn send_to_full(&mut self, mut batch: Batch) {
        loop {
            let counts = (batch.rows() as u64, batch.byte_len() as u64);
            match self.config.when_full {
                WhenFull::DropNewest => return self.counters.drop_frames(counts.0, counts.1),
                WhenFull::DropOldest => self.drop_oldest(),
                WhenFull::Block if self.counters.closed.load(Ordering::Acquire) => {
                    return self.counters.drop_frames(counts.0, counts.1);
                }
                WhenFull::Block => self.wait_for_room(),
            }
            match self.sender.try_send(batch) {
                Ok(()) => return,
                Err(TrySendError::Full(back)) => batch = back,
                Err(TrySendError::Disconnected(_)) => return self.counters.drop_frames(counts.0, counts.1),
            }
        }
    }
}

/// The lower end.
pub struct EdgeReceiver {
    receiver: Receiver<Batch>,
    counters: Arc<EdgeCounters>,
    keeps_time: bool,
}

impl EdgeReceiver {
    /// What both ends see.
    #[must_use]
    pub fn counters(&self) -> &Arc<EdgeCounters> {
        &self.counters
    }

    /// The channel itself, to wait on several at once. What comes out must go through [`took`](Self::took).
    #[must_use]
    pub fn channel(&self) -> &Receiver<Batch> {
        &self.receiver
    }

    /// The next batch; waits for it until the timeout.
    ///
    /// # Errors
    /// Nothing came in time, or the edge is closed and empty.
    #[inline]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Batch, RecvTimeoutError> {
        let batch = match self.receiver.try_recv() {
            Ok(batch) => batch,
            Err(_) => self.receiver.recv_timeout(timeout)?,
        };
        self.took(&batch);
        Ok(batch)
    }

    /// Counts a batch that was taken from [`channel`](Self::channel).
    #[inline]
    pub fn took(&self, batch: &Batch) {
        self.counters.taken.add(batch.rows() as u64, batch.byte_len() as u64);
        if self.keeps_time
            && let Some(&last) = batch.timestamps().last()
        {
            self.counters.taken_until.store(last.cast_unsigned(), Ordering::Relaxed);
        }
        if self.counters.blocked.load(Ordering::Relaxed) {
            self.wake_sender();
        }
    }

    #[cold]
    fn wake_sender(&self) {
        self.counters.blocked.store(false, Ordering::SeqCst);
        if let Some(thread) = self.counters.sender.get() {
            thread.unpark();
        }
    }
}

impl Drop for EdgeReceiver {
    fn drop(&mut self) {
        self.counters.closed.store(true, Ordering::Release);
        // What nobody will take is lost, and counted by the sender's side of the ledger: offered - taken - dropped.
        self.wake_sender();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapedeck_sdk::{BatchPool, DataType, Kind, StreamSchema, Timestamp};

    fn pool() -> BatchPool {
        let schema =
            StreamSchema::builder("s", Kind::Attributes).field("a", DataType::Int64).build().unwrap();
        BatchPool::new(schema)
    }

    fn batch(pool: &mut BatchPool, seq: u64, rows: usize) -> Batch {
        let mut builder = pool.builder(rows);
        for row in 0..rows {
            builder
                .push_row(Timestamp(1 + i64::try_from(seq).unwrap() * 1_000_000))
                .set(0, i64::try_from(row).unwrap());
        }
        let mut batch = builder.finish();
        batch.stamp(seq, Timestamp(0));
        batch
    }

    fn config(frames: usize, when_full: WhenFull) -> QueueConfig {
        QueueConfig { frames, when_full, ..QueueConfig::default() }
    }

    fn drain(receiver: &EdgeReceiver) -> Vec<u64> {
        std::iter::from_fn(|| receiver.recv_timeout(Duration::ZERO).ok())
            .flat_map(|batch| batch.seq().to_vec())
            .collect()
    }

    #[test]
    fn a_full_edge_drops_the_newest_or_the_oldest_and_counts_it() {
        let mut pool = pool();
        for (policy, kept) in [(WhenFull::DropNewest, [0, 1, 2]), (WhenFull::DropOldest, [7, 8, 9])] {
            let (mut sender, receiver) = edge(config(3, policy));
            for seq in 0..10 {
                sender.send(batch(&mut pool, seq, 1));
            }
            assert_eq!(drain(&receiver), kept, "{policy:?}");
            let counters = sender.counters();
            assert_eq!(
                (counters.offered(), counters.dropped(), counters.taken(), counters.waiting()),
                (10, 7, 3, 0)
            );
        }
    }

    #[test]
    fn the_limit_counts_frames_not_batches() {
        let mut pool = pool();
        let (mut sender, receiver) = edge(config(10, WhenFull::DropNewest));
        for seq in 0..5 {
            sender.send(batch(&mut pool, seq * 4, 4));
        }
        assert_eq!(drain(&receiver).len(), 8);
        assert_eq!(sender.counters().dropped(), 12);
        sender.send(batch(&mut pool, 20, 4));
        assert_eq!(drain(&receiver), [20, 21, 22, 23], "taking frames out makes room again");
    }

    #[test]
    fn a_batch_larger_than_the_limit_passes_an_empty_edge() {
        let mut pool = pool();
        let (mut sender, receiver) =
            edge(QueueConfig { bytes: 64, frames: 2, ..config(2, WhenFull::DropNewest) });
        sender.send(batch(&mut pool, 0, 100));
        assert_eq!(drain(&receiver).len(), 100);
    }

    #[test]
    fn bytes_and_time_are_limits_too() {
        let mut pool = pool();
        let one = batch(&mut pool, 0, 1).byte_len() as u64;
        let (mut sender, receiver) =
            edge(QueueConfig { bytes: one * 2, ..config(100, WhenFull::DropNewest) });
        (0..5).for_each(|seq| sender.send(batch(&mut pool, seq, 1)));
        assert_eq!(drain(&receiver), [0, 1]);

        let time = Some(Duration::from_millis(3));
        let (mut sender, receiver) = edge(QueueConfig { time, ..config(100, WhenFull::DropNewest) });
        sender.send(batch(&mut pool, 0, 1));
        assert_eq!(drain(&receiver), [0]);
        (1..9).for_each(|seq| sender.send(batch(&mut pool, seq, 1)));
        assert_eq!(
            drain(&receiver),
            [1, 2, 3],
            "nothing waits that is more than 3 ms newer than what was taken"
        );
    }

    #[test]
    fn a_blocked_sender_goes_on_when_there_is_room_and_nothing_is_lost() {
        let (mut sender, receiver) = edge(config(4, WhenFull::Block));
        let thread = crate::threads::start("sender", move || {
            let mut pool = pool();
            for seq in 0..10_000 {
                sender.send(batch(&mut pool, seq, 1));
            }
            sender.counters().dropped()
        })
        .unwrap();
        let mut expected = 0;
        while let Ok(batch) = receiver.recv_timeout(Duration::from_secs(10)) {
            assert_eq!(batch.seq(), [expected]);
            expected += 1;
        }
        assert_eq!((expected, thread.join().unwrap()), (10_000, 0));
    }

    #[test]
    fn a_sender_never_waits_for_a_stage_that_is_gone() {
        let mut pool = pool();
        let (mut sender, receiver) = edge(config(2, WhenFull::Block));
        drop(receiver);
        (0..5).for_each(|seq| sender.send(batch(&mut pool, seq, 1)));
        let counters = sender.counters();
        assert_eq!(counters.offered(), 5);
        assert_eq!(counters.dropped() + counters.waiting(), 5, "each frame is accounted for");
    }
}

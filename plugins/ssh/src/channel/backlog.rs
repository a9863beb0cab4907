//! Unread input of programs, and the throttle on clients that send more. Does not know who reads or
//! writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// Backlog from which on the client is throttled.
const THROTTLE_BYTES: usize = 1 << 20;

/// Backlog that each channel may have, whatever the others have.
const SHARE_BYTES: usize = 256 << 10;

/// The longest delay of a throttled packet, doubled with each further 4 MiB: by default it takes a
/// program that does not read half an hour to fill its backlog.
const THROTTLE_TIME: Duration = Duration::from_millis(50);
const DOUBLING_BYTES: usize = 4 << 20;
const DOUBLINGS_MAX: usize = 7;

/// The smallest backlog limit of a connection: a full window must fit.
pub(crate) const BYTES_MIN: u64 = 4 << 20;

/// The client's window, and its window while throttled.
pub(crate) const WINDOW_BYTES: u32 = 2 << 20;
const THROTTLE_WINDOW_BYTES: u32 = 64 << 10;

/// Unread input of all connections.
#[derive(Debug)]
pub(crate) struct TotalBudget {
    bytes: AtomicUsize,
    bytes_max: usize,
    /// What each connection may have, whatever the others have.
    share_bytes: usize,
}

impl TotalBudget {
    /// For this many connections.
    pub(crate) fn new(bytes_max: usize, connections_max: usize) -> Self {
        Self { bytes: AtomicUsize::new(0), bytes_max, share_bytes: bytes_max / connections_max.max(1) }
    }
}

/// Unread input of all channels of a connection.
#[derive(Debug)]
pub(crate) struct InputBudget {
    bytes: AtomicUsize,
    bytes_max: usize,
    total: Arc<TotalBudget>,
}

impl InputBudget {
    pub(crate) fn new(bytes_max: usize, total: Arc<TotalBudget>) -> Self {
        Self { bytes: AtomicUsize::new(0), bytes_max, total }
    }

    /// Replaces `before` bytes by `bytes`. Wraps when it shrinks, which is correct.
    fn replace(&self, before: usize, bytes: usize) {
        for counter in [&self.bytes, &self.total.bytes] {
            counter.fetch_add(bytes.wrapping_sub(before), Ordering::Relaxed);
        }
    }

    /// The limit that is exceeded: the connection's, or the total one if it has more than its share.
    fn exceeded(&self) -> Option<usize> {
        let (bytes, total) = (self.bytes.load(Ordering::Relaxed), self.total.bytes.load(Ordering::Relaxed));
        if bytes > self.bytes_max {
            return Some(self.bytes_max);
        }
        let over = total > self.total.bytes_max && bytes > self.total.share_bytes;
        over.then_some(self.total.bytes_max)
    }
}

/// Unread input of one channel.
///
/// The SSH library enlarges the window as soon as it has read a packet, not when the program has
/// taken it, and handles one packet at a time. A program that waits for its own output to be read
/// would deadlock if the window adjustment stood behind unread input. So a packet is delayed for a
/// bounded time, throttled clients have small windows, and a backlog beyond the connection's limit
/// ends the session.
#[derive(Debug)]
pub(crate) struct Backlog {
    bytes: AtomicUsize,
    budget: Arc<InputBudget>,
    taken: Notify,
}

impl Backlog {
    pub(crate) fn new(budget: Arc<InputBudget>) -> Self {
        Self { bytes: AtomicUsize::new(0), budget, taken: Notify::new() }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, bytes: usize) {
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        self.budget.replace(before, bytes);
        if bytes < THROTTLE_BYTES {
            self.taken.notify_waiters();
        }
    }

    /// The limit in bytes that is exceeded, this channel contributing.
    pub(crate) fn exceeded(&self) -> Option<usize> {
        if self.bytes() > SHARE_BYTES { self.budget.exceeded() } else { None }
    }

    /// Returns at once while the backlog is small; else when it has shrunk, or after a delay.
    pub(crate) async fn throttle(&self) {
        let taken = self.taken.notified();
        let bytes = self.bytes();
        if bytes < THROTTLE_BYTES {
            return;
        }
        // A timeout is the delay's end.
        drop(tokio::time::timeout(throttle_time(bytes), taken).await);
    }

    /// The window to grant from now on.
    pub(crate) fn window(&self) -> u32 {
        if self.bytes() < THROTTLE_BYTES { WINDOW_BYTES } else { THROTTLE_WINDOW_BYTES }
    }
}

fn throttle_time(bytes: usize) -> Duration {
    let doublings = (bytes / DOUBLING_BYTES).min(DOUBLINGS_MAX);
    THROTTLE_TIME * (1 << doublings)
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.budget.replace(*self.bytes.get_mut(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budgets() -> [Arc<InputBudget>; 2] {
        let total = Arc::new(TotalBudget::new(6 << 20, 3));
        [(); 2].map(|()| Arc::new(InputBudget::new(4 << 20, total.clone())))
    }

    #[test]
    fn channels_share_what_may_wait_and_each_may_have_a_little() {
        let [budget, _] = budgets();
        let [greedy, modest] = [(); 2].map(|()| Backlog::new(budget.clone()));
        greedy.set(4 << 20);
        assert_eq!(greedy.exceeded(), None);
        modest.set(SHARE_BYTES);
        assert_eq!((greedy.exceeded(), modest.exceeded()), (Some(4 << 20), None));
        greedy.set(1 << 20);
        modest.set(2 << 20);
        assert_eq!((greedy.exceeded(), modest.exceeded()), (None, None));
        drop((greedy, modest));
        assert_eq!(budget.bytes.load(Ordering::Relaxed), 0);
        assert_eq!(budget.total.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn connections_share_the_total_and_one_within_its_share_is_never_over_it() {
        let [first, second] = budgets();
        let [greedy, modest] = [first, second].map(Backlog::new);
        greedy.set(4 << 20);
        modest.set(2 << 20);
        assert_eq!((greedy.exceeded(), modest.exceeded()), (None, None));
        greedy.set((4 << 20) - 1);
        modest.set((2 << 20) + 2);
        assert_eq!((greedy.exceeded(), modest.exceeded()), (Some(6 << 20), Some(6 << 20)));
        modest.set(2 << 20);
        greedy.set(4 << 20);
        let another = Backlog::new(Arc::new(InputBudget::new(4 << 20, greedy.budget.total.clone())));
        another.set(1 << 20);
        assert_eq!((greedy.exceeded(), modest.exceeded()), (Some(6 << 20), None));
        assert_eq!(another.exceeded(), None);
    }

    #[test]
    fn the_more_waits_the_longer_a_packet_takes() {
        let times = [1, 4, 16, 31, 40].map(|mebibytes: usize| throttle_time(mebibytes << 20).as_millis());
        assert_eq!(times, [50, 100, 800, 6400, 6400]);
    }
}

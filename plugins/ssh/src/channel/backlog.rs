//! Input that a program has not taken yet, and the throttle on the client that sends it. Knows nothing of who reads or writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// From so much on the client is slowed down.
const THROTTLE_BYTES: usize = 1 << 20;

/// What a channel may have waiting, whatever the others have.
const SHARE_BYTES: usize = 256 << 10;

/// How long a packet of a client that is slowed down takes at most, and with how much more that waits it may take twice as long. So a
/// program that does not read for half an hour has not filled what waits by default.
const THROTTLE_TIME: Duration = Duration::from_millis(50);
const DOUBLING_BYTES: usize = 4 << 20;
const DOUBLINGS_MAX: usize = 7;

/// The least that a connection may have waiting: what a client sends ahead must fit in.
pub(crate) const BYTES_MIN: u64 = 4 << 20;

/// What a client may send ahead, and what it may while it is slowed down.
pub(crate) const WINDOW_BYTES: u32 = 2 << 20;
const THROTTLE_WINDOW_BYTES: u32 = 64 << 10;

/// How much waits in all channels of a connection.
#[derive(Debug)]
pub(crate) struct InputBudget {
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl InputBudget {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes: AtomicUsize::new(0), bytes_max }
    }
}

/// How much waits in one channel.
///
/// The SSH library gives a client evicted to send more as soon as it has read, not when the program has taken it, and all that a
/// connection does waits for the one packet in hand. A program that waits for its own output to be read would so wait for ever, if the
/// client's word that it has read stood behind input that nobody takes. So no packet waits for long, and the client has few on the way;
/// and when more waits than the connection may have, the session ends.
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

    /// The most that may wait in the connection.
    pub(crate) fn bytes_max(&self) -> usize {
        self.budget.bytes_max
    }

    pub(crate) fn set(&self, bytes: usize) {
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        // Wraps around where it shrinks, and so is right.
        self.budget.bytes.fetch_add(bytes.wrapping_sub(before), Ordering::Relaxed);
        if bytes < THROTTLE_BYTES {
            self.taken.notify_waiters();
        }
    }

    /// Whether more waits than may, and not only elsewhere.
    pub(crate) fn is_too_much(&self) -> bool {
        self.bytes() > SHARE_BYTES && self.budget.bytes.load(Ordering::Relaxed) > self.budget.bytes_max
    }

    /// Returns at once while little waits; else when little waits again, or after a while.
    pub(crate) async fn throttle(&self) {
        let taken = self.taken.notified();
        let bytes = self.bytes();
        if bytes < THROTTLE_BYTES {
            return;
        }
        // That it took too long is what the time is for.
        drop(tokio::time::timeout(throttle_time(bytes), taken).await);
    }

    /// How much the client may have on the way from now on.
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
        self.budget.bytes.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_share_what_may_wait_and_each_may_have_a_little() {
        let budget = Arc::new(InputBudget::new(4 << 20));
        let [greedy, modest] = [(); 2].map(|()| Backlog::new(budget.clone()));
        greedy.set(4 << 20);
        assert!(!greedy.is_too_much());
        modest.set(SHARE_BYTES);
        assert!(greedy.is_too_much() && !modest.is_too_much());
        greedy.set(1 << 20);
        modest.set(2 << 20);
        assert!(!greedy.is_too_much() && !modest.is_too_much());
        drop((greedy, modest));
        assert_eq!(budget.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_more_waits_the_longer_a_packet_takes() {
        let times = [1, 4, 16, 31, 40].map(|mebibytes: usize| throttle_time(mebibytes << 20).as_millis());
        assert_eq!(times, [50, 100, 800, 6400, 6400]);
    }
}

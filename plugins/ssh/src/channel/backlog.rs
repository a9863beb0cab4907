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

/// Unread input of all channels of a connection.
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

    /// The connection's limit.
    pub(crate) fn bytes_max(&self) -> usize {
        self.budget.bytes_max
    }

    pub(crate) fn set(&self, bytes: usize) {
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        // Wraps when it shrinks, which is correct.
        self.budget.bytes.fetch_add(bytes.wrapping_sub(before), Ordering::Relaxed);
        if bytes < THROTTLE_BYTES {
            self.taken.notify_waiters();
        }
    }

    /// Whether the connection is over its limit, this channel contributing.
    pub(crate) fn is_too_much(&self) -> bool {
        self.bytes() > SHARE_BYTES && self.budget.bytes.load(Ordering::Relaxed) > self.budget.bytes_max
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

//! Input that a program has not taken yet, and the brake on the client that sends it. Knows nothing of who reads or writes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// From so much on the client is slowed down.
const BRAKE_BYTES: usize = 1 << 20;

/// From so much on it is slowed down to a crawl.
const CRAWL_BYTES: usize = 16 << 20;

/// The most input that waits. Then the whole connection does.
pub(crate) const BYTES_MAX: usize = 256 << 20;

/// How long a packet of a client that is slowed down takes at most, and one that is to crawl.
const BRAKE_TIME: Duration = Duration::from_millis(50);
const CRAWL_TIME: Duration = Duration::from_millis(500);

/// What a client may send ahead, and what it may while it is slowed down.
pub(crate) const WINDOW_BYTES: u32 = 2 << 20;
const BRAKE_WINDOW_BYTES: u32 = 64 << 10;

/// How much waits in one channel.
///
/// The SSH library gives a client leave to send more as soon as it has read, not when the program has taken it, and all that a
/// connection does waits for the one packet in hand. A program that waits for its own output to be read would so wait for ever, if the
/// client's word that it has read stood behind input that nobody takes. So no packet waits for long, and the client has few on the way.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    bytes: AtomicUsize,
    taken: Notify,
}

impl Backlog {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, bytes: usize) {
        self.bytes.store(bytes, Ordering::Relaxed);
        if bytes < BRAKE_BYTES {
            self.taken.notify_waiters();
        }
    }

    /// Returns at once while little waits; else when little waits again, or after a while.
    pub(crate) async fn brake(&self) {
        let taken = self.taken.notified();
        let time = match self.bytes() {
            0..BRAKE_BYTES => return,
            BRAKE_BYTES..CRAWL_BYTES => BRAKE_TIME,
            _ => CRAWL_TIME,
        };
        // That it took too long is what the time is for.
        drop(tokio::time::timeout(time, taken).await);
    }

    /// How much the client may have on the way from now on.
    pub(crate) fn window(&self) -> u32 {
        if self.bytes() < BRAKE_BYTES { WINDOW_BYTES } else { BRAKE_WINDOW_BYTES }
    }
}

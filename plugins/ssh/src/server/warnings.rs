//! Warnings given once a run or at most once a minute: clients can't flood the screen.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use tapedeck_sdk::Timestamp;

/// The shortest time between two warnings of failed accepts.
const ACCEPT_INTERVAL: Duration = Duration::from_secs(60);

/// What is warned of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Warning {
    /// All slots are taken.
    Full,
    /// An address is banned.
    Barred,
    /// All channels are taken.
    Channels,
    /// The keys can't be read.
    Keys,
    /// The passwords can't be read.
    Passwords,
    /// A session can't be started.
    Start,
}

/// Number of variants.
const CAUSES: usize = Warning::Start as usize + 1;

/// Warnings given so far.
#[derive(Debug)]
pub(crate) struct Warnings {
    causes: [AtomicBool; CAUSES],
    /// When a failed accept was last warned of, in nanoseconds.
    accept: AtomicI64,
}

impl Default for Warnings {
    fn default() -> Self {
        Self { causes: Default::default(), accept: AtomicI64::new(i64::MIN) }
    }
}

impl Warnings {
    /// Whether this is the first one.
    pub(crate) fn is_first(&self, cause: Warning) -> bool {
        !self.causes[cause as usize].swap(true, Ordering::Relaxed)
    }

    /// Whether a failed accept is to be warned of again.
    pub(crate) fn accept_is_due(&self, now: Timestamp) -> bool {
        let last = self.accept.load(Ordering::Relaxed);
        let due = last == i64::MIN || now.since(Timestamp(last)) >= ACCEPT_INTERVAL;
        if due {
            self.accept.store(now.0, Ordering::Relaxed);
        }
        due
    }
}

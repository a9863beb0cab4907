//! Warnings given once a run or at most once a minute: clients can't flood the screen.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

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
    /// All channels for forwarded ports are taken.
    Forwards,
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
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    causes: [AtomicBool; CAUSES],
    /// When a failed accept was last warned of.
    accept: Mutex<Option<Instant>>,
}

impl Warnings {
    /// Whether this is the first one.
    pub(crate) fn is_first(&self, cause: Warning) -> bool {
        !self.causes[cause as usize].swap(true, Ordering::Relaxed)
    }

    /// Whether a failed accept is to be warned of again.
    pub(crate) fn accept_is_due(&self, now: Instant) -> bool {
        let mut last = self.accept.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| now.duration_since(last) >= ACCEPT_INTERVAL);
        if due {
            *last = Some(now);
        }
        due
    }
}

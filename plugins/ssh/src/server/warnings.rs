//! Warnings given once a run: clients can't flood the screen.

use std::sync::atomic::{AtomicBool, Ordering};

/// What is warned of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Warning {
    /// All slots are taken.
    Full,
    /// An address is banned.
    Barred,
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
}

impl Warnings {
    /// Whether this is the first one.
    pub(crate) fn is_first(&self, cause: Warning) -> bool {
        !self.causes[cause as usize].swap(true, Ordering::Relaxed)
    }
}

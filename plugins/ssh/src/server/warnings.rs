//! What the user was warned of already: strangers can't fill the screen. Knows nothing of how it is said.

use std::sync::atomic::{AtomicBool, Ordering};

/// What there is to be warned of, each once in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Warning {
    /// All places are taken.
    Full,
    /// An address is turned away.
    Barred,
    /// Nobody's key can be looked up.
    Keys,
    /// Nobody's password can be looked up.
    Passwords,
    /// What a session is to run can't be started.
    Start,
}

/// How many there are.
const CAUSES: usize = Warning::Start as usize + 1;

/// What was warned.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    causes: [AtomicBool; CAUSES],
}

impl Warnings {
    /// Whether it is the first time.
    pub(crate) fn is_first(&self, cause: Warning) -> bool {
        !self.causes[cause as usize].swap(true, Ordering::Relaxed)
    }
}

//! Wakes the thread that watches a session: a stop was asked for, or a thread has ended.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Stops a session from another thread.
#[derive(Clone)]
pub struct StopHandle {
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) bell: Arc<Bell>,
}

impl StopHandle {
    /// Asks the session to end: sources stop, queues drain, sinks finish.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.bell.ring();
    }
}

/// Wakes the watching thread when something has ended.
#[derive(Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    signal: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.signal.notify_all();
    }

    /// Waits until somebody rings, or the timeout.
    pub(crate) fn wait(&self, timeout: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut rung, _) = self
            .signal
            .wait_timeout_while(rung, timeout, |rung| !*rung)
            .unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }
}

/// Counts a thread that ends and rings, even by panic. The thread still exists when the bell is heard: `is_finished` would come too
/// early.
pub(crate) struct RingOnDrop {
    pub(crate) bell: Arc<Bell>,
    pub(crate) ended: Arc<AtomicUsize>,
}

impl Drop for RingOnDrop {
    fn drop(&mut self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        self.bell.ring();
    }
}

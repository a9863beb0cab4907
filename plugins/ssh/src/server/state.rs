//! Signs of connection of one connection, and why it is ended. Knows nothing of SSH.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use tapedeck_sdk::Timestamp;
use tokio::sync::watch;

/// What stands for a connection that takes what it is sent.
const FLOWS: i64 = i64::MIN;

/// Signs of connection of one connection.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    begun: Timestamp,
    last: AtomicI64,
    /// Since when the client takes nothing of what is to be sent to it.
    stuck: AtomicI64,
    logged_in: AtomicBool,
    /// Why the connection is ended from here.
    ended: watch::Sender<Option<&'static str>>,
}

impl ConnectionState {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            begun: now,
            last: AtomicI64::new(now.0),
            stuck: AtomicI64::new(FLOWS),
            logged_in: AtomicBool::new(false),
            ended: watch::Sender::new(None),
        }
    }

    pub(crate) fn touch(&self, now: Timestamp) {
        self.last.store(now.0, Ordering::Relaxed);
    }

    pub(crate) fn log_in(&self) {
        self.logged_in.store(true, Ordering::Relaxed);
    }

    pub(crate) fn logged_in(&self) -> bool {
        self.logged_in.load(Ordering::Relaxed)
    }

    /// Stdio the connection from here, and remembers why; the first reason is the one that counts.
    pub(crate) fn end(&self, why: &'static str) {
        self.ended.send_if_modified(|ended| ended.replace(ended.unwrap_or(why)).is_none());
    }

    /// Why the connection was ended, if it was not the client who did.
    pub(crate) fn end_reason(&self) -> Option<&'static str> {
        *self.ended.borrow()
    }

    /// Waits until the connection is ended from here.
    pub(crate) async fn ended(&self) {
        // Who could end it is there as long as this is.
        drop(self.ended.subscribe().wait_for(Option::is_some).await);
    }

    /// The client takes nothing now.
    pub(crate) fn write_blocked(&self, now: impl FnOnce() -> Timestamp) {
        if self.stuck.load(Ordering::Relaxed) == FLOWS {
            self.stuck.store(now().0, Ordering::Relaxed);
        }
    }

    /// The client takes what it is sent.
    pub(crate) fn write_progressed(&self) {
        self.stuck.store(FLOWS, Ordering::Relaxed);
    }

    /// For how long the client has taken nothing of what waits for it.
    pub(crate) fn blocked_for(&self, now: Timestamp) -> Duration {
        match self.stuck.load(Ordering::Relaxed) {
            FLOWS => Duration::ZERO,
            since => now.since(Timestamp(since)),
        }
    }

    pub(crate) fn age(&self, now: Timestamp) -> Duration {
        now.since(self.begun)
    }

    pub(crate) fn idle_for(&self, now: Timestamp) -> Duration {
        now.since(Timestamp(self.last.load(Ordering::Relaxed)))
    }
}

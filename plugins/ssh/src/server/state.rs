//! Activity of a connection, and why it was ended. Does not know SSH.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tapedeck_sdk::Timestamp;
use tokio::sync::watch;

/// Stands for a client that reads.
const FLOWS: i64 = i64::MIN;

/// The most refused requests remembered of a connection.
const REFUSED_MAX: usize = 16;

/// State of a connection, shared by its tasks.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    begun: Timestamp,
    last: AtomicI64,
    /// Since when the client reads nothing of what is sent.
    stuck: AtomicI64,
    logged_in: AtomicBool,
    /// Whether a session of the connection is recorded.
    session: AtomicBool,
    /// Requests that were refused.
    refused: Mutex<Vec<String>>,
    closed: watch::Sender<bool>,
    /// Why the server ended the connection.
    ended: watch::Sender<Option<&'static str>>,
}

impl ConnectionState {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            begun: now,
            last: AtomicI64::new(now.0),
            stuck: AtomicI64::new(FLOWS),
            logged_in: AtomicBool::new(false),
            session: AtomicBool::new(false),
            refused: Mutex::default(),
            closed: watch::Sender::new(false),
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

    /// A session of the connection is recorded.
    pub(crate) fn begin_session(&self) {
        self.session.store(true, Ordering::Relaxed);
    }

    /// Whether a session of the connection is, or was, recorded.
    pub(crate) fn has_session(&self) -> bool {
        self.session.load(Ordering::Relaxed)
    }

    /// Remembers a refused request; the first [`REFUSED_MAX`] count.
    pub(crate) fn refuse(&self, request: impl FnOnce() -> String) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() < REFUSED_MAX {
            refused.push(request());
        }
    }

    /// Refused requests so far.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The connection is closed.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Waits until the connection is closed.
    pub(crate) async fn closed(&self) {
        // The sender lives as long as `self`.
        drop(self.closed.subscribe().wait_for(|closed| *closed).await);
    }

    /// Ends the connection; the first reason counts.
    pub(crate) fn end(&self, why: &'static str) {
        self.ended.send_if_modified(|ended| ended.replace(ended.unwrap_or(why)).is_none());
    }

    /// Why the server ended the connection, if it did.
    pub(crate) fn end_reason(&self) -> Option<&'static str> {
        *self.ended.borrow()
    }

    /// Waits until the server ends the connection.
    pub(crate) async fn ended(&self) {
        // The sender lives as long as `self`.
        drop(self.ended.subscribe().wait_for(Option::is_some).await);
    }

    /// A write would block.
    pub(crate) fn write_blocked(&self, now: impl FnOnce() -> Timestamp) {
        if self.stuck.load(Ordering::Relaxed) == FLOWS {
            self.stuck.store(now().0, Ordering::Relaxed);
        }
    }

    /// A write made progress.
    pub(crate) fn write_progressed(&self) {
        self.stuck.store(FLOWS, Ordering::Relaxed);
    }

    /// For how long the client has read nothing of what waits for it.
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

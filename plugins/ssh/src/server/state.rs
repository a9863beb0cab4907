//! Activity of a connection, and why it was ended. Does not know SSH.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Stands for a client that reads.
const FLOWS: u64 = u64::MAX;

/// The most refused requests remembered of a connection, and the most bytes of one.
const REFUSED_MAX: usize = 16;
const REFUSED_BYTES_MAX: usize = 256;

/// State of a connection, shared by its tasks. Measures real time: the clock that stamps frames follows recordings and stands still
/// in pauses.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    begun: Instant,
    /// The last activity, in nanoseconds since the beginning.
    last: AtomicU64,
    /// Since when the client reads nothing of what is sent, likewise.
    stuck: AtomicU64,
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
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            last: AtomicU64::new(0),
            stuck: AtomicU64::new(FLOWS),
            logged_in: AtomicBool::new(false),
            session: AtomicBool::new(false),
            refused: Mutex::default(),
            closed: watch::Sender::new(false),
            ended: watch::Sender::new(None),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.age().as_nanos()).unwrap_or(FLOWS - 1)
    }

    pub(crate) fn touch(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
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

    /// Remembers a refused request, cut to [`REFUSED_BYTES_MAX`]; the first [`REFUSED_MAX`] count.
    pub(crate) fn refuse(&self, request: impl FnOnce() -> String) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() < REFUSED_MAX {
            let mut request = request();
            if request.len() > REFUSED_BYTES_MAX {
                request.truncate(request.floor_char_boundary(REFUSED_BYTES_MAX));
                request.push('…');
            }
            refused.push(request);
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
    pub(crate) fn write_blocked(&self) {
        if self.stuck.load(Ordering::Relaxed) == FLOWS {
            self.stuck.store(self.now(), Ordering::Relaxed);
        }
    }

    /// A write made progress.
    pub(crate) fn write_progressed(&self) {
        self.stuck.store(FLOWS, Ordering::Relaxed);
    }

    /// For how long the client has read nothing of what waits for it.
    pub(crate) fn blocked_for(&self) -> Duration {
        match self.stuck.load(Ordering::Relaxed) {
            FLOWS => Duration::ZERO,
            since => self.since(since),
        }
    }

    pub(crate) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(crate) fn idle_for(&self) -> Duration {
        self.since(self.last.load(Ordering::Relaxed))
    }

    fn since(&self, nanos: u64) -> Duration {
        self.age().saturating_sub(Duration::from_nanos(nanos))
    }
}

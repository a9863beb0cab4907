//! Reads `[session]` and `queue = {…}`: the engine's own settings with their limits.

use std::path::PathBuf;
use std::time::Duration;

use super::fields;
use super::tree::{Entry, Table};
use super::{Journal, QueueConfig, SessionConfig, WhenFull};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};

const HOUR: Duration = Duration::from_secs(3600);
const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);
const MILLISECOND: Duration = Duration::from_millis(1);

/// The most frames that a queue may hold.
pub(super) const QUEUE_FRAMES_MAX: u64 = 16_777_216;
/// The fewest bytes that a queue may hold.
const QUEUE_BYTES_MIN: u64 = 4 << 10;
/// The most bytes that a queue may hold.
const QUEUE_BYTES_MAX: u64 = 1 << 40;
/// The most of a disk that may be asked to stay free.
const DISK_FREE_MAX: u64 = 1 << 50;

const SESSION_KEYS: &[&str] =
    &["directory", "duration", "flush_interval", "disk_free_min", "journal", "as_recorded", "priority"];
const PRIORITIES: &[(&str, bool)] = &[("normal", false), ("realtime", true)];
const QUEUE_KEYS: &[&str] = &["frames", "bytes", "time", "when_full"];
const JOURNALS: &[(&str, Journal)] =
    &[("auto", Journal::Auto), ("keep", Journal::Keep), ("off", Journal::Off)];
const POLICIES: &[(&str, WhenFull)] = &[
    ("block", WhenFull::Block),
    ("drop_newest", WhenFull::DropNewest),
    ("drop_oldest", WhenFull::DropOldest),
];

/// `[session]`, with defaults where it says nothing.
pub(super) fn session(table: Option<&Table>, diagnostics: &mut Diagnostics) -> SessionConfig {
    let mut session = SessionConfig::default();
    for entry in table.into_iter().flat_map(|table| &table.entries) {
        match entry.key.as_str() {
            "directory" => assign(&mut session.directory, directory(entry, diagnostics)),
            "duration" => session.duration = fields::duration(entry, MILLISECOND..=YEAR, diagnostics),
            "flush_interval" => {
                assign(&mut session.flush_interval, fields::duration(entry, MILLISECOND..=HOUR, diagnostics));
            }
            "disk_free_min" => {
                assign(&mut session.disk_free_min, fields::bytes(entry, 0..=DISK_FREE_MAX, diagnostics));
            }
            "priority" => assign(&mut session.realtime, fields::choice(entry, PRIORITIES, diagnostics)),
            "as_recorded" => assign(&mut session.as_recorded, fields::truth(entry, diagnostics)),
            "journal" => assign(&mut session.journal, fields::choice(entry, JOURNALS, diagnostics)),
            _ => diagnostics.push(fields::unknown_key(entry, SESSION_KEYS, "in [session]")),
        }
    }
    session
}

fn assign<T>(to: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *to = value;
    }
}

fn directory(entry: &Entry, diagnostics: &mut Diagnostics) -> Option<PathBuf> {
    let text = fields::text(entry, diagnostics)?;
    let refuse = |message: &str, hint: &str| {
        Diagnostic::new(Code::BadValue, entry.value.span.clone(), message).hint(hint)
    };
    if text.is_empty() || text.contains('\0') {
        diagnostics
            .push(refuse("\"directory\" must be the path of a folder", "leave it out for `recordings`"));
        None
    } else if text.starts_with("~") {
        diagnostics.push(refuse("\"~\" is not replaced in \"directory\"", "write `${HOME}` instead"));
        None
    } else {
        Some(PathBuf::from(text))
    }
}

/// What a `queue = {…}` says; what it leaves out is taken from elsewhere.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct QueuePatch {
    frames: Option<usize>,
    bytes: Option<u64>,
    time: Option<Duration>,
    when_full: Option<WhenFull>,
}

impl QueuePatch {
    /// This patch, and what it leaves out from another.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            frames: self.frames.or(other.frames),
            bytes: self.bytes.or(other.bytes),
            time: self.time.or(other.time),
            when_full: self.when_full.or(other.when_full),
        }
    }

    /// The limits, where this patch counts more than `config`.
    pub(super) fn over(self, config: QueueConfig) -> QueueConfig {
        QueueConfig {
            frames: self.frames.unwrap_or(config.frames),
            bytes: self.bytes.unwrap_or(config.bytes),
            time: self.time.or(config.time),
            when_full: self.when_full.unwrap_or(config.when_full),
        }
    }
}

/// Reads a `queue = {…}`.
pub(super) fn queue(entry: &Entry, diagnostics: &mut Diagnostics) -> QueuePatch {
    let mut patch = QueuePatch::default();
    for entry in fields::table(entry, diagnostics).into_iter().flat_map(|table| &table.entries) {
        match entry.key.as_str() {
            "frames" => {
                let frames = fields::integer(entry, 1..=QUEUE_FRAMES_MAX, diagnostics);
                patch.frames = frames.and_then(|frames| usize::try_from(frames).ok());
            }
            "bytes" => patch.bytes = fields::bytes(entry, QUEUE_BYTES_MIN..=QUEUE_BYTES_MAX, diagnostics),
            "time" => patch.time = fields::duration(entry, MILLISECOND..=HOUR, diagnostics),
            "when_full" => patch.when_full = fields::choice(entry, POLICIES, diagnostics),
            _ => diagnostics.push(fields::unknown_key(entry, QUEUE_KEYS, "in a queue")),
        }
    }
    patch
}

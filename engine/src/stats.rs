//! The counters that a running session keeps: written by the stages' threads, read by the live line and the report.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use tapedeck_sdk::panics::{caught, dropped};
use tapedeck_sdk::{Error, Loss, StreamSchema};

use crate::edge::EdgeCounters;
use crate::ledger::LossCount;
use crate::remarks::Remarks;
use crate::watermark::Reach;

/// Durations up to a minute in ns with two significant digits: 20 kB.
pub(crate) fn duration_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 2)
        .expect("the bounds are constants that hdrhistogram accepts")
}

/// Counts a duration; one beyond the bounds counts as the bound.
pub(crate) fn record(histogram: &mut Histogram<u64>, duration: Duration) {
    histogram.saturating_record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).max(1));
}

/// What a source stream has given.
#[derive(Debug)]
pub(crate) struct StreamStats {
    pub(crate) schema: Arc<StreamSchema>,
    /// The source's id.
    pub(crate) source: String,
    pub(crate) frames: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) late: AtomicU64,
    /// Frames that the source could read only in part. All streams of a source share its count; it is shown at the first.
    pub(crate) partial: AtomicU64,
    /// Numbers that a recorded stream does not have: those before its first one, and those in its gaps. No loss of this session.
    pub(crate) skipped: AtomicU64,
    /// Frames that a replay has left out because they were too late. As for `partial`.
    pub(crate) dropped: AtomicU64,
    /// Frames that the source had and could not give. As for `partial`.
    pub(crate) failed: AtomicU64,
    pub(crate) first_timestamp: AtomicI64,
    pub(crate) last_timestamp: AtomicI64,
}

impl StreamStats {
    pub(crate) fn new(schema: Arc<StreamSchema>, source: &str) -> Self {
        Self {
            schema,
            source: source.to_owned(),
            frames: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            late: AtomicU64::new(0),
            partial: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            first_timestamp: AtomicI64::new(i64::MIN),
            last_timestamp: AtomicI64::new(i64::MIN),
        }
    }
}

/// What a sink has taken of one of its inputs.
#[derive(Debug)]
pub(crate) struct InputStats {
    /// The stream's name at this place.
    pub(crate) stream: String,
    /// The source streams that it came from.
    pub(crate) origins: Vec<usize>,
    /// The edges that it came over, down from the source.
    pub(crate) edges: Vec<Arc<EdgeCounters>>,
    /// The stages that it came through, from below the source to above the sink.
    pub(crate) stages: Vec<Arc<StageStats>>,
    /// Frames handed to the sink's `write` with success.
    pub(crate) written: AtomicU64,
    /// Frames that are safe from a kill.
    pub(crate) flushed: AtomicU64,
    /// Frames that came when the sink had ended, or that it could not make safe before.
    pub(crate) failed: LossCount,
    /// Frames that the sink has refused by itself.
    pub(crate) refused: LossCount,
    pub(crate) reach: Reach,
}

impl InputStats {
    /// What was lost of this input on its way, the sink included. What the source could not give was never on the way.
    pub(crate) fn loss(&self, streams: &[Arc<StreamStats>]) -> Loss {
        let origins = || self.origins.iter().map(|&index| &streams[index]);
        let partial = origins().map(|stream| stream.partial.load(Ordering::Relaxed)).sum::<u64>();
        Loss {
            late: origins().map(|stream| stream.late.load(Ordering::Relaxed)).sum(),
            dropped: self.edges.iter().map(|edge| edge.dropped()).sum(),
            failed: self.stages.iter().map(|stage| stage.failed.get()).sum::<u64>()
                + self.failed.get()
                + self.refused.get(),
            partial: partial + self.stages.iter().map(|stage| stage.partial.get()).sum::<u64>(),
        }
    }
}

/// What became of a stage.
#[derive(Debug)]
pub(crate) struct StageStats {
    pub(crate) id: String,
    /// Frames that this stage could not take.
    pub(crate) failed: LossCount,
    /// Frames that a replay has left out because they were too late.
    pub(crate) dropped: LossCount,
    /// Frames that it has handed on, or written, with a value missing.
    pub(crate) partial: LossCount,
    /// The first thing that went wrong.
    error: Mutex<Option<Error>>,
    /// Whether that ended the stage.
    ended: AtomicBool,
    remarks: Mutex<Vec<String>>,
    /// Those of the whole session.
    all: Arc<Remarks>,
}

/// The most remarks of a stage that are kept. When there are more, the last one gives way to the next.
const REMARKS_MAX: usize = 8;

impl StageStats {
    pub(crate) fn new(id: &str, all: &Arc<Remarks>) -> Arc<Self> {
        Arc::new(Self {
            id: id.to_owned(),
            failed: LossCount::default(),
            dropped: LossCount::default(),
            partial: LossCount::default(),
            error: Mutex::default(),
            ended: AtomicBool::new(false),
            remarks: Mutex::default(),
            all: all.clone(),
        })
    }

    /// Remembers why the stage ended; the first reason is the one that counts.
    pub(crate) fn fail(&self, error: Error) {
        self.ended.store(true, Ordering::Relaxed);
        self.trouble(error);
    }

    /// Remembers what went wrong with the frames in hand; the stage goes on.
    pub(crate) fn trouble(&self, error: Error) {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// Has something to say to the user.
    pub(crate) fn remark(&self, text: String) {
        self.all.push(&self.id, &text);
        let mut remarks = self.remarks.lock().unwrap_or_else(PoisonError::into_inner);
        if remarks.len() == REMARKS_MAX {
            remarks.pop();
        }
        remarks.push(text);
    }

    pub(crate) fn remarks(&self) -> Vec<String> {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the stage ended before its time.
    pub(crate) fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    pub(crate) fn error(&self) -> Option<Error> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs a plugin's code: a panic becomes an error that names the stage.
pub(crate) fn guarded<T>(id: &str, doing: &str, run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let mut returned = false;
    let outcome = caught(|| {
        let outcome = run();
        returned = true;
        outcome
    });
    if returned { outcome } else { outcome.map_err(|panic| panicked(id, doing, &panic)) }
}

/// Drops a plugin's value that is not finished.
pub(crate) fn discard<T>(stats: &StageStats, value: T) {
    if let Err(panic) = dropped(value) {
        stats.fail(panicked(&stats.id, "its end", &panic));
    }
}

#[cold]
fn panicked(id: &str, doing: &str, panic: &Error) -> Error {
    let what = panic.message.replacen("panicked", &format!("panicked in {doing}"), 1);
    Error::plugin(format!("\"{id}\" {what}"))
        .with_hint("this is a bug of the plugin: please report it with the pipeline")
}

//! The counters that a running session keeps: written by the stages' threads, read by the live line and the report.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use tapedeck_sdk::panics::{caught, dropped};
use tapedeck_sdk::{Error, Loss, StreamSchema};

use crate::edge::EdgeCounters;
use crate::ledger::{Ledger, LossCount};
use crate::remarks::Remarks;

/// Durations up to a minute in ns with two significant digits: 20 kB.
pub(crate) fn duration_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 2)
        .expect("the bounds are constants that hdrhistogram accepts")
}

/// Counts a duration; one beyond the bounds counts as the bound.
pub(crate) fn record(histogram: &mut Histogram<u64>, duration: Duration) {
    histogram.saturating_record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).max(1));
}

/// A count as a number to divide.
#[expect(clippy::cast_precision_loss, reason = "rates are shown with few digits")]
pub(crate) fn count(count: u64) -> f64 {
    count as f64
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
    /// Those of the late ticks at which what the source samples was not there.
    pub(crate) absent: AtomicU64,
    /// Frames that the source could read only in part. All streams of a source share its count; it is shown at the first.
    pub(crate) partial: AtomicU64,
    /// Numbers that a recorded stream does not have: those before its first one, and those in its gaps. No loss of
    /// this session, and nothing that its replay has dropped.
    pub(crate) skipped: AtomicU64,
    /// Frames that a replay has left out because they were too late.
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
            absent: AtomicU64::new(0),
            partial: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            first_timestamp: AtomicI64::new(i64::MIN),
            last_timestamp: AtomicI64::new(i64::MIN),
        }
    }
}

/// Up to which `seq` a sink has the frames of one of its inputs. Written by the sink's thread.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// One more than the last `seq` that was handed to the sink.
    pub(crate) written: AtomicU64,
    /// One more than the last that is safe from a kill.
    pub(crate) flushed: AtomicU64,
    /// One more than the last that the sink has refused.
    pub(crate) refused: AtomicU64,
    /// Nothing is safe from a kill before the sink has finished.
    unsafe_to_end: AtomicBool,
}

impl Reach {
    pub(crate) fn write(&self, seq: u64) {
        self.written.store(seq + 1, Ordering::Relaxed);
    }

    /// Whether something was written that is not safe yet.
    pub(crate) fn is_behind(&self) -> bool {
        self.flushed.load(Ordering::Relaxed) < self.written.load(Ordering::Relaxed)
    }

    /// The sink has refused frames, the last of which has this `seq`.
    pub(crate) fn refuse(&self, last: u64) {
        let end = last.saturating_add(1).min(self.written.load(Ordering::Relaxed));
        self.refused.fetch_max(end, Ordering::Release);
    }

    /// From here on no flush makes anything safe.
    pub(crate) fn give_up_safety(&self) {
        self.unsafe_to_end.store(true, Ordering::Release);
    }

    pub(crate) fn is_unsafe(&self) -> bool {
        self.unsafe_to_end.load(Ordering::Acquire)
    }

    /// Everything written is safe now.
    pub(crate) fn flush(&self) {
        self.flushed.store(self.written.load(Ordering::Relaxed), Ordering::Release);
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
    /// Frames that a replay has left out because they were too late, for each of its streams; none of any other stage.
    dropped: OnceLock<Box<[LossCount]>>,
    /// Frames that it has handed on, or written, with a value missing.
    pub(crate) partial: LossCount,
    /// Ticks at which what the source samples was not there.
    pub(crate) absent: AtomicU64,
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
            dropped: OnceLock::new(),
            partial: LossCount::default(),
            absent: AtomicU64::new(0),
            error: Mutex::default(),
            ended: AtomicBool::new(false),
            remarks: Mutex::default(),
            all: all.clone(),
        })
    }

    /// The stage is a replay of so many streams.
    pub(crate) fn replays(&self, streams: usize) {
        self.dropped.get_or_init(|| (0..streams).map(|_| LossCount::default()).collect());
    }

    /// A replay has left out frames of a stream because they were too late.
    pub(crate) fn drop_of(&self, stream: usize, frames: u64) {
        if let Some(dropped) = self.dropped.get().and_then(|streams| streams.get(stream)) {
            dropped.add(frames);
        }
    }

    /// Keeps in the ledger how many frames of a stream a replay leaves out.
    pub(crate) fn keep_dropped(&self, stream: usize, ledger: &Arc<Ledger>, count: usize) {
        let dropped = self.dropped.get().and_then(|streams| streams.get(stream));
        dropped.into_iter().for_each(|dropped| dropped.keep(ledger, count));
    }

    /// How many of a stream a replay has left out.
    pub(crate) fn dropped_of(&self, stream: usize) -> u64 {
        self.dropped.get().and_then(|streams| streams.get(stream)).map_or(0, LossCount::get)
    }

    /// How many of all streams.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.get().into_iter().flatten().map(LossCount::get).sum()
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

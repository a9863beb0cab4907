//! Runs an opened pipeline: starts its threads, watches them, stops them in order, and writes down what became of it.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tapedeck_sdk::{Error, Timestamp};

use crate::clock::SessionClock;
use crate::closing;
use crate::feed::FeedTimes;
use crate::opening::{self, OpenError, Opened, RunOptions};
use crate::pipeline::Pipeline;
use crate::registry::Registry;
use crate::report::{Progress, Report};
use crate::session::{EndedBy, Manifest};
use crate::sink_stage::FinishedSink;
use crate::watch::{Parts, Watch};
use crate::{recorded, threads, wiring};

/// How often new files are looked for: a file that a kill finds unlisted is not recovered.
const ARTIFACTS_INTERVAL: Duration = Duration::from_millis(100);
/// Where the list is so long that writing it takes its time, less often: at most this part of the time is spent on it, and no new
/// file waits for longer than that.
const ARTIFACTS_SHARE: u32 = 10;
const ARTIFACTS_INTERVAL_MAX: Duration = Duration::from_secs(1);
/// How often the disk's free space is looked at.
const DISK_CHECK_INTERVAL: Duration = Duration::from_secs(1);

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

/// Counts a thread that has ended and rings, when it is dropped: also by a panic. The thread itself is still there when the bell is
/// heard, so asking it whether it has finished would come too early.
struct RingOnDrop {
    bell: Arc<Bell>,
    ended: Arc<AtomicUsize>,
}

impl Drop for RingOnDrop {
    fn drop(&mut self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        self.bell.ring();
    }
}

/// A session that runs, in the hands of who waits for its end.
pub struct Session {
    pipeline: Pipeline,
    pub(crate) opened: Opened,
    pub(crate) manifest: Manifest,
    watch: Watch,
    feeds: Vec<(usize, JoinHandle<FeedTimes>)>,
    /// How many of them have ended.
    feeds_ended: Arc<AtomicUsize>,
    workers: Vec<(usize, JoinHandle<Option<FinishedSink>>)>,
    /// When new files are looked for next.
    next_artifacts: Timestamp,
    /// Whether the files are left as they are at the end.
    pub(crate) unmeasured: bool,
}

/// What the threads left behind, by node.
pub(crate) struct Ended {
    pub(crate) feeds: Vec<(usize, FeedTimes)>,
    pub(crate) sinks: Vec<(usize, Option<FinishedSink>)>,
    pub(crate) by: EndedBy,
    pub(crate) seconds: f64,
    pub(crate) wall_seconds: f64,
}

/// Opens a checked pipeline and starts recording.
///
/// # Errors
/// Something that the pipeline names is not there, or the session's files can't be made. Nothing is left behind then.
pub fn begin(
    mut pipeline: Pipeline,
    registry: &Registry,
    options: &RunOptions,
) -> Result<Session, OpenError> {
    recorded::keep_in(&mut pipeline);
    let mut opened = opening::open(&pipeline, registry, options)?;
    let stop = Arc::new(AtomicBool::new(false));
    let duration = options.duration.or(pipeline.session.duration);
    let mut wired = wiring::wire(&pipeline, &mut opened, &stop)
        .map_err(|error| failed(&opened, "make the ledger", &error))?;
    let manifest = closing::first_manifest(&pipeline, &opened, &wired);
    manifest.write(opened.folder().path()).map_err(OpenError::Failed)?;

    let bell = Arc::new(Bell::default());
    let [workers_ended, feeds_ended] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let start = opened.clock.now();
    let end = duration.map(|duration| start + duration);
    let mut workers = Vec::new();
    for (node, worker) in std::mem::take(&mut wired.workers) {
        let ring = RingOnDrop { bell: bell.clone(), ended: workers_ended.clone() };
        let run = move || {
            let _ring = ring;
            worker.run()
        };
        let thread = threads::start(&pipeline.nodes[node].id, run);
        workers.push((node, thread.map_err(|error| failed(&opened, "start a thread", &error))?));
    }
    let mut feeds = Vec::new();
    for (node, feed) in std::mem::take(&mut wired.feeds) {
        let ring = RingOnDrop { bell: bell.clone(), ended: feeds_ended.clone() };
        let run = move || {
            let _ring = ring;
            feed.run(start, end)
        };
        let thread = threads::start(&pipeline.nodes[node].id, run);
        feeds.push((node, thread.map_err(|error| failed(&opened, "start a thread", &error))?));
    }
    let watch = Watch::new(&pipeline, &opened, &wired.parts, start, end, StopHandle { stop, bell });
    Ok(Session {
        pipeline,
        opened,
        manifest,
        watch,
        feeds,
        feeds_ended,
        workers,
        next_artifacts: start,
        unmeasured: options.unmeasured,
    })
}

fn failed(opened: &Opened, doing: &str, error: &io::Error) -> OpenError {
    OpenError::Failed(Error::io(doing, opened.folder().path(), error))
}

impl Session {
    /// A handle that stops the session.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.watch.stop_handle()
    }

    /// The session as any thread may see it, for as long as it likes.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// The session's folder.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.opened.folder().path()
    }

    /// The session's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.opened.info.id
    }

    /// Waits until the session has ended, showing its progress meanwhile.
    ///
    /// # Errors
    /// The manifest can't be written. The recording itself is as the sinks left it.
    pub fn wait(mut self, look_interval: Duration, mut look: impl FnMut(&Progress)) -> Result<Report, Error> {
        let by = self.watch_it(look_interval, &mut look);
        // A pause that nobody has ended ends with the session.
        self.opened.events.resume();
        let mut feeds = Vec::new();
        for (node, feed) in std::mem::take(&mut self.feeds) {
            feeds.extend(feed.join().ok().map(|times| (node, times)));
        }
        let seconds = seconds(self.opened.time.running().since(self.watch.start()));
        let mut sinks = Vec::new();
        for (node, worker) in std::mem::take(&mut self.workers) {
            // From the bell's point of view a worker that panicked has ended too; its sink has no latency to tell.
            sinks.push((node, worker.join().unwrap_or_default()));
        }
        let wall_seconds = self::seconds(self.clock().now().since(self.watch.start()));
        let ended = Ended { feeds, sinks, by, seconds, wall_seconds };
        let (pipeline, watch) = (self.pipeline.clone(), self.watch.clone());
        let report = closing::close(&pipeline, self, ended);
        watch.has_ended(report.clone());
        report
    }

    fn clock(&self) -> SessionClock {
        self.opened.clock
    }

    /// Watches until the sources have ended, or should.
    fn watch_it(&mut self, look_interval: Duration, look: &mut impl FnMut(&Progress)) -> EndedBy {
        let start = self.watch.start();
        let (mut next_look, mut next_disk_check) = (start + look_interval, start + DISK_CHECK_INTERVAL);
        let by = loop {
            if let Some(by) = self.ended_by() {
                break by;
            }
            let now = self.clock().now();
            if now >= next_look {
                next_look = now + look_interval;
                self.watch.measure_rate();
                look(&self.watch.progress());
            }
            if now >= next_disk_check {
                next_disk_check = now + DISK_CHECK_INTERVAL;
                if self
                    .opened
                    .folder()
                    .disk_free()
                    .is_ok_and(|free| free < self.pipeline.session.disk_free_min)
                {
                    break EndedBy::DiskFree;
                }
            }
            self.note_new_artifacts();
            let now = self.clock().now();
            self.watch.bell().wait(next_look.min(next_disk_check).since(now).min(ARTIFACTS_INTERVAL));
        };
        self.watch.stop_handle().stop();
        by
    }

    fn ended_by(&self) -> Option<EndedBy> {
        if self.watch.stops() {
            return Some(EndedBy::Stop);
        }
        let failed = |(node, _): &(usize, _)| self.opened.nodes[*node].stats.error().is_some();
        if self.parts().sinks.iter().all(failed) {
            return Some(EndedBy::Failure);
        }
        let feeds_ended = self.feeds_ended.load(Ordering::Relaxed) == self.feeds.len();
        let reached = self.watch.end().is_some_and(|end| self.opened.time.running() >= end);
        feeds_ended.then_some(if reached { EndedBy::Duration } else { EndedBy::Sources })
    }

    /// A file that a sink began in mid-recording belongs into the manifest before a kill.
    fn note_new_artifacts(&mut self) {
        let now = self.clock().now();
        if now >= self.next_artifacts
            && (self.opened.folder().artifact_count() != self.manifest.artifacts.len()
                || self.opened.events.count() != self.manifest.events.len())
        {
            self.manifest.events = self.opened.events.all();
            let artifacts = closing::artifacts(self.opened.folder());
            self.manifest.artifacts = artifacts;
            // Not fatal: the manifest that stands is whole, and the next look tries again.
            if self.manifest.write(self.opened.folder().path()).is_err() {
                self.manifest.artifacts.clear();
            }
            let took = self.clock().now().since(now) * ARTIFACTS_SHARE;
            self.next_artifacts = now + took.clamp(ARTIFACTS_INTERVAL, ARTIFACTS_INTERVAL_MAX);
        }
    }

    /// What is counted.
    pub(crate) fn parts(&self) -> &Parts {
        self.watch.parts()
    }
}

pub(crate) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// A count as a number to divide.
#[expect(clippy::cast_precision_loss, reason = "rates are shown with few digits")]
pub(crate) fn count(count: u64) -> f64 {
    count as f64
}

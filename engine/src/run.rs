//! Runs an opened pipeline: starts its threads, watches them, stops them in order, and writes down what became of it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tapedeck_sdk::{Error, Timestamp};

use crate::bell::{Bell, RingOnDrop, StopHandle};
use crate::clock::SessionClock;
use crate::closing::{self, Ended};
use crate::feed::FeedTimes;
use crate::opening::{self, OpenError, Opened, RunOptions};
use crate::pipeline::Pipeline;
use crate::registry::Registry;
use crate::report::{Progress, Report};
use crate::session::{EndedBy, Manifest};
use crate::sink_stage::FinishedSink;
use crate::watch::Watch;
use crate::wiring::Wired;
use crate::{recorded, threads, wiring};

/// How often new files are looked for: a file that a kill finds unlisted is not recovered.
const ARTIFACTS_INTERVAL: Duration = Duration::from_millis(100);
/// Where the list is so long that writing it takes its time, less often: at most this part of the time is spent on it, and no new
/// file waits for longer than that.
const ARTIFACTS_SHARE: u32 = 10;
const ARTIFACTS_INTERVAL_MAX: Duration = Duration::from_secs(1);
/// How often the disk's free space is looked at.
const DISK_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A session that runs, in the hands of who waits for its end.
pub struct Session {
    pipeline: Pipeline,
    opened: Opened,
    manifest: Manifest,
    watch: Watch,
    feeds: Vec<(usize, JoinHandle<FeedTimes>)>,
    /// How many of them have ended.
    feeds_ended: Arc<AtomicUsize>,
    workers: Vec<(usize, JoinHandle<Option<FinishedSink>>)>,
    /// When new files are looked for next.
    next_artifacts: Timestamp,
    /// Whether the files are left as they are at the end.
    unmeasured: bool,
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
    let opened = opening::open(&pipeline, registry, options)?;
    let folder = opened.folder().path().to_owned();
    start(pipeline, opened, options).map_err(|error| {
        // No thread of the session runs any more.
        drop(std::fs::remove_dir_all(folder));
        OpenError::Failed(error)
    })
}

/// Connects the stages and starts their threads.
fn start(pipeline: Pipeline, mut opened: Opened, options: &RunOptions) -> Result<Session, Error> {
    let path = opened.folder().path().to_owned();
    let failed = |doing: &str, error: &io::Error| Error::io(doing, &path, error);
    let handle = StopHandle { stop: Arc::default(), bell: Arc::default() };
    let duration = options.duration.or(pipeline.session.duration);
    let mut wired = wiring::wire(&pipeline, &mut opened, &handle.stop)
        .map_err(|error| failed("make the ledger", &error))?;
    let manifest = closing::first_manifest(&pipeline, &opened, &wired);
    manifest.write(&path)?;

    let start = opened.clock.now();
    let end = duration.map(|duration| start + duration);
    let mut threads = Threads::default();
    if let Err(error) = threads.start(&pipeline, &mut wired, &handle.bell, start, end) {
        handle.stop();
        // The edges of stages without a thread are closed.
        drop(wired);
        threads.join();
        return Err(failed("start a thread", &error));
    }
    let watch = Watch::new(&pipeline, &opened, &wired.parts, start, end, handle);
    let Threads { feeds, feeds_ended, workers, .. } = threads;
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

/// The threads of a session. Each rings the bell when it ends.
#[derive(Default)]
struct Threads {
    feeds: Vec<(usize, JoinHandle<FeedTimes>)>,
    feeds_ended: Arc<AtomicUsize>,
    workers: Vec<(usize, JoinHandle<Option<FinishedSink>>)>,
    workers_ended: Arc<AtomicUsize>,
}

impl Threads {
    /// Starts those that take frames before those that give them.
    fn start(
        &mut self,
        pipeline: &Pipeline,
        wired: &mut Wired,
        bell: &Arc<Bell>,
        start: Timestamp,
        end: Option<Timestamp>,
    ) -> io::Result<()> {
        for (node, worker) in std::mem::take(&mut wired.workers) {
            let ring = RingOnDrop { bell: bell.clone(), ended: self.workers_ended.clone() };
            let run = move || {
                let _ring = ring;
                worker.run()
            };
            self.workers.push((node, threads::start(&pipeline.nodes[node].id, run)?));
        }
        for (node, feed) in std::mem::take(&mut wired.feeds) {
            let ring = RingOnDrop { bell: bell.clone(), ended: self.feeds_ended.clone() };
            let run = move || {
                let _ring = ring;
                feed.run(start, end)
            };
            self.feeds.push((node, threads::start(&pipeline.nodes[node].id, run)?));
        }
        Ok(())
    }

    /// Waits until all have ended; what they say is not wanted.
    fn join(self) {
        self.feeds.into_iter().for_each(|(_, feed)| drop(feed.join()));
        self.workers.into_iter().for_each(|(_, worker)| drop(worker.join()));
    }
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
        let seconds = self.opened.time.running().since(self.watch.start()).as_secs_f64();
        let mut sinks = Vec::new();
        for (node, worker) in std::mem::take(&mut self.workers) {
            // From the bell's point of view a worker that panicked has ended too; its sink has no latency to tell.
            sinks.push((node, worker.join().unwrap_or_default()));
        }
        let wall_seconds = self.clock().now().since(self.watch.start()).as_secs_f64();
        let ended = Ended { feeds, sinks, by, seconds, wall_seconds, unmeasured: self.unmeasured };
        let report = closing::close(&self.pipeline, &self.opened, self.manifest.clone(), &self.watch, &ended);
        let watch = self.watch.clone();
        drop(self);
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
        if self.watch.parts().sinks.iter().all(failed) {
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
            && (self.opened.folder().recording_count() != self.manifest.artifacts.len()
                || self.opened.events.is_ahead_of(&self.manifest))
        {
            self.opened.events.write(&mut self.manifest);
            let artifacts = closing::recordings(self.opened.folder());
            self.manifest.artifacts = artifacts;
            // Not fatal: the manifest that stands is whole, and the next look tries again.
            if self.manifest.write(self.opened.folder().path()).is_err() {
                self.manifest.artifacts.clear();
            }
            let took = self.clock().now().since(now) * ARTIFACTS_SHARE;
            self.next_artifacts = now + took.clamp(ARTIFACTS_INTERVAL, ARTIFACTS_INTERVAL_MAX);
        }
    }
}

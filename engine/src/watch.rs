//! A running session as anybody may see it from any thread: its counts at this moment, what its stages say, its streams; and what can be
//! asked of it: to stop, to pause, to set a mark. A watcher disturbs neither the recording nor another watcher.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tapedeck_sdk::{Error, Loss, StreamSchema, Timestamp, Told};

use crate::bell::{Bell, StopHandle};
use crate::clock::SessionTime;
use crate::opening::Opened;
use crate::pipeline::Pipeline;
use crate::remarks::Remarks;
use crate::report::{Progress, Remark, Report, SinkProgress, StreamProgress};
use crate::session::{Ears, Events};
use crate::stats::{InputStats, StageStats, StreamStats, count};
use crate::tap::{Tap, TapPoint};

/// What is counted in a session. Written by its threads.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) streams: Vec<Arc<StreamStats>>,
    /// For each sink node: its inputs.
    pub(crate) sinks: Vec<(usize, Vec<Arc<InputStats>>)>,
    pub(crate) stages: Vec<Arc<StageStats>>,
    /// Where each stream can be listened to, those of transforms included.
    pub(crate) taps: Vec<(Arc<StreamSchema>, Arc<TapPoint>)>,
}

/// A session, seen from any thread. Cheap to clone; stays readable after the session has ended.
#[derive(Clone)]
pub struct Watch(Arc<Watched>);

struct Watched {
    id: String,
    folder: PathBuf,
    time: SessionTime,
    start: Timestamp,
    end: Option<Timestamp>,
    parts: Parts,
    /// The stats of each sink, in the order of `parts.sinks`.
    sink_stats: Vec<Arc<StageStats>>,
    ears: Vec<(String, Arc<Ears>)>,
    events: Arc<Events>,
    remarks: Arc<Remarks>,
    handle: StopHandle,
    rate: Rate,
    ended: Mutex<Option<Result<Report, Error>>>,
    signal: Condvar,
}

/// Frames a second, measured by one thread from time to time and read by all.
#[derive(Default)]
struct Rate {
    /// When and at how many frames it was measured.
    last: Mutex<Option<(Timestamp, u64)>>,
    /// The bits of an `f64`.
    frames_per_second: AtomicU64,
}

impl Watch {
    pub(crate) fn new(
        pipeline: &Pipeline,
        opened: &Opened,
        parts: &Parts,
        start: Timestamp,
        end: Option<Timestamp>,
        handle: StopHandle,
    ) -> Self {
        let stats = |(node, _): &(usize, _)| opened.nodes[*node].stats.clone();
        let ears = pipeline.nodes.iter().zip(&opened.nodes);
        Self(Arc::new(Watched {
            id: opened.info.id.clone(),
            folder: opened.folder().path().to_owned(),
            time: opened.time.clone(),
            start,
            end,
            sink_stats: parts.sinks.iter().map(stats).collect(),
            parts: parts.clone(),
            ears: ears.map(|(node, open)| (node.id.clone(), open.host.ears.clone())).collect(),
            events: opened.events.clone(),
            remarks: opened.remarks.clone(),
            handle,
            rate: Rate::default(),
            ended: Mutex::default(),
            signal: Condvar::new(),
        }))
    }

    /// The session's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The session's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Asks the session to end: sources stop, queues drain, sinks finish.
    pub fn stop(&self) {
        self.0.handle.stop();
    }

    /// Pauses the session: its time stands still, and sources are not asked.
    pub fn pause(&self) {
        self.0.events.pause();
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.0.events.resume();
    }

    /// Whether the session pauses.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.0.time.is_paused()
    }

    /// Sets a mark at this moment. It stands in the manifest.
    pub fn mark(&self, label: &str) {
        self.0.events.mark(label);
    }

    /// Tells a stage something. It stands in the manifest.
    ///
    /// # Errors
    /// There is no such stage, or it does not listen.
    pub fn tell(&self, stage: &str, told: Told) -> Result<(), Error> {
        let Some((_, ears)) = self.0.ears.iter().find(|(id, _)| id == stage) else {
            let ids: Vec<&str> = self.0.ears.iter().map(|(id, _)| id.as_str()).collect();
            return Err(Error::environment(format!("there is no stage \"{stage}\""))
                .with_hint(tapedeck_sdk::names::did_you_mean(stage, ids, "stages")));
        };
        self.0.events.tell(stage, ears, told)
    }

    /// Listens to a stream of a source or a transform: at most `batches_max` of its newest batches wait.
    ///
    /// # Errors
    /// There is no such stream.
    pub fn tap(&self, stream: &str, batches_max: usize) -> Result<Tap, Error> {
        let taps = &self.0.parts.taps;
        if let Some((schema, point)) = taps.iter().find(|(schema, _)| schema.name() == stream) {
            return Ok(point.listen(schema.clone(), batches_max));
        }
        let names: Vec<&str> = taps.iter().map(|(schema, _)| schema.name()).collect();
        Err(Error::environment(format!("there is no stream \"{stream}\""))
            .with_hint(tapedeck_sdk::names::did_you_mean(stream, names, "streams")))
    }

    /// What stages have said, from the remark of that number on; the newest 1,024 are kept.
    #[must_use]
    pub fn remarks_since(&self, number: u64) -> Vec<Remark> {
        self.0.remarks.since(number)
    }

    /// The report, once the session has ended.
    #[must_use]
    pub fn report(&self) -> Option<Result<Report, Error>> {
        self.0.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the session has ended, at most so long.
    #[must_use]
    pub fn wait_for(&self, patience: Duration) -> Option<Result<Report, Error>> {
        let ended = self.0.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.signal.wait_timeout_while(ended, patience, |ended| ended.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// The session at this moment.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let parts = &self.0.parts;
        let now = self.0.time.running();
        let inputs = || parts.sinks.iter().flat_map(|(_, inputs)| inputs);
        let unflushed = |input: &Arc<InputStats>| {
            input.written.load(Ordering::Relaxed).saturating_sub(input.flushed.load(Ordering::Relaxed))
        };
        let waiting = |input: &Arc<InputStats>| input.edges.iter().map(|edge| edge.waiting()).sum::<u64>();
        let streams: Vec<StreamProgress> =
            parts.streams.iter().map(|stream| stream_progress(stream)).collect();
        Progress {
            elapsed_seconds: now.since(self.0.start).as_secs_f64(),
            left_seconds: self.0.end.map(|end| end.since(now).as_secs_f64()),
            frames: streams.iter().map(|stream| stream.frames).sum(),
            frames_per_second: f64::from_bits(self.0.rate.frames_per_second.load(Ordering::Relaxed)),
            bytes: parts.streams.iter().map(|stream| stream.bytes.load(Ordering::Relaxed)).sum(),
            loss: self.total_loss(),
            waiting: inputs().map(waiting).max().unwrap_or(0),
            unflushed: inputs().map(unflushed).max().unwrap_or(0),
            streams,
            sinks: self.sink_progress(),
        }
    }

    fn sink_progress(&self) -> Vec<SinkProgress> {
        let sinks = self.0.parts.sinks.iter().zip(&self.0.sink_stats);
        let sum = |inputs: &[Arc<InputStats>], of: fn(&InputStats) -> &AtomicU64| {
            inputs.iter().map(|input| of(input).load(Ordering::Relaxed)).sum()
        };
        let progress = |((_, inputs), stats): (&(usize, Vec<Arc<InputStats>>), &Arc<StageStats>)| {
            let losses = inputs.iter().map(|input| input.loss(&self.0.parts.streams));
            SinkProgress {
                id: stats.id.clone(),
                written: sum(inputs, |input| &input.written),
                safe: sum(inputs, |input| &input.flushed),
                loss: losses.fold(Loss::default(), |one, other| one + other),
                error: stats.error(),
            }
        };
        sinks.map(progress).collect()
    }

    /// All that was lost, each loss counted once: late at its source, dropped at its edge, failed at its stage.
    pub(crate) fn total_loss(&self) -> Loss {
        let parts = &self.0.parts;
        let mut edges: Vec<_> =
            parts.sinks.iter().flat_map(|(_, inputs)| inputs.iter().flat_map(|i| &i.edges)).collect();
        edges.sort_by_key(|edge| Arc::as_ptr(edge));
        edges.dedup_by_key(|edge| Arc::as_ptr(edge));
        let inputs = parts.sinks.iter().flat_map(|(_, inputs)| inputs);
        Loss {
            late: parts.streams.iter().map(|stream| stream.late.load(Ordering::Relaxed)).sum(),
            dropped: edges.iter().map(|edge| edge.dropped()).sum::<u64>()
                + parts.stages.iter().map(|stage| stage.dropped()).sum::<u64>(),
            // What a sink has refused stands at its inputs.
            failed: parts.stages.iter().map(|stage| stage.failed.get()).sum::<u64>()
                + inputs.map(|input| input.failed.get() + input.refused.get()).sum::<u64>(),
            partial: parts.stages.iter().map(|stage| stage.partial.get()).sum(),
        }
    }

    /// Measures how many frames there are a second, since the last call. By the one thread that waits for the session.
    pub(crate) fn measure_rate(&self) {
        let now = self.0.time.clock().now();
        let frames =
            self.0.parts.streams.iter().map(|stream| stream.frames.load(Ordering::Relaxed)).sum::<u64>();
        let mut last = self.0.rate.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, before) = last.replace((now, frames)).unwrap_or((self.0.start, 0));
        let rate = count(frames.saturating_sub(before)) / now.since(since).as_secs_f64().max(1e-9);
        self.0.rate.frames_per_second.store(rate.to_bits(), Ordering::Relaxed);
    }

    pub(crate) fn has_ended(&self, report: Result<Report, Error>) {
        *self.0.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
        self.0.signal.notify_all();
    }

    pub(crate) fn stop_handle(&self) -> StopHandle {
        self.0.handle.clone()
    }

    pub(crate) fn stops(&self) -> bool {
        self.0.handle.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn bell(&self) -> &Bell {
        &self.0.handle.bell
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.0.parts
    }

    pub(crate) fn start(&self) -> Timestamp {
        self.0.start
    }

    pub(crate) fn end(&self) -> Option<Timestamp> {
        self.0.end
    }
}

fn stream_progress(stream: &StreamStats) -> StreamProgress {
    let frames = stream.frames.load(Ordering::Relaxed);
    StreamProgress {
        name: stream.schema.name().to_owned(),
        frames,
        newest: (frames > 0).then(|| stream.last_timestamp.load(Ordering::Relaxed)),
        loss: Loss {
            late: stream.late.load(Ordering::Relaxed),
            dropped: stream.dropped.load(Ordering::Relaxed),
            failed: stream.failed.load(Ordering::Relaxed),
            partial: stream.partial.load(Ordering::Relaxed),
        },
    }
}

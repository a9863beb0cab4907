//! What a session says of itself: while it runs ([`Progress`]) and when it has ended ([`Report`]).

use std::collections::HashSet;
use std::path::PathBuf;

use hdrhistogram::Histogram;
use serde::Serialize;
use tapedeck_sdk::{Error, Loss};

use crate::session::{EndedBy, Status};

/// A look at a running session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// Seconds since the first tick.
    pub elapsed_seconds: f64,
    /// Seconds until the end, if the session has a duration.
    pub left_seconds: Option<f64>,
    /// Frames that the sources gave.
    pub frames: u64,
    /// Frames a second, over the last look's interval.
    pub frames_per_second: f64,
    /// Bytes of these frames in memory.
    pub bytes: u64,
    /// All that was lost so far.
    pub loss: Loss,
    /// Frames that wait in queues.
    pub waiting: u64,
    /// Frames written by some sink that a kill would still cost.
    pub unflushed: u64,
    /// Each stream, in the order of the manifest.
    pub streams: Vec<StreamProgress>,
    /// Each sink.
    pub sinks: Vec<SinkProgress>,
}

/// A look at a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamProgress {
    /// Its name.
    pub name: String,
    /// Frames that its source gave.
    pub frames: u64,
    /// The time of the newest one, in ns since the Unix epoch.
    pub newest: Option<i64>,
    /// What was lost at its source.
    pub loss: Loss,
}

/// A look at a sink.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SinkProgress {
    /// Its id.
    pub id: String,
    /// Frames written, over all inputs.
    pub written: u64,
    /// Frames that a kill would not cost.
    pub safe: u64,
    /// What was lost on the way to it, and by it.
    pub loss: Loss,
    /// Why it has ended before its time.
    pub error: Option<Error>,
}

/// Percentiles of a duration, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// Half are below this.
    pub p50: u64,
    /// 99 % are below this.
    pub p99: u64,
    /// 99.9 % are below this.
    pub p999: u64,
    /// The longest.
    pub max: u64,
}

impl Percentiles {
    /// The percentiles of a histogram; `None` when it is empty.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Option<Self> {
        (!histogram.is_empty()).then(|| Self {
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        })
    }
}

/// What a session was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The session's id.
    pub session: String,
    /// The session's folder.
    pub folder: PathBuf,
    /// How far it got.
    pub status: Status,
    /// What ended it.
    pub ended_by: EndedBy,
    /// Seconds from the first tick until the sources had stopped.
    pub duration_seconds: f64,
    /// Seconds from the first tick until the last file was closed.
    pub wall_seconds: f64,
    /// The source streams.
    pub streams: Vec<StreamReport>,
    /// The sinks.
    pub sinks: Vec<SinkReport>,
    /// Stages that lost something, or that have something to say.
    pub stages: Vec<StageReport>,
    /// All that was lost, each loss counted once.
    pub loss: Loss,
}

/// How a session came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Outcome {
    /// Everything was recorded.
    Complete,
    /// It was recorded, but not all of it.
    Partial,
    /// A source, a transform or every sink ended before its time.
    Failed,
}

impl Report {
    /// How the session came out.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let sinks: HashSet<&str> = self.sinks.iter().map(|sink| sink.id.as_str()).collect();
        let other_ended = self.stages.iter().any(|stage| stage.ended && !sinks.contains(&*stage.id));
        let failed = |sink: &SinkReport| sink.error.is_some();
        if self.ended_by == EndedBy::Failure || other_ended || self.sinks.iter().all(failed) {
            return Outcome::Failed;
        }
        let partly = self.loss.any() || self.ended_by == EndedBy::DiskFree || self.sinks.iter().any(failed);
        if partly { Outcome::Partial } else { Outcome::Complete }
    }
}

/// A source stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StreamReport {
    /// Its name.
    pub name: String,
    /// Frames that the source gave.
    pub frames: u64,
    /// Frames a second, between the first and the last.
    pub frames_per_second: f64,
    /// Bytes in memory.
    pub bytes: u64,
    /// Ticks that were missed.
    pub late: u64,
    /// Those of them at which what the source samples was not there.
    pub absent: u64,
    /// Frames that the source had and could not give.
    pub failed: u64,
    /// Frames that could be read only in part.
    pub partial: u64,
    /// How late the ticks were taken up (polled sources), or recorded frames were given (replays that keep time).
    pub tick_lateness: Option<Percentiles>,
    /// How long the source took for a batch.
    pub call: Option<Percentiles>,
}

/// A sink.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SinkReport {
    /// Its id.
    pub id: String,
    /// Its plugin.
    pub plugin: String,
    /// Frames written, over all inputs.
    pub frames: u64,
    /// What was lost on the way to it, and by it.
    pub loss: Loss,
    /// From a frame's timestamp until the sink had taken it.
    pub latency: Option<Percentiles>,
    /// How long the sink took for a batch.
    pub call: Option<Percentiles>,
    /// Its files, relative to the session's folder, with their sizes.
    pub files: Vec<(String, u64)>,
    /// Why it ended before its time.
    pub error: Option<Error>,
}

/// A stage that lost something, or that has something to say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageReport {
    /// Its id.
    pub id: String,
    /// The first thing that went wrong.
    pub error: Option<Error>,
    /// Whether that ended the stage; else only the frames in hand were lost.
    pub ended: bool,
    /// What it has to say.
    pub remarks: Vec<String>,
}

/// Something that a stage has to say while the session runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// Its number: they rise by one.
    pub number: u64,
    /// The stage's id.
    pub stage: String,
    /// What it says.
    pub text: String,
}

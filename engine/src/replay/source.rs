//! The source `replay`: gives recorded frames when they are due, with the numbers and times that they have.

use std::sync::Arc;
use std::time::Duration;

use tapedeck_sdk::{
    Batch, BatchPool, Context, Description, Descriptor, Error, Factory, Next, Opener, Source, StreamSchema,
    Timestamp,
};

use super::ahead::Ahead;
use super::looped::LoopedReel;
use super::options::{Behind, ReplayOptions, Timing};
use super::{Moment, Reel};
use crate::clock::{PlayedTime, SessionTime};
use crate::registry::Registry;
use crate::stats::StageStats;

/// The longest that one call waits.
const CALL_MAX: Duration = Duration::from_millis(50);
/// A sleep ends so long before a frame is due; the rest is waited for awake, since a wake-up takes about so long.
const AWAKE: Duration = Duration::from_micros(60);
/// Frames that are due within this time go together.
const TOGETHER: Duration = Duration::from_micros(50);
/// With `slip`: a replay that is less late than this is in time.
const SLIP_MIN: Duration = Duration::from_millis(1);

/// What the pipeline's check knows of the source. It is opened by the engine itself: see [`open`].
pub(crate) fn factory() -> Factory {
    let description =
        Description::source("replay", "Plays recordings again, with their own timing").recorded();
    let options = schemars::schema_for!(ReplayOptions).to_value();
    let parse = |options: &serde_json::Value| -> Result<ReplayOptions, Error> {
        <ReplayOptions as serde::Deserialize>::deserialize(options)
            .map_err(|error| Error::new(tapedeck_sdk::ErrorKind::Options, error.to_string()))
    };
    let check = move |options: &serde_json::Value| parse(options)?.check();
    let open =
        |_: &serde_json::Value, _: Context| Err(Error::plugin("a replay is opened by the engine only"));
    Factory::from_parts(Descriptor { description, options }, Box::new(check), Opener::Source(Box::new(open)))
        .expect("the opener is a source's")
}

/// Where the batches come from.
enum Supply {
    /// Another thread, so that reading delays no frame that is due.
    Ahead(Ahead),
    /// The source's own thread: where nothing is due, another one only moves the data between caches.
    Here(Box<LoopedReel>),
}

impl Supply {
    /// The next batch and its stream; `None` at the end. `Err(None)`: not yet.
    fn next(&mut self) -> Result<Option<(usize, Batch)>, Option<Error>> {
        match self {
            Self::Ahead(ahead) => ahead.next(CALL_MAX),
            Self::Here(reel) => reel.read().map_err(Some),
        }
    }
}

/// Recordings that are played.
pub(crate) struct ReplaySource {
    streams: Vec<Arc<StreamSchema>>,
    pools: Vec<BatchPool>,
    supply: Supply,
    /// The batch in hand, its stream, and its next row.
    current: Option<(usize, Batch, usize)>,
    time: SessionTime,
    played: Arc<PlayedTime>,
    timing: Timing,
    behind: Behind,
    late_max: Duration,
    stats: Arc<StageStats>,
}

/// Opens a replay.
pub(crate) fn open(
    registry: &Registry,
    options: &serde_json::Value,
    id: &str,
    time: &SessionTime,
    stats: &Arc<StageStats>,
) -> Result<ReplaySource, Error> {
    let options: ReplayOptions = serde_json::from_value(options.clone())
        .map_err(|error| Error::new(tapedeck_sdk::ErrorKind::Options, error.to_string()))?;
    options.check()?;
    let blame = |error: Error| match error.kind {
        tapedeck_sdk::ErrorKind::Environment | tapedeck_sdk::ErrorKind::Data => error.at_option(["path"]),
        _ => error,
    };
    let window = options.window()?;
    let mut reel = Reel::open(registry, options.path.as_slice(), &options.streams).map_err(blame)?;
    reel.remarks().iter().for_each(|remark| stats.remark(remark.clone()));
    let begin = reel.begin()?.unwrap_or(Timestamp(0));
    reel.show(window)?;
    let begin = match window.start {
        Some(Moment::After(after)) => begin + after,
        Some(Moment::At(time)) => time,
        None => begin,
    };
    let speed = if options.timing == Timing::None { 0.0 } else { options.speed };
    let played = time.play(begin, speed)?;
    let streams = reel.streams().to_vec();
    stats.replays(streams.len());
    let reel = LoopedReel::new(reel, window, options.r#loop);
    let supply = match options.timing {
        Timing::None => Supply::Here(Box::new(reel)),
        Timing::Recorded => Supply::Ahead(
            Ahead::start(reel, id)
                .map_err(|error| Error::environment(format!("can't start a thread: {error}")))?,
        ),
    };
    Ok(ReplaySource {
        pools: streams.iter().map(|schema| BatchPool::new(schema.clone())).collect(),
        streams,
        supply,
        current: None,
        time: time.clone(),
        played,
        timing: options.timing,
        behind: options.behind,
        late_max: options.late_max.0,
        stats: stats.clone(),
    })
}

impl ReplaySource {
    /// Waits until a time of the recording; false when that takes longer than a call may.
    fn wait_until(&self, recorded: Timestamp) -> bool {
        let now = self.time.running();
        self.played.begin(now);
        let due = self.played.due(recorded);
        if due > now + CALL_MAX {
            self.time.sleep_until(now + CALL_MAX);
            return false;
        }
        if due > now + AWAKE {
            self.time.sleep_until(due - AWAKE);
        }
        while self.time.running() < due {
            if self.time.is_paused() {
                return false;
            }
            std::hint::spin_loop();
        }
        true
    }

    /// Leaves out rows of the batch in hand that are too late. Returns its next row, if there is one left.
    fn drop_late(&mut self, now: Timestamp, stream: usize, batch: &Batch, row: usize) -> usize {
        let late = |&time: &i64| now.since(self.played.due(Timestamp(time))) > self.late_max;
        let late = batch.timestamps()[row..].iter().take_while(|time| late(time)).count();
        self.stats.drop_of(stream, late as u64);
        row + late
    }

    /// The rows that are due, as a batch; what is not stays in hand.
    fn give(&mut self, stream: usize, batch: Batch, row: usize, count: usize) -> Next {
        if row == 0 && count == batch.rows() {
            return Next::Batch { output: stream, batch };
        }
        let mut builder = self.pools[stream].builder(count);
        builder.append(&batch, row..row + count);
        let given = builder.finish();
        if row + count < batch.rows() {
            self.current = Some((stream, batch, row + count));
        }
        Next::Batch { output: stream, batch: given }
    }

    fn give_due(&mut self, stream: usize, batch: Batch, mut row: usize) -> Next {
        loop {
            let recorded = Timestamp(batch.timestamps()[row]);
            if !self.wait_until(recorded) {
                self.current = Some((stream, batch, row));
                return Next::Idle;
            }
            let now = self.time.running();
            let lateness = now.since(self.played.due(recorded));
            match self.behind {
                Behind::Slip if lateness > SLIP_MIN => self.time.slip(&self.played, recorded),
                Behind::Drop if lateness > self.late_max => {
                    row = self.drop_late(now, stream, &batch, row);
                    if row == batch.rows() {
                        return Next::Idle;
                    }
                    // The next row may not be due yet.
                    continue;
                }
                _ => {}
            }
            let horizon = self.played.due_by(self.time.running() + TOGETHER);
            let due = batch.timestamps()[row..].iter().take_while(|&&time| time <= horizon.0).count();
            return self.give(stream, batch, row, due.max(1));
        }
    }
}

impl Source for ReplaySource {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn next(&mut self, _deadline: Timestamp) -> Result<Next, Error> {
        let (stream, batch, row) = match self.current.take() {
            Some(current) => current,
            None => match self.supply.next() {
                Ok(Some((stream, batch))) => (stream, batch, 0),
                Ok(None) => return Ok(Next::End),
                Err(None) => return Ok(Next::Idle),
                Err(Some(error)) => return Err(error),
            },
        };
        if self.timing == Timing::None {
            let last = batch.timestamps().last().copied().unwrap_or(0);
            self.played.reach(Timestamp(last));
            return Ok(Next::Batch { output: stream, batch });
        }
        Ok(self.give_due(stream, batch, row))
    }
}

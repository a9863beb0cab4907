//! The source `replay`: gives recorded frames when they are due, with the numbers and times that they have.

use std::sync::Arc;
use std::time::Duration;

use tapedeck_sdk::{
    Batch, BatchPool, Context, Description, Descriptor, Error, Factory, Next, Opener, Source, StreamSchema,
    Timestamp,
};

use super::ahead::Ahead;
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

/// Recordings that are played.
pub(crate) struct ReplaySource {
    streams: Vec<Arc<StreamSchema>>,
    pools: Vec<BatchPool>,
    ahead: Ahead,
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
    let ahead = Ahead::start(reel, window, options.r#loop, options.timing, id)
        .map_err(|error| Error::environment(format!("can't start a thread: {error}")))?;
    Ok(ReplaySource {
        pools: streams.iter().map(|schema| BatchPool::new(schema.clone())).collect(),
        streams,
        ahead,
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
    fn wait_until(&self, recorded: i64) -> bool {
        let now = self.time.running();
        self.played.begin(now);
        let due = self.played.due(Timestamp(recorded));
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
    fn drop_late(&mut self, now: Timestamp, batch: &Batch, row: usize) -> usize {
        let late = |&time: &i64| now.since(self.played.due(Timestamp(time))) > self.late_max;
        let late = batch.timestamps()[row..].iter().take_while(|time| late(time)).count();
        self.stats.dropped.add(late as u64);
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
        if !self.wait_until(batch.timestamps()[row]) {
            self.current = Some((stream, batch, row));
            return Next::Idle;
        }
        let now = self.time.running();
        let lateness = now.since(self.played.due(Timestamp(batch.timestamps()[row])));
        match self.behind {
            Behind::Slip if lateness > SLIP_MIN => self.played.slip(lateness),
            Behind::Drop if lateness > self.late_max => {
                row = self.drop_late(now, &batch, row);
                if row == batch.rows() {
                    return Next::Idle;
                }
            }
            _ => {}
        }
        let horizon = self.played.at(self.time.running() + TOGETHER);
        let due = batch.timestamps()[row..].iter().take_while(|&&time| time <= horizon.0).count();
        self.give(stream, batch, row, due.max(1))
    }
}

impl Source for ReplaySource {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn next(&mut self, _deadline: Timestamp) -> Result<Next, Error> {
        let (stream, batch, row) = match self.current.take() {
            Some(current) => current,
            None => match self.ahead.next(CALL_MAX) {
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

//! A thread below an edge: a run of transforms fused with the stage at its end, fed by one or several edges.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Select};
use tapedeck_sdk::{Batch, Error, Outputs, StreamSchema, Timestamp, Transform};

use crate::clock::SessionTime;
use crate::edge::{EdgeReceiver, EdgeSender};
use crate::lineage::Lineage;
use crate::sink_stage::{FinishedSink, SinkStage};
use crate::stats::{StageStats, discard, guarded};
use crate::tap::TapPoint;
use crate::watermark::Mark;

/// How long frames of a stream that somebody follows wait for a flush while there are always more of them.
const FOLLOWED_FLUSH_INTERVAL: Duration = Duration::from_millis(2);

/// How often the transforms of such a stream are asked for what they hold back.
const FOLLOWED_HELD_INTERVAL: Duration = Duration::from_millis(25);

/// How long a worker naps before it waits for a replay as fast as possible: the next batch comes within microseconds,
/// and to wake a thread that waits would cost the replay a tenth of its time.
const NAP: Duration = Duration::from_micros(50);

/// How long a worker sleeps when nothing comes and there is nothing to flush.
const IDLE: Duration = Duration::from_secs(1);

/// Where a stage's output goes.
pub(crate) enum Target {
    /// To a later stage of the same thread.
    Local {
        /// Its place in the thread.
        slot: usize,
        /// Its input.
        input: usize,
    },
    /// To another thread.
    Edge(EdgeSender),
}

/// One output of a stage, with everybody who reads it.
pub(crate) struct Route {
    pub(crate) schema: Arc<StreamSchema>,
    pub(crate) tap: Arc<TapPoint>,
    pub(crate) targets: Vec<Target>,
}

/// A stage on a thread. The targets of a slot are later slots.
pub(crate) enum Slot {
    /// A transform; `None` once it has panicked, given up or broken the contract.
    Transform {
        transform: Option<Box<dyn Transform>>,
        routes: Vec<Route>,
        lineage: Lineage,
        stats: Arc<StageStats>,
    },
    /// A sink: always the last slot.
    Sink(Box<SinkStage>),
}

/// An edge that feeds this thread.
pub(crate) struct Inlet {
    pub(crate) receiver: EdgeReceiver,
    pub(crate) slot: usize,
    pub(crate) input: usize,
}

/// When something is to be done next, if anything is.
#[derive(Debug, Default, Clone, Copy)]
struct Due {
    /// The sink is to be flushed.
    flush: Option<Timestamp>,
    /// The transforms are to hand on what they hold back.
    held: Option<Timestamp>,
}

/// Everything that one thread does.
pub(crate) struct Worker {
    pub(crate) slots: Vec<Slot>,
    pub(crate) inlets: Vec<Inlet>,
    /// The watermarks of the streams that come here.
    pub(crate) marks: Vec<Arc<Mark>>,
    pub(crate) flush_interval: Duration,
    /// Whether a recording is played as fast as possible.
    pub(crate) untimed: bool,
    pub(crate) time: SessionTime,
}

/// Hands what a transform makes to the slots after it.
struct Router<'a> {
    routes: &'a mut [Route],
    rest: &'a mut [Slot],
    /// The place in the thread of `rest[0]`.
    base: usize,
    lineage: &'a mut Lineage,
    stats: &'a StageStats,
    /// The first promise that the transform broke; nothing is handed on from then on.
    broken: Option<Error>,
    /// The first `seq` of the batch in hand.
    first_seq: u64,
    /// Rows of the batch in hand that were handed on, by the output that was first: what fails afterwards is not those.
    handed_on: Option<(usize, u64)>,
}

impl<'a> Router<'a> {
    fn new(
        routes: &'a mut [Route],
        rest: &'a mut [Slot],
        base: usize,
        lineage: &'a mut Lineage,
        stats: &'a StageStats,
    ) -> Self {
        Self { routes, rest, base, lineage, stats, broken: None, first_seq: 0, handed_on: None }
    }

    fn count(&mut self, output: usize, batch: &Batch) {
        let rows = batch.rows() - batch.seq().partition_point(|&seq| seq < self.first_seq);
        let (first, count) = self.handed_on.get_or_insert((output, 0));
        if *first == output {
            *count += rows as u64;
        }
    }
}

impl Outputs for Router<'_> {
    fn push(&mut self, output: usize, batch: Batch) {
        if self.broken.is_some() {
            return;
        }
        if !self.routes.get(output).is_some_and(|route| fits(&batch, &route.schema)) {
            self.broken = Some(wrong_output(&self.stats.id, output));
            return;
        }
        match self.lineage.check(output, &batch, self.stats.failed.get()) {
            Ok(()) => {
                self.count(output, &batch);
                send(&mut self.routes[output], batch, self.rest, self.base);
            }
            Err(error) => {
                let message = format!("\"{}\" {}", self.stats.id, error.message);
                self.broken = Some(Error { message, ..error });
            }
        }
    }
}

/// Whether a batch is of the schema that its stage declared.
pub(crate) fn fits(batch: &Batch, declared: &Arc<StreamSchema>) -> bool {
    Arc::ptr_eq(batch.schema(), declared) || batch.schema() == declared
}

pub(crate) fn wrong_output(id: &str, output: usize) -> Error {
    Error::plugin(format!(
        "\"{id}\" gave a batch for output {output} that it did not declare, or of another schema"
    ))
    .with_hint("this is a bug of the plugin: please report it with the pipeline")
}

/// Hands a batch to everybody who reads an output. Copies are references.
pub(crate) fn send(route: &mut Route, batch: Batch, rest: &mut [Slot], base: usize) {
    if batch.rows() == 0 {
        return;
    }
    route.tap.offer(&batch);
    let Some((last, others)) = route.targets.split_last_mut() else { return };
    for target in others {
        send_to(target, batch.clone(), rest, base);
    }
    send_to(last, batch, rest, base);
}

fn send_to(target: &mut Target, batch: Batch, rest: &mut [Slot], base: usize) {
    match target {
        Target::Edge(edge) => edge.send(batch),
        Target::Local { slot, input } => deliver(rest, base, *slot, *input, batch),
    }
}

/// Gives a batch to the stage at `slot`; `slots[0]` stands at place `base`.
fn deliver(slots: &mut [Slot], base: usize, slot: usize, input: usize, batch: Batch) {
    let Some((stage, rest)) = slots[slot - base..].split_first_mut() else { return };
    match stage {
        Slot::Sink(sink) => sink.write(input, batch),
        Slot::Transform { transform, routes, lineage, stats } => {
            let frames = batch.rows() as u64;
            let Some(running) = transform else {
                stats.failed.add(frames);
                return;
            };
            lineage.give(input, &batch);
            let mut router = Router::new(routes, rest, slot + 1, lineage, stats);
            router.first_seq = batch.seq().first().copied().unwrap_or(0);
            let processed = guarded(&stats.id, "process", || running.process(input, batch, &mut router));
            let Err(error) = router.broken.take().map_or(processed, Err) else { return };
            let handed_on = router.handed_on.map_or(0, |(_, rows)| rows);
            let in_hand = (input, router.first_seq);
            let ends = error.kind == tapedeck_sdk::ErrorKind::Plugin;
            let held = if ends { lineage.held(stats.failed.get(), Some(in_hand)) } else { 0 };
            stats.failed.add(frames.saturating_sub(handed_on) + held);
            if ends {
                stats.fail(error);
                discard(stats, transform.take());
            } else {
                stats.trouble(error);
            }
        }
    }
}

impl Worker {
    /// Runs until every edge above is closed and empty, then finishes the stages from top to bottom. Returns the sink, if the
    /// thread ends in one.
    pub(crate) fn run(mut self) -> Option<FinishedSink> {
        let mut inlets = std::mem::take(&mut self.inlets);
        match inlets.as_slice() {
            [inlet] => self.pump_one(inlet),
            _ => self.pump_many(&mut inlets),
        }
        drop(inlets);
        self.finish()
    }

    /// The common case: one edge.
    fn pump_one(&mut self, inlet: &Inlet) {
        let mut due = Due::default();
        loop {
            self.nap_if(|| inlet.receiver.channel().is_empty());
            match inlet.receiver.recv_timeout(self.patience(due)) {
                Ok(batch) => deliver(&mut self.slots, 0, inlet.slot, inlet.input, batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.settle(&mut due, || inlet.receiver.channel().is_empty());
        }
    }

    /// Several edges: whichever has something.
    fn pump_many(&mut self, inlets: &mut [Inlet]) {
        let mut due = Due::default();
        let mut select = Select::new();
        for inlet in inlets.iter() {
            select.recv(inlet.receiver.channel());
        }
        let mut open = inlets.len();
        while open > 0 {
            self.nap_if(|| inlets.iter().all(|inlet| inlet.receiver.channel().is_empty()));
            if let Ok(operation) = select.select_timeout(self.patience(due)) {
                let index = operation.index();
                let inlet = &inlets[index];
                if let Ok(batch) = operation.recv(inlet.receiver.channel()) {
                    inlet.receiver.took(&batch);
                    deliver(&mut self.slots, 0, inlet.slot, inlet.input, batch);
                } else {
                    select.remove(index);
                    open -= 1;
                }
            }
            self.settle(&mut due, || inlets.iter().all(|inlet| inlet.receiver.channel().is_empty()));
        }
    }

    fn nap_if(&self, empty: impl Fn() -> bool) {
        if self.untimed && empty() {
            let clock = self.time.clock();
            clock.sleep_until(clock.now() + NAP);
        }
    }

    fn patience(&self, due: Due) -> Duration {
        let next = [due.flush, due.held].into_iter().flatten().min();
        next.map_or(IDLE, |next| next.since(self.time.clock().now()))
    }

    /// Has the transforms hand on what they hold back and flushes the sink, each in time, and tells those who follow how far
    /// everything is.
    fn settle(&mut self, due: &mut Due, empty: impl Fn() -> bool) {
        let followed = self.marks.iter().any(|mark| mark.is_followed());
        // Begun early, so that it has ended when the pipeline's interval has.
        let interval = self.flush_interval * 3 / 4;
        if self.slots.iter().any(|slot| matches!(slot, Slot::Transform { .. })) {
            let now = self.time.clock().now();
            let held =
                *due.held.get_or_insert(now + if followed { FOLLOWED_HELD_INTERVAL } else { interval });
            if now >= held {
                due.held = None;
                let now = self.time.at(now);
                self.flush_transforms(now);
            }
        }
        let interval = match followed {
            true if empty() => Duration::ZERO,
            true => FOLLOWED_FLUSH_INTERVAL,
            false => interval,
        };
        due.flush = self.flush_when_due(due.flush, interval);
        if followed {
            self.marks.iter().for_each(|mark| mark.tell());
        }
    }

    /// Has each transform hand on what it holds back, from top to bottom. An error ends it.
    fn flush_transforms(&mut self, now: Timestamp) {
        for index in 0..self.slots.len() {
            let (head, rest) = self.slots.split_at_mut(index + 1);
            let Slot::Transform { transform, routes, lineage, stats } = &mut head[index] else { continue };
            let Some(running) = transform else { continue };
            let mut router = Router::new(routes, rest, index + 1, lineage, stats);
            let called = guarded(&stats.id, "flush", || running.flush(now, &mut router));
            if let Err(error) = router.broken.take().map_or(called, Err) {
                stats.failed.add(lineage.held(stats.failed.get(), None));
                stats.fail(error);
                discard(stats, transform.take());
            }
        }
    }

    /// Finishes each transform, from top to bottom.
    fn finish_transforms(&mut self) {
        for index in 0..self.slots.len() {
            let (head, rest) = self.slots.split_at_mut(index + 1);
            let Slot::Transform { transform, routes, lineage, stats } = &mut head[index] else { continue };
            let Some(running) = transform.take() else { continue };
            let mut router = Router::new(routes, rest, index + 1, lineage, stats);
            let finished = guarded(&stats.id, "finish", || running.finish(&mut router));
            match router.broken.take().map_or(finished, Err) {
                Ok(report) => report.into_iter().for_each(|text| stats.remark(text)),
                Err(error) => {
                    stats.failed.add(lineage.held(stats.failed.get(), None));
                    stats.fail(error);
                }
            }
        }
    }

    fn sink(&mut self) -> Option<&mut SinkStage> {
        match self.slots.last_mut() {
            Some(Slot::Sink(sink)) => Some(sink),
            _ => None,
        }
    }

    /// Flushes the sink in time: so long after the first frame that needs it. Returns when that is due next.
    fn flush_when_due(&mut self, due: Option<Timestamp>, after: Duration) -> Option<Timestamp> {
        let clock = self.time.clock();
        let sink = self.sink()?;
        if !sink.is_dirty() {
            return None;
        }
        let now = clock.now();
        let due = due.unwrap_or(now + after).min(now + after);
        if now < due {
            return Some(due);
        }
        sink.flush();
        None
    }

    fn finish(mut self) -> Option<FinishedSink> {
        let marks = std::mem::take(&mut self.marks);
        let finished = self.finish_stages();
        marks.iter().for_each(|mark| mark.tell());
        finished
    }

    fn finish_stages(mut self) -> Option<FinishedSink> {
        self.finish_transforms();
        match self.slots.pop() {
            Some(Slot::Sink(sink)) => Some(sink.finish()),
            _ => None,
        }
    }
}

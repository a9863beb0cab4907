//! A thread below an edge: a run of transforms fused with the stage at its end, fed by one or several edges.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Select};
use tapedeck_sdk::{Batch, Error, Outputs, StreamSchema, Timestamp, Transform};

use crate::clock::SessionClock;
use crate::edge::{EdgeReceiver, EdgeSender};
use crate::lineage::Lineage;
use crate::sink_stage::{FinishedSink, SinkStage};
use crate::stats::{StageStats, guarded};

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

/// Everything that one thread does.
pub(crate) struct Worker {
    pub(crate) slots: Vec<Slot>,
    pub(crate) inlets: Vec<Inlet>,
    pub(crate) flush_interval: Duration,
    pub(crate) clock: SessionClock,
}

/// Hands what a transform makes to the slots after it.
struct Router<'a> {
    routes: &'a mut [Route],
    rest: &'a mut [Slot],
    /// The place in the thread of `rest[0]`.
    base: usize,
    lineage: &'a mut Lineage,
    id: &'a str,
    /// The first promise that the transform broke; nothing is handed on from then on.
    broken: Option<Error>,
}

impl Outputs for Router<'_> {
    fn push(&mut self, output: usize, batch: Batch) {
        if self.broken.is_some() {
            return;
        }
        let Some(route) = self.routes.get_mut(output).filter(|route| fits(&batch, &route.schema)) else {
            self.broken = Some(wrong_output(self.id, output));
            return;
        };
        match self.lineage.check(output, &batch) {
            Ok(()) => send(route, batch, self.rest, self.base),
            Err(error) => {
                let message = format!("\"{}\" {}", self.id, error.message);
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
                stats.failed.fetch_add(frames, Ordering::Relaxed);
                return;
            };
            lineage.give(input, &batch);
            let mut router = Router { routes, rest, base: slot + 1, lineage, id: &stats.id, broken: None };
            let processed = guarded(&stats.id, "process", || running.process(input, batch, &mut router));
            let Err(error) = router.broken.take().map_or(processed, Err) else { return };
            stats.failed.fetch_add(frames, Ordering::Relaxed);
            if error.kind == tapedeck_sdk::ErrorKind::Plugin {
                *transform = None;
                stats.fail(error);
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
        let mut flush_due = None;
        loop {
            match inlet.receiver.recv_timeout(self.patience(flush_due)) {
                Ok(batch) => deliver(&mut self.slots, 0, inlet.slot, inlet.input, batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            flush_due = self.flush_when_due(flush_due);
        }
    }

    /// Several edges: whichever has something.
    fn pump_many(&mut self, inlets: &mut [Inlet]) {
        let mut flush_due = None;
        let mut select = Select::new();
        for inlet in inlets.iter() {
            select.recv(inlet.receiver.channel());
        }
        let mut open = inlets.len();
        while open > 0 {
            if let Ok(operation) = select.select_timeout(self.patience(flush_due)) {
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
            flush_due = self.flush_when_due(flush_due);
        }
    }

    fn sink(&mut self) -> Option<&mut SinkStage> {
        match self.slots.last_mut() {
            Some(Slot::Sink(sink)) => Some(sink),
            _ => None,
        }
    }

    fn patience(&self, flush_due: Option<Timestamp>) -> Duration {
        flush_due.map_or(IDLE, |due| due.since(self.clock.now()))
    }

    /// Flushes the sink in time: within `flush_interval` of the first frame that needs it. Returns when that is due next.
    fn flush_when_due(&mut self, flush_due: Option<Timestamp>) -> Option<Timestamp> {
        let (clock, flush_interval) = (self.clock, self.flush_interval);
        let sink = self.sink()?;
        if !sink.is_dirty() {
            return None;
        }
        let now = clock.now();
        // Begun early, so that it has ended when the interval has.
        let due = flush_due.unwrap_or(now + flush_interval * 3 / 4);
        if now < due {
            return Some(due);
        }
        sink.flush();
        None
    }

    fn finish(mut self) -> Option<FinishedSink> {
        for index in 0..self.slots.len() {
            let (head, rest) = self.slots.split_at_mut(index + 1);
            let Slot::Transform { transform, routes, lineage, stats } = &mut head[index] else { continue };
            let Some(running) = transform else { continue };
            let mut router = Router { routes, rest, base: index + 1, lineage, id: &stats.id, broken: None };
            let finished = guarded(&stats.id, "finish", || running.finish(&mut router));
            if let Err(error) = router.broken.take().map_or(finished, Err) {
                stats.fail(error);
            }
            let remark = guarded(&stats.id, "report", || Ok(running.report())).ok().flatten();
            *stats.remark.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = remark;
        }
        match self.slots.pop() {
            Some(Slot::Sink(sink)) => Some(sink.finish()),
            _ => None,
        }
    }
}

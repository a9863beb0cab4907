//! A sink in its place: hands it batches, flushes it in time, keeps its journal, and accounts for every frame.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hdrhistogram::Histogram;
use tapedeck_sdk::{Batch, Description, Error, Refused, Sink, StreamSchema, Timestamp, Written};

use crate::clock::SessionTime;
use crate::gathering::Gathering;
use crate::stats::{InputStats, StageStats, discard, duration_histogram, guarded, record};

/// A sink that runs, or that has failed and counts what it can't take.
pub(crate) struct SinkStage {
    /// `None` once it has been finished.
    sink: Option<Box<dyn Sink>>,
    /// Written before the sink, where a kill would make the sink's own file unreadable.
    journal: Option<Box<dyn Sink>>,
    /// Whether a flush of the sink alone makes frames safe.
    durable: bool,
    failed: bool,
    stats: Arc<StageStats>,
    inputs: Vec<Arc<InputStats>>,
    /// Single frames of each input that wait to be handed over, where the sink takes blocks.
    gathering: Option<Vec<Gathering>>,
    /// Frames of each input that were taken and are not flushed yet: those that wait, and those written.
    unflushed: Vec<u64>,
    time: SessionTime,
    /// Time from a frame's timestamp until the stage had taken it.
    latency: Histogram<u64>,
    /// Time that this took.
    busy: Histogram<u64>,
}

/// What is left of a sink after it has finished.
pub(crate) struct FinishedSink {
    pub(crate) latency: Histogram<u64>,
    pub(crate) busy: Histogram<u64>,
    /// Whether the sink's files are whole.
    pub(crate) whole: bool,
}

impl SinkStage {
    pub(crate) fn new(
        sink: Box<dyn Sink>,
        journal: Option<Box<dyn Sink>>,
        description: &Description,
        schemas: &[Arc<StreamSchema>],
        stats: Arc<StageStats>,
        inputs: Vec<Arc<InputStats>>,
        time: SessionTime,
    ) -> Self {
        let durable = !description.needs_journal || journal.is_some();
        if !durable {
            inputs.iter().for_each(|input| input.reach.give_up_safety());
        }
        let gather = || schemas.iter().map(|schema| Gathering::new(schema.clone())).collect();
        let gathering = description.takes_blocks.then(gather);
        let unflushed = vec![0; inputs.len()];
        let [latency, busy] = [duration_histogram(), duration_histogram()];
        Self {
            sink: Some(sink),
            journal,
            durable,
            failed: false,
            stats,
            inputs,
            gathering,
            unflushed,
            time,
            latency,
            busy,
        }
    }

    /// Whether there is something that a kill would cost.
    pub(crate) fn is_dirty(&self) -> bool {
        // Frames that the sink refused leave nothing to lose, but whoever follows the stream waits for them to be passed.
        let behind = || self.inputs.iter().any(|input| input.reach.is_behind());
        !self.failed && (self.unflushed.iter().any(|&frames| frames > 0) || behind())
    }

    /// Takes a batch: hands it to the sink, or keeps it for a block.
    pub(crate) fn write(&mut self, input: usize, batch: Batch) {
        let frames = batch.rows() as u64;
        if self.failed {
            self.inputs[input].failed.add(frames);
            return;
        }
        let before = self.time.clock().now();
        let last = Timestamp(batch.timestamps().last().map_or(before.0, |&nanos| nanos));
        self.unflushed[input] += frames;
        match self.gathering.as_mut().filter(|_| Gathering::takes(&batch)) {
            Some(gathering) => {
                if gathering[input].keep(batch) {
                    self.hand_over(input);
                }
            }
            None => {
                self.hand_over(input);
                self.write_now(input, batch);
            }
        }
        let now = self.time.clock().now();
        record(&mut self.latency, self.time.at(now).since(last));
        record(&mut self.busy, now.since(before));
    }

    /// Hands what waits to the sink.
    fn hand_over(&mut self, input: usize) {
        let block = self.gathering.as_mut().and_then(|gathering| gathering[input].hand_over());
        if let Some(block) = block {
            self.write_now(input, block);
        }
    }

    fn write_now(&mut self, input: usize, batch: Batch) {
        if self.failed {
            return;
        }
        let frames = batch.rows() as u64;
        self.write_journal(input, &batch);
        let last = batch.seq().last().copied();
        let Some(sink) = &mut self.sink else { return };
        match guarded(&self.stats.id, "write", || sink.write(input, batch)) {
            Ok(written) => {
                let stats = &self.inputs[input];
                stats.written.fetch_add(frames, Ordering::Relaxed);
                last.into_iter().for_each(|seq| stats.reach.write(seq));
                self.take_back(&written);
            }
            Err(error) => self.fail(error),
        }
    }

    /// What the sink refused counts as failed at its input, and so not as written.
    fn take_back(&mut self, written: &Written) {
        for refused in written.refused() {
            if let Err(error) = self.refuse(refused) {
                return self.fail(error);
            }
        }
    }

    fn refuse(&mut self, refused: &Refused) -> Result<(), Error> {
        let Refused { input, frames, seqs: (first, last), .. } = *refused;
        let wrong = |what: String| {
            Error::plugin(format!("\"{}\" refused {what}", self.stats.id))
                .with_hint("this is a bug of the plugin: please report it with the pipeline")
        };
        let Some(stats) = self.inputs.get(input) else {
            return Err(wrong(format!("frames of input {input}, which it does not have")));
        };
        // Only this thread writes to it.
        let counted = stats.written.load(Ordering::Relaxed);
        let Some(left) = counted.checked_sub(frames) else {
            return Err(wrong(format!("{frames} frames of \"{}\", it was given {counted}", stats.stream)));
        };
        if stats.refused.get() == 0 {
            let (stream, reason) = (&stats.stream, &refused.reason);
            self.stats
                .remark(format!("refused frames of \"{stream}\", the first with seq {first}: {reason}"));
        }
        stats.written.store(left, Ordering::Relaxed);
        stats.refused.add(frames);
        stats.reach.refuse(last);
        let unflushed = &mut self.unflushed[input];
        let safe = frames.saturating_sub(*unflushed);
        *unflushed = unflushed.saturating_sub(frames);
        // Frames that were called safe before and could not be kept after all.
        stats.flushed.fetch_sub(safe.min(stats.flushed.load(Ordering::Relaxed)), Ordering::Relaxed);
        Ok(())
    }

    fn write_journal(&mut self, input: usize, batch: &Batch) {
        let Some(journal) = &mut self.journal else { return };
        if let Err(error) =
            kept(guarded(&self.stats.id, "the journal", || journal.write(input, batch.clone())))
        {
            self.lose_journal(&error);
        }
    }

    /// The sink goes on without its journal: what it wrote is safe only once it has finished.
    fn lose_journal(&mut self, error: &Error) {
        discard(&self.stats, self.journal.take());
        self.durable = false;
        self.inputs.iter().for_each(|input| input.reach.give_up_safety());
        self.stats.remark(format!("the journal ended ({error}): a kill would lose this sink's file"));
    }

    /// Makes what was written safe from a kill.
    pub(crate) fn flush(&mut self) {
        if !self.is_dirty() {
            return;
        }
        (0..self.inputs.len()).for_each(|input| self.hand_over(input));
        if self.failed {
            return;
        }
        if let Some(journal) = &mut self.journal
            && let Err(error) = kept(guarded(&self.stats.id, "the journal", || journal.flush()))
        {
            self.lose_journal(&error);
        }
        let Some(sink) = &mut self.sink else { return };
        match guarded(&self.stats.id, "flush", || sink.flush()) {
            Ok(written) => {
                self.take_back(&written);
                if self.durable && !self.failed {
                    self.mark_flushed();
                }
            }
            Err(error) => self.fail(error),
        }
    }

    fn mark_flushed(&mut self) {
        for (frames, stats) in self.unflushed.iter_mut().zip(&self.inputs) {
            stats.flushed.fetch_add(std::mem::take(frames), Ordering::Relaxed);
            stats.reach.flush();
        }
    }

    /// What was taken since the last flush may be gone: it counts as failed, as does all that still comes.
    fn fail(&mut self, error: Error) {
        self.failed = true;
        self.stats.fail(error);
        self.gathering = None;
        for (frames, stats) in self.unflushed.iter_mut().zip(&self.inputs) {
            stats.failed.add(std::mem::take(frames));
            stats.written.store(stats.flushed.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// The streams have ended.
    pub(crate) fn finish(mut self) -> FinishedSink {
        self.flush();
        if let Some(sink) = self.sink.take() {
            let finished = guarded(&self.stats.id, "finish", || sink.finish());
            // After a failure the first reason counts; this call only saved what it could.
            if !self.failed {
                self.finished(finished);
            }
        }
        if let Some(journal) = self.journal.take()
            && let Err(error) = kept(guarded(&self.stats.id, "the journal", || journal.finish()))
        {
            self.lose_journal(&error);
        }
        FinishedSink { latency: self.latency, busy: self.busy, whole: !self.failed }
    }

    fn finished(&mut self, finished: Result<Written, Error>) {
        match finished {
            Ok(written) => {
                self.take_back(&written);
                if !self.failed {
                    self.durable = true;
                    self.mark_flushed();
                }
            }
            Err(error) => self.fail(error),
        }
    }
}

/// A journal has to keep everything.
fn kept(written: Result<Written, Error>) -> Result<(), Error> {
    match written?.refused() {
        [] => Ok(()),
        [refused, ..] => Err(refused.reason.clone()),
    }
}

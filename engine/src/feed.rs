//! A source's thread: calls the source when its tick is due (or in a loop), numbers and stamps what it gives, and hands it on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use tapedeck_sdk::{Batch, Error, Next, Source, Timestamp};

use crate::clock::{SessionTime, sleep_precisely};
use crate::ledger::LedgerWriter;
use crate::pacing::Ticker;
use crate::stats::{StageStats, StreamStats, discard, duration_histogram, guarded, record};
use crate::worker::{Route, fits, send, wrong_output};

/// The longest that a source may wait in one call: how long a stop takes at the most.
const CALL_MAX: Duration = Duration::from_millis(50);

/// How long a source may take to come to its end once it is told to stop.
const STOP_MAX: Duration = Duration::from_secs(2);

/// How soon a source goes on after a pause.
const PAUSE_LOOK: Duration = Duration::from_millis(5);

/// From this rate on the thread does not sleep between ticks: a machine that has gone to sleep may need longer than a period to
/// wake up (measured on a virtual machine: 0.7 ms for one wake-up in a thousand).
const AWAKE_HZ_MIN: f64 = 2000.0;

/// One stream of the source.
pub(crate) struct Outlet {
    pub(crate) route: Route,
    pub(crate) stats: Arc<StreamStats>,
    pub(crate) ledger: LedgerWriter,
    pub(crate) next_seq: u64,
}

impl Outlet {
    /// Takes over the numbers of a recorded batch. Those between are skipped, as the recording does not have them,
    /// but for those of the frames that the replay has dropped: so many of the stream so far.
    fn keep_numbers(&mut self, batch: &Batch, dropped: u64) -> Result<(), Error> {
        let seq = batch.seq();
        let (Some(&first), Some(&last)) = (seq.first(), seq.last()) else { return Ok(()) };
        if first < self.next_seq || last == u64::MAX || !rises(seq) {
            let name = batch.schema().name();
            return Err(Error::data(format!("the numbers of stream \"{name}\" do not rise at seq {first}"))
                .with_hint("play its files one by one, or write it anew with `tapedeck convert`"));
        }
        let gap = last + 1 - self.next_seq - batch.rows() as u64;
        if gap > 0 {
            let skipped = gap.saturating_sub(dropped - self.stats.dropped.swap(dropped, Ordering::Relaxed));
            let skipped = self.stats.skipped.fetch_add(skipped, Ordering::Relaxed) + skipped;
            // Numbers without a frame are one count there.
            self.ledger.set_skipped(skipped + dropped);
        }
        self.next_seq = last + 1;
        self.ledger.set_next_seq(self.next_seq);
        Ok(())
    }
}

/// Everything that a source's thread does.
pub(crate) struct Feed {
    pub(crate) source: Box<dyn Source>,
    pub(crate) outlets: Vec<Outlet>,
    pub(crate) stats: Arc<StageStats>,
    pub(crate) time: SessionTime,
    /// Whether frames have their numbers and times already.
    pub(crate) recorded: bool,
    /// Whether the source is called while the session pauses.
    pub(crate) runs_in_pause: bool,
    /// Whether the thread is to be woken before all others.
    pub(crate) realtime: bool,
    pub(crate) rate_hz: Option<f64>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) times: FeedTimes,
    /// Whether the source has given its last.
    pub(crate) ended: bool,
}

/// How long things took.
pub(crate) struct FeedTimes {
    /// How late ticks were taken up.
    pub(crate) lateness: Histogram<u64>,
    /// Time that `next` took, where it gave a batch.
    pub(crate) busy: Histogram<u64>,
}

impl FeedTimes {
    pub(crate) fn new() -> Self {
        Self { lateness: duration_histogram(), busy: duration_histogram() }
    }
}

impl Feed {
    /// Runs from `start` until the source ends, the session stops or `end` is reached.
    pub(crate) fn run(mut self, start: Timestamp, end: Option<Timestamp>) -> FeedTimes {
        sleep_precisely();
        if self.realtime
            && let Err(error) = crate::threads::raise_priority()
        {
            self.stats
                .remark(format!("no realtime priority: {error}: frames may be later on a busy machine"));
        }
        match self.rate_hz {
            Some(rate_hz) => self.run_paced(Ticker::new(start, rate_hz), end),
            None => self.run_free(end),
        }
        self.come_to_an_end();
        let Self { source, outlets, stats, times, .. } = self;
        // It may still count what it could not give.
        discard(&stats, source);
        share_failed(&stats, &outlets);
        for (output, outlet) in outlets.iter().enumerate() {
            outlet.stats.dropped.store(stats.dropped_of(output), Ordering::Relaxed);
        }
        times
    }

    /// Whether the source is to be left alone, because the session pauses. Waits a moment then.
    fn rests(&self) -> bool {
        let rests = self.time.is_paused() && !self.runs_in_pause;
        if rests {
            let clock = self.time.clock();
            clock.sleep_until(clock.now() + PAUSE_LOOK);
        }
        rests
    }

    /// Takes what the source must not be cut off from.
    fn come_to_an_end(&mut self) {
        let source = &mut self.source;
        if self.ended {
            return;
        }
        match guarded(&self.stats.id, "stop", || source.stop()) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return self.stats.fail(error),
        }
        // Also in a pause, in which the session's own time stands still.
        let clock = self.time.clock();
        let end = clock.now() + STOP_MAX;
        while clock.now() < end {
            let now = self.time.running();
            if !self.take(now + CALL_MAX.min(end.since(clock.now())), now, false) {
                return;
            }
        }
    }

    fn run_paced(&mut self, mut ticker: Ticker, end: Option<Timestamp>) {
        loop {
            if let Some(end) = end.filter(|&end| ticker.due() >= end) {
                self.wait_for(end);
                return;
            }
            if !self.wait_for(ticker.due()) {
                // The whole process may have been stopped before it was told to end: ticks that passed meanwhile are missed.
                let now = end.map_or(self.time.running(), |end| end.min(self.time.running()));
                let missed = if now >= ticker.due() { ticker.arrive(now).missed } else { 0 };
                return self.count_missed(missed);
            }
            let now = self.time.running();
            if let Some(end) = end.filter(|&end| now >= end) {
                // The whole tick at hand has passed too, and none after the end counts.
                let arrival = ticker.arrive(end - Duration::from_nanos(1));
                return self.count_missed(arrival.missed + 1);
            }
            let arrival = ticker.arrive(now);
            if arrival.missed > 0 {
                self.count_missed(arrival.missed);
            }
            record(&mut self.times.lateness, arrival.lateness);
            if !self.take(ticker.due(), now, true) {
                return;
            }
        }
    }

    fn run_free(&mut self, end: Option<Timestamp>) {
        while !self.stop.load(Ordering::Relaxed) {
            if self.rests() {
                continue;
            }
            let now = self.time.running();
            if end.is_some_and(|end| now >= end) {
                return;
            }
            let deadline = now + CALL_MAX;
            if !self.take(end.map_or(deadline, |end| end.min(deadline)), now, false) {
                return;
            }
        }
    }

    /// Sleeps until `due`; false when the session stops before.
    fn wait_for(&self, due: Timestamp) -> bool {
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return false;
            }
            if self.rests() {
                continue;
            }
            let now = self.time.running();
            if now >= due {
                return true;
            }
            if self.rate_hz.is_some_and(|rate_hz| rate_hz >= AWAKE_HZ_MIN) {
                std::hint::spin_loop();
            } else {
                self.time.sleep_until(due.min(now + CALL_MAX));
            }
        }
    }

    /// Calls the source once, at `now`; false when it has ended.
    fn take(&mut self, deadline: Timestamp, now: Timestamp, paced: bool) -> bool {
        // What a plugin is told of time is the time that frames are stamped with.
        let stamp = self.time.now();
        let deadline = stamp + deadline.since(now);
        let source = &mut self.source;
        match guarded(&self.stats.id, "next", || source.next(deadline)) {
            Ok(Next::Batch { output, batch }) => {
                let after = self.time.running();
                record(&mut self.times.busy, after.since(now));
                self.note_lateness(&batch, after);
                self.give(output, batch, if paced { stamp } else { self.time.now() })
            }
            Ok(Next::Idle) => {
                if paced {
                    self.count_absent();
                }
                true
            }
            Ok(Next::End) => {
                self.ended = true;
                false
            }
            Err(error) => {
                self.ended = true;
                self.stats.fail(error);
                false
            }
        }
    }

    /// How late the first frame of a batch comes, if it is a recorded one.
    fn note_lateness(&mut self, batch: &Batch, running: Timestamp) {
        let first = batch.timestamps().first().filter(|_| self.recorded);
        if let Some(late) = first.and_then(|&first| self.time.lateness(Timestamp(first), running)) {
            record(&mut self.times.lateness, late);
        }
    }

    /// Numbers and stamps a batch and hands it on; rows without a timestamp get the time `unset`.
    fn give(&mut self, output: usize, mut batch: Batch, unset: Timestamp) -> bool {
        let frames = batch.rows() as u64;
        if frames == 0 {
            return true;
        }
        let Some(outlet) = self.outlets.get_mut(output).filter(|outlet| fits(&batch, &outlet.route.schema))
        else {
            self.ended = true;
            self.stats.failed.add(frames);
            self.stats.fail(wrong_output(&self.stats.id, output));
            return false;
        };
        if self.recorded {
            if let Err(error) = outlet.keep_numbers(&batch, self.stats.dropped_of(output)) {
                self.ended = true;
                self.stats.failed.add(frames);
                self.stats.fail(error);
                return false;
            }
        } else {
            batch.stamp(outlet.next_seq, unset);
            outlet.next_seq += frames;
            outlet.ledger.set_next_seq(outlet.next_seq);
        }
        let stats = &outlet.stats;
        if let (Some(first), Some(last)) = (batch.timestamps().first(), batch.timestamps().last()) {
            if stats.frames.load(Ordering::Relaxed) == 0 {
                stats.first_timestamp.store(*first, Ordering::Relaxed);
            }
            stats.last_timestamp.store(*last, Ordering::Relaxed);
        }
        stats.frames.fetch_add(frames, Ordering::Relaxed);
        stats.bytes.fetch_add(batch.byte_len() as u64, Ordering::Relaxed);
        share_failed(&self.stats, &self.outlets);
        send(&mut self.outlets[output].route, batch, &mut [], 0);
        true
    }

    /// Counts the ticks at which the source had nothing to sample.
    fn count_absent(&mut self) {
        let absent = self.stats.absent.swap(0, Ordering::Relaxed);
        if absent > 0 {
            self.count_missed(absent);
            for outlet in &self.outlets {
                outlet.stats.absent.fetch_add(absent, Ordering::Relaxed);
            }
        }
    }

    /// Each missed tick uses up a `seq`, so that the gap in the file is the loss.
    fn count_missed(&mut self, missed: u64) {
        for outlet in &mut self.outlets {
            outlet.next_seq += missed;
            outlet.ledger.set_next_seq(outlet.next_seq);
            let late = outlet.stats.late.fetch_add(missed, Ordering::Relaxed) + missed;
            outlet.ledger.set_late(late);
        }
    }
}

/// Whether each number is greater than the one before.
fn rises(seq: &[u64]) -> bool {
    let (Some(&first), Some(&last)) = (seq.first(), seq.last()) else { return true };
    // Nearly always they are consecutive, which needs no comparison of neighbours: a few instructions for many numbers.
    let differs = |all: u64, (number, expected): (&u64, u64)| all | (number ^ expected);
    let consecutive =
        last.wrapping_sub(first) == seq.len() as u64 - 1 && seq.iter().zip(first..).fold(0, differs) == 0;
    consecutive || seq.is_sorted_by(|one, next| one < next)
}

/// What the source itself could not give, or read only in part, is shown at its first stream.
fn share_failed(stats: &StageStats, outlets: &[Outlet]) {
    let (failed, partial) = (stats.failed.get(), stats.partial.get());
    if let Some(outlet) = outlets.first().filter(|_| failed + partial > 0) {
        outlet.stats.failed.store(failed, Ordering::Relaxed);
        outlet.stats.partial.store(partial, Ordering::Relaxed);
        outlet.ledger.set_partial(partial);
    }
}

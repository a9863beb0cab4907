//! Ticks on an absolute schedule: no drift, and a tick that was missed is skipped whole and counted, never made up.

use std::time::Duration;

use tapedeck_sdk::Timestamp;

/// The highest rate of a polled source, in Hz.
pub const RATE_HZ_MAX: f64 = 100_000.0;

/// The schedule of a polled source: tick `n` is due at `start + n / rate`.
#[derive(Debug, Clone)]
pub struct Ticker {
    start: Timestamp,
    period_ns: f64,
    next: u64,
}

/// What [`Ticker::arrive`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Ticks that passed whole before this one: they are lost.
    pub missed: u64,
    /// How long after its due time the tick was taken up.
    pub lateness: Duration,
}

impl Ticker {
    /// A schedule that begins with a tick at `start`.
    ///
    /// # Panics
    /// The rate is not above 0 (the pipeline's check refuses such a one).
    #[must_use]
    pub fn new(start: Timestamp, rate_hz: f64) -> Self {
        assert!(rate_hz > 0.0, "a rate of {rate_hz} Hz");
        Self { start, period_ns: 1e9 / rate_hz, next: 0 }
    }

    /// When the next tick is due.
    #[must_use]
    pub fn due(&self) -> Timestamp {
        self.time_of(self.next)
    }

    /// Takes up the tick that is at hand at `now`, which is at or after [`due`](Self::due), and moves on to the one after it.
    pub fn arrive(&mut self, now: Timestamp) -> Arrival {
        let due = self.due();
        let periods_ns = now.since(due).as_nanos();
        // Whole periods that have passed since the tick was due; the last of them is the one at hand.
        let mut missed = whole_periods(periods_ns, self.period_ns);
        while missed > 0 && self.time_of(self.next + missed) > now {
            missed -= 1;
        }
        let lateness = now.since(self.time_of(self.next + missed));
        self.next += missed + 1;
        Arrival { missed, lateness }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "exact up to 2^53 ns, 104 days"
    )]
    fn time_of(&self, tick: u64) -> Timestamp {
        Timestamp(self.start.0 + (tick as f64 * self.period_ns).round() as i64)
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of ticks, far below 2^53"
)]
fn whole_periods(elapsed_ns: u128, period_ns: f64) -> u64 {
    (elapsed_ns as f64 / period_ns).floor() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_do_not_drift() {
        let mut ticker = Ticker::new(Timestamp(0), 60.0);
        for _ in 0..60 * 3600 {
            let due = ticker.due();
            assert_eq!(ticker.arrive(due + Duration::from_micros(80)).missed, 0);
        }
        assert_eq!(ticker.due(), Timestamp(3_600_000_000_000));
    }

    #[test]
    fn a_missed_tick_is_skipped_whole_and_counted() {
        let mut ticker = Ticker::new(Timestamp(1000), 1000.0);
        assert_eq!(ticker.arrive(Timestamp(1000)), Arrival { missed: 0, lateness: Duration::ZERO });
        let arrival = ticker.arrive(Timestamp(1000 + 3_400_000));
        assert_eq!(arrival, Arrival { missed: 2, lateness: Duration::from_nanos(400_000) });
        assert_eq!(ticker.due(), Timestamp(1000 + 4_000_000));
    }

    #[test]
    fn the_next_tick_is_always_after_the_one_taken() {
        for rate in [0.1, 7.3, 60.0, 59.94, 3.0, 99_999.7, RATE_HZ_MAX] {
            let mut ticker = Ticker::new(Timestamp(1_700_000_000_000_000_000), rate);
            let mut now = ticker.due();
            for step in 0..10_000_i64 {
                let arrival = ticker.arrive(now);
                assert!(arrival.lateness <= Duration::from_secs(100), "{arrival:?}");
                assert!(ticker.due() > now, "{rate} Hz, step {step}");
                now = Timestamp(ticker.due().0 + (step * 7919) % 30_000);
            }
        }
    }
}

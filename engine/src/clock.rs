//! The one clock of a session: monotonic, anchored once to the wall clock. The only file that reads the time.

use std::num::NonZeroU64;
use std::time::Duration;

use rustix::thread::{ClockId, clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::{Timespec, clock_gettime};
use tapedeck_sdk::Timestamp;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// The clock of a session. `now` is the wall-clock time at the anchor plus the monotonic time since: it never jumps.
#[derive(Debug, Clone, Copy)]
pub struct SessionClock {
    /// Wall clock minus monotonic clock at the anchor, in nanoseconds.
    offset: i64,
    anchor: Timestamp,
}

impl SessionClock {
    /// Anchors a new clock to the wall clock, now.
    #[must_use]
    pub fn anchored_now() -> Self {
        let wall = nanos(clock_gettime(ClockId::Realtime));
        Self { offset: wall - monotonic(), anchor: Timestamp(wall) }
    }

    /// When the clock was anchored.
    #[must_use]
    pub fn anchor(&self) -> Timestamp {
        self.anchor
    }

    /// The session time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(self.offset + monotonic())
    }

    /// Sleeps until a session time; returns at once when it has passed.
    pub fn sleep_until(&self, time: Timestamp) {
        let request = timespec(time.0 - self.offset);
        // An interrupted sleep goes on; no other error is possible for a valid time on this clock.
        while clock_nanosleep_absolute(ClockId::Monotonic, &request) == Err(rustix::io::Errno::INTR) {}
    }
}

/// Lets the calling thread's sleeps end when they should: the kernel's default is up to 50 µs later, to save wake-ups.
pub(crate) fn sleep_precisely() {
    // Not fatal where it is refused: sleeps then end some µs later.
    set_current_timer_slack(NonZeroU64::new(1)).unwrap_or_default();
}

/// CPU time that this process has used, for the report.
pub(crate) fn process_cpu() -> Duration {
    Duration::from_nanos(u64::try_from(nanos(clock_gettime(ClockId::ProcessCPUTime))).unwrap_or(0))
}

fn monotonic() -> i64 {
    nanos(clock_gettime(ClockId::Monotonic))
}

fn nanos(time: Timespec) -> i64 {
    time.tv_sec * NANOS_PER_SECOND + time.tv_nsec
}

fn timespec(nanos: i64) -> Timespec {
    Timespec { tv_sec: nanos.div_euclid(NANOS_PER_SECOND), tv_nsec: nanos.rem_euclid(NANOS_PER_SECOND) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_never_ends_early() {
        let clock = SessionClock::anchored_now();
        for millis in [0, 1, 3] {
            let until = clock.now() + Duration::from_millis(millis);
            clock.sleep_until(until);
            assert!(clock.now() >= until);
        }
        assert!(clock.now() >= clock.anchor());
    }
}

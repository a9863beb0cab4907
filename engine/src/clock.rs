//! The one clock of a session: monotonic, anchored once to the wall clock. The only file that reads the time. It has two faces: a steady
//! one that measures waiting, and the one that frames are stamped with, which follows a recording while one is played.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::thread::{ClockId, clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::{Timespec, clock_gettime};
use tapedeck_sdk::{Error, Timestamp};

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

/// The time that frames are stamped with: the session clock's, or that of the recording that is played. What measures waiting is
/// [`clock`](Self::clock), which always goes on as the wall does.
#[derive(Debug, Clone)]
pub(crate) struct SessionTime {
    clock: SessionClock,
    played: Arc<OnceLock<Arc<PlayedTime>>>,
}

impl SessionTime {
    pub(crate) fn new(clock: SessionClock) -> Self {
        Self { clock, played: Arc::default() }
    }

    /// The steady face.
    pub(crate) fn clock(&self) -> SessionClock {
        self.clock
    }

    /// The time to stamp with.
    pub(crate) fn now(&self) -> Timestamp {
        self.at(self.clock.now())
    }

    /// How late a frame of a recording is when it is given at `steady`; none where frames are given as fast as possible.
    pub(crate) fn lateness(&self, recorded: Timestamp, steady: Timestamp) -> Option<Duration> {
        let played = self.played.get().filter(|played| played.speed() > 0.0)?;
        Some(steady.since(played.due(recorded)))
    }

    /// The time to stamp with when the steady clock says `steady`.
    pub(crate) fn at(&self, steady: Timestamp) -> Timestamp {
        self.played.get().map_or(steady, |played| played.at(steady))
    }

    /// A recording is to be played from `begin` on. All recordings of a session are played by one clock: the earliest beginning counts.
    ///
    /// # Errors
    /// Another one is played at another speed.
    pub(crate) fn play(&self, begin: Timestamp, speed: f64) -> Result<Arc<PlayedTime>, Error> {
        let played = self.played.get_or_init(|| Arc::new(PlayedTime::new(begin, speed)));
        if played.speed().to_bits() != speed.to_bits() {
            return Err(Error::option(
                ["speed"],
                "the replays of a session have one clock, and so one speed and timing",
            ));
        }
        played.origin.fetch_min(begin.0, Ordering::Relaxed);
        Ok(played.clone())
    }
}

/// Where the recording stands that is played. Read by every thread, without a lock.
#[derive(Debug)]
pub(crate) struct PlayedTime {
    /// The recorded time that is shown at `since`. With speed 0 this alone is the time.
    origin: AtomicI64,
    /// When it was shown on the steady clock; `i64::MAX` before it begins.
    since: AtomicI64,
    speed: f64,
}

impl PlayedTime {
    fn new(begin: Timestamp, speed: f64) -> Self {
        Self { origin: AtomicI64::new(begin.0), since: AtomicI64::new(i64::MAX), speed }
    }

    /// How many times as fast as the wall; 0: as fast as possible.
    fn speed(&self) -> f64 {
        self.speed
    }

    /// Begins, if it has not begun.
    pub(crate) fn begin(&self, now: Timestamp) {
        _ = self.since.compare_exchange(i64::MAX, now.0, Ordering::AcqRel, Ordering::Acquire);
    }

    /// The recorded time when the steady clock says `steady`.
    pub(crate) fn at(&self, steady: Timestamp) -> Timestamp {
        let since = self.since.load(Ordering::Acquire);
        let played = if since == i64::MAX { 0 } else { scaled(steady.0 - since, self.speed) };
        Timestamp(self.origin.load(Ordering::Relaxed).saturating_add(played))
    }

    /// When a recorded time is due on the steady clock.
    pub(crate) fn due(&self, recorded: Timestamp) -> Timestamp {
        let ahead = recorded.0.saturating_sub(self.origin.load(Ordering::Relaxed));
        Timestamp(self.since.load(Ordering::Acquire).saturating_add(scaled(ahead, 1.0 / self.speed)))
    }

    /// Everything that is not due yet is due later by this.
    pub(crate) fn slip(&self, late: Duration) {
        self.since.fetch_add(i64::try_from(late.as_nanos()).unwrap_or(0), Ordering::AcqRel);
    }

    /// With speed 0: the recording has come to this time.
    pub(crate) fn reach(&self, recorded: Timestamp) {
        self.origin.fetch_max(recorded.0, Ordering::Relaxed);
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "exact up to 2^53 ns, 104 days"
)]
fn scaled(nanos: i64, factor: f64) -> i64 {
    if (factor - 1.0).abs() < f64::EPSILON { nanos } else { (nanos as f64 * factor).round() as i64 }
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
    #[test]
    fn a_recorded_frame_is_late_by_the_steady_clock_at_any_speed() {
        let time = SessionTime::new(SessionClock::anchored_now());
        assert_eq!(time.lateness(Timestamp(0), Timestamp(0)), None, "nothing is played");
        let played = time.play(Timestamp(1_000), 2.0).unwrap();
        played.begin(Timestamp(500));
        // 400 ns after the beginning of the recording is 200 ns after that of the replay.
        let late = |steady: i64| time.lateness(Timestamp(1_400), Timestamp(steady));
        assert_eq!(late(700), Some(Duration::ZERO));
        assert_eq!(late(730), Some(Duration::from_nanos(30)));
        let untimed = SessionTime::new(SessionClock::anchored_now());
        untimed.play(Timestamp(1_000), 0.0).unwrap();
        assert_eq!(untimed.lateness(Timestamp(1_400), Timestamp(700)), None);
    }
}

//! The one clock of a session: monotonic, anchored once to the wall clock. The only file that reads the time. It has two faces: a steady
//! one that measures waiting, and the one that frames are stamped with, which follows a recording while one is played.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
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
    pauses: Arc<Pauses>,
    played: Arc<OnceLock<Arc<PlayedTime>>>,
}

impl SessionTime {
    pub(crate) fn new(clock: SessionClock) -> Self {
        Self { clock, pauses: Arc::default(), played: Arc::default() }
    }

    /// The steady face.
    pub(crate) fn clock(&self) -> SessionClock {
        self.clock
    }

    /// The time to stamp with.
    pub(crate) fn now(&self) -> Timestamp {
        self.at(self.clock.now())
    }

    /// How late a frame of a recording is when it is given at `running`, a time without pauses; none where frames are
    /// given as fast as possible.
    pub(crate) fn lateness(&self, recorded: Timestamp, running: Timestamp) -> Option<Duration> {
        let played = self.played.get().filter(|played| played.speed() > 0.0)?;
        Some(running.since(played.due(recorded)))
    }

    /// The steady time without pauses, in which it stands still.
    pub(crate) fn running(&self) -> Timestamp {
        self.pauses.running(self.clock.now())
    }

    /// The time to stamp with when the steady clock says `steady`.
    pub(crate) fn at(&self, steady: Timestamp) -> Timestamp {
        let running = self.pauses.running(steady);
        self.played.get().map_or(running, |played| played.at(running))
    }

    /// Sleeps until a time that is measured without pauses, if there is none meanwhile.
    pub(crate) fn sleep_until(&self, running: Timestamp) {
        let now = self.clock.now();
        self.clock.sleep_until(running + now.since(self.pauses.running(now)));
    }

    /// Whether the session pauses.
    pub(crate) fn is_paused(&self) -> bool {
        self.pauses.since.load(Ordering::Acquire) != NEVER
    }

    /// Pauses. False if it does already.
    pub(crate) fn pause(&self) -> bool {
        let now = self.clock.now().0;
        self.pauses.since.compare_exchange(NEVER, now, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Ends a pause. Returns how long it was, if there was one.
    pub(crate) fn resume(&self) -> Option<Duration> {
        self.pauses.end(self.clock.now())
    }

    /// A recorded frame that is given late is due now, and all after it as much later.
    pub(crate) fn slip(&self, played: &PlayedTime, recorded: Timestamp) {
        played.slip(recorded, || self.running());
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

/// Stands for no time.
const NEVER: i64 = i64::MAX;

/// The pauses of a session. Read by every thread, without a lock.
#[derive(Debug)]
struct Pauses {
    /// Odd while a pause is being ended: the two numbers below belong together.
    version: AtomicU64,
    /// Since when it pauses, on the steady clock.
    since: AtomicI64,
    /// How long it has paused before, in ns.
    total: AtomicI64,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { version: AtomicU64::new(0), since: AtomicI64::new(NEVER), total: AtomicI64::new(0) }
    }
}

impl Pauses {
    fn running(&self, steady: Timestamp) -> Timestamp {
        loop {
            let version = self.version.load(Ordering::Acquire);
            let (since, total) = (self.since.load(Ordering::Acquire), self.total.load(Ordering::Acquire));
            if version.is_multiple_of(2) && self.version.load(Ordering::Acquire) == version {
                return Timestamp(steady.0.min(since) - total);
            }
            std::hint::spin_loop();
        }
    }

    fn end(&self, now: Timestamp) -> Option<Duration> {
        // Whoever makes the version odd ends the pause.
        let version = self.version.load(Ordering::Acquire);
        if !version.is_multiple_of(2)
            || self
                .version
                .compare_exchange(version, version + 1, Ordering::AcqRel, Ordering::Acquire)
                .is_err()
        {
            return None;
        }
        let since = self.since.load(Ordering::Acquire);
        let ended = (since != NEVER).then(|| {
            self.total.fetch_add(now.0 - since, Ordering::AcqRel);
            self.since.store(NEVER, Ordering::Release);
            now.since(Timestamp(since))
        });
        self.version.store(version + 2, Ordering::Release);
        ended
    }
}

/// Where the recording stands that is played. Read by every thread, without a lock.
#[derive(Debug)]
pub(crate) struct PlayedTime {
    /// The recorded time that is shown at `since`. With speed 0 this alone is the time.
    origin: AtomicI64,
    /// When it was shown on the steady clock; `NEVER` before it begins.
    since: AtomicI64,
    /// No earlier time is shown: a slip does not turn the time back.
    floor: AtomicI64,
    /// Odd while the two numbers above are being changed: they belong together.
    version: AtomicU64,
    speed: f64,
}

impl PlayedTime {
    fn new(begin: Timestamp, speed: f64) -> Self {
        Self {
            origin: AtomicI64::new(begin.0),
            since: AtomicI64::new(NEVER),
            floor: AtomicI64::new(i64::MIN),
            version: AtomicU64::new(0),
            speed,
        }
    }

    /// How many times as fast as the wall; 0: as fast as possible.
    fn speed(&self) -> f64 {
        self.speed
    }

    /// Begins, if it has not begun.
    pub(crate) fn begin(&self, now: Timestamp) {
        _ = self.since.compare_exchange(NEVER, now.0, Ordering::AcqRel, Ordering::Acquire);
    }

    /// The recorded time when the steady clock says `steady`. Never decreases while the steady clock does not.
    pub(crate) fn at(&self, steady: Timestamp) -> Timestamp {
        loop {
            let version = self.version.load(Ordering::Acquire);
            let (since, floor) = (self.since.load(Ordering::Acquire), self.floor.load(Ordering::Acquire));
            if version.is_multiple_of(2) && self.version.load(Ordering::Acquire) == version {
                return Timestamp(self.shown(since, steady).max(floor));
            }
            std::hint::spin_loop();
        }
    }

    /// The recorded time that is shown at `steady` if the one at the origin was shown at `since`.
    fn shown(&self, since: i64, steady: Timestamp) -> i64 {
        let played = if since == NEVER { 0 } else { scaled(steady.0 - since, self.speed) };
        self.origin.load(Ordering::Relaxed).saturating_add(played)
    }

    /// When a recorded time is due on the steady clock.
    pub(crate) fn due(&self, recorded: Timestamp) -> Timestamp {
        let ahead = recorded.0.saturating_sub(self.origin.load(Ordering::Relaxed));
        Timestamp(self.since.load(Ordering::Acquire).saturating_add(scaled(ahead, 1.0 / self.speed)))
    }

    /// The last recorded time that is due at `steady`. After a slip it is earlier than the time that is shown.
    pub(crate) fn due_by(&self, steady: Timestamp) -> Timestamp {
        Timestamp(self.shown(self.since.load(Ordering::Acquire), steady))
    }

    /// A recorded time is due now, and everything after it as much later, unless it is due later already. The time
    /// that is shown stands still until it was due again. `now` reads the steady clock.
    fn slip(&self, recorded: Timestamp, now: impl Fn() -> Timestamp) {
        // Whoever makes the version odd may change the two numbers that belong together.
        let begin = |version: u64| version.is_multiple_of(2).then_some(version + 1);
        while self.version.fetch_update(Ordering::AcqRel, Ordering::Acquire, begin).is_err() {
            std::hint::spin_loop();
        }
        // Read after that: nobody was shown a later time.
        let now = now();
        let since = self.since.load(Ordering::Acquire);
        self.floor.fetch_max(self.shown(since, now), Ordering::AcqRel);
        let ahead = recorded.0.saturating_sub(self.origin.load(Ordering::Relaxed));
        self.since.fetch_max(now.0.saturating_sub(scaled(ahead, 1.0 / self.speed)), Ordering::AcqRel);
        self.version.fetch_add(1, Ordering::AcqRel);
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

/// CPU time that this process has used.
#[must_use]
pub fn process_cpu() -> Duration {
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
    fn in_a_pause_the_time_stands_still_and_goes_on_afterwards_without_a_jump() {
        let time = SessionTime::new(SessionClock::anchored_now());
        assert!(time.resume().is_none());
        assert!(time.pause() && !time.pause() && time.is_paused());
        let before = time.now();
        time.clock().sleep_until(time.clock().now() + Duration::from_millis(3));
        assert_eq!(time.now(), before);
        assert!(time.resume().unwrap() >= Duration::from_millis(3) && !time.is_paused());
        let after = time.now();
        assert!(
            after >= before && after.since(before) < time.clock().now().since(before),
            "{before} {after}"
        );
    }

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
    fn a_replay_that_slips_shows_no_earlier_time_and_goes_on_when_it_is_due_again() {
        let played = PlayedTime::new(Timestamp(1_000), 2.0);
        played.begin(Timestamp(0));
        assert_eq!(played.at(Timestamp(500)), Timestamp(2_000));
        // What was due at 100 is given at 600 only.
        played.slip(Timestamp(1_200), || Timestamp(600));
        assert_eq!(played.due(Timestamp(1_200)), Timestamp(600));
        assert_eq!(played.due_by(Timestamp(700)), Timestamp(1_400));
        let shown = [600, 700, 1_100, 1_101, 1_200].map(|steady| played.at(Timestamp(steady)).0);
        assert_eq!(shown, [2_200, 2_200, 2_200, 2_202, 2_400]);
        // Another replay of the session was held up by the same.
        played.slip(Timestamp(1_200), || Timestamp(600));
        assert_eq!(played.due(Timestamp(1_200)), Timestamp(600), "a delay counts once");
    }

    #[test]
    fn whoever_reads_the_time_while_it_slips_never_sees_it_go_back() {
        let time = SessionTime::new(SessionClock::anchored_now());
        let played = time.play(Timestamp(0), 1.0).unwrap();
        played.begin(time.running());
        let ends = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut times = Vec::new();
                while !ends.load(Ordering::Relaxed) {
                    let now = time.now();
                    if times.last() != Some(&now) {
                        times.push(now);
                    }
                }
                times
            });
            for step in 1..2_000 {
                time.slip(&played, Timestamp(step));
            }
            ends.store(true, Ordering::Relaxed);
            assert!(reader.join().unwrap().is_sorted());
        });
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

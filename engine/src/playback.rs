//! The clock of a recording that is played: driven by the wall, with speed, pause and seek. Pure: it is told the time. Knows nothing
//! of what is played.

use std::time::Duration;

use tapedeck_sdk::Timestamp;

/// Where a recording that is played stands. A position is time since the recording's beginning, on the recording's own clock.
#[derive(Debug, Clone)]
pub struct PlaybackClock {
    speed: f64,
    /// The position at `since`, or for as long as it is paused.
    position: Duration,
    /// Since when it has run.
    since: Option<Timestamp>,
}

impl PlaybackClock {
    /// The slowest and the fastest.
    pub const SPEEDS: std::ops::RangeInclusive<f64> = 0.01..=1000.0;

    /// A clock at the beginning that runs from `now` on, `speed` times as fast as the wall. Speeds beyond [`SPEEDS`](Self::SPEEDS)
    /// are taken as the nearest one.
    #[must_use]
    pub fn start(speed: f64, now: Timestamp) -> Self {
        Self { speed: in_range(speed), position: Duration::ZERO, since: Some(now) }
    }

    /// Where it stands.
    #[must_use]
    pub fn position(&self, now: Timestamp) -> Duration {
        match self.since {
            Some(since) => self.position + now.since(since).mul_f64(self.speed),
            None => self.position,
        }
    }

    /// How fast it runs when it runs.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// Runs that fast from now on.
    pub fn set_speed(&mut self, speed: f64, now: Timestamp) {
        self.seek(self.position(now), now);
        self.speed = in_range(speed);
    }

    /// Whether it stands still.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.since.is_none()
    }

    /// Stands still.
    pub fn pause(&mut self, now: Timestamp) {
        self.position = self.position(now);
        self.since = None;
    }

    /// Runs again.
    pub fn go_on(&mut self, now: Timestamp) {
        self.since.get_or_insert(now);
    }

    /// Goes to a position; runs from there if it ran before.
    pub fn seek(&mut self, to: Duration, now: Timestamp) {
        self.position = to;
        self.since = self.since.map(|_| now);
    }

    /// How long it takes until a position is reached; zero if it is behind, `None` while paused.
    #[must_use]
    pub fn time_until(&self, position: Duration, now: Timestamp) -> Option<Duration> {
        let ahead = position.saturating_sub(self.position(now));
        self.since.map(|_| ahead.div_f64(self.speed))
    }
}

fn in_range(speed: f64) -> f64 {
    let (slowest, fastest) = PlaybackClock::SPEEDS.into_inner();
    if speed.is_nan() { 1.0 } else { speed.clamp(slowest, fastest) }
}

/// Gives frames their positions, pauses that are longer than a limit shortened to it.
#[derive(Debug, Clone, Default)]
pub struct IdleLimit {
    limit: Option<Duration>,
    last: Option<Timestamp>,
    position: Duration,
}

impl IdleLimit {
    /// `None` shortens nothing.
    #[must_use]
    pub fn new(limit: Option<Duration>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// The position of the next frame. The first one is at the beginning; one whose time goes back is where the one before is.
    pub fn place(&mut self, at: Timestamp) -> Duration {
        let last = self.last.map_or(at, |last| last.max(at));
        let pause = last.since(self.last.unwrap_or(at));
        self.position += self.limit.map_or(pause, |limit| pause.min(limit));
        self.last = Some(last);
        self.position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000_000)
    }

    #[test]
    fn a_clock_runs_at_its_speed_stands_still_and_jumps() {
        let mut clock = PlaybackClock::start(2.0, seconds(100));
        assert_eq!(clock.position(seconds(103)), Duration::from_secs(6));
        assert_eq!(clock.time_until(Duration::from_secs(10), seconds(103)), Some(Duration::from_secs(2)));
        clock.pause(seconds(103));
        assert_eq!(clock.position(seconds(900)), Duration::from_secs(6));
        assert_eq!(clock.time_until(Duration::from_secs(10), seconds(900)), None);
        clock.seek(Duration::from_secs(1), seconds(900));
        assert!(clock.is_paused());
        clock.go_on(seconds(901));
        clock.go_on(seconds(902));
        assert_eq!(clock.position(seconds(902)), Duration::from_secs(3));
        clock.set_speed(0.5, seconds(902));
        assert_eq!(clock.position(seconds(906)), Duration::from_secs(5));
        assert_eq!(clock.time_until(Duration::ZERO, seconds(906)), Some(Duration::ZERO), "behind");
        for (wanted, speed) in [(0.0, 0.01), (-1.0, 0.01), (f64::INFINITY, 1000.0), (f64::NAN, 1.0)] {
            clock.set_speed(wanted, seconds(907));
            assert!((clock.speed() - speed).abs() < 1e-9, "{wanted}");
        }
    }

    #[test]
    fn long_pauses_are_shortened_and_time_never_goes_back() {
        let mut limit = IdleLimit::new(Some(Duration::from_secs(2)));
        let places = [5, 6, 60, 59, 61, 63].map(|at| limit.place(seconds(at)).as_secs());
        assert_eq!(places, [0, 1, 3, 3, 4, 6]);
        let mut none = IdleLimit::new(None);
        assert_eq!([5, 60].map(|at| none.place(seconds(at)).as_secs()), [0, 55]);
    }
}

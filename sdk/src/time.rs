//! Points in time. This file does not read any clock: the engine does, and hands out what it read.

use std::fmt;
use std::time::Duration;

/// Nanoseconds since the Unix epoch (1970-01-01T00:00:00 UTC) on the session's clock.
///
/// The session clock is monotonic and was anchored to the wall clock once, when the session began: differences between
/// two timestamps of one session are true durations, whatever happened to the wall clock in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Says "I don't know": the engine fills in the time at which it called the source (polled sources) or at which the
    /// batch came back (sources that wait for their device).
    pub const UNSET: Self = Self(i64::MIN);

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Seconds since the Unix epoch, as precise as an `f64` can be (about 0.2 µs today).
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the doc comment states the precision")]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The time from `earlier` to `self`; zero when `earlier` is the later one.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ns", self.0)
    }
}

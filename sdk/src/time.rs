//! Points in time. This file does not read any clock: the engine does, and hands out what it read.

use std::fmt;
use std::time::Duration;

/// Nanoseconds since the Unix epoch (1970-01-01T00:00:00 UTC) on the session's clock.
///
/// The session clock is monotonic and was anchored to the wall clock once, when the session began: differences between
/// two timestamps of one session are true durations, whatever happened to the wall clock in between.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
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

    /// The time as ISO 8601 text in UTC with nine digits of a second: `2023-11-14T22:13:20.000000000Z`. ASCII, always of this length.
    #[must_use]
    pub fn iso8601_bytes(self) -> [u8; 30] {
        let (seconds, nanos) = (self.0.div_euclid(1_000_000_000), self.0.rem_euclid(1_000_000_000));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        let parts = [
            (year, 0, 4),
            (month, 5, 2),
            (day, 8, 2),
            (second / 3600, 11, 2),
            (second / 60 % 60, 14, 2),
            (second % 60, 17, 2),
        ];
        for (mut number, begin, digits) in parts.into_iter().chain([(nanos, 20, 9)]) {
            for digit in text[begin..begin + digits].iter_mut().rev() {
                *digit = b"0123456789"[usize::try_from(number % 10).unwrap_or(0)];
                number /= 10;
            }
        }
        text
    }

    /// The time as ISO 8601 text; see [`iso8601_bytes`](Self::iso8601_bytes).
    #[must_use]
    pub fn to_iso8601(self) -> String {
        self.iso8601_bytes().iter().copied().map(char::from).collect()
    }

    /// Reads ISO 8601 text: a date, `T` or a space, a time with up to nine digits of a second, and `Z`, an offset (`+02:00`) or
    /// nothing, which is UTC. `None` for anything else, and for times before 1678 or after 2261.
    #[must_use]
    pub fn from_iso8601(text: &str) -> Option<Self> {
        let (date, rest) = (text.get(..10)?, text.get(11..)?);
        if !matches!(text.as_bytes()[10], b'T' | b't' | b' ') || rest.len() < 8 {
            return None;
        }
        let [year, month, day] = fields(date, b'-', [4, 2, 2])?;
        let [hour, minute, second] = fields(rest.get(..8)?, b':', [2, 2, 2])?;
        let (fraction, zone) =
            rest.get(8..)?.split_at(rest[8..].find(['Z', 'z', '+', '-']).unwrap_or(rest.len() - 8));
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let days = days_from_civil(year, month, day);
        if civil_from_days(days) != (year, month, day) {
            return None;
        }
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - zone_seconds(zone)?;
        let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(fraction_nanos(fraction)?);
        i64::try_from(nanos).ok().map(Self)
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

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar. The algorithm is Howard Hinnant's
/// (`chrono`-Compatible Low-Level Date Algorithms, 2013): years begin in March, so that the leap day is the last.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil_from_days`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Three numbers of fixed length with a separator between them.
fn fields(text: &str, separator: u8, lengths: [usize; 3]) -> Option<[i64; 3]> {
    let mut numbers = [0; 3];
    let mut at = 0;
    for (index, length) in lengths.into_iter().enumerate() {
        if index > 0 && text.as_bytes().get(at - 1) != Some(&separator) {
            return None;
        }
        numbers[index] = digits(text.get(at..at + length)?)?;
        at += length + 1;
    }
    Some(numbers)
}

fn digits(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn fraction_nanos(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let fraction = text.strip_prefix('.').filter(|digits| (1..=9).contains(&digits.len()))?;
    let scale = 10_i64.pow(9 - u32::try_from(fraction.len()).ok()?);
    Some(digits(fraction)? * scale)
}

fn zone_seconds(zone: &str) -> Option<i64> {
    if matches!(zone, "" | "Z" | "z") {
        return Some(0);
    }
    let (sign, clock) = (if zone.starts_with('-') { -1 } else { 1 }, zone.get(1..)?);
    let (hours, minutes) = (digits(clock.get(..2)?)?, digits(clock.get(3..)?)?);
    let shape = clock.len() == 5 && clock.as_bytes()[2] == b':' && hours < 24 && minutes < 60;
    shape.then_some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times_are_written_as_every_calendar_has_them() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456789Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (i64::MAX, "2262-04-11T23:47:16.854775807Z"),
            (i64::MIN, "1677-09-21T00:12:43.145224192Z"),
        ] {
            assert_eq!(Timestamp(nanos).to_iso8601(), text);
            assert_eq!(Timestamp::from_iso8601(text), Some(Timestamp(nanos)));
        }
    }

    #[test]
    fn other_spellings_are_read() {
        let expected = Some(Timestamp(1_700_000_000_500_000_000));
        for text in [
            "2023-11-14T22:13:20.5Z",
            "2023-11-14 22:13:20.500",
            "2023-11-15T00:13:20.5+02:00",
            "2023-11-14T17:43:20.5-04:30",
        ] {
            assert_eq!(Timestamp::from_iso8601(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2023-11-14",
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-11-14T24:00:00Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20.1234567890Z",
            "2023-11-14T22:13:20+2:00",
            "1500-01-01T00:00:00Z",
            "2023-11-14T22:13:20Zz",
            "+023-11-14T22:13:20Z",
            "2023é11-14T22:13:20Z",
            "2023-11-14T22:13:20.5é",
            "2023-11-14T22:13:20+02é0",
        ] {
            assert_eq!(Timestamp::from_iso8601(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_time_comes_back(nanos: i64) {
            prop_assert_eq!(Timestamp::from_iso8601(&Timestamp(nanos).to_iso8601()), Some(Timestamp(nanos)));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = Timestamp::from_iso8601(&text);
        }
    }
}

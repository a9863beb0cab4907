//! Points in time as decimal seconds, digit by digit: no float is in between that could round.

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// To how many digits of a second times are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
pub enum Precision {
    /// Microseconds, which is as far as other readers go.
    #[serde(rename = "us")]
    Micros,
    /// Nanoseconds. Readers that cut digits off, as asciinema does in each interval of a version 3 file, then drift by up to a
    /// microsecond an event.
    #[serde(rename = "ns")]
    Nanos,
}

impl Precision {
    /// The nearest time that can be written.
    pub(crate) fn round(self, nanos: u64) -> u64 {
        match self {
            Self::Nanos => nanos,
            Self::Micros => nanos.saturating_add(500) / 1000 * 1000,
        }
    }
}

/// Adds nanoseconds as seconds, with as many digits as it takes and at least one: `12.0`, `0.000001`.
pub(crate) fn write(nanos: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(nanos / NANOS_PER_SECOND).as_bytes());
    let mut fraction = nanos % NANOS_PER_SECOND;
    let mut digits = *b".000000000";
    for digit in digits[1..].iter_mut().rev() {
        *digit = b"0123456789"[usize::try_from(fraction % 10).unwrap_or(0)];
        fraction /= 10;
    }
    let end = digits.iter().rposition(|&digit| digit != b'0').unwrap_or(0);
    out.extend_from_slice(&digits[..=end.max(1)]);
}

/// The nanoseconds of a JSON number of seconds. A negative time is zero, one that is too large the largest there is. `None` for
/// what is no number.
pub(crate) fn parse(number: &str) -> Option<u64> {
    if number.starts_with('-') || number.contains(['e', 'E']) {
        return parse_float(number);
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let seconds = whole.parse().unwrap_or(u64::MAX);
    // Nine digits count, the tenth rounds.
    let digit = |place: usize| u64::from(fraction.as_bytes().get(place).map_or(0, |digit| digit - b'0'));
    let nanos = (0..9).fold(0, |nanos, place| nanos * 10 + digit(place)) + u64::from(digit(9) >= 5);
    Some(seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(nanos))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, as is wanted"
)]
fn parse_float(number: &str) -> Option<u64> {
    let seconds: f64 = number.parse().ok()?;
    Some((seconds * 1e9).round() as u64)
}

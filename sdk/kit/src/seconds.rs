//! Unix seconds as a float, and nanoseconds. A float of today is exact to 238 ns, so it survives as nanoseconds if halves are converted apart.

use tapedeck_sdk::Timestamp;

const NANOS: i64 = 1_000_000_000;

/// The nearest nanosecond. `None` outside of the years 1677 to 2262.
#[must_use]
pub fn of_seconds(seconds: f64) -> Option<Timestamp> {
    let whole = seconds.floor();
    if !whole.is_finite() || whole.abs() > 9.3e9 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "both are whole and in range")]
    let (whole, nanos) = (whole as i64, ((seconds - whole) * 1e9).round() as i64);
    whole.checked_mul(NANOS)?.checked_add(nanos).map(Timestamp)
}

/// The nearest float.
#[must_use]
pub fn to_seconds(time: Timestamp) -> f64 {
    const EXACT_MAX: u64 = 1 << 53;
    let nanos = time.0.unsigned_abs();
    let seconds = if nanos < EXACT_MAX {
        #[expect(clippy::cast_precision_loss, reason = "it is below 2^53")]
        let nanos = nanos as f64;
        nanos / 1e9
    } else {
        // A float has no room for the dividend: the digits are rounded once, as they are.
        let digits = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
        digits.parse().unwrap_or(f64::NAN)
    };
    if time.0 < 0 { -seconds } else { seconds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float_of_today_survives_as_nanoseconds() {
        let mut seconds = 1_704_067_200.000_001_f64;
        for _ in 0..100_000 {
            assert_eq!(to_seconds(of_seconds(seconds).unwrap()).to_bits(), seconds.to_bits());
            seconds = (seconds + 0.013).next_up();
        }
        for odd in [f64::NAN, f64::INFINITY, 1e18, -1e18] {
            assert_eq!(of_seconds(odd), None);
        }
        assert_eq!(of_seconds(-0.25), Some(Timestamp(-250_000_000)));
        assert_eq!(to_seconds(Timestamp(-250_000_000)).to_bits(), (-0.25_f64).to_bits());
    }
}

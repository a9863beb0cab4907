//! Types for options that TOML has no notation for: durations (`"250ms"`), sizes (`"64MiB"`) and frequencies (`"60Hz"`).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Declares a newtype that is written as a string with a unit, and its place in a JSON Schema.
macro_rules! text_option {
    ($name:ident, $format:literal, $example:literal) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "format": $format, "examples": [$example] })
            }
        }
    };
}

/// A duration as the user writes it: a number and a unit (`ns`, `us`, `ms`, `s`, `m`, `h`), such as `"250ms"` or `"1.5s"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurationText(pub Duration);
text_option!(DurationText, "duration", "250ms");

/// A size as the user writes it: a number and a unit (`B`, `kB`, `MB`, `GB`, `KiB`, `MiB`, `GiB`), such as `"64MiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);
text_option!(ByteSize, "bytes", "64MiB");

/// A frequency as the user writes it: a number and a unit (`mHz`, `Hz`, `kHz`, `MHz`), such as `"60Hz"`. In Hz.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct FrequencyText(pub f64);
text_option!(FrequencyText, "frequency", "60Hz");

const FREQUENCY_UNITS: &[(&str, f64)] = &[("mHz", 1e-3), ("Hz", 1.0), ("kHz", 1e3), ("MHz", 1e6)];

const DURATION_UNITS: &[(&str, f64)] = &[
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("min", 60.0),
    ("h", 3600.0),
];

const SIZE_UNITS: &[(&str, f64)] = &[
    ("B", 1.0),
    ("kB", 1e3),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
];

/// Splits `"1.5ms"` into number and factor.
fn split(text: &str, units: &[(&str, f64)], what: &str) -> Result<f64, String> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, unit) = (&text[..unit_at], text[unit_at..].trim_start());
    let names = || units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let Ok(number) = digits.parse::<f64>() else {
        return Err(format!("\"{text}\" is not a {what}: expected a number and a unit ({})", names()));
    };
    let factor = units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    factor
        .map(|factor| number * factor)
        .ok_or_else(|| format!("\"{text}\" is not a {what}: expected one of the units {}", names()))
}

impl FromStr for DurationText {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = split(text, DURATION_UNITS, "duration")?;
        Duration::try_from_secs_f64(seconds)
            .map(Self)
            .map_err(|error| format!("\"{text}\" is not a duration: {error}"))
    }
}

impl FromStr for ByteSize {
    type Err = String;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked just above"
    )]
    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = split(text, SIZE_UNITS, "size")?;
        if bytes < 9e18 {
            Ok(Self(bytes.round() as u64))
        } else {
            Err(format!("\"{text}\" is too large a size"))
        }
    }
}

impl FromStr for FrequencyText {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        split(text, FREQUENCY_UNITS, "frequency").map(Self)
    }
}

impl fmt::Display for FrequencyText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}Hz", self.0)
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.0)
    }
}

impl fmt::Display for ByteSize {
    #[expect(clippy::cast_precision_loss, reason = "sizes above 2^53 bytes are rounded for display only")]
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, factor) in SIZE_UNITS.iter().rev().filter(|(unit, _)| unit.ends_with("iB")) {
            let number = self.0 as f64 / factor;
            if number >= 1.0 && number.fract() == 0.0 {
                return write!(formatter, "{number}{unit}");
            }
        }
        write!(formatter, "{}B", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_every_unit() {
        for (text, expected) in [
            ("250ms", 250_000_000),
            ("1.5s", 1_500_000_000),
            ("2m", 120_000_000_000),
            ("16.67ms", 16_670_000),
        ] {
            assert_eq!(text.parse::<DurationText>().unwrap().0.as_nanos(), expected, "{text}");
        }
    }

    #[test]
    fn a_duration_without_a_unit_is_refused_with_the_units() {
        let message = "5".parse::<DurationText>().unwrap_err();
        assert!(message.contains("ms"), "{message}");
        for text in ["", "s", "-1s", "1e400s", "5 parsecs", "1..2s", "99999999999999999999999s"] {
            assert!(text.parse::<DurationText>().is_err(), "{text}");
        }
    }

    #[test]
    fn frequencies_are_read_and_written_back() {
        for (text, hertz) in
            [("60Hz", 60.0), ("1kHz", 1000.0), ("0.5 Hz", 0.5), ("1MHz", 1e6), ("100mHz", 0.1)]
        {
            let frequency: FrequencyText = text.parse().unwrap();
            assert!((frequency.0 - hertz).abs() < 1e-9, "{text}: {frequency}");
            assert_eq!(frequency.to_string().parse(), Ok(frequency));
        }
        for text in ["60", "Hz", "60hz", "-1Hz", "60 fps"] {
            assert!(text.parse::<FrequencyText>().unwrap_err().contains("kHz"), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_and_written_back() {
        for (text, expected) in [("64MiB", 64 << 20), ("1kB", 1000), ("2GiB", 2 << 30), ("17B", 17)] {
            assert_eq!(text.parse::<ByteSize>().unwrap().0, expected, "{text}");
        }
        assert_eq!(ByteSize(64 << 20).to_string(), "64MiB");
        assert_eq!(ByteSize(1000).to_string(), "1000B");
    }
}

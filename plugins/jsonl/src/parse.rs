//! Splits JSON lines into keys and values, without reading the values. Knows nothing of what they mean.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead, Read};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The most bytes that a line has.
const LINE_BYTES_MAX: u64 = 512 << 20;

/// One line: the keys of its object, in order, and their values as they stand there.
pub(crate) struct Object<'line>(pub(crate) Vec<(Cow<'line, str>, &'line RawValue)>);

impl<'de: 'line, 'line> Deserialize<'de> for Object<'line> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut pairs = Vec::new();
                while let Some((key, value)) = map.next_entry::<Key<'de>, _>()? {
                    pairs.push((key.0, value));
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Pairs).map(Self)
    }
}

/// A key, borrowed from the line where it has no escapes.
#[derive(serde::Deserialize)]
struct Key<'line>(#[serde(borrow)] Cow<'line, str>);

/// What [`Lines::next`] came upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A line, which [`Lines::text`] has. `ended` says that a line end followed.
    Line {
        /// Whether a line end followed.
        ended: bool,
    },
    /// Text that is no line: the reason.
    Malformed(&'static str),
    /// The end of the text.
    End,
}

/// Reads lines from text, one after the other, always into the same memory.
pub(crate) struct Lines<R> {
    input: R,
    raw: Vec<u8>,
    /// Bytes before the line in hand, and behind it.
    begin: u64,
    end: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, raw: Vec::new(), begin: 0, end: 0 }
    }

    /// Where the line in hand begins, in bytes.
    pub(crate) fn begin(&self) -> u64 {
        self.begin
    }

    /// The line in hand. Empty when it is not UTF-8, which no JSON is.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.raw).map_or("", str::trim_ascii)
    }

    /// Goes on to the next line; empty ones are passed over.
    pub(crate) fn next(&mut self) -> io::Result<Found> {
        loop {
            self.begin = self.end;
            self.raw.clear();
            let read = (&mut self.input).take(LINE_BYTES_MAX).read_until(b'\n', &mut self.raw)?;
            self.end += read as u64;
            if read == 0 {
                return Ok(Found::End);
            }
            let ended = self.raw.ends_with(b"\n");
            if !ended && read as u64 == LINE_BYTES_MAX {
                return Ok(Found::Malformed("the line is longer than 512 MiB"));
            }
            if !ended || !self.raw.trim_ascii().is_empty() {
                return Ok(Found::Line { ended });
            }
        }
    }
}

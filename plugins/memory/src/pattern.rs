//! Byte patterns: `48 8B 05 ?? ?? ?? ??`. Parses and matches; knows neither processes nor addresses.

use std::fmt;

use memchr::memmem::Finder;

/// The most bytes that a pattern has.
pub const BYTES_MAX: usize = 1024;

/// Bytes to look for, some of which may be anything.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// `None` is `??`.
    bytes: Vec<Option<u8>>,
    /// Where the longest run of fixed bytes begins.
    anchor: usize,
    finder: Finder<'static>,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternError {
    /// There is nothing in it.
    Empty,
    /// A character that is neither a hexadecimal digit, `?` nor white space.
    NoHex {
        /// Which one, counted in characters from 1.
        position: usize,
        /// The character.
        found: char,
    },
    /// A digit or `?` that stands alone.
    HalfByte {
        /// Which one, counted in characters from 1.
        position: usize,
    },
    /// Nothing but `??`.
    NoFixedByte,
    /// More than [`BYTES_MAX`] bytes.
    TooLong,
}

impl fmt::Display for PatternError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("it is empty"),
            Self::NoHex { position, found } => {
                write!(formatter, "character {position}, \"{found}\", is no hexadecimal digit")
            }
            Self::HalfByte { position } => write!(formatter, "character {position} is only half a byte"),
            Self::NoFixedByte => formatter.write_str("it has no fixed byte, so it would match everywhere"),
            Self::TooLong => write!(formatter, "it is longer than {BYTES_MAX} bytes"),
        }
    }
}

impl std::error::Error for PatternError {}

impl std::str::FromStr for Pattern {
    type Err = PatternError;

    /// Two hexadecimal digits or `??` a byte; white space between bytes is optional.
    fn from_str(text: &str) -> Result<Self, PatternError> {
        let mut bytes = Vec::new();
        let mut characters = text.chars().zip(1..).filter(|(character, _)| !character.is_whitespace());
        while let Some((high, position)) = characters.next() {
            let digit = |found: char, position| match found {
                '?' => Ok(None),
                _ => found.to_digit(16).map(Some).ok_or(PatternError::NoHex { position, found }),
            };
            let high = digit(high, position)?;
            let half = PatternError::HalfByte { position };
            let Some((low, next)) = characters.next() else { return Err(half) };
            let low = digit(low, next)?;
            if next != position + 1 {
                return Err(half);
            }
            if bytes.len() == BYTES_MAX {
                return Err(PatternError::TooLong);
            }
            bytes.push(match (high, low) {
                (Some(high), Some(low)) => {
                    Some(u8::try_from(high * 16 + low).expect("two hexadecimal digits are a byte"))
                }
                (None, None) => None,
                _ => return Err(half),
            });
        }
        Self::new(bytes)
    }
}

impl Pattern {
    fn new(bytes: Vec<Option<u8>>) -> Result<Self, PatternError> {
        if bytes.is_empty() {
            return Err(PatternError::Empty);
        }
        let (mut anchor, mut longest) = (0, Vec::new());
        let mut begin = 0;
        for run in bytes.split(Option::is_none) {
            if run.len() > longest.len() {
                (anchor, longest) = (begin, run.iter().copied().flatten().collect());
            }
            begin += run.len() + 1;
        }
        if longest.is_empty() {
            return Err(PatternError::NoFixedByte);
        }
        Ok(Self { finder: Finder::new(&longest).into_owned(), bytes, anchor })
    }

    /// How many bytes it spans. Never 0.
    #[expect(clippy::len_without_is_empty, reason = "a pattern is never empty")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Where the first `??` is.
    #[must_use]
    pub fn wildcard(&self) -> Option<usize> {
        self.bytes.iter().position(Option::is_none)
    }

    /// Whether one of the bytes in `places` may be anything.
    pub(crate) fn has_wildcard(&self, places: std::ops::Range<usize>) -> bool {
        self.bytes.iter().skip(places.start).take(places.len()).any(Option::is_none)
    }

    /// Whether a run of `??` begins at `place`.
    pub(crate) fn begins_run(&self, place: usize) -> bool {
        let is_wildcard = |place: usize| self.bytes.get(place).is_some_and(Option::is_none);
        is_wildcard(place) && place.checked_sub(1).is_none_or(|before| !is_wildcard(before))
    }

    /// Where it is found first in `bytes`, at `from` or later.
    #[must_use]
    pub fn find(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let mut from = from;
        loop {
            let begin = from.checked_add(self.anchor).filter(|&begin| begin <= bytes.len())?;
            let at = from + self.finder.find(&bytes[begin..])?;
            if self.matches(bytes.get(at..at + self.len())?) {
                return Some(at);
            }
            from = at + 1;
        }
    }

    fn matches(&self, bytes: &[u8]) -> bool {
        self.bytes.iter().zip(bytes).all(|(wanted, byte)| wanted.is_none_or(|wanted| wanted == *byte))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

/// As it is written: upper-case digits, one space between bytes.
impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.bytes.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            match byte {
                Some(byte) => write!(formatter, "{space}{byte:02X}")?,
                None => write!(formatter, "{space}??")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(pattern: &Pattern, bytes: &[u8], from: usize) -> Option<usize> {
        (from..)
            .take_while(|at| at + pattern.len() <= bytes.len())
            .find(|&at| pattern.matches(&bytes[at..at + pattern.len()]))
    }

    fn bytes() -> impl Strategy<Value = Vec<Option<u8>>> {
        // Few different bytes, so that there are partial, overlapping and repeated matches.
        prop::collection::vec(prop::option::weighted(0.7, 0_u8..3), 1..8)
    }

    proptest! {
        #[test]
        fn finds_what_a_plain_search_finds(bytes in bytes(), hay in prop::collection::vec(0_u8..3, 0..60), from in 0_usize..70) {
            let Ok(pattern) = Pattern::new(bytes) else { return Ok(()) };
            prop_assert_eq!(pattern.find(&hay, from), naive(&pattern, &hay, from));
        }

        #[test]
        fn what_is_written_is_read_back(bytes in prop::collection::vec(any::<Option<u8>>(), 1..40), spaces: bool) {
            let Ok(pattern) = Pattern::new(bytes) else { return Ok(()) };
            let text = pattern.to_string();
            let text = if spaces { text } else { text.replace(' ', "").to_lowercase() };
            prop_assert_eq!(text.parse::<Pattern>().unwrap(), pattern);
        }

        #[test]
        fn no_text_panics(text in "[0-9a-fA-F? xXg]{0,30}") {
            if let Ok(pattern) = text.parse::<Pattern>() {
                prop_assert!(pattern.find(text.as_bytes(), 0).is_none_or(|at| at < text.len()));
            }
        }
    }

    #[test]
    fn a_bad_text_is_refused_with_the_place() {
        let refused = |text: &str| text.parse::<Pattern>().unwrap_err();
        assert_eq!(refused(""), PatternError::Empty);
        assert_eq!(refused("  "), PatternError::Empty);
        assert_eq!(refused("?? ??"), PatternError::NoFixedByte);
        assert_eq!(refused("48 8G"), PatternError::NoHex { position: 5, found: 'G' });
        assert_eq!(refused("0x48"), PatternError::NoHex { position: 2, found: 'x' });
        assert_eq!(refused("48 8"), PatternError::HalfByte { position: 4 });
        assert_eq!(refused("4 8"), PatternError::HalfByte { position: 1 });
        assert_eq!(refused("48 4?"), PatternError::HalfByte { position: 4 });
        assert_eq!(refused(&"90".repeat(BYTES_MAX + 1)), PatternError::TooLong);
        assert!("90".repeat(BYTES_MAX).parse::<Pattern>().is_ok());
    }

    #[test]
    fn the_first_wildcard_is_where_the_distance_lies() {
        assert_eq!("48 8B 05 ?? ?? ?? ?? 48 85 C0".parse::<Pattern>().unwrap().wildcard(), Some(3));
        assert_eq!("488B4808".parse::<Pattern>().unwrap().wildcard(), None);
    }
}

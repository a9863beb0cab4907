//! Goes through a JSON document value by value, without holding more than one. Knows nothing of what the document says.

use std::io::{self, BufRead};

/// The most bytes of one value.
pub(crate) const VALUE_BYTES_MAX: usize = 256 << 20;

/// Why a document can't be read on.
#[derive(Debug)]
pub(crate) enum Fault {
    Io(io::Error),
    /// It ends in the middle.
    Torn,
    /// What is wrong, and at which byte.
    Malformed(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        // A compressed file that was cut, or is damaged.
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Torn,
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => Self::Malformed(error.to_string()),
            _ => Self::Io(error),
        }
    }
}

/// Reads a document from its beginning to its end.
pub(crate) struct Scanner<R> {
    input: R,
    /// Bytes that were passed.
    at: u64,
}

impl<R: BufRead> Scanner<R> {
    /// A document whose next byte is the one at `at`.
    pub(crate) fn new(input: R, at: u64) -> Self {
        Self { input, at }
    }

    /// Bytes that were passed.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    fn pass(&mut self, count: usize) {
        self.input.consume(count);
        self.at += count as u64;
    }

    /// Passes over so many bytes.
    pub(crate) fn skip(&mut self, mut count: u64) -> Result<(), Fault> {
        while count > 0 {
            let here = self.input.fill_buf()?.len();
            if here == 0 {
                return Err(Fault::Torn);
            }
            let step = usize::try_from(count).unwrap_or(usize::MAX).min(here);
            self.pass(step);
            count -= step as u64;
        }
        Ok(())
    }

    /// The next byte that is no space; it stays where it is. `None` at the end.
    pub(crate) fn peek(&mut self) -> Result<Option<u8>, Fault> {
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Ok(None);
            }
            let spaces = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let found = buffer.get(spaces).copied();
            self.pass(spaces);
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    /// Takes one of these bytes.
    pub(crate) fn take(&mut self, wanted: &[u8]) -> Result<u8, Fault> {
        let Some(found) = self.peek()? else { return Err(Fault::Torn) };
        if !wanted.contains(&found) {
            let wanted: Vec<String> = wanted.iter().map(|byte| format!("`{}`", char::from(*byte))).collect();
            let what = format!("there should be {} at byte {}", wanted.join(" or "), self.at);
            return Err(Fault::Malformed(what));
        }
        self.pass(1);
        Ok(found)
    }

    /// Adds the next value to `out`, as it stands. What is wrong within it is left to who reads it.
    pub(crate) fn value(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Some(first) = self.peek()? else { return Err(Fault::Torn) };
        if matches!(first, b',' | b':' | b']' | b'}') {
            return Err(Fault::Malformed(format!("there should be a value at byte {}", self.at)));
        }
        let mut inside = Inside { depth: 0, string: false, escaped: false };
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                // A number at the very end is whole, for all that can be told.
                return if inside.depth == 0 && !inside.string && !out.is_empty() {
                    Ok(())
                } else {
                    Err(Fault::Torn)
                };
            }
            let (count, ended) = inside.pass(buffer);
            out.extend_from_slice(&buffer[..count]);
            self.pass(count);
            if ended {
                return Ok(());
            }
            if out.len() > VALUE_BYTES_MAX {
                return Err(Fault::Malformed(format!("a value has over 256 MiB before byte {}", self.at)));
            }
        }
    }
}

/// Where in a value we are.
struct Inside {
    depth: usize,
    string: bool,
    escaped: bool,
}

impl Inside {
    /// How many of these bytes are of the value, and whether it ends with them.
    fn pass(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if self.string {
                if std::mem::take(&mut self.escaped) {
                    at += 1;
                    continue;
                }
                let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[at..]) else {
                    return (bytes.len(), false);
                };
                at += found + 1;
                self.escaped = bytes[at - 1] == b'\\';
                self.string = self.escaped;
                if !self.string && self.depth == 0 {
                    return (at, true);
                }
                continue;
            }
            match byte {
                b'"' => self.string = true,
                b'{' | b'[' => self.depth += 1,
                // Of what the value stands in.
                b'}' | b']' | b',' if self.depth == 0 => return (at, true),
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return (at + 1, true);
                    }
                }
                b' ' | b'\n' | b'\r' | b'\t' if self.depth == 0 => return (at, true),
                _ => {}
            }
            at += 1;
        }
        (at, false)
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn values_come_one_by_one_wherever_the_buffer_ends() {
        let text = "[ 12 ,\"a\\\"]\\\\\", {\"b\":[{}, \"}\"]} ,true]";
        for capacity in 1..20 {
            let mut scanner = Scanner::new(BufReader::with_capacity(capacity, text.as_bytes()), 0);
            scanner.take(b"[").unwrap();
            let mut found = Vec::new();
            loop {
                let mut value = Vec::new();
                scanner.value(&mut value).unwrap();
                found.push(String::from_utf8(value).unwrap());
                if scanner.take(b",]").unwrap() == b']' {
                    break;
                }
            }
            assert_eq!(found, ["12", "\"a\\\"]\\\\\"", "{\"b\":[{}, \"}\"]}", "true"], "{capacity}");
            assert_eq!((scanner.peek().unwrap(), scanner.at()), (None, text.len() as u64));
        }
    }

    #[test]
    fn what_is_no_value_is_told_with_its_byte() {
        let at = |text: &str| Scanner::new(text.as_bytes(), 0).value(&mut Vec::new());
        assert!(matches!(at(" ,"), Err(Fault::Malformed(what)) if what.contains("byte 1")));
        for torn in ["", "  ", "{\"a\"", "[1,", "\"a"] {
            assert!(matches!(at(torn), Err(Fault::Torn)), "{torn}");
        }
    }
}

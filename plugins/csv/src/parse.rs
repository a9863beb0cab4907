//! Splits comma-separated text (RFC 4180) into records and fields. Unlike the `csv` crate it says which fields were in quotes: that
//! is what tells an empty text from a null, and text from a number. Knows nothing of what the fields mean.

use std::io::{self, BufRead, Read};

/// The most bytes that a record has. A lone quote would otherwise swallow the rest of the file.
const RECORD_BYTES_MAX: u64 = 512 << 20;

/// One field of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell<'record> {
    pub(crate) text: &'record str,
    pub(crate) quoted: bool,
}

/// What [`Records::next`] came upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A record, which [`Records::cells`] has. `ended` says that a line end followed.
    Record { ended: bool },
    /// Text that is no record: the reason.
    Malformed(&'static str),
    /// The end of the text.
    End,
}

/// Reads records from text, one after the other, always into the same memory.
pub(crate) struct Records<R> {
    input: R,
    raw: Vec<u8>,
    text: String,
    /// Where each field ends in `text`, and whether it was in quotes.
    ends: Vec<(usize, bool)>,
    /// Bytes before the record in hand, and behind it.
    begin: u64,
    end: u64,
}

impl<R: BufRead> Records<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, raw: Vec::new(), text: String::new(), ends: Vec::new(), begin: 0, end: 0 }
    }

    /// Where the record in hand begins, in bytes.
    pub(crate) fn begin(&self) -> u64 {
        self.begin
    }

    /// The fields of the record in hand.
    pub(crate) fn cells(&self) -> impl ExactSizeIterator<Item = Cell<'_>> {
        (0..self.ends.len()).map(|index| self.cell(index))
    }

    /// A field of the record in hand.
    pub(crate) fn cell(&self, index: usize) -> Cell<'_> {
        let begin = if index == 0 { 0 } else { self.ends[index - 1].0 };
        let (end, quoted) = self.ends[index];
        Cell { text: &self.text[begin..end], quoted }
    }

    pub(crate) fn next(&mut self) -> io::Result<Found> {
        self.begin = self.end;
        self.raw.clear();
        let mut quotes = 0;
        loop {
            let before = self.raw.len();
            let limit = RECORD_BYTES_MAX - before as u64;
            let read = (&mut self.input).take(limit).read_until(b'\n', &mut self.raw)?;
            quotes += self.raw[before..].iter().filter(|&&byte| byte == b'"').count();
            if read == 0 || (self.raw.ends_with(b"\n") && quotes % 2 == 0) {
                break;
            }
        }
        self.end += self.raw.len() as u64;
        if self.raw.is_empty() {
            return Ok(Found::End);
        }
        let ended = self.raw.ends_with(b"\n") && quotes % 2 == 0;
        let line = self.raw.strip_suffix(b"\n").unwrap_or(&self.raw);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.text.clear();
        self.ends.clear();
        if !ended && self.raw.len() as u64 >= RECORD_BYTES_MAX {
            return Ok(Found::Malformed("the record is longer than 512 MiB: a quote is missing"));
        }
        let Ok(line) = std::str::from_utf8(line) else {
            return Ok(if ended { Found::Malformed("it is not UTF-8") } else { Found::Record { ended } });
        };
        match split(line, &mut self.text, &mut self.ends) {
            Err(reason) if ended => Ok(Found::Malformed(reason)),
            _ => Ok(Found::Record { ended }),
        }
    }
}

fn split(mut line: &str, text: &mut String, ends: &mut Vec<(usize, bool)>) -> Result<(), &'static str> {
    loop {
        let Some(mut rest) = line.strip_prefix('"') else {
            let (cell, rest) = line.split_once(',').map_or((line, None), |(cell, rest)| (cell, Some(rest)));
            if cell.contains('"') {
                return Err("a quote stands in the middle of a field");
            }
            text.push_str(cell);
            ends.push((text.len(), false));
            match rest {
                Some(rest) => line = rest,
                None => return Ok(()),
            }
            continue;
        };
        loop {
            let (part, behind) = rest.split_once('"').ok_or("a quote is missing")?;
            text.push_str(part);
            match behind.strip_prefix('"') {
                Some(more) => {
                    text.push('"');
                    rest = more;
                }
                None => {
                    rest = behind;
                    break;
                }
            }
        }
        ends.push((text.len(), true));
        match rest.strip_prefix(',') {
            Some(more) => line = more,
            None if rest.is_empty() => return Ok(()),
            None => return Err("something follows a closing quote"),
        }
    }
}

//! Splits comma-separated text (RFC 4180) into records and fields. Unlike the `csv` crate it says which fields were in quotes: that
//! is what tells an empty text from a null, and text from a number. Knows nothing of what the fields mean.

use std::io::{self, BufRead, Seek};

use tapedeck_kit::lines::{Found, LineReader};

/// One field of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell<'record> {
    pub(crate) text: &'record str,
    pub(crate) quoted: bool,
}

/// Reads records from text, one after the other, always into the same memory.
pub(crate) struct Records<R> {
    lines: LineReader<R>,
    text: String,
    /// Where each field ends in `text`, and whether it was in quotes.
    ends: Vec<(usize, bool)>,
}

impl<R: BufRead> Records<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { lines: LineReader::new(input), text: String::new(), ends: Vec::new() }
    }

    /// The lines that the record in hand stands on.
    pub(crate) fn lines(&self) -> &LineReader<R> {
        &self.lines
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

    /// Goes on to the next record.
    pub(crate) fn advance(&mut self) -> io::Result<Found> {
        self.text.clear();
        self.ends.clear();
        let mut found = self.lines.advance_any()?;
        let (mut seen, mut quotes) = (0, 0);
        loop {
            let bytes = self.lines.bytes();
            quotes += bytes[seen..].iter().filter(|&&byte| byte == b'"').count();
            seen = bytes.len();
            // A line end within quotes is text.
            if found != (Found::Line { ended: true }) || quotes % 2 == 0 {
                break;
            }
            found = self.lines.extend()?;
        }
        let Found::Line { ended } = found else { return Ok(found) };
        let raw = self.lines.bytes();
        let line = raw.strip_suffix(b"\n").unwrap_or(raw);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let split = std::str::from_utf8(line)
            .map_err(|_no_text| "it is not UTF-8")
            .and_then(|line| split(line, &mut self.text, &mut self.ends));
        // A line without its end may be cut anywhere.
        Ok(split.map_or_else(|why| if ended { Found::Malformed(why) } else { found }, |()| found))
    }
}

impl<R: BufRead + Seek> Records<R> {
    /// Whether the record in hand stands on several lines.
    pub(crate) fn has_lines(&self) -> bool {
        let bytes = self.lines.bytes();
        bytes[..bytes.len().saturating_sub(1)].contains(&b'\n')
    }

    /// Leaves the first line of the record in hand; the next record begins with the second.
    pub(crate) fn go_behind_first_line(&mut self) -> io::Result<()> {
        self.lines.go_to(self.lines.begin())?;
        self.lines.advance_any().map(drop)
    }

    /// The next record is the one that begins at this byte, in the line of this number.
    pub(crate) fn go_to(&mut self, byte: u64, line: u64) -> io::Result<()> {
        self.lines.go_to((byte, line))
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

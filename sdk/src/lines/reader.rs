//! Splits a file into lines, always into the same memory. Knows nothing of what they mean.

use std::io::{self, BufRead, Read};

/// The most bytes that a line has.
pub const LINE_BYTES_MAX: u64 = 512 << 20;

/// What [`LineReader::advance`] came upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A line, which [`LineReader::text`] has. `ended` says that a line end followed.
    Line {
        /// Whether a line end followed.
        ended: bool,
    },
    /// Text that is no line: the reason.
    Malformed(&'static str),
    /// The end of the file.
    End,
}

/// Reads lines, one after the other.
pub struct LineReader<R> {
    input: R,
    raw: Vec<u8>,
    /// Bytes before the line in hand, and behind it.
    begin: u64,
    end: u64,
}

impl<R: BufRead> LineReader<R> {
    /// Lines of `input`, from where it stands.
    pub fn new(input: R) -> Self {
        Self { input, raw: Vec::new(), begin: 0, end: 0 }
    }

    /// Where the line in hand begins, in bytes.
    #[must_use]
    pub fn begin(&self) -> u64 {
        self.begin
    }

    /// The line in hand. Empty when it is not UTF-8, which no JSON is.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.raw).map_or("", str::trim_ascii)
    }

    /// Goes on to the next line; empty ones are passed over.
    ///
    /// # Errors
    /// Reading failed.
    pub fn advance(&mut self) -> io::Result<Found> {
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

//! Splits a file into lines, always into the same memory. Knows nothing of what they mean.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

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
    /// Line ends before the line in hand, and up to its end.
    before: u64,
    passed: u64,
}

impl<R: BufRead> LineReader<R> {
    /// Lines of `input`, from where it stands.
    pub fn new(input: R) -> Self {
        Self { input, raw: Vec::new(), begin: 0, end: 0, before: 0, passed: 0 }
    }

    /// The file, wherever it was read to.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// Where the line in hand begins: its first byte in the file, and its number, counted from 1.
    #[must_use]
    pub fn begin(&self) -> (u64, u64) {
        (self.begin, self.before + 1)
    }

    /// Where the next line begins, likewise.
    #[must_use]
    pub fn end(&self) -> (u64, u64) {
        (self.end, self.passed + 1)
    }

    /// The bytes of the line in hand, its end included.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.raw
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
            let found = self.advance_any()?;
            if !matches!(found, Found::Line { .. }) || !self.raw.trim_ascii().is_empty() {
                return Ok(found);
            }
        }
    }

    /// Goes on to the next line, empty or not.
    ///
    /// # Errors
    /// Reading failed.
    pub fn advance_any(&mut self) -> io::Result<Found> {
        (self.begin, self.before) = (self.end, self.passed);
        self.raw.clear();
        self.extend()
    }

    /// Adds the next line to the one in hand: a quoted text goes on there.
    ///
    /// # Errors
    /// Reading failed.
    pub fn extend(&mut self) -> io::Result<Found> {
        let room = LINE_BYTES_MAX - self.raw.len() as u64;
        let read = (&mut self.input).take(room).read_until(b'\n', &mut self.raw)? as u64;
        let ended = read > 0 && self.raw.ends_with(b"\n");
        self.end += read;
        self.passed += u64::from(ended);
        Ok(match () {
            () if self.raw.is_empty() => Found::End,
            () if !ended && self.raw.len() as u64 == LINE_BYTES_MAX => {
                Found::Malformed("it is longer than 512 MiB")
            }
            () => Found::Line { ended },
        })
    }
}

impl<R: BufRead + Seek> LineReader<R> {
    /// The next line is the one that begins at this byte and has this number.
    ///
    /// # Errors
    /// The system refuses.
    pub fn go_to(&mut self, (byte, number): (u64, u64)) -> io::Result<()> {
        self.input.seek(SeekFrom::Start(byte))?;
        (self.end, self.passed) = (byte, number.saturating_sub(1));
        self.raw.clear();
        Ok(())
    }
}

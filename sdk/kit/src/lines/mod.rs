//! For formats that are text: a file that grows by whole lines and never keeps half of one, and a recording that is read back from
//! lines. A format adds what its lines say ([`RowReader`]); nothing here knows it.

mod index;
mod reader;
mod recording;
mod rows;
#[cfg(test)]
mod tests;

pub use index::Place;
pub use reader::{Found, LINE_BYTES_MAX, LineReader};
pub use recording::{LineRecording, stream_name};
pub use rows::{Ending, RowCursor, RowReader, Step};

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;

use tapedeck_sdk::Error;

/// Lines are handed to the kernel when this many bytes have come together, or at each flush.
const BUFFER_BYTES: usize = 64 << 10;

/// What lines can be written to: a file, or in tests something that fills up.
pub trait Storage: Write {
    /// Cuts everything from `length` on; the next write goes there.
    ///
    /// # Errors
    /// The system refuses.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Storage for File {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length)).map(drop)
    }
}

/// Why a line is not the JSON that it should be. Says where in the line: which line it is is known by who asks.
#[must_use]
pub fn json_reason(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

/// An append-only file of lines.
pub struct LineFile<S = File> {
    storage: S,
    path: PathBuf,
    buffer: Vec<u8>,
    /// Bytes of the lines that the kernel has.
    length: u64,
    failed: bool,
}

impl LineFile<File> {
    /// Makes the file, or empties it.
    ///
    /// # Errors
    /// It can't be made.
    pub fn create(path: PathBuf) -> Result<Self, Error> {
        let file = File::create(&path).map_err(|error| Error::io("make the file", &path, &error))?;
        Ok(Self::new(file, path))
    }
}

impl<S: Storage> LineFile<S> {
    /// Lines into any storage; `path` is what errors call it.
    pub fn new(storage: S, path: PathBuf) -> Self {
        Self { storage, path, buffer: Vec::with_capacity(BUFFER_BYTES * 2), length: 0, failed: false }
    }

    /// What the lines are written to.
    #[must_use]
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// Adds what `line` writes: one line, its end included.
    ///
    /// # Errors
    /// As for [`flush`](Self::flush).
    pub fn append(&mut self, line: impl FnOnce(&mut Vec<u8>)) -> Result<(), Error> {
        line(&mut self.buffer);
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Hands all lines to the kernel. After a failure there is nothing more to do: what was written of lines that did not fit was
    /// cut off again.
    ///
    /// # Errors
    /// The disk is full, or the file can't be written any more.
    pub fn flush(&mut self) -> Result<(), Error> {
        let result = if self.failed { Ok(()) } else { self.storage.write_all(&self.buffer) };
        if let Err(error) = result {
            self.failed = true;
            // A file that can't even be cut ends in half a line, which reading and `recover` take care of.
            drop(self.storage.cut(self.length));
            let error = Error::io("write frames", &self.path, &error);
            return Err(error.with_hint("What was written before is whole and can be read."));
        }
        if !self.failed {
            self.length += self.buffer.len() as u64;
        }
        self.buffer.clear();
        Ok(())
    }
}

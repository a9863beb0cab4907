//! The file being written, and the room that was made sure of for it. Knows datasets' failures, not their rows.

use std::path::{Path, PathBuf};

use tapedeck_sdk::Error;

use crate::raw::{Failure, File};
use crate::reserve::{FULL_HINT, Reserve};

/// What closing a file may need to write, whatever is in it.
const CLOSING_BYTES: u64 = 256 << 10;

/// An HDF5 file that rows are written to.
pub(crate) struct Disk {
    file: File,
    reserve: Reserve,
    path: PathBuf,
}

impl Disk {
    /// Makes the file.
    pub(crate) fn create(path: &Path, swmr: bool) -> Result<Self, Error> {
        let file = File::create(path, swmr).map_err(|failure| explain("make", path, &failure))?;
        Ok(Self { file, reserve: Reserve::new(path)?, path: path.to_owned() })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Makes sure of room for so many more bytes, and for closing the file after them.
    pub(crate) fn room(&mut self, bytes: u64) -> Result<(), Error> {
        let size = self.file.size().map_err(|failure| self.error("ask for the size of", &failure))?;
        self.reserve.ensure(size + bytes + CLOSING_BYTES)
    }

    /// Hands everything to the operating system.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.file.flush().map_err(|failure| self.error("flush", &failure))
    }

    /// Closes the file. Its datasets must be closed.
    pub(crate) fn close(self) -> Result<(), Error> {
        let closed = self.file.close().map_err(|failure| explain("close", &self.path, &failure));
        self.reserve.release();
        closed
    }

    /// What the user is told of a failure.
    pub(crate) fn error(&self, doing: &str, failure: &Failure) -> Error {
        explain(doing, &self.path, failure)
    }
}

/// What the user is told when something can't be done with a file.
pub(crate) fn explain(doing: &str, path: &Path, failure: &Failure) -> Error {
    let error = Error::io(&format!("{doing} an HDF5 file"), path, &failure.to_io());
    match failure.errno {
        Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => error.with_hint(FULL_HINT),
        Some(libc::EAGAIN) => error.with_hint("another program holds the file open for writing"),
        _ => error,
    }
}

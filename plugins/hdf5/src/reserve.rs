//! Room on the disk, taken before the HDF5 library needs it. The library does not get over a write that fails: what it could
//! not write it tries again at every later call, and the file can't even be closed. So space is asked of the file system first,
//! where a refusal is a plain error and the file is still in order. Knows no HDF5.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use tapedeck_sdk::Error;

/// How much is taken at a time, where there is so much.
const STEP_BYTES: u64 = 4 << 20;

/// The room behind the end of one file.
pub(crate) struct Reserve {
    file: File,
    path: PathBuf,
    /// Up to where in the file there is room.
    end: u64,
    /// Whether the file system can reserve at all; some network file systems can't.
    able: bool,
}

impl Reserve {
    /// For a file that exists.
    pub(crate) fn new(path: &Path) -> Result<Self, Error> {
        let file = File::options()
            .write(true)
            .open(path)
            .map_err(|error| Error::io("open a file to write", path, &error))?;
        Ok(Self { file, path: path.to_owned(), end: 0, able: true })
    }

    /// Makes sure that the file can grow to `end` bytes.
    ///
    /// # Errors
    /// There is no room.
    pub(crate) fn ensure(&mut self, end: u64) -> Result<(), Error> {
        if end <= self.end || !self.able {
            return Ok(());
        }
        let ample = end.saturating_add(STEP_BYTES);
        let taken = self.take(ample).map(|()| ample).or_else(|_too_much| self.take(end).map(|()| end));
        match taken {
            Ok(end) => {
                self.end = end;
                Ok(())
            }
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                self.able = false;
                Ok(())
            }
            Err(error) => {
                Err(Error::io("reserve room for more rows", &self.path, &error.into()).with_hint(FULL_HINT))
            }
        }
    }

    fn take(&self, end: u64) -> Result<(), Errno> {
        let begin = self.end;
        loop {
            match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, begin, end - begin) {
                Err(Errno::INTR) => {}
                other => return other,
            }
        }
    }

    /// Gives back what was not needed. Call when the file is closed.
    pub(crate) fn release(self) {
        // Space behind the end of a file is no damage, so a failure is none either.
        drop(self.file.metadata().and_then(|metadata| self.file.set_len(metadata.len())));
    }
}

/// What to do about a full disk.
pub(crate) const FULL_HINT: &str = "free some space or choose another session directory; what was flushed before stays readable, \
    `tapedeck recover` mends the file";

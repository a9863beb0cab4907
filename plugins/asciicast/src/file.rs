//! The file that lines are appended to. It keeps a handle or, where there are too many connections at once, opens the file each time.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tapedeck_kit::lines::Storage;
use tapedeck_sdk::Error;

/// How many files a sink keeps open at once. Others are opened for each write: lines come in blocks, so that costs little, and a
/// process mostly has no more than 1,024 handles.
pub(crate) const OPEN_FILES_MAX: usize = 256;

/// Where the lines of a recording go.
pub(crate) enum CastFile {
    Kept(File),
    Reopened(PathBuf),
}

impl CastFile {
    /// Makes the file, or empties it.
    pub(crate) fn create(path: &Path, keep: bool) -> Result<Self, Error> {
        let file = File::create(path).map_err(|error| Error::io("make the file", path, &error))?;
        Ok(if keep { Self::Kept(file) } else { Self::Reopened(path.to_owned()) })
    }
}

impl Write for CastFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Kept(file) => file.write(bytes),
            Self::Reopened(path) => OpenOptions::new().append(true).open(path)?.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Storage for CastFile {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        match self {
            Self::Kept(file) => file.cut(length),
            Self::Reopened(path) => OpenOptions::new().write(true).open(path)?.set_len(length),
        }
    }
}

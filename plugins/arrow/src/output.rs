//! A file that grows message by message and never keeps half of one. Knows nothing of what the messages are.

use std::fs::File;
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::path::PathBuf;

use tapedeck_sdk::Error;

/// What a message can be written to: a file, or in tests something that fills up.
pub(crate) trait Storage: Write {
    /// Cuts everything from `length` on; the next write goes there.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Storage for File {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length)).map(drop)
    }
}

/// An append-only file of whole messages.
pub(crate) struct Output<S> {
    storage: S,
    path: PathBuf,
    /// Bytes of whole messages.
    length: u64,
    failed: bool,
}

impl Output<File> {
    pub(crate) fn create(path: PathBuf) -> Result<Self, Error> {
        let file = File::create(&path).map_err(|error| Error::io("make the file", &path, &error))?;
        Ok(Self::new(file, path))
    }
}

impl<S: Storage> Output<S> {
    pub(crate) fn new(storage: S, path: PathBuf) -> Self {
        Self { storage, path, length: 0, failed: false }
    }

    /// Whether a message could not be written: nothing that would have followed it may come any more.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    #[cfg(test)]
    pub(crate) fn storage(&self) -> &S {
        &self.storage
    }

    /// Adds a message, in one system call where the kernel takes it whole. What was written of a message that does not fit is
    /// cut off again.
    pub(crate) fn append(&mut self, slices: &mut [IoSlice<'_>]) -> Result<(), Error> {
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if let Err(error) = write_all(&mut self.storage, slices) {
            self.failed = true;
            // A file that can't even be cut ends in half a message, which reading and `recover` take care of.
            drop(self.storage.cut(self.length));
            let error = Error::io("write frames", &self.path, &error);
            return Err(error.with_hint("What was written before is whole and can be read."));
        }
        self.length += total as u64;
        Ok(())
    }
}

fn write_all(storage: &mut impl Write, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match storage.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut slices, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

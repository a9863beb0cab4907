//! Bytes of a transfer, kept as they are in a file beside the recording. Does not know events.

use std::path::{Path, PathBuf};

use tapedeck_kit::lines::LineFile;
use tapedeck_sdk::{Error, Host, Role};

use crate::file::CastFile;

/// One direction of a connection.
#[derive(Default)]
pub(crate) enum Direction {
    /// Text: events of the recording.
    #[default]
    Text,
    /// Bytes, in this file.
    Bytes(LineFile<CastFile>),
}

impl Direction {
    /// Makes the file, `stem` with this extension. Returns its name.
    pub(crate) fn open(&mut self, stem: &Path, extension: &str, host: &dyn Host) -> Result<String, Error> {
        let name: PathBuf = stem.with_added_extension(extension);
        let path = host.artifact(&name, Role::Beside)?;
        // Opened for each block: transfers don't compete with recordings for descriptors.
        *self = Self::Bytes(LineFile::new(CastFile::create(&path, false)?, path));
        Ok(name.file_name().unwrap_or_default().to_string_lossy().into_owned())
    }

    /// Takes bytes. False for text.
    pub(crate) fn take(&mut self, data: &[u8]) -> Result<bool, Error> {
        match self {
            Self::Text => Ok(false),
            Self::Bytes(file) => file.append(|out| out.extend_from_slice(data)).map(|()| true),
        }
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Text)
    }

    /// Hands everything to the kernel.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        match self {
            Self::Bytes(file) => file.flush(),
            Self::Text => Ok(()),
        }
    }
}

//! What a file of a sink holds, for who has to choose between two of them.

use std::path::Path;

use tapedeck_sdk::{Error, Format};

use crate::inspect::{StreamInspection, read};

/// A file of a sink, as far as it can be read.
#[derive(Default)]
pub(crate) struct FoundFile {
    pub(crate) streams: Vec<StreamInspection>,
    pub(crate) error: Option<Error>,
}

impl FoundFile {
    pub(crate) fn read(format: &dyn Format, path: &Path) -> Self {
        if path.symlink_metadata().is_err() {
            return Self::default();
        }
        match read(format, path) {
            Ok((streams, error)) => Self { streams, error },
            Err(error) => Self { streams: Vec::new(), error: Some(error) },
        }
    }

    pub(crate) fn frames(&self) -> u64 {
        self.streams.iter().map(|stream| stream.frames).sum()
    }

    /// Whether every frame of another file of the same streams is here, by their numbers.
    pub(crate) fn holds_all_of(&self, other: &Self) -> bool {
        other.streams.iter().all(|theirs| {
            let same = |ours: &&StreamInspection| ours.schema.name() == theirs.schema.name();
            self.streams.iter().filter(same).map(|ours| ours.frames).sum::<u64>() >= theirs.frames
        })
    }
}

//! Formats and recordings as the engine calls them: a reader that panics gives an error, and its recording ends there. The only place
//! that opens or repairs a file through a format.

use std::path::Path;
use std::sync::Arc;

use tapedeck_sdk::panics::{caught, dropped};
use tapedeck_sdk::{Batch, Error, Extent, Format, Recording, Repair, StreamSchema, Timestamp, Wanted};

use crate::stats::guarded;

/// Opens a recording.
pub(crate) fn open(format: &dyn Format, path: &Path) -> Result<Box<dyn Recording>, Error> {
    let name = format.name();
    let open = || {
        let recording = format.open(path)?;
        Ok(Reading { name, streams: recording.streams().to_vec(), recording: Some(recording) })
    };
    Ok(Box::new(guarded(name, "open", open)?))
}

/// Makes a file whole that its writer could not finish.
pub(crate) fn repair(format: &dyn Format, path: &Path) -> Result<Repair, Error> {
    guarded(format.name(), "repair", || format.repair(path))
}

/// Whether a file or folder is of a format, by its content.
pub(crate) fn matches(format: &dyn Format, head: &[u8], path: &Path) -> bool {
    caught(|| Ok(format.matches(head, path))).unwrap_or(false)
}

/// An open recording.
struct Reading {
    /// The format's name.
    name: &'static str,
    streams: Vec<Arc<StreamSchema>>,
    /// `None` once it has panicked: what it would do now nobody knows.
    recording: Option<Box<dyn Recording>>,
}

impl Reading {
    fn call<T>(
        &mut self,
        doing: &str,
        call: impl FnOnce(&mut dyn Recording) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Some(recording) = &mut self.recording else {
            return Err(Error::plugin(format!("the reader of {} has panicked before", self.name)));
        };
        let mut returned = false;
        let outcome = guarded(self.name, doing, || {
            let outcome = call(recording.as_mut());
            returned = true;
            outcome
        });
        if !returned {
            self.close();
        }
        outcome
    }

    fn close(&mut self) {
        // A panic here comes on top of what was told, or after everything was read.
        drop(dropped(self.recording.take()));
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.close();
    }
}

impl Recording for Reading {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn extent(&self, stream: usize) -> Option<Extent> {
        let recording = self.recording.as_ref()?;
        caught(|| Ok(recording.extent(stream))).ok().flatten()
    }

    fn select(&mut self, wanted: &[Wanted]) -> Result<(), Error> {
        self.streams = self.call("select", |recording| {
            recording.select(wanted)?;
            Ok(recording.streams().to_vec())
        })?;
        Ok(())
    }

    fn seek(&mut self, to: Timestamp) -> Result<(), Error> {
        self.call("seek", |recording| recording.seek(to))
    }

    fn next(&mut self) -> Result<Option<(usize, Batch)>, Error> {
        self.call("read", |recording| recording.next())
    }

    fn closest(&mut self, stream: usize, to: Timestamp) -> Result<Option<(Batch, usize)>, Error> {
        self.call("closest", |recording| recording.closest(stream, to))
    }
}

//! Writes a recording with a sink outside of any session: what a journal kept (`recover`), or another file (`convert`).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tapedeck_sdk::panics::dropped;
use tapedeck_sdk::{
    Batch, Context, Error, Factory, Host, Loss, Opener, Recording, Role, SessionInfo, Sink, StreamSchema,
    Timestamp,
};

use crate::clock::SessionClock;
use crate::session::SessionFolder;
use crate::stats::guarded;

/// How many warnings of a sink are kept.
const WARNINGS_MAX: usize = 20;

/// A sink and what it is opened with.
pub(crate) struct Rewriting<'a> {
    pub(crate) factory: &'a Factory,
    pub(crate) id: &'a str,
    pub(crate) options: &'a Value,
    /// Where its files are made; emptied first.
    pub(crate) folder: &'a Path,
    pub(crate) session: SessionInfo,
    /// What the sink is told was lost of each stream.
    pub(crate) loss: Vec<(String, Loss)>,
}

/// What came of it.
pub(crate) struct Rewritten {
    /// The names of the files that the sink made.
    pub(crate) files: Vec<PathBuf>,
    /// Frames that it could not take.
    pub(crate) refused: u64,
    /// Frames that it took with a value missing.
    pub(crate) partial: u64,
    /// Frames that it left out by intent.
    pub(crate) left_out: u64,
    /// What it told the user.
    pub(crate) warnings: Vec<String>,
}

impl Rewriting<'_> {
    /// Opens the sink, lets `feed` write, finishes it.
    pub(crate) fn write(
        self,
        inputs: &[Arc<StreamSchema>],
        feed: impl FnOnce(&mut Writer) -> Result<(), Error>,
    ) -> Result<Rewritten, Error> {
        let Opener::Sink(open) = self.factory.opener() else {
            return Err(Error::plugin("a sink's factory opens no sink"));
        };
        // Left by one that was killed.
        drop(fs::remove_dir_all(self.folder));
        fs::create_dir(self.folder).map_err(|error| Error::io("make a folder", self.folder, &error))?;
        let host = Arc::new(RewritingHost {
            clock: SessionClock::anchored_now(),
            folder: SessionFolder::existing(self.folder),
            stage: self.id.to_owned(),
            loss: self.loss,
            failed: AtomicU64::new(0),
            partial: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
            warnings: Mutex::default(),
        });
        let context = Context {
            id: self.id.to_owned(),
            session: self.session,
            flush_interval: Duration::from_secs(1),
            rate_hz: None,
            host: host.clone(),
        };
        let sink = guarded(self.id, "open", || open(self.options, inputs, context))?;
        let mut writer = Writer { id: self.id.to_owned(), sink, refused: 0 };
        if let Err(error) = feed(&mut writer) {
            // The error counts; what dropping the sink says, nobody needs.
            drop(dropped(writer));
            return Err(error);
        }
        let Writer { id, sink, refused } = writer;
        let written = guarded(&id, "finish", || sink.finish())?;
        let files = host.folder.artifacts().into_iter().map(|(name, _)| name).collect();
        let mut warnings = host.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Rewritten {
            files,
            refused: refused + written.refused_frames() + host.failed.load(Ordering::Relaxed),
            partial: host.partial.load(Ordering::Relaxed),
            left_out: host.left_out.load(Ordering::Relaxed),
            warnings: std::mem::take(&mut *warnings),
        })
    }
}

/// An open sink outside of a session.
pub(crate) struct Writer {
    id: String,
    sink: Box<dyn Sink>,
    /// Frames that it refused.
    refused: u64,
}

impl Writer {
    pub(crate) fn write(&mut self, input: usize, batch: Batch) -> Result<(), Error> {
        let sink = &mut self.sink;
        let written = guarded(&self.id, "write", || sink.write(input, batch))?;
        self.refused += written.refused_frames();
        Ok(())
    }
}

/// Reads a recording to its end.
pub(crate) fn replay(
    recording: &mut dyn Recording,
    mut write: impl FnMut(usize, Batch) -> Result<(), Error>,
) -> Result<(), Error> {
    while let Some((stream, batch)) = recording.next()? {
        write(stream, batch)?;
    }
    Ok(())
}

/// Moves a file that is whole to its place, in which there may be one that is not.
pub(crate) fn put(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(|error| Error::io("put a file in its place", to, &error))
}

/// The engine as a sink sees it that is written again.
struct RewritingHost {
    clock: SessionClock,
    folder: SessionFolder,
    stage: String,
    loss: Vec<(String, Loss)>,
    /// Frames that it counted as failed by itself.
    failed: AtomicU64,
    partial: AtomicU64,
    left_out: AtomicU64,
    warnings: Mutex<Vec<String>>,
}

impl Host for RewritingHost {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn failed(&self, frames: u64) {
        self.failed.fetch_add(frames, Ordering::Relaxed);
    }

    fn partial(&self, frames: u64) {
        self.partial.fetch_add(frames, Ordering::Relaxed);
    }

    fn left_out(&self, frames: u64) {
        self.left_out.fetch_add(frames, Ordering::Relaxed);
    }

    fn warn(&self, message: &str) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if warnings.len() < WARNINGS_MAX {
            warnings.push(message.to_owned());
        }
    }

    fn artifact(&self, name: &Path, role: Role) -> Result<PathBuf, Error> {
        self.folder.stage_artifact(name, role, &self.stage)
    }

    fn loss(&self, stream: &str) -> Loss {
        self.loss.iter().find(|(name, _)| name == stream).map(|(_, loss)| *loss).unwrap_or_default()
    }
}

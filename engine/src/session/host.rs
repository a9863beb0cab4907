//! The engine as a stage sees it.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use tapedeck_sdk::{Error, Follower, Host, Loss, Role, Timestamp, Told};

use super::{Artifact, Ears, Events, SessionFolder};
use crate::clock::SessionTime;
use crate::stats::{InputStats, StageStats, StreamStats};
use crate::watermark::Mark;

/// The engine as one stage sees it.
pub(crate) struct StageHost {
    pub(crate) time: SessionTime,
    pub(crate) stats: Arc<StageStats>,
    pub(crate) events: Arc<Events>,
    /// What the stage was told.
    pub(crate) ears: Arc<Ears>,
    /// Where files go; not there yet while sources are opened, which make none.
    pub(crate) folder: Arc<OnceLock<SessionFolder>>,
    /// A folder below the session's, for journals.
    pub(crate) below: Option<PathBuf>,
    /// What the stage's inputs have lost, once everything is connected.
    pub(crate) accounts: OnceLock<Accounts>,
    /// The watermarks of a source's outputs, once everything is connected.
    pub(crate) marks: OnceLock<Vec<Arc<Mark>>>,
}

/// What a sink's inputs have lost, and the streams that they came from.
pub(crate) struct Accounts {
    pub(crate) inputs: Vec<Arc<InputStats>>,
    pub(crate) streams: Arc<[Arc<StreamStats>]>,
}

impl Host for StageHost {
    fn now(&self) -> Timestamp {
        self.time.now()
    }

    fn failed(&self, frames: u64) {
        self.stats.failed.add(frames);
    }

    fn partial(&self, frames: u64) {
        self.stats.partial.add(frames);
    }

    fn absent(&self, ticks: u64) {
        self.stats.absent.fetch_add(ticks, Ordering::Relaxed);
    }

    fn warn(&self, message: &str) {
        self.stats.remark(message.to_owned());
    }

    fn mark(&self, label: &str) {
        self.events.mark(label);
    }

    fn pause(&self) {
        self.events.pause();
    }

    fn resume(&self) {
        self.events.resume();
    }

    fn is_paused(&self) -> bool {
        self.time.is_paused()
    }

    fn told(&self) -> Option<Told> {
        self.ears.told()
    }

    fn artifact(&self, name: &Path, role: Role) -> Result<PathBuf, Error> {
        let folder = self.folder.get().ok_or_else(|| {
            Error::plugin(format!(
                "\"{}\" wants to make a file before the session has a folder",
                self.stats.id
            ))
        })?;
        match &self.below {
            Some(below) => {
                let artifact = Artifact { stage: self.stats.id.clone(), role, is_journal: true };
                folder.artifact(&below.join(name), artifact)
            }
            None => folder.stage_artifact(name, role, &self.stats.id),
        }
    }

    fn loss(&self, stream: &str) -> Loss {
        let Some(accounts) = self.accounts.get() else { return Loss::default() };
        let inputs = accounts.inputs.iter().filter(|input| input.stream == stream);
        inputs.fold(Loss::default(), |loss, input| loss + input.loss(&accounts.streams))
    }

    fn follow(&self, output: usize, follower: Follower) -> Result<(), Error> {
        let mark = self.marks.get().and_then(|marks| marks.get(output));
        let mark = mark.ok_or_else(|| {
            Error::plugin(format!("\"{}\" has no output {output} that it could follow now", self.stats.id))
        })?;
        mark.follow(follower)
    }
}

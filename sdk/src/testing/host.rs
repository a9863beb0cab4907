//! A host for tests: real enough to open any plugin, with nothing of the engine in it.

use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::{Context, Error, Follower, Host, Loss, Role, SessionInfo, Timestamp, Watermark};

/// A host for tests. Its clock stands still until told to [`advance`](Self::advance); its files go into the folder it was given.
pub struct FakeHost {
    directory: PathBuf,
    now: AtomicI64,
    tick: AtomicI64,
    failed: AtomicU64,
    paused: AtomicBool,
    warnings: Mutex<Vec<String>>,
    artifacts: Mutex<Vec<PathBuf>>,
    followers: Mutex<Vec<(usize, Follower)>>,
}

impl FakeHost {
    /// A host whose session folder is `directory`.
    #[must_use]
    pub fn new(directory: &Path) -> Arc<Self> {
        Arc::new(Self {
            directory: directory.to_owned(),
            now: AtomicI64::new(1_700_000_000_000_000_000),
            tick: AtomicI64::new(0),
            failed: AtomicU64::new(0),
            paused: AtomicBool::new(false),
            warnings: Mutex::default(),
            artifacts: Mutex::default(),
            followers: Mutex::default(),
        })
    }

    /// A context to open a plugin with.
    #[must_use]
    pub fn context(self: &Arc<Self>, id: &str) -> Context {
        let session = SessionInfo {
            id: "test".to_owned(),
            pipeline: "# a test\n".to_owned(),
            folder: self.directory.clone(),
            started_at: self.now(),
        };
        Context {
            id: id.to_owned(),
            session,
            flush_interval: Duration::from_secs(1),
            rate_hz: Some(60.0),
            host: self.clone(),
        }
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.now.fetch_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Lets the clock move on by `tick` each time it is read, so that a plugin that waits for a time gets there.
    pub fn tick_by(&self, tick: Duration) {
        self.tick.store(i64::try_from(tick.as_nanos()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Tells those who follow an output how far its recording is.
    pub fn reach(&self, output: usize, watermark: Watermark) {
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        let of_output = followers.iter_mut().filter(|(followed, _)| *followed == output);
        of_output.for_each(|(_, follower)| follower(watermark));
    }

    /// How many frames were counted as failed.
    #[must_use]
    pub fn failed_frames(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// What the user would have been told.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The files that were registered.
    #[must_use]
    pub fn artifacts(&self) -> Vec<PathBuf> {
        self.artifacts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Host for FakeHost {
    fn now(&self) -> Timestamp {
        let tick = if self.is_paused() { 0 } else { self.tick.load(Ordering::Relaxed) };
        Timestamp(self.now.fetch_add(tick, Ordering::Relaxed))
    }

    fn failed(&self, frames: u64) {
        self.failed.fetch_add(frames, Ordering::Relaxed);
    }

    fn pause(&self) {
        self.paused.store(true, Ordering::Relaxed);
    }

    fn resume(&self) {
        self.paused.store(false, Ordering::Relaxed);
    }

    fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    fn warn(&self, message: &str) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(message.to_owned());
    }

    fn artifact(&self, name: &Path, _role: Role) -> Result<PathBuf, Error> {
        if name.as_os_str().is_empty() || !name.components().all(|part| matches!(part, Component::Normal(_)))
        {
            return Err(Error::option(
                ["path"],
                format!("\"{}\" leads out of the session folder", name.display()),
            ));
        }
        let path = self.directory.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| Error::io("make a folder", parent, &error))?;
        }
        self.artifacts.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
        Ok(path)
    }

    fn loss(&self, _stream: &str) -> Loss {
        Loss { failed: self.failed_frames(), ..Loss::default() }
    }

    fn follow(&self, output: usize, mut follower: Follower) -> Result<(), Error> {
        follower(Watermark::default());
        self.followers.lock().unwrap_or_else(PoisonError::into_inner).push((output, follower));
        Ok(())
    }
}

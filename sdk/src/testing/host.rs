//! A host for tests: real enough to open any plugin, with nothing of the engine in it.

use std::collections::VecDeque;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{Context, Error, Follower, Host, Loss, Role, SessionInfo, Timestamp, Told, Watermark};

/// A host for tests. Its clock stands still until told to [`advance`](Self::advance); its files go into the folder it was given.
pub struct FakeHost {
    directory: PathBuf,
    now: AtomicI64,
    tick: AtomicI64,
    failed: AtomicU64,
    partial: AtomicU64,
    absent: AtomicU64,
    left_out: AtomicU64,
    paused: AtomicBool,
    warnings: Mutex<Vec<String>>,
    marks: Mutex<Vec<String>>,
    told: Mutex<VecDeque<Told>>,
    artifacts: Mutex<Vec<(PathBuf, Role)>>,
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
            partial: AtomicU64::new(0),
            absent: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
            paused: AtomicBool::new(false),
            warnings: Mutex::default(),
            marks: Mutex::default(),
            told: Mutex::default(),
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
        let mut followers = locked(&self.followers);
        let of_output = followers.iter_mut().filter(|(followed, _)| *followed == output);
        of_output.for_each(|(_, follower)| follower(watermark));
    }

    /// Tells the stage something, as somebody outside of the session does.
    pub fn tell(&self, told: Told) {
        locked(&self.told).push_back(told);
    }

    /// How many frames were counted as failed.
    #[must_use]
    pub fn failed_frames(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// How many frames were counted as partial.
    #[must_use]
    pub fn partial_frames(&self) -> u64 {
        self.partial.load(Ordering::Relaxed)
    }

    /// How many ticks were counted as absent.
    #[must_use]
    pub fn absent_ticks(&self) -> u64 {
        self.absent.load(Ordering::Relaxed)
    }

    /// How many frames were counted as left out.
    #[must_use]
    pub fn left_out_frames(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    /// What the user would have been told.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        locked(&self.warnings).clone()
    }

    /// The marks that were set.
    #[must_use]
    pub fn marks(&self) -> Vec<String> {
        locked(&self.marks).clone()
    }

    /// The files that were registered.
    #[must_use]
    pub fn artifacts(&self) -> Vec<PathBuf> {
        locked(&self.artifacts).iter().map(|(path, _)| path.clone()).collect()
    }

    /// The roles of the files that were registered, in the same order.
    #[must_use]
    pub fn roles(&self) -> Vec<Role> {
        locked(&self.artifacts).iter().map(|(_, role)| *role).collect()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Host for FakeHost {
    fn now(&self) -> Timestamp {
        let tick = if self.is_paused() { 0 } else { self.tick.load(Ordering::Relaxed) };
        Timestamp(self.now.fetch_add(tick, Ordering::Relaxed))
    }

    fn failed(&self, frames: u64) {
        self.failed.fetch_add(frames, Ordering::Relaxed);
    }

    fn partial(&self, frames: u64) {
        self.partial.fetch_add(frames, Ordering::Relaxed);
    }

    fn absent(&self, ticks: u64) {
        self.absent.fetch_add(ticks, Ordering::Relaxed);
    }

    fn left_out(&self, frames: u64) {
        self.left_out.fetch_add(frames, Ordering::Relaxed);
    }

    fn mark(&self, label: &str) {
        locked(&self.marks).push(label.to_owned());
    }

    fn told(&self) -> Option<Told> {
        locked(&self.told).pop_front()
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
        locked(&self.warnings).push(message.to_owned());
    }

    fn artifact(&self, name: &Path, role: Role) -> Result<PathBuf, Error> {
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
        locked(&self.artifacts).push((path.clone(), role));
        Ok(path)
    }

    fn loss(&self, _stream: &str) -> Loss {
        Loss { failed: self.failed_frames(), partial: self.partial_frames(), ..Loss::default() }
    }

    fn follow(&self, output: usize, mut follower: Follower) -> Result<(), Error> {
        follower(Watermark::default());
        locked(&self.followers).push((output, follower));
        Ok(())
    }
}

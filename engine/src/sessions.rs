//! Many sessions at once, for a service: started, listed and watched from any thread.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tapedeck_sdk::Error;

use crate::opening::{OpenError, RunOptions};
use crate::pipeline::Pipeline;
use crate::registry::Registry;
use crate::run::begin;
use crate::threads;
use crate::watch::Watch;

/// How often the rate of a session is measured.
const RATE_INTERVAL: Duration = Duration::from_secs(1);

/// Sessions that are held together. Each runs whether or not somebody looks at it.
pub struct Sessions {
    registry: Registry,
    /// By folder: sessions in different directories, or played as recorded, may share an id.
    held: Mutex<BTreeMap<PathBuf, Watch>>,
}

impl Sessions {
    /// None yet. `registry` has the plugins that their pipelines may name.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self { registry, held: Mutex::default() }
    }

    /// The plugins.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Watch>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a checked pipeline.
    ///
    /// # Errors
    /// As for [`begin`].
    pub fn start(&self, pipeline: Pipeline, options: &RunOptions) -> Result<Watch, OpenError> {
        let session = begin(pipeline, &self.registry, options)?;
        let watch = session.watch();
        let stop = session.stop_handle();
        // It ends with the session, whose report the watch has then.
        if let Err(error) = threads::start(watch.id(), move || drop(session.wait(RATE_INTERVAL, |_| {}))) {
            stop.stop();
            return Err(OpenError::Failed(Error::environment(format!("can't start a thread: {error}"))));
        }
        self.held().insert(watch.folder().to_owned(), watch.clone());
        Ok(watch)
    }

    /// The session of that folder.
    #[must_use]
    pub fn get(&self, folder: &Path) -> Option<Watch> {
        self.held().get(folder).cloned()
    }

    /// All sessions, by folder: those that run, and those that have ended and were not forgotten.
    #[must_use]
    pub fn all(&self) -> Vec<Watch> {
        self.held().values().cloned().collect()
    }

    /// Forgets a session that has ended. Its files stay. False if it runs, or is not held.
    pub fn forget(&self, folder: &Path) -> bool {
        let mut held = self.held();
        let ended = held.get(folder).is_some_and(|watch| watch.report().is_some());
        ended && held.remove(folder).is_some()
    }

    /// Stops all sessions and waits until their files are whole.
    pub fn end(&self) {
        let all = self.all();
        all.iter().for_each(Watch::stop);
        for watch in all {
            while watch.wait_for(RATE_INTERVAL).is_none() {}
        }
    }
}

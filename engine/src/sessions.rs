//! Many sessions at once, for a service: started, listed and watched from any thread.

use std::collections::BTreeMap;
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
    held: Mutex<BTreeMap<String, Watch>>,
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

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Watch>> {
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
        let id = watch.id().to_owned();
        // It ends with the session, whose report the watch has then.
        if let Err(error) = threads::start(&id, move || drop(session.wait(RATE_INTERVAL, |_| {}))) {
            stop.stop();
            return Err(OpenError::Failed(Error::environment(format!("can't start a thread: {error}"))));
        }
        self.held().insert(id, watch.clone());
        Ok(watch)
    }

    /// The session of that id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Watch> {
        self.held().get(id).cloned()
    }

    /// All sessions, by id: those that run, and those that have ended and were not forgotten.
    #[must_use]
    pub fn all(&self) -> Vec<Watch> {
        self.held().values().cloned().collect()
    }

    /// Forgets a session that has ended. Its files stay. False if it runs, or is not held.
    pub fn forget(&self, id: &str) -> bool {
        let mut held = self.held();
        let ended = held.get(id).is_some_and(|watch| watch.report().is_some());
        ended && held.remove(id).is_some()
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

//! The door itself: one `wasmtime` engine for all plugins, the cache of compiled code, and the ticker that ends calls in time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tapedeck_sdk::{Error, Factory};
use wasmtime::component::Linker;
use wasmtime::{Config, Engine};

use crate::cache::Cache;
use crate::state::State;
use crate::{linker, loading};

/// How a thread is started: the engine's way, which this crate does not know.
pub type StartThread = fn(&str, Box<dyn FnOnce() + Send>) -> io::Result<()>;

/// The step in which the time of calls is measured. A finer one costs wake-ups.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// Loads components.
pub struct WasmDoor {
    shared: Arc<Shared>,
}

/// What all plugins of a door share.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<State>,
    pub(crate) cache: Cache,
    ticker: Mutex<Weak<Ticking>>,
    start_thread: StartThread,
}

/// Held by every instance: the ticker runs as long as there is one.
pub(crate) struct Ticking;

impl WasmDoor {
    /// A door that keeps compiled code in `cache` (nowhere without one) and starts its ticker with `start_thread`.
    ///
    /// # Errors
    /// The machine can't run WASM.
    pub fn new(cache: Option<PathBuf>, start_thread: StartThread) -> Result<Self, Error> {
        let mut config = Config::new();
        config.wasm_component_model(true).concurrency_support(false).epoch_interruption(true);
        let failed = |error: wasmtime::Error| {
            Error::environment(format!("can't run WASM plugins on this machine: {error:#}"))
                .with_hint("use the plugin as a dynamic library")
        };
        let engine = Engine::new(&config).map_err(failed)?;
        let linker = linker::linker(&engine).map_err(failed)?;
        let cache = Cache::new(cache, &engine);
        Ok(Self {
            shared: Arc::new(Shared { engine, linker, cache, ticker: Mutex::default(), start_thread }),
        })
    }

    /// Makes a plugin of a component: compiles it (or finds it compiled), looks at what it asks for, and reads its descriptor.
    ///
    /// # Errors
    /// The file is no component, asks for what the engine doesn't give, or describes itself wrongly.
    pub fn load(&self, path: &Path) -> Result<Factory, Error> {
        loading::load(&self.shared, path)
    }
}

impl Shared {
    /// Lets time pass for calls into components, as long as the returned value is held.
    pub(crate) fn ticking(self: &Arc<Self>) -> Result<Arc<Ticking>, Error> {
        let mut ticker = self.ticker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ticking) = ticker.upgrade() {
            return Ok(ticking);
        }
        let ticking = Arc::new(Ticking);
        let (held, engine) = (Arc::downgrade(&ticking), self.engine.clone());
        let run = move || {
            while held.strong_count() > 0 {
                std::thread::sleep(TICK);
                engine.increment_epoch();
            }
        };
        (self.start_thread)("wasm ticker", Box::new(run)).map_err(|error| {
            Error::environment(format!("can't start the thread that watches over WASM plugins: {error}"))
                .with_hint("see `ulimit -u`")
        })?;
        *ticker = Arc::downgrade(&ticking);
        Ok(ticking)
    }
}

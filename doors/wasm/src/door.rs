//! The door itself: what all plugins share. One `wasmtime` engine, the cache of compiled code, and the ticker that ends calls in time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tapedeck_sdk::{Error, Factory, Timestamp};
use wasmtime::component::Linker;
use wasmtime::{Config, Engine};

use crate::cache::Cache;
use crate::state::State;
use crate::ticker::Ticker;
use crate::{linker, loading};

/// How a thread is started: the engine's way, which this crate does not know.
pub type StartThread = fn(&str, Box<dyn FnOnce() + Send>) -> io::Result<()>;

/// A clock that measures waiting, which this crate does not read by itself: unlike a session's it never stands still and never runs fast.
pub type SteadyClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Loads components.
pub struct WasmDoor {
    shared: Arc<Shared>,
}

/// What all plugins of a door share.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<State>,
    pub(crate) cache: Cache,
    ticker: Mutex<Weak<Ticker>>,
    start_thread: StartThread,
    clock: SteadyClock,
}

impl WasmDoor {
    /// A door that keeps compiled code in `cache` (nowhere without one), starts its ticker with `start_thread` and measures waiting with
    /// `clock`.
    ///
    /// # Errors
    /// The machine can't run WASM.
    pub fn new(cache: Option<PathBuf>, start_thread: StartThread, clock: SteadyClock) -> Result<Self, Error> {
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
            shared: Arc::new(Shared { engine, linker, cache, ticker: Mutex::default(), start_thread, clock }),
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
    /// The ticker; its thread lives as long as the returned value is held.
    pub(crate) fn ticker(&self) -> Result<Arc<Ticker>, Error> {
        let mut held = self.ticker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ticker) = held.upgrade() {
            return Ok(ticker);
        }
        let ticker = Arc::new(Ticker::start(self.engine.clone(), self.start_thread)?);
        *held = Arc::downgrade(&ticker);
        Ok(ticker)
    }

    /// The time by the steady clock.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

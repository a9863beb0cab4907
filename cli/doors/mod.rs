//! How plugins that are files get in: which door a file goes through, where files are looked for, and what is remembered of them.
//!
//! No code of a plugin runs in this process before it has shown in another one that it can say what it is.

mod index;
mod probe;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tapedeck_dynamic as dynamic;
use tapedeck_engine::clock::SessionClock;
use tapedeck_engine::{Finder, threads};
use tapedeck_sdk::{Descriptor, Error, Factory, PluginKind};
use tapedeck_wasm::WasmDoor;

use index::Index;

pub(crate) use probe::{Outcome, probe_here, run_apart};

/// Which door a file goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// A component.
    Wasm,
    /// A dynamic library.
    Dynamic,
}

impl Door {
    pub(crate) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "wasm" => Some(Self::Wasm),
            "so" | "dylib" => Some(Self::Dynamic),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Wasm => "wasm",
            Self::Dynamic => "dynamic",
        }
    }
}

/// A file that may be a plugin, and what it said when it was asked.
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) outcome: Result<Descriptor, Error>,
}

/// Finds plugins by path, and by name on the plugin path.
pub(crate) struct Doors {
    folders: Vec<PathBuf>,
    cache: Option<PathBuf>,
    wasm: OnceLock<Result<WasmDoor, Error>>,
    index: Mutex<Index>,
    loaded: Mutex<BTreeMap<PathBuf, Arc<Factory>>>,
    found: OnceLock<Vec<Found>>,
}

impl Doors {
    /// Looks in `first`, then in `$TAPEDECK_PLUGIN_PATH`, then in the user's own folder.
    pub(crate) fn new(first: &[PathBuf]) -> Self {
        let mut folders = first.to_vec();
        if let Some(path) = std::env::var_os("TAPEDECK_PLUGIN_PATH") {
            folders.extend(std::env::split_paths(&path).filter(|folder| !folder.as_os_str().is_empty()));
        }
        folders.extend(home_folder("XDG_DATA_HOME", ".local/share").map(|data| data.join("plugins")));
        let cache = home_folder("XDG_CACHE_HOME", ".cache");
        let index = Index::read(cache.as_deref());
        Self {
            folders,
            cache,
            wasm: OnceLock::new(),
            index: Mutex::new(index),
            loaded: Mutex::default(),
            found: OnceLock::new(),
        }
    }

    /// Every plugin on the plugin path, and every file there that could be one and is not.
    pub(crate) fn found(&self) -> &[Found] {
        self.found.get_or_init(|| {
            let mut found = Vec::new();
            for folder in &self.folders {
                let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
                    .into_iter()
                    .flatten()
                    .filter_map(|entry| Some(entry.ok()?.path()))
                    .filter(|path| Door::of(path).is_some() && path.is_file())
                    .collect();
                paths.sort();
                found.extend(paths.into_iter().map(|path| Found { outcome: self.describe(&path), path }));
            }
            found
        })
    }

    /// What the file says of itself: remembered, or asked for in another process.
    pub(crate) fn describe(&self, path: &Path) -> Result<Descriptor, Error> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = index.get(path) {
            return outcome;
        }
        let outcome = probe::describe_apart(path);
        index.put(path, &outcome);
        outcome
    }

    /// The plugin in a file.
    pub(crate) fn load(&self, path: &Path) -> Result<Arc<Factory>, Error> {
        let loaded = || self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(factory) = loaded().get(path) {
            return Ok(factory.clone());
        }
        if !path.is_file() {
            return Err(Error::environment(format!("there is no plugin file {}", path.display()))
                .with_hint("paths are relative to the folder in which tapedeck is started"));
        }
        let factory = match Door::of(path) {
            Some(Door::Wasm) => self.load_wasm(path)?,
            Some(Door::Dynamic) => {
                // A library can bring the whole process down while it is loaded: it has to show elsewhere that it doesn't.
                self.describe(path)?;
                dynamic::load(path)?
            }
            None => {
                return Err(Error::environment(format!("\"{}\" is no plugin file", path.display()))
                    .with_hint("a plugin is a component (.wasm) or a dynamic library (.so)"));
            }
        };
        let factory = Arc::new(factory);
        loaded().insert(path.to_owned(), factory.clone());
        Ok(factory)
    }

    fn load_wasm(&self, path: &Path) -> Result<Factory, Error> {
        let start_thread: tapedeck_wasm::StartThread = |name, run| threads::start(name, run).map(drop);
        let door = self.wasm.get_or_init(|| {
            let (cache, clock) = (self.cache.as_ref(), SessionClock::anchored_now());
            let compiled = cache.map(|cache| cache.join("compiled"));
            WasmDoor::new(compiled, start_thread, Arc::new(move || clock.now()))
        });
        door.as_ref().map_err(Clone::clone)?.load(path)
    }
}

impl Finder for Doors {
    fn find(&self, kind: PluginKind, name: &str) -> Result<Option<Arc<Factory>>, Error> {
        if name.contains('/') || Door::of(Path::new(name)).is_some() {
            return self.load(Path::new(name)).map(Some);
        }
        let named = |found: &&Found| {
            let descriptor = found.outcome.as_ref();
            descriptor.is_ok_and(|descriptor| descriptor.name == name && descriptor.kind == kind)
        };
        self.found().iter().find(named).map(|found| self.load(&found.path)).transpose()
    }

    fn names(&self, kind: PluginKind) -> Vec<String> {
        let descriptors = self.found().iter().filter_map(|found| found.outcome.as_ref().ok());
        descriptors
            .filter(|descriptor| descriptor.kind == kind)
            .map(|descriptor| descriptor.name.clone())
            .collect()
    }
}

/// Our folder in one of the user's.
fn home_folder(variable: &str, otherwise: &str) -> Option<PathBuf> {
    let set = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(otherwise));
    set.or_else(home).map(|folder| folder.join("tapedeck"))
}

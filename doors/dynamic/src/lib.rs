//! The dynamic door, from the engine's side: a plugin in a library (`.so`) becomes a [`Factory`] like any other. The contract is
//! `sdk/include/tapedeck_plugin.h`; the structs are `tapedeck_sdk::native::abi`.
//!
//! Knows nothing of where plugins are looked for, nor of the engine. A library runs inside this process: what it does with wild pointers
//! can't be checked here, everything else is.

mod elf;
mod native;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tapedeck_sdk::{Error, Factory};

use native::Library;
use tapedeck_sdk::native::abi::Plugin;

/// The libraries that are loaded, by their canonical paths. They are never unloaded: threads and thread-local values of theirs may outlive
/// every instance, and so may batches.
static LOADED: Mutex<BTreeMap<PathBuf, &'static Library>> = Mutex::new(BTreeMap::new());

/// The plugin in the library at `path`. A library is loaded once in the life of the process: a file that has changed since
/// then is not looked at again.
///
/// # Errors
/// A file that can't be loaded (kind `Environment`), or a library that is no plugin, or one of another version, or one that does not
/// keep the contract (kind `Plugin`).
pub fn load(path: &Path) -> Result<Factory, Error> {
    let path = path.canonicalize().map_err(|error| {
        Error::environment(format!("can't load the plugin: {error}: {}", path.display()))
            .with_hint("Is the path right? It is relative to the folder in which tapedeck was started.")
    })?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let library = match loaded.get(&path) {
        Some(library) => library,
        None => {
            elf::check(&path)?;
            let library: &'static Library = Box::leak(Box::new(Library::load(&path)?));
            loaded.insert(path, library);
            library
        }
    };
    library.factory()
}

/// The plugin behind a table that is linked into this program: as [`load`] does it, without a file. The tests pass the built-in plugins
/// through the door this way.
///
/// # Errors
/// As for [`load`], of kind `Plugin` only.
///
/// # Safety
/// The table keeps the contract of `tapedeck_plugin.h`, as those of [`Plugin::made_sink`] and its like do.
#[expect(unsafe_code, reason = "the table's functions are called")]
pub unsafe fn linked(table: &'static Plugin) -> Result<Factory, Error> {
    // SAFETY: the caller promises it.
    unsafe { Library::linked(table) }?.factory()
}

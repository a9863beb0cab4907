//! The registry of this program: what is built in, and what is found in files.

use std::path::PathBuf;
use std::sync::Arc;

use tapedeck_engine::Registry;

use crate::doors::Doors;

/// Every plugin that is built in.
pub(crate) fn registry() -> Registry {
    Registry::new(tapedeck_builtins::factories()).with_journal(tapedeck_builtins::JOURNAL)
}

/// Every plugin that is built in, and who finds the others.
pub(crate) fn with_files(plugin_path: &[PathBuf]) -> Registry {
    registry().with_finder(Arc::new(Doors::new(plugin_path)))
}

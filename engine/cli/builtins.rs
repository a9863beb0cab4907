//! The only place that lists the built-in plugins.

use std::path::PathBuf;
use std::sync::Arc;

use tapedeck_engine::Registry;

use crate::doors::Doors;

/// Every plugin that is built in.
pub(crate) fn registry() -> Registry {
    let plugins = [
        tapedeck_memory::factory(),
        tapedeck_synthetic::factory(),
        tapedeck_select::factory(),
        tapedeck_delta::factory(),
        tapedeck_delta::undelta_factory(),
        tapedeck_decode::factory(),
        tapedeck_hdf5::factory(),
        tapedeck_parquet::factory(),
        tapedeck_arrow::factory(),
        tapedeck_csv::factory(),
        tapedeck_jsonl::factory(),
        tapedeck_null::factory(),
        tapedeck_terminal::factory(),
        tapedeck_ssh::factory(),
        tapedeck_redact::factory(),
        tapedeck_asciicast::factory(),
        tapedeck_text::factory(),
    ];
    Registry::new(plugins).with_journal("arrow")
}

/// Every plugin that is built in, and who finds the others.
pub(crate) fn with_files(plugin_path: &[PathBuf]) -> Registry {
    registry().with_finder(Arc::new(Doors::new(plugin_path)))
}

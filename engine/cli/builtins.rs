//! The only place that lists the built-in plugins.

use tapedeck_engine::Registry;

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
    ];
    Registry::new(plugins).with_journal("arrow")
}

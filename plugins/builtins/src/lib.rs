//! The only place that lists the built-in plugins: for the program, a service and a Python wheel alike. Knows nothing of what they do.
//! Built for WASM it lists nothing: its examples are components of the plugins that can be one.

#[cfg(not(target_family = "wasm"))]
use tapedeck_sdk::Factory;

/// The sink that keeps journals.
pub const JOURNAL: &str = "arrow";

/// Every plugin that is built in.
#[cfg(not(target_family = "wasm"))]
#[must_use]
pub fn factories() -> Vec<Factory> {
    vec![
        tapedeck_memory::factory(),
        tapedeck_synthetic::factory(),
        tapedeck_events::factory(),
        tapedeck_select::factory(),
        tapedeck_delta::factory(),
        tapedeck_delta::undelta_factory(),
        tapedeck_decode::factory(),
        tapedeck_hdf5::factory(),
        tapedeck_parquet::factory(),
        tapedeck_arrow::factory(),
        tapedeck_mcap::factory(),
        tapedeck_pickles::factory(),
        tapedeck_dimos::factory(),
        tapedeck_lmsp::factory(),
        tapedeck_lmsp::state_delta_factory(),
        tapedeck_lmsp::state_undelta_factory(),
        tapedeck_csv::factory(),
        tapedeck_jsonl::factory(),
        tapedeck_null::factory(),
        tapedeck_terminal::factory(),
        tapedeck_ssh::factory(),
        tapedeck_redact::factory(),
        tapedeck_asciicast::factory(),
        tapedeck_text::factory(),
    ]
}

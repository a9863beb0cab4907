//! The `memory` source: variables of a running Linux process, one row a tick.
//!
//! The rooms: [`options`](MemoryOptions) (what a pipeline may ask), `value` (types), `pattern` and `scan` (finding bytes), `maps` and
//! `process` (the target), `program` (which file it is, and its machine), `instruction` (what code names), `attach` (from options to addresses), `chain` and `plan` (from addresses to one vectored read),
//! `opening` and `source` (one row a tick), `errors` (what the user is told) and `system` (the only unsafe code).
//!
//! This crate doesn't know the clock, the rate or where the rows go: the engine does.

mod attach;
mod chain;
mod errors;
mod instruction;
mod maps;
mod opening;
mod options;
mod pattern;
mod plan;
mod process;
mod program;
mod scan;
mod source;
mod system;
mod value;

pub use options::{AttributeOptions, MemoryOptions, SpawnOutput};
pub use pattern::{BYTES_MAX as PATTERN_BYTES_MAX, Pattern, PatternError};

/// The plugin.
#[must_use]
pub fn factory() -> tapedeck_sdk::Factory {
    tapedeck_sdk::Factory::source::<source::Memory>()
}

//! For tests of plugins: a host that is not the engine, sample frames, and the conformance suite that every plugin runs.

pub mod conformance;
mod host;
mod sample;
pub mod samples;
mod scratch;

pub use host::FakeHost;
pub use sample::{all_types, joined, open_sink, read_all, sample};

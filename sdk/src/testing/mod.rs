//! For tests of plugins: a host that is not the engine, and the conformance suite that every plugin runs.

mod host;

pub use host::FakeHost;

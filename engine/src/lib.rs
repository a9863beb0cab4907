//! How batches move: pipelines, clock, pacing, edges, loss accounting and sessions.
//!
//! The engine names no plugin and no format: it is handed factories ([`Registry`]) and knows them by their descriptors.

pub mod pipeline;
mod registry;

pub use registry::Registry;

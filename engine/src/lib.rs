//! How batches move: pipelines, clock, pacing, edges, loss accounting and sessions.
//!
//! The engine names no plugin and no format: it is handed factories ([`Registry`]) and knows them by their descriptors.

mod accounting;
pub mod at;
mod bell;
pub mod clock;
mod closing;
pub mod convert;
mod counting;
pub mod diagnostic;
pub mod edge;
mod feed;
#[cfg(test)]
mod follow_tests;
pub mod formats;
mod found;
mod gathering;
pub mod graph;
pub mod inspect;
mod layout;
mod ledger;
mod lineage;
mod opening;
pub mod pacing;
pub mod pipeline;
pub mod placing;
pub mod playback;
mod reading;
mod recorded;
pub mod recover;
mod registry;
mod remarks;
pub mod replay;
pub mod report;
mod rewriting;
mod run;
#[cfg(test)]
mod run_tests;
pub mod session;
pub mod sessions;
mod sink_stage;
mod stats;
mod stream_names;
pub mod tap;
pub mod threads;
mod watch;
#[cfg(test)]
mod watch_tests;
mod watermark;
mod wiring;
mod worker;

pub use bell::StopHandle;
pub use opening::{OpenError, RunOptions};
pub use registry::{Finder, Registry};
pub use run::{Session, begin};
pub use watch::Watch;

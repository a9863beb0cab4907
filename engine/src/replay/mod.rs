//! Recordings played again: as one reel in the order of time ([`Reel`]), and as the source `replay`. Names no format: what there is to
//! read is found through the registry.

mod ahead;
mod looped;
mod options;
mod reel;
mod source;
#[cfg(test)]
mod tests;
mod tracks;

pub(crate) use options::{ReplayOptions, Timing};
pub use reel::{Moment, Reel, Window};
pub(crate) use source::{factory, open};
pub(crate) use tracks::recorded_session;

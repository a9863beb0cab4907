//! Recordings played again: as one reel in the order of time ([`Reel`]), and as the source `replay`. Names no format: what there is to
//! read is found through the registry.

mod reel;
mod tracks;

pub use reel::{Moment, Reel, Window};

//! The bench's transform as a library.

mod plugin;

tapedeck_sdk::export!(transform plugin::Gain);

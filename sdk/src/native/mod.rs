//! The dynamic door, as C sees it: the structs of `sdk/include/tapedeck_plugin.h`, slabs and texts that belong to somebody else, and what
//! [`export!`](crate::export) makes of a plugin. One of the few rooms with `unsafe` in it.
//!
//! Knows nothing of how a library is found and loaded: that is the host's side of the door.

#![expect(unsafe_code, reason = "this is the C ABI")]

pub mod abi;
#[cfg(not(target_family = "wasm"))]
mod engine;
#[cfg(not(target_family = "wasm"))]
mod plugin;
#[cfg(not(target_family = "wasm"))]
mod shown;
mod slab;
#[cfg(not(target_family = "wasm"))]
mod stages;
#[cfg(test)]
mod tests;
mod text;

pub use slab::{ForeignSlab, give, keep, lend, slice, take};
pub use text::{TEXT_BYTES_MAX, Text, hear, received, tell, view};

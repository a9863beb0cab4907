//! The dynamic door, with plugins that are compiled by the tests themselves.
//!
//! - `arrow`: the Arrow view of a batch
//! - `c_plugins`: plugins in C, written against the header alone
//! - `hostile`: plugins that break the contract in their calls
//! - `loading`: files and tables that are refused before anything is called
//! - `rust_plugins`: plugins in Rust, and what becomes of their panics
//! - `util`: compilers, hosts and batches

#![expect(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

mod arrow;
mod c_plugins;
mod hostile;
mod loading;
mod rust_plugins;
mod util;

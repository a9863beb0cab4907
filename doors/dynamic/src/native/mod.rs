//! Everything of the door that is `unsafe`: the library, the calls into it, and the calls out of it. No panic crosses in either
//! direction.

#![expect(unsafe_code, reason = "this is the engine's side of the C ABI")]

mod arrow;
mod engine;
mod follower;
mod instance;
mod library;
mod outputs;
mod refusals;
mod sink;
mod source;
mod table;
mod transform;

pub(crate) use library::Library;

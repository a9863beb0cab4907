//! The WASM door: makes plugins of components that keep `sdk/wit/plugin.wit`, each in a sandbox of its own.
//!
//! What comes in is a file, what goes out is a [`Factory`] like any other: the engine does not know the difference. Knows nothing of
//! pipelines or of where plugins are looked for.
//!
//! # The sandbox
//!
//! A component gets nothing that the pipeline has not granted (see [`Sandbox`]): no file, no network, no environment, no randomness
//! (random numbers come from a fixed seed) and no clock (it stands at the time at which the call in hand began). Its memory, its
//! output, and the time of each call are limited.
//!
//! # After a failure
//!
//! A component that traps, takes too long or goes over a limit is thrown away and made anew; the frames in hand are counted as failed,
//! and those that a transform may have held back.
//! Several failures in a row end the stage. A sink ends at its first failure: made anew, it would write over its own file.

mod bindings;
mod cache;
mod door;
mod followed;
mod held;
mod host;
mod instance;
mod linker;
mod loading;
mod sandbox;
mod scratch;
mod sink;
mod source;
mod stage;
mod state;
mod stderr;
mod ticker;
mod transform;

pub use door::{StartThread, SteadyClock, WasmDoor};
pub use sandbox::Sandbox;

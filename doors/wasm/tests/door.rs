//! Components through the door. The guests are built from `sdk/examples` when the first test asks for one.
//!
//! - `guest`, `guests`: builds and opens them
//! - `contract`: the conformance suite, sources, transforms and sinks
//! - `hostile`: components that break every rule
//! - `sandbox`: what is granted, and what is not
//! - `caching`: compiled code on disk
//! - `by_hand`: a component in the text format
//! - `other_languages`: a component that was not written in Rust

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails, helpers included")]

mod by_hand;
mod caching;
mod contract;
#[path = "../../../tests/guest.rs"]
mod guest;
mod guests;
mod hostile;
mod other_languages;
mod sandbox;

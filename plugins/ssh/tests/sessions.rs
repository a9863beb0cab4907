//! The `ssh` source as the real OpenSSH client sees it.
//!
//! - `desk`: the vocabulary: a server, clients, frames
//! - `logins`: who gets in, and who does not
//! - `life`: commands, shells, sizes, ends
//! - `trouble`: what goes wrong
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails, helpers included")]

#[path = "sessions/desk.rs"]
mod desk;
#[path = "sessions/life.rs"]
mod life;
#[path = "sessions/logins.rs"]
mod logins;
#[path = "sessions/trouble.rs"]
mod trouble;

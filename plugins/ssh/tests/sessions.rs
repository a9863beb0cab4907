//! The `ssh` source as the real OpenSSH client sees it.
//!
//! - `client`: a client that can do what OpenSSH's does not
//! - `crowding`: those who take more than their share
//! - `desk`: the vocabulary: a server, clients, frames
//! - `early`: an upstream host that begins before it answers, and one that is late
//! - `ends`: the end of the recording
//! - `logins`: who gets in, and who does not
//! - `life`: commands, shells, sizes, ends
//! - `passing`: files and ports that go through to an upstream host, and what is refused on the way
//! - `sshd`: a real upstream host
//! - `strict`: sessions that wait for their recording
//! - `trouble`: what goes wrong
//! - `upstream`: sessions of an upstream host
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails, helpers included")]

#[path = "sessions/client.rs"]
mod client;
#[path = "sessions/crowding.rs"]
mod crowding;
#[path = "sessions/desk.rs"]
mod desk;
#[path = "sessions/early.rs"]
mod early;
#[path = "sessions/ends.rs"]
mod ends;
#[path = "sessions/life.rs"]
mod life;
#[path = "sessions/logins.rs"]
mod logins;
#[path = "sessions/passing.rs"]
mod passing;
#[path = "sessions/sshd.rs"]
mod sshd;
#[path = "sessions/strict.rs"]
mod strict;
#[path = "sessions/trouble.rs"]
mod trouble;
#[path = "sessions/upstream.rs"]
mod upstream;

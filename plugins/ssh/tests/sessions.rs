//! The `ssh` source as the real OpenSSH client sees it.
//!
//! - `binary`: transfers over a command on pipes
//! - `client`: an SSH client that does what OpenSSH's does not
//! - `commands`: commands, shells, window sizes, exits
//! - `facts`: facts of sessions and logins
//! - `harness`: the vocabulary: a gateway, clients, frames
//! - `hasty_upstream`: an upstream host that answers early or late
//! - `limits`: clients that ask for more than their share
//! - `logins`: authentication
//! - `robustness`: bad input, silence, time limits, refusals
//! - `shutdown`: the end of the recording
//! - `sshd`: a real upstream host
//! - `strict`: sessions that wait for their recording
//! - `transfers`: files and ports that pass through to an upstream host, and what is refused
//! - `upstream`: sessions on an upstream host
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails, helpers included")]

#[path = "sessions/binary.rs"]
mod binary;
#[path = "sessions/client.rs"]
mod client;
#[path = "sessions/commands.rs"]
mod commands;
#[path = "sessions/facts.rs"]
mod facts;
#[path = "sessions/harness.rs"]
mod harness;
#[path = "sessions/hasty_upstream.rs"]
mod hasty_upstream;
#[path = "sessions/limits.rs"]
mod limits;
#[path = "sessions/logins.rs"]
mod logins;
#[path = "sessions/robustness.rs"]
mod robustness;
#[path = "sessions/shutdown.rs"]
mod shutdown;
#[path = "sessions/sshd.rs"]
mod sshd;
#[path = "sessions/strict.rs"]
mod strict;
#[path = "sessions/transfers.rs"]
mod transfers;
#[path = "sessions/upstream.rs"]
mod upstream;

//! An SSH server that records its sessions as frames of kind `terminal`: raw bytes, nothing lost,
//! unnoticed by the clients.
//!
//! # Authentication
//!
//! Nobody logs in until the pipeline names an `authorized_keys` or a `passwords` file; both are read
//! at each login. A key may log in under any name: the name is a label, and the recording has the
//! key's fingerprint. Everything runs as Tapedeck's own user, with a login's variables only. Files
//! that others can write are refused. An address with too many failed logins is refused for a minute,
//! before anything is read from it.
//!
//! When all slots are taken, a new connection evicts the oldest pending login of the busiest address.
//!
//! # Sessions
//!
//! A shell or a single command (`ssh host date`), on a terminal if the client asks for one, else on
//! pipes. With the option `command` it is always that command, a `docker exec` for instance, with the
//! client's request in `SSH_ORIGINAL_COMMAND` and the client in `TAPEDECK_USER` and
//! `TAPEDECK_CONNECTION`.
//!
//! With the option `upstream` everything goes to another SSH host: terminals, commands, allowed
//! variables, window sizes, signals, ends of input and output, exit status. One upstream connection,
//! made on first use, serves all channels of a client; Tapedeck logs in with a key of its own, to a host
//! whose key is in `known_hosts`, read at each connection. Subsystems on a list (SFTP) pass through, and
//! forwarded ports if `forwarding` allows it. A client that stops reading a channel delays the other
//! channels of its own connection only.
//!
//! Everything else is refused: subsystems and ports without an upstream, `ssh -R`, agents, X11.
//!
//! # Frames
//!
//! Each channel is a recording of its own, `<user>-<address>-<number>`, from the second channel on with
//! `-<channel>`: `c` (identity and request, as JSON), `r` (the size of a terminal), `o` (output and error
//! output, as sent to the client), with the option `input` also `i` and `e` (whether the terminal
//! echoes), further `r`, at last `x` with the exit status (128 plus the signal's number for a signal). A
//! client that vanishes hangs up its session. Whether an upstream terminal echoes is unknown: no `e`.
//!
//! A subsystem or forwarded port is not a terminal's: its recording has `c` with what it is
//! (`subsystem`, `forwarded`), at last `c` with `bytes_in` and `bytes_out`, and `x`.
//!
//! When the recording ends, sessions are told and end; their last output and exit are still recorded.
//! Frames that the engine no longer takes are counted as failed.
//!
//! # Back-pressure
//!
//! Input waits for a program that does not read; the more waits in a connection, the slower its client
//! may send, and beyond `unread_input_max` the session ends with a message. Data on a channel in which
//! nothing runs is discarded, as by OpenSSH's server. A client that reads nothing is disconnected like
//! one that does not answer.
//!
//! # Slow or failed recordings
//!
//! A frame is in the engine's queue before its bytes go to the client: a session is ahead of its
//! recording by the engine's queues at most; where these are full, sessions wait. When a sink fails,
//! sessions continue and the engine counts the loss (`on_record_failure = "continue"`).
//!
//! With `on_record_failure = "close"` no byte of output and no exit status goes to the client before its
//! frame would survive a `kill -9` (what is only counted waits for its first `c`). A lost frame of the
//! stream ends every open session with a message. This needs the engine's watermark, and so no `rate`.
//!
//! Sinks that write text hold a partial character until it is complete, and so does this mode: it is
//! sent when durable, or at the end. A terminal shows nothing of it anyway. Pipes may carry a protocol
//! whose peer waits for that byte: there a partial character is sent after 100 ms, and a kill at that
//! moment leaves it (3 bytes at most) in recordings of bytes only, not of text.
//!
//! Does not know files or formats, but for its own keys and the credential files.

mod auth;
mod backend;
mod channel;
mod options;
mod recording;
mod server;
mod source;
#[cfg(test)]
mod tests;

use tapedeck_sdk::prelude::*;

#[doc(hidden)]
pub use auth::files as credential_files;
pub use options::SshOptions;

/// The `ssh` source.
#[must_use]
pub fn factory() -> Factory {
    Factory::source::<source::Ssh>()
}

//! An SSH server that records its sessions as frames of kind `terminal`: raw bytes, nothing lost,
//! unnoticed by the clients.
//!
//! # Authentication
//!
//! Nobody logs in until the pipeline names an `authorized_keys` or a `passwords` file; both are read
//! at each login. A line that can't be used is skipped, with a warning each time the file has changed;
//! an unreadable `@revoked` line of `known_hosts` refuses the host instead. A key may log in under any name: the name is a label, and the recording has the
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
//! The last frame before `x` is a `c` with what is known at the end:
//!
//! | fact | meaning |
//! |---|---|
//! | `bytes_in`, `bytes_out` | bytes received from the client and sent to it, recorded or not |
//! | `exit_signal` | the signal that ended the session, by its name in RFC 4254; others as `BUS@tapedeck` |
//! | `left_running` | processes that outlive the session: `pid`, `name`, and `detached` if they left its process session (`setsid`), out of the recording's sight. Local sessions only; a process without the session's environment, group and parent is not found |
//! | `ended_by` | what ended the session from outside |
//!
//! A subsystem or forwarded port is not a terminal's: its recording has facts (`subsystem`,
//! `forwarded`, byte counts) and `x` only. A login without a session leaves a recording of its own,
//! `<user>-<address>-<number>-login`, of facts: who, which requests were refused, why it ended.
//!
//! # Transfers
//!
//! `scp -O`, `rsync`, `git` and others are commands on pipes; their first facts name the program in
//! `transfer`. By default their frames are bytes as they are, and the facts `output_as` and `input_as`
//! say `"bytes"`, so that sinks of text leave them out; so it is with any command on pipes, from the first
//! piece on that is not UTF-8 text. Standard error is among the output, in the order of sending. With `transfers
//! = "facts"` known programs are only counted, with `"text"` nothing is told apart. The transform `redact`
//! masks what looks like a secret in transfers too.
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
//! # Budget
//!
//! | each | memory | descriptors | limit |
//! |---|---|---|---|
//! | process | `unread_input_total_max` (256 MiB), 8 MiB of queued frames, and its sessions' | 1 and its connections' | `connections_max` (64), `channels_max` (128) |
//! | connection | `unread_input_max` (32 MiB) and its sessions' | 2, with an upstream 3 | 16 channels, with `forwarding` 128 |
//! | session | 1 MiB of input in the SSH library, in strict mode 2 MiB of pending output, 64 KiB of buffers | 2 on a terminal, 4 on pipes, none upstream | 64 variables of 4 KiB |
//!
//! Beyond `unread_input_total_max`, sessions of connections above an equal share end. A channel beyond
//! the limit is refused; a connection beyond it evicts a pending login or is closed. The user is told,
//! also when the system has no descriptors for a connection, and at the start if its limit is too low.
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

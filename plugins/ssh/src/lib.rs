//! An SSH server whose sessions become frames of kind `terminal`: raw bytes, nothing lost, and the people in them notice nothing.
//!
//! # Who gets in
//!
//! Nobody, until the pipeline names an `authorized_keys` file or a `passwords` file; both are read again at each login. Whoever has
//! a key in the file may come under any name: the name is a label in the recording, and the recording has the key's fingerprint. What
//! runs, runs as the user that Tapedeck runs as, and gets none of Tapedeck's own environment but the few variables that a login has.
//! An address that fails too often is turned away for a while, before anything is read from it.
//!
//! # What they get
//!
//! A shell, or a single command (`ssh host date`), in a terminal if the client asks for one and on pipes if not. With the option
//! `command` it is always that command, a `docker exec` for instance; what the client asked for is then in its
//! `SSH_ORIGINAL_COMMAND`, and who asks in `TAPEDECK_USER` and `TAPEDECK_CONNECTION`; `ssh` as the command passes sessions on to another host. Subsystems (SFTP), port, agent and X11 forwarding
//! are refused.
//!
//! # Frames
//!
//! Each channel of a connection is a recording of its own, `<user>-<address>-<number>`, from the second channel on with `-<channel>`:
//! `c` (who, from where, how, as JSON), `r` (the size, if there is a terminal), `o` (output and error output, as it goes to the client),
//! with the option `input` also `i` and `e` (whether the terminal echoes), `r` as the window changes, and at last `x` with the exit status
//! (128 and the signal's number for one that a signal ended). A client that vanishes hangs up what it ran; such a recording has no `x`.
//!
//! # When recording is slow, or fails
//!
//! A frame is in the queue to the engine before its bytes go to the client, so a session is never ahead of its recording by more than
//! the engine's queues: where these are full, sessions wait, and no byte is dropped. When a sink fails, the sessions go on and the
//! engine counts the loss (`on_record_failure = "continue"`); `close` is refused until the engine tells sources what is on disk.
//!
//! Knows nothing of files or formats, but for its own key and the files that say who gets in.

mod accept;
mod auth;
mod backlog;
mod child;
mod guest;
mod host_key;
mod limits;
mod modes;
mod options;
mod order;
mod session;
mod source;
mod tape;
#[cfg(test)]
mod tests;

use tapedeck_sdk::prelude::*;

pub use options::SshOptions;

/// The `ssh` source.
#[must_use]
pub fn factory() -> Factory {
    Factory::source::<source::Ssh>()
}

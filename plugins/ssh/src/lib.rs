//! An SSH server whose sessions become frames of kind `terminal`: raw bytes, nothing lost, and the people in them notice nothing.
//!
//! # Who gets in
//!
//! Nobody, until the pipeline names an `authorized_keys` file or a `passwords` file; both are read again at each login. Whoever has
//! a key in the file may come under any name: the name is a label in the recording, and the recording has the key's fingerprint. What
//! runs, runs as the user that Tapedeck runs as, and gets none of Tapedeck's own environment but the few variables that a login has.
//! An address that fails too often is turned away for a while, before anything is read from it. Files that others can write are refused.
//!
//! Nobody keeps a place without logging in: when all are taken, the next who comes gets the place of one who has not logged in, of the
//! address that has most of those the one who came first.
//!
//! # What they get
//!
//! A shell, or a single command (`ssh host date`), in a terminal if the client asks for one and on pipes if not. With the option
//! `command` it is always that command, a `docker exec` for instance; what the client asked for is then in its
//! `SSH_ORIGINAL_COMMAND`, and who asks in `TAPEDECK_USER` and `TAPEDECK_CONNECTION`.
//!
//! With the option `upstream` all of it goes on to another SSH host instead: terminals, commands, the variables that are allowed, window
//! sizes, signals, ends of input and of output, exit status. One connection to that host serves all channels of a client's, and is made
//! when the first is needed; Tapedeck logs in with a key of its own, and only to a host whose key is in the `known_hosts` file, which is
//! read again at each connection. Subsystems on a list (SFTP) go through, and ports that the client forwards to where the host can
//! connect, if `forwarding` allows it. What a client does not read is not taken from the host either, so one that stops reading a channel
//! holds up the other channels of its own connection.
//!
//! Everything else is refused: subsystems and ports without an upstream, ports forwarded to the client (`ssh -R`), agents, X11.
//!
//! # Frames
//!
//! Each channel of a connection is a recording of its own, `<user>-<address>-<number>`, from the second channel on with `-<channel>`:
//! `c` (who, from where, how, as JSON), `r` (the size, if there is a terminal), `o` (output and error output, as it goes to the client),
//! with the option `input` also `i` and `e` (whether the terminal echoes), `r` as the window changes, and at last `x` with the exit status
//! (128 and the signal's number for one that a signal ended). A client that vanishes hangs up what it ran; such a recording has no `x`.
//! Whether an upstream terminal echoes can't be known: there is no `e` then.
//!
//! A subsystem or a forwarded port is no terminal's: its recording has `c` with what it is (`subsystem`, `forwarded`), at last `c` with
//! `bytes_in` and `bytes_out`, and `x`, whoever ended it.
//!
//! When the recording ends, every session is told so and ends; what its client has seen and how it ended is still recorded. Frames that
//! nobody takes any more are counted as failed.
//!
//! # Clients that ask for too much
//!
//! Input waits for a program that does not read it, as long as it is not too much: the more waits in a connection, the slower its client
//! may send, and the session that goes beyond `unread_input_max` ends with a message. What is sent into a channel before anything runs in
//! it is for nobody, as with OpenSSH's server. A client that takes nothing of what is sent to it is cut off as one that answers no more.
//!
//! # When recording is slow, or fails
//!
//! A frame is in the queue to the engine before its bytes go to the client, so a session is never ahead of its recording by more than
//! the engine's queues: where these are full, sessions wait, and no byte is dropped. When a sink fails, the sessions go on and the
//! engine counts the loss (`on_record_failure = "continue"`).
//!
//! With `on_record_failure = "close"` no byte of output, and no exit status, goes to the client before its frame would survive a
//! `kill -9` (what is only counted waits for its first `c` instead). A session waits as long as that takes; when any frame of the stream is
//! lost, every session that is open ends with a message, and what runs in it is hung up. For that the engine must say how far the
//! recording is, and number the frames as they come: this mode goes without `rate` only.
//!
//! A sink that writes text keeps half a character until the other half comes, and so does this mode: it is shown when that is safe, or at
//! the session's end. A terminal shows nothing of it anyway. Through pipes may go anything, though, such as a protocol whose other side
//! waits for that byte: there half a character is shown after 100 ms, and a kill just then leaves it (at most 3 bytes) in those recordings
//! only that keep bytes, not in text.
//!
//! Knows nothing of files or formats, but for its own key and the files that say who gets in.

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

//! Runs a command in a terminal of its own and gives what it shows as frames of kind `terminal`, raw bytes, nothing lost.
//!
//! The frames: first `r` with the terminal's size, then `o` as output comes, at last `x` with the exit status (128 and the number of the
//! signal for a command that a signal ended). The command is the leader of a session of its own, with the terminal as its
//! controlling one.
//!
//! # Attached
//!
//! With `attach = true` the user sits in front of the recorded terminal: input is passed on as it is, output is shown as it comes, a change of the window's size is followed (`r`), and two keys are kept back: one sets
//! a mark (`m`), one pauses the recording, which the user sees nothing of. While paused no `o` and `i` frames are made, and the time of the frames stands still.
//! The user's terminal is in raw mode from the first call of `next` until the source is dropped, whatever the reason.
//!
//! Where standard input is not a terminal, the command's is a pipe that passes every byte on and ends with it; there are no keys. The
//! command's output stays on its terminal, and is written to standard output, whatever that is.
//!
//! Input is recorded (`i`) only when the option `input` asks for it. Then an `e` frame (`off`, `on`) says when the terminal does not
//! echo lines that are typed, as for a password, so that a transform can leave them out.
//!
//! # End
//!
//! The recording ends when the command does: what it has written by then is given, what its children write later is not. A source that
//! is dropped before hangs up, and kills a command that takes no notice. Knows nothing of files or formats.

mod frames;
mod keys;
mod options;
mod poll;
mod pty;
mod source;
#[cfg(test)]
mod tests;
mod typed;
mod user;

use tapedeck_sdk::prelude::*;

pub use options::TerminalOptions;
pub use typed::{Key, Typed};
pub use user::{Seat, User, put_back};

/// The `terminal` source.
#[must_use]
pub fn factory() -> Factory {
    Factory::source::<source::Terminal>()
}

//! The ends of what a session is connected to, whichever it is: a program of this machine, or a channel of an upstream host. Knows nothing
//! of the client.

pub(crate) mod command;
pub(crate) mod local;
pub(crate) mod process;
pub(crate) mod terminal_modes;
pub(crate) mod upstream;
pub(crate) mod upstream_channel;

use std::io;

use bytes::Bytes;
use russh::Sig;

use crate::backend::process::Size;

/// The most bytes of a piece of output, which is what a client takes in one packet.
pub(crate) const PIECE_BYTES_MAX: usize = 32 << 10;

/// What comes out.
pub(crate) enum Event {
    /// Output, and SSH's number of its kind if it is not standard output.
    Output(Bytes, Option<u32>),
    /// No more output comes, though it goes on; and whether how it ends will be warned.
    Eof {
        status_follows: bool,
    },
    Exited(Exit),
}

/// How it ended.
pub(crate) enum Exit {
    Status(u32),
    Signal {
        name: Sig,
        number: Option<i32>,
        core: bool,
        message: String,
        language: String,
    },
    /// It was never there, or vanished: why.
    Lost(String),
}

impl Exit {
    /// The exit status, as shells count: 128 and the signal's number for a signal.
    pub(crate) fn number(&self) -> i64 {
        match self {
            Self::Status(status) => i64::from(*status),
            Self::Signal { number: Some(number), .. } => 128 + i64::from(*number),
            Self::Signal { number: None, .. } | Self::Lost(_) => 255,
        }
    }
}

/// Where output comes from.
pub(crate) enum Output {
    Local(Box<local::Output>),
    Upstream(upstream_channel::Output),
}

impl Output {
    /// The next that comes. Given up while it waits, it has lost nothing. To be called until it has ended, and not any more then.
    pub(crate) async fn next(&mut self) -> Event {
        match self {
            Self::Local(output) => output.next().await,
            Self::Upstream(output) => output.next().await,
        }
    }

    /// Stdio what runs: its user has gone. Returns how it has ended, if that can be known.
    pub(crate) async fn hang_up(self, input: Input) -> Option<Exit> {
        match self {
            Self::Local(output) => {
                // The input stays open as long: a program should see that it was hung up, not that its input has ended.
                let exit = output.hang_up().await;
                drop(input);
                exit
            }
            Self::Upstream(output) => {
                // First nothing is taken any more: what is on the way must not hold up that the channel is closed.
                drop(output);
                if let Input::Upstream(input) = input {
                    input.close().await;
                }
                None
            }
        }
    }
}

/// Where input goes.
pub(crate) enum Input {
    Local(local::Input),
    Upstream(upstream_channel::Input),
}

impl Input {
    /// Whether input is taken at all.
    pub(crate) fn takes(&self) -> bool {
        match self {
            Self::Local(input) => input.takes(),
            Self::Upstream(_) => true,
        }
    }

    /// Passes on some of these bytes, which may be none, and returns how many were taken; or does something else that is to be done.
    /// Given up while it waits, it has done nothing, and must be called with the same bytes again.
    ///
    /// An error says that nobody takes any more.
    pub(crate) async fn advance(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Local(input) => input.write(bytes).await,
            Self::Upstream(input) => input.advance(bytes).await,
        }
    }

    /// All input was durable on, and no more comes. May be said again.
    pub(crate) fn finish(&mut self) {
        match self {
            Self::Local(input) => input.finish(),
            Self::Upstream(input) => input.finish(),
        }
    }

    pub(crate) fn resize(&mut self, size: Size) {
        match self {
            Self::Local(input) => input.resize(size),
            Self::Upstream(input) => input.resize(size),
        }
    }

    pub(crate) fn signal(&mut self, signal: Sig) {
        match self {
            Self::Local(input) => input.signal(&signal),
            Self::Upstream(input) => input.signal(signal),
        }
    }

    /// Whether what is typed now is shown; `None` if that can't be known.
    pub(crate) fn echoes(&self) -> Option<bool> {
        match self {
            Self::Local(input) => input.echoes(),
            Self::Upstream(_) => None,
        }
    }
}

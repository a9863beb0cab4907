//! Back ends of a session: a local process, or a channel of an upstream host. Do not know the
//! client.

pub(crate) mod command;
pub(crate) mod left_running;
pub(crate) mod local;
pub(crate) mod process;
pub(crate) mod signals;
pub(crate) mod terminal_modes;
pub(crate) mod upstream;
pub(crate) mod upstream_channel;

use std::io;

use bytes::Bytes;
use russh::Sig;

use crate::backend::left_running::LeftProcess;
use crate::backend::process::Size;

/// The most bytes of a piece of output: what a client takes in one packet.
pub(crate) const PIECE_BYTES_MAX: usize = 32 << 10;

/// What a back end reports.
pub(crate) enum Event {
    /// Output, with SSH's extended data type unless it is standard output.
    Output(Bytes, Option<u32>),
    /// End of output, and whether an exit status follows.
    Eof {
        status_follows: bool,
    },
    Exited(Exit),
}

/// How a session ended.
pub(crate) enum Exit {
    Status(u32),
    Signal {
        name: Sig,
        number: Option<i32>,
        core: bool,
        message: String,
        language: String,
    },
    /// It could not be started, or vanished: why.
    Lost(String),
}

impl Exit {
    /// The exit status as shells count it: 128 plus the signal's number for a signal.
    pub(crate) fn number(&self) -> i64 {
        match self {
            Self::Status(status) => i64::from(*status),
            Self::Signal { number: Some(number), .. } => 128 + i64::from(*number),
            Self::Signal { number: None, .. } | Self::Lost(_) => 255,
        }
    }
}

/// How a session ended that was hung up.
#[derive(Default)]
pub(crate) struct HungUp {
    /// The exit, if known.
    pub(crate) exit: Option<Exit>,
    /// Processes that outlive the session's; `None` if unknown.
    pub(crate) left_running: Option<Vec<LeftProcess>>,
}

/// Output of a back end.
pub(crate) enum Output {
    Local(Box<local::Output>),
    Upstream(upstream_channel::Output),
}

impl Output {
    /// The next event. Cancel safe. Not to be called after [`Event::Exited`].
    pub(crate) async fn next(&mut self) -> Event {
        match self {
            Self::Local(output) => output.next().await,
            Self::Upstream(output) => output.next().await,
        }
    }

    /// Processes that outlive the session's; `None` if unknown. To be called after the exit.
    pub(crate) async fn left_running(&self) -> Option<Vec<LeftProcess>> {
        match self {
            Self::Local(output) => output.left_running().await,
            Self::Upstream(_) => None,
        }
    }

    /// Hangs up: the client has gone.
    pub(crate) async fn hang_up(self, input: Input) -> HungUp {
        match self {
            Self::Local(output) => {
                // Input stays open meanwhile: the process must see the hang-up, not an end of
                // input.
                let hung_up = output.hang_up().await;
                drop(input);
                hung_up
            }
            Self::Upstream(output) => {
                // Output first: data in flight must not delay the closing of the channel.
                drop(output);
                if let Input::Upstream(input) = input {
                    input.close().await;
                }
                HungUp::default()
            }
        }
    }
}

/// Input of a back end.
pub(crate) enum Input {
    Local(local::Input),
    Upstream(upstream_channel::Input),
}

impl Input {
    /// Whether input is still accepted.
    pub(crate) fn takes(&self) -> bool {
        match self {
            Self::Local(input) => input.takes(),
            Self::Upstream(_) => true,
        }
    }

    /// Makes progress: passes on some of `bytes`, which may be empty, or handles a control message
    /// (0). Cancel safe; to be called with the same bytes again.
    /// An error: nothing accepts input any more.
    pub(crate) async fn advance(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Local(input) => input.write(bytes).await,
            Self::Upstream(input) => input.advance(bytes).await,
        }
    }

    /// All input was passed on; more does not come. Idempotent.
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

    /// Whether the terminal echoes; `None` if unknown.
    pub(crate) fn echoes(&self) -> Option<bool> {
        match self {
            Self::Local(input) => input.echoes(),
            Self::Upstream(_) => None,
        }
    }
}

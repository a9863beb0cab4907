//! The ends of what a session is connected to, whichever it is: a program of this machine, or a channel of an upstream host. Knows nothing
//! of the client.

use std::io;

use bytes::Bytes;
use russh::Sig;

use crate::child::Size;
use crate::{local, relay};

/// The most bytes of a piece of output, which is what a client takes in one packet.
pub(crate) const PIECE_BYTES_MAX: usize = 32 << 10;

/// What comes out.
pub(crate) enum Said {
    /// Output, and SSH's number of its kind if it is not standard output.
    Output(Bytes, Option<u32>),
    /// No more output comes, though it goes on; and whether how it ends will be told.
    Finished {
        to_end: bool,
    },
    Ended(Ending),
}

/// How it ended.
pub(crate) enum Ending {
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

impl Ending {
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
pub(crate) enum Outlet {
    Local(Box<local::Outlet>),
    Upstream(relay::Outlet),
}

impl Outlet {
    /// The next that comes. Given up while it waits, it has lost nothing. To be called until it has ended, and not any more then.
    pub(crate) async fn next(&mut self) -> Said {
        match self {
            Self::Local(outlet) => outlet.next().await,
            Self::Upstream(outlet) => outlet.next().await,
        }
    }

    /// Ends what runs: its user has gone. Returns how it has ended, if that can be known.
    pub(crate) async fn hang_up(self, inlet: Inlet) -> Option<Ending> {
        match self {
            Self::Local(outlet) => {
                // The input stays open as long: a program should see that it was hung up, not that its input has ended.
                let ending = outlet.hang_up().await;
                drop(inlet);
                ending
            }
            Self::Upstream(outlet) => {
                // First nothing is taken any more: what is on the way must not hold up that the channel is closed.
                drop(outlet);
                if let Inlet::Upstream(inlet) = inlet {
                    inlet.close().await;
                }
                None
            }
        }
    }
}

/// Where input goes.
pub(crate) enum Inlet {
    Local(local::Inlet),
    Upstream(relay::Inlet),
}

impl Inlet {
    /// Whether input is taken at all.
    pub(crate) fn takes(&self) -> bool {
        match self {
            Self::Local(inlet) => inlet.takes(),
            Self::Upstream(_) => true,
        }
    }

    /// Passes on some of these bytes, which may be none, and returns how many were taken; or does something else that is to be done.
    /// Given up while it waits, it has done nothing, and must be called with the same bytes again.
    ///
    /// An error says that nobody takes any more.
    pub(crate) async fn work(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Local(inlet) => inlet.write(bytes).await,
            Self::Upstream(inlet) => inlet.work(bytes).await,
        }
    }

    /// All input was passed on, and no more comes. May be said again.
    pub(crate) fn finish(&mut self) {
        match self {
            Self::Local(inlet) => inlet.finish(),
            Self::Upstream(inlet) => inlet.finish(),
        }
    }

    pub(crate) fn resize(&mut self, size: Size) {
        match self {
            Self::Local(inlet) => inlet.resize(size),
            Self::Upstream(inlet) => inlet.resize(size),
        }
    }

    pub(crate) fn signal(&mut self, signal: Sig) {
        match self {
            Self::Local(inlet) => inlet.signal(&signal),
            Self::Upstream(inlet) => inlet.signal(signal),
        }
    }

    /// Whether what is typed now is shown; `None` if that can't be known.
    pub(crate) fn echoes(&self) -> Option<bool> {
        match self {
            Self::Local(inlet) => inlet.echoes(),
            Self::Upstream(_) => None,
        }
    }
}

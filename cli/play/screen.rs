//! Where a recording is shown: the user's terminal, with keys, or whatever standard output is. Knows nothing of recordings.

use std::io::Write;
use std::time::Duration;

use tapedeck_engine::clock::SessionClock;
use tapedeck_sdk::Error;
use tapedeck_sdk::kinds::terminal::Size;
use tapedeck_terminal::{Seat, User};

/// So much output may wait for the user's terminal before no more is given to it.
const BACKLOG_BYTES_MAX: usize = 64 << 10;

/// How long the user's terminal may take nothing at the end.
const FAREWELL_TIME: Duration = Duration::from_secs(1);

/// Ends what may have begun and is still on: the alternate screen is looked after by itself. Giving up margins moves the cursor, which
/// is put back to where it was.
pub(super) const PUT_BACK: &str = "\x1b7\x1b[r\x1b8\x1b[0m\x1b[?25h\x1b[?7h\x1b[?1l\x1b>\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\x1b[?1015l";

/// Leaves the alternate screen.
pub(super) const LEAVE_ALTERNATE: &str = "\x1b[?1049l";

/// Where it is shown.
pub(super) enum Screen {
    User(Box<User>),
    /// No terminal: no keys either.
    Plain(SessionClock),
}

impl Screen {
    pub(super) fn new(clock: SessionClock) -> Result<Self, Error> {
        Ok(match Seat::standard() {
            Some(seat) => Self::User(Box::new(User::sit(seat)?)),
            None => Self::Plain(clock),
        })
    }

    /// Whether it is no terminal.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// The size of the terminal, if it has one.
    pub(super) fn size(&self) -> Option<Size> {
        match self {
            Self::User(user) => user.size(),
            Self::Plain(_) => None,
        }
    }

    /// Shows bytes. False when there is nobody left to see them.
    pub(super) fn show(&mut self, data: &[u8]) -> bool {
        match self {
            Self::User(user) => {
                user.show(data);
                true
            }
            Self::Plain(_) => {
                let mut out = std::io::stdout().lock();
                out.write_all(data).and_then(|()| out.flush()).is_ok()
            }
        }
    }

    /// Whether the terminal is behind.
    pub(super) fn is_behind(&self) -> bool {
        matches!(self, Self::User(user) if user.backlog() >= BACKLOG_BYTES_MAX)
    }

    /// Whether the terminal has shown everything that was given to it.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Self::User(user) if user.backlog() == 0)
    }

    /// Waits for keys, at most so long, and adds them. False when the terminal has gone.
    pub(super) fn wait(&mut self, time: Duration, typed: &mut Vec<u8>) -> bool {
        match self {
            Self::User(user) => user.wait(time, typed),
            Self::Plain(clock) => {
                clock.sleep_until(clock.now() + time);
                true
            }
        }
    }

    /// Shows what is left, and a farewell.
    pub(super) fn end(&mut self, farewell: &str) {
        self.show(farewell.as_bytes());
        if let Self::User(user) = self {
            let mut typed = Vec::new();
            let mut backlog = usize::MAX;
            // A terminal that takes nothing any more is not waited for.
            while user.backlog() > 0 && user.backlog() < backlog {
                backlog = user.backlog();
                if !user.wait(FAREWELL_TIME, &mut typed) {
                    return;
                }
            }
            user.forget_input();
        }
    }
}

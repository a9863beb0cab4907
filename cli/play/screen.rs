//! Where a recording is shown: the user's terminal, with keys, or whatever standard output is. Knows nothing of recordings.

use std::io::Write;
use std::time::Duration;

use avt::{ScreenKind, Terminal};
use tapedeck_engine::clock::SessionClock;
use tapedeck_sdk::Error;
use tapedeck_sdk::terminal::{Size, Utf8Joiner};
use tapedeck_terminal::{Seat, User};

/// So much output may wait for the user's terminal before no more is given to it.
const BACKLOG_BYTES_MAX: usize = 64 << 10;

/// How long the user's terminal may take nothing at the end.
const FAREWELL_TIME: Duration = Duration::from_secs(1);

/// The most cells that a recording's terminal is followed with.
const CELLS_MAX: u16 = 2000;

/// Ends what a program may have begun that is still on: the alternate screen is looked after by itself. Giving up margins moves the cursor,
/// which is put back to where it was.
const PUT_BACK: &str = "\x1b7\x1b[r\x1b8\x1b[0m\x1b[?25h\x1b[?7h\x1b[?1l\x1b>\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\x1b[?1015l";

/// Everything to its first state, and the screen empty.
const CLEAR: &str = "\x1b[?1049l\x1b[0m\x1b[?6l\x1b[r\x1b[H\x1b[2J";

/// What follows the recording's terminal, so that any moment of it can be shown.
pub(crate) struct Followed {
    terminal: Terminal,
    joiner: Utf8Joiner,
}

impl Followed {
    pub(crate) fn new() -> Self {
        let terminal = Terminal::new(80, 24).expect("80x24 is a size");
        Self { terminal, joiner: Utf8Joiner::default() }
    }

    pub(crate) fn show(&mut self, data: &[u8]) {
        let terminal = &mut self.terminal;
        self.joiner.push(data, |text| terminal.feed(text));
    }

    pub(crate) fn resize(&mut self, size: Size) {
        let cells = |cells: u16| usize::from(cells.clamp(1, CELLS_MAX));
        self.terminal.resize(cells(size.columns), cells(size.rows));
    }

    /// What makes any terminal show the same.
    pub(crate) fn dump(&self) -> String {
        format!("{CLEAR}{}", self.terminal.dump())
    }

    /// What ends the show.
    fn farewell(&self) -> String {
        let alternate = self.terminal.active_screen_kind() == ScreenKind::Alternate;
        format!("{}{PUT_BACK}\r\n", if alternate { "\x1b[?1049l" } else { "" })
    }
}

/// Where it is shown.
pub(crate) enum Screen {
    User(Box<User>),
    /// No terminal: no keys either.
    Plain(SessionClock),
}

impl Screen {
    pub(crate) fn new(clock: SessionClock) -> Result<Self, Error> {
        Ok(match Seat::standard() {
            Some(seat) => Self::User(Box::new(User::sit(seat)?)),
            None => Self::Plain(clock),
        })
    }

    /// Shows bytes. False when there is nobody left to see them.
    pub(crate) fn show(&mut self, data: &[u8]) -> bool {
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
    pub(crate) fn is_behind(&self) -> bool {
        matches!(self, Self::User(user) if user.backlog() >= BACKLOG_BYTES_MAX)
    }

    /// Waits for keys, at most so long, and adds them. False when the terminal has gone.
    pub(crate) fn wait(&mut self, time: Duration, typed: &mut Vec<u8>) -> bool {
        match self {
            Self::User(user) => user.wait(time, typed),
            Self::Plain(clock) => {
                clock.sleep_until(clock.now() + time);
                true
            }
        }
    }

    /// Shows what is left, and puts the terminal back.
    pub(crate) fn end(mut self, followed: &Followed) {
        if let Self::User(user) = &mut self {
            user.show(followed.farewell().as_bytes());
            let mut typed = Vec::new();
            let mut backlog = usize::MAX;
            // A terminal that takes nothing any more is not waited for.
            while user.backlog() > 0 && user.backlog() < backlog {
                backlog = user.backlog();
                if !user.wait(FAREWELL_TIME, &mut typed) {
                    return;
                }
            }
        }
    }
}

//! Where the user sits: standard input and output. A terminal is raw while the recording runs, and as it was before afterwards; what is
//! none (a pipe, a file) is read and written as it is. Knows nothing of what runs in the other terminal.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, QueueSelector, Termios};
use signal_hook::SigId;
use signal_hook::consts::SIGWINCH;
use tapedeck_sdk::Error;
use tapedeck_sdk::kinds::terminal::Size;

use crate::poll::{self, Wanted};
use crate::pty::Pixels;

/// What a pipe or socket with room takes without waiting (`PIPE_BUF`).
const PIECE_BYTES: usize = 4096;

/// So much output that the terminal has taken is kept until it is forgotten all at once.
const SHOWN_BYTES_MAX: usize = 64 << 10;

/// Standard input and output, untouched yet.
pub struct Seat {
    input: OwnedFd,
    output: OwnedFd,
}

impl Seat {
    /// Standard input and output, if both are a terminal.
    #[must_use]
    pub fn standard() -> Option<Self> {
        Self::any().filter(|seat| seat.is_interactive() && rustix::termios::isatty(&seat.output))
    }

    /// Standard input and output, whatever they are. `None` if the process has no handles left.
    #[must_use]
    pub fn any() -> Option<Self> {
        let (input, output) = (std::io::stdin(), std::io::stdout());
        Self::new(input.as_fd(), output.as_fd())
    }

    /// What is read at one place and written at the other.
    pub(crate) fn new(input: BorrowedFd<'_>, output: BorrowedFd<'_>) -> Option<Self> {
        Some(Self { input: input.try_clone_to_owned().ok()?, output: output.try_clone_to_owned().ok()? })
    }

    /// Whether the input is a terminal: keys, and not a pipe or a file.
    pub(crate) fn is_interactive(&self) -> bool {
        rustix::termios::isatty(&self.input)
    }

    /// The size of the window in cells and in pixels, if there is one.
    pub(crate) fn window(&self) -> Option<(Size, Pixels)> {
        window(&self.output).or_else(|| window(&self.input))
    }
}

fn window(terminal: &OwnedFd) -> Option<(Size, Pixels)> {
    let window = rustix::termios::tcgetwinsize(terminal).ok()?;
    let size = Size { columns: window.ws_col, rows: window.ws_row };
    (size.columns > 0 && size.rows > 0).then_some((size, (window.ws_xpixel, window.ws_ypixel)))
}

/// The user while the recording runs. Dropping it puts the terminal back, also when a panic unwinds.
pub struct User {
    input: OwnedFd,
    output: OwnedFd,
    /// Whether a write may wait: only what there is room for may be written.
    output_waits: bool,
    /// The modes that a terminal had before. Input from elsewhere has none.
    before: Option<Termios>,
    /// Has a byte for each change of the window's size.
    resized: UnixStream,
    signal: SigId,
    /// Output that the terminal has not taken yet, from `shown` on.
    waiting: Vec<u8>,
    shown: usize,
}

impl User {
    /// Makes the terminal raw, if the input is one.
    ///
    /// # Errors
    /// The terminal's modes can't be read or changed.
    pub fn sit(seat: Seat) -> Result<Self, Error> {
        let told = |doing: &str, error: &dyn std::fmt::Display| {
            Error::environment(format!("can't {doing}: {error}"))
        };
        let (resized, told_there) =
            UnixStream::pair().map_err(|error| told("follow the size of the window", &error))?;
        resized.set_nonblocking(true).map_err(|error| told("follow the size of the window", &error))?;
        let modes = |error: &dyn std::fmt::Display| told("read the terminal's modes", error);
        let before = seat.is_interactive().then(|| rustix::termios::tcgetattr(&seat.input)).transpose();
        let before = before.map_err(|error| modes(&error))?;
        let signal = signal_hook::low_level::pipe::register(SIGWINCH, told_there)
            .map_err(|error| told("follow the size of the window", &error))?;
        let (output, output_waits) = match unblocked(&seat.output) {
            Some(output) => (output, false),
            None => (seat.output, true),
        };
        let (input, waiting) = (seat.input, Vec::new());
        let user = Self { input, output, output_waits, before, resized, signal, waiting, shown: 0 };
        let Some(mut raw) = user.before.clone() else { return Ok(user) };
        raw.make_raw();
        if let Ok(again) = user.input.try_clone() {
            *seated() = user.before.clone().map(|before| (again, before));
        }
        rustix::termios::tcsetattr(&user.input, OptionalActions::Now, &raw)
            .map_err(|error| told("make the terminal raw", &error))?;
        Ok(user)
    }

    /// Whether the input is a terminal: keys, and not a pipe or a file.
    pub(crate) fn is_interactive(&self) -> bool {
        self.before.is_some()
    }

    pub(crate) fn input(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    pub(crate) fn output(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }

    pub(crate) fn resized(&self) -> BorrowedFd<'_> {
        self.resized.as_fd()
    }

    /// The size of the window, if there is one.
    #[must_use]
    pub fn size(&self) -> Option<Size> {
        self.window().map(|(size, _)| size)
    }

    fn window(&self) -> Option<(Size, Pixels)> {
        window(&self.output).or_else(|| window(&self.input))
    }

    /// The size of the window in cells and in pixels, after a change. Forgets that there was one.
    pub(crate) fn new_window(&self) -> Option<(Size, Pixels)> {
        let mut bytes = [0; 64];
        while matches!(rustix::io::read(&self.resized, &mut bytes), Ok(64)) {}
        self.window()
    }

    /// Adds what the user typed. `false` when there will be no more.
    pub(crate) fn read(&self, into: &mut Vec<u8>) -> bool {
        into.reserve(4096);
        match rustix::io::read(&self.input, rustix::buffer::spare_capacity(into)) {
            Ok(count) => count > 0,
            Err(error) => matches!(error, Errno::AGAIN | Errno::INTR),
        }
    }

    /// How much memory the output that waits takes.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.waiting.len()
    }

    /// How many bytes of output wait.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.waiting.len() - self.shown
    }

    /// Shows output, now or when the terminal takes it.
    pub fn show(&mut self, bytes: &[u8]) {
        let taken = if self.backlog() == 0 { self.put(bytes) } else { 0 };
        self.waiting.extend_from_slice(&bytes[taken..]);
    }

    /// Shows what waits, as far as the terminal takes it.
    pub(crate) fn catch_up(&mut self) {
        self.shown += self.put(&self.waiting[self.shown..]);
        // A terminal that never catches up must not make this grow; nor is every byte to be moved each time.
        if self.shown == self.waiting.len() || self.shown >= SHOWN_BYTES_MAX {
            self.waiting.drain(..self.shown);
            self.shown = 0;
        }
    }

    /// Waits for keys or for room on the screen, at most so long. Adds what was typed, and shows what waited. False when the terminal
    /// has gone.
    pub fn wait(&mut self, time: Duration, typed: &mut Vec<u8>) -> bool {
        let screen = Some(self.output()).filter(|_| self.backlog() > 0);
        let resized = Some(self.resized());
        let wanted = Wanted { typed: Some(self.input()), screen, resized, ..Wanted::default() };
        let Ok(ready) = poll::wait(&wanted, time) else { return false };
        if ready.resized {
            self.new_window();
        }
        if ready.screen {
            self.catch_up();
        }
        !ready.typed || self.read(typed)
    }

    /// Forgets input that was not read: answers of the terminal, which nobody is left to take. The shell would take them for keys.
    pub fn forget_input(&self) {
        // A terminal that has gone has none.
        _ = rustix::termios::tcflush(&self.input, QueueSelector::IFlush);
    }

    /// How many bytes the terminal took. One that has gone takes everything: there is nobody to see it.
    fn put(&self, mut bytes: &[u8]) -> usize {
        let wanted_bytes = bytes.len();
        while !bytes.is_empty() {
            let mut piece = bytes;
            if self.output_waits {
                let wanted = Wanted { screen: Some(self.output()), ..Wanted::default() };
                if !poll::wait(&wanted, Duration::ZERO).is_ok_and(|ready| ready.screen) {
                    return wanted_bytes - bytes.len();
                }
                piece = &bytes[..bytes.len().min(PIECE_BYTES)];
            }
            match rustix::io::write(&self.output, piece) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return wanted_bytes - bytes.len(),
                Err(_) => return wanted_bytes,
            }
        }
        wanted_bytes
    }
}

impl Drop for User {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            *seated() = None;
            // What fails here can't be told to anybody: the terminal has gone.
            _ = rustix::termios::tcsetattr(&self.input, OptionalActions::Now, before);
        }
        signal_hook::low_level::unregister(self.signal);
    }
}

/// The terminal that is raw now and how it was before, for whoever ends the program without dropping anything.
fn seated() -> MutexGuard<'static, Option<(OwnedFd, Termios)>> {
    static SEATED: Mutex<Option<(OwnedFd, Termios)>> = Mutex::new(None);
    SEATED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts the user's terminal back as it was, if one is raw: before the program is ended by force.
pub fn put_back() {
    if let Some((terminal, before)) = seated().take() {
        _ = rustix::termios::tcsetattr(&terminal, OptionalActions::Now, &before);
    }
}

/// The same terminal or pipe opened once more, so that it can be written without waiting while other programs that share the first
/// handle see no change. A file opened once more would be written from its beginning, and a socket can't be opened.
fn unblocked(terminal: &OwnedFd) -> Option<OwnedFd> {
    let kind = FileType::from_raw_mode(rustix::fs::fstat(terminal).ok()?.st_mode);
    if !matches!(kind, FileType::CharacterDevice | FileType::Fifo) {
        return None;
    }
    let open = |path: &str| {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).ok()
    };
    let is_ours = || {
        let session = rustix::termios::tcgetsid(terminal);
        session.is_ok() && session == rustix::process::getsid(None)
    };
    // After `su` the terminal is another user's: only by this name may it still be opened.
    open(&format!("/proc/self/fd/{}", terminal.as_raw_fd()))
        .or_else(|| open("/dev/tty").filter(|_| is_ours()))
}

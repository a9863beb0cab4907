//! A command in a terminal of its own: starts it, reads and writes, and sees to it that it ends. Knows nothing of frames.

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::time::Duration;

use pty_process::blocking::{Command, Pty};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, PidfdFlags, Signal};
use rustix::termios::{LocalModes, Winsize};
use tapedeck_sdk::Error;
use tapedeck_sdk::kinds::terminal::Size;

use crate::options::TerminalOptions;

/// How long a command that was hung up may take to end, before it is killed.
const HANGUP_TIME: Duration = Duration::from_millis(300);

/// What a read has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// As much as was wanted: there may be more.
    Full,
    /// All that was there.
    Drained,
    /// Nobody has the terminal open any more.
    HungUp,
}

/// Width and height of a window in pixels; 0 where the terminal does not say.
pub(crate) type Pixels = (u16, u16);

fn window(size: Size, (width, height): Pixels) -> Winsize {
    Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: width, ws_ypixel: height }
}

/// Where the command's standard input comes from.
enum Input {
    /// The terminal.
    Terminal,
    /// A pipe: a terminal cuts long lines and has keys.
    Pipe(OwnedFd),
    /// A pipe that has ended, at either end.
    Closed,
}

/// A command that runs.
pub(crate) struct Session {
    master: Pty,
    input: Input,
    child: Child,
    /// Becomes readable when the child ends. Kernels before 5.3 have none.
    ended: Option<OwnedFd>,
    /// Whether the child's status was taken: from then on its number may be another process's.
    reaped: bool,
}

impl Session {
    /// `piped`: whether the command's standard input is a pipe instead of the terminal.
    pub(crate) fn start(
        options: &TerminalOptions,
        size: Size,
        pixels: Pixels,
        piped: bool,
    ) -> Result<Self, Error> {
        let making =
            |error: &dyn std::fmt::Display| Error::environment(format!("can't make a terminal: {error}"));
        let (master, slave) = pty_process::blocking::open().map_err(|error| making(&error))?;
        rustix::termios::tcsetwinsize(&master, window(size, pixels)).map_err(|error| making(&error))?;
        rustix::fs::fcntl_getfl(&master)
            .and_then(|flags| rustix::fs::fcntl_setfl(&master, flags | OFlags::NONBLOCK))
            .map_err(|error| making(&error))?;
        let (program, arguments) = options.command();
        // A recorder inside of this one can say so.
        let mut command = Command::new(&program).args(arguments).env("TAPEDECK_REC", "1").envs(&options.env);
        if std::env::var_os("TERM").is_none() && !options.env.contains_key("TERM") {
            // Programs show little without one; any player understands this one.
            command = command.env("TERM", "xterm-256color");
        }
        if let Some(folder) = &options.cwd {
            command = command.current_dir(folder);
        }
        let mut input = Input::Terminal;
        if piped {
            let (reader, writer) =
                rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|error| making(&error))?;
            rustix::fs::fcntl_setfl(&writer, OFlags::NONBLOCK).map_err(|error| making(&error))?;
            command = command.stdin(reader);
            input = Input::Pipe(writer);
        }
        let child = command.spawn(slave).map_err(|error| refused(&program, options, &error))?;
        let ended = rustix::process::pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).ok();
        Ok(Self { master, input, child, ended, reaped: false })
    }

    pub(crate) fn master(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }

    pub(crate) fn ended(&self) -> Option<BorrowedFd<'_>> {
        self.ended.as_ref().map(AsFd::as_fd)
    }

    /// Adds what the command has written, up to `bytes_max` bytes.
    pub(crate) fn read(&self, into: &mut Vec<u8>, bytes_max: usize) -> Result<Read, Errno> {
        let end = into.len() + bytes_max;
        into.reserve(bytes_max);
        while into.len() < end {
            match rustix::io::read(&self.master, rustix::buffer::spare_capacity(into)) {
                // Linux says EIO when the last process has closed the terminal, others say that the file has ended.
                Ok(0) | Err(Errno::IO) => return Ok(Read::HungUp),
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(Read::Drained),
                Err(error) => return Err(error),
            }
        }
        Ok(Read::Full)
    }

    /// Where room for input is waited for; `None` if nothing takes input. `hung_up`: whether nobody has the terminal open.
    pub(crate) fn input(&self, hung_up: bool) -> Option<BorrowedFd<'_>> {
        match &self.input {
            Input::Terminal => Some(self.master.as_fd()).filter(|_| !hung_up),
            Input::Pipe(pipe) => Some(pipe.as_fd()),
            Input::Closed => None,
        }
    }

    /// Whether input can still reach the command.
    pub(crate) fn takes_input(&self) -> bool {
        !matches!(self.input, Input::Closed)
    }

    /// Gives the command input. Returns how many bytes it took.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let written = match &self.input {
            Input::Terminal => rustix::io::write(&self.master, bytes),
            Input::Pipe(pipe) => rustix::io::write(pipe, bytes),
            Input::Closed => return Ok(bytes.len()),
        };
        match written {
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            // Nobody listens any more.
            Err(Errno::IO) => Ok(bytes.len()),
            Err(Errno::PIPE) => {
                self.input = Input::Closed;
                Ok(bytes.len())
            }
            other => other,
        }
    }

    /// Ends the command's input, if that is a pipe.
    pub(crate) fn end_input(&mut self) {
        if matches!(self.input, Input::Pipe(_)) {
            self.input = Input::Closed;
        }
    }

    pub(crate) fn resize(&self, size: Size, pixels: Pixels) -> Result<(), Errno> {
        rustix::termios::tcsetwinsize(&self.master, window(size, pixels))
    }

    /// Whether a line that is typed now is shown. A program that reads key by key shows them itself.
    pub(crate) fn echoes(&self) -> bool {
        rustix::termios::tcgetattr(&self.master).map_or(true, |modes| {
            modes.local_modes.contains(LocalModes::ECHO) || !modes.local_modes.contains(LocalModes::ICANON)
        })
    }

    /// The exit status, if the command has ended: 128 and the number of the signal that ended it, if one did.
    pub(crate) fn exit_status(&mut self) -> Result<Option<i32>, std::io::Error> {
        let status = self.child.try_wait()?;
        self.reaped = status.is_some();
        Ok(status.map(|status| status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(255)))
    }

    /// Tells the command that its terminal has gone, unless it has ended.
    pub(crate) fn hang_up(&self) {
        if !self.reaped {
            self.signal(&[Signal::HUP, Signal::CONT]);
        }
    }

    fn signal(&self, signals: &[Signal]) {
        // The command leads its own group; what a shell runs in front is in another one.
        let group = Pid::from_child(&self.child);
        let front = rustix::termios::tcgetpgrp(&self.master).ok().filter(|front| *front != group);
        for signal in signals {
            for group in front.into_iter().chain([group]) {
                // A group that has gone in the meantime needs no signal.
                _ = rustix::process::kill_process_group(group, *signal);
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        let (Some(ended), Ok(time)) = (&self.ended, time.try_into()) else { return };
        // An error here leaves what a timeout leaves: the command is killed.
        _ = rustix::event::poll(&mut [PollFd::new(ended, PollFlags::IN)], Some(&time));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.reaped || !matches!(self.exit_status(), Ok(None)) {
            return;
        }
        self.hang_up();
        self.wait(HANGUP_TIME);
        if matches!(self.exit_status(), Ok(None)) {
            self.signal(&[Signal::KILL]);
            drop(self.child.wait());
        }
    }
}

fn refused(program: &str, options: &TerminalOptions, error: &pty_process::Error) -> Error {
    let folder = options.cwd.as_ref().filter(|folder| !folder.is_dir());
    if let Some(folder) = folder {
        let message =
            format!("can't start \"{program}\" in a folder that is not there: {}", folder.display());
        return Error::environment(message)
            .with_hint("Make the folder, or name another `cwd`.")
            .at_option(["cwd"]);
    }
    let hint = match error {
        pty_process::Error::Io(error) if error.kind() == ErrorKind::NotFound => {
            "Check how it is spelled; a program outside PATH needs its whole path."
        }
        pty_process::Error::Io(error) if error.kind() == ErrorKind::PermissionDenied => {
            "The file must be executable."
        }
        _ => "Try the command by itself.",
    };
    Error::environment(format!("can't start \"{program}\": {error}")).with_hint(hint).at_option(["command"])
}

//! A process on a terminal or on pipes: start, read, write, signal, wait. Knows SSH's signal names
//! only.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::BytesMut;
use russh::Sig;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use rustix::termios::{LocalModes, Winsize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::Child;

use crate::backend::command::CommandSpec;
use crate::backend::left_running::Family;
use crate::backend::signals;
use crate::backend::terminal_modes;

/// How long a process may take to end after a hang-up before it is killed.
const HANGUP_TIME: Duration = Duration::from_millis(300);

/// A terminal's size in cells, and in pixels where the client says them (0 elsewhere).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: u16,
    pub(crate) rows: u16,
    pub(crate) width: u16,
    pub(crate) height: u16,
}

impl Size {
    /// The size a client asks for, in cells and pixels; 80 × 24 where it says no cells.
    pub(crate) fn requested((columns, rows): (u32, u32), (width, height): (u32, u32)) -> Self {
        let limited = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        let cells = |cells: u32, usual: u16| if cells == 0 { usual } else { limited(cells) };
        let (columns, rows) = (cells(columns, 80), cells(rows, 24));
        Self { columns, rows, width: limited(width), height: limited(height) }
    }

    /// The size as frames have it.
    pub(crate) fn text(self) -> String {
        format!("{}x{}", self.columns, self.rows)
    }

    fn window(self) -> Winsize {
        Winsize { ws_row: self.rows, ws_col: self.columns, ws_xpixel: self.width, ws_ypixel: self.height }
    }
}

/// One end of a pipe, or a terminal's master side.
pub(crate) type End = AsyncFd<OwnedFd>;

/// A process's output and input.
pub(crate) enum Descriptors {
    Terminal(End),
    Pipes { input: Option<End>, output: End, errors: End },
}

/// A running process. Killed on drop; [`hang_up`](Self::hang_up) is the orderly way.
pub(crate) struct Process {
    child: Child,
    group: Pid,
    family: Option<Family>,
}

impl Process {
    pub(crate) fn start(spec: CommandSpec) -> io::Result<(Self, Descriptors)> {
        let (terminal, environment) = (spec.terminal.is_some(), spec.environment.clone());
        let (child, ends) = if spec.terminal.is_some() { on_terminal(spec)? } else { on_pipes(spec)? };
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let group = id.expect("a child that was not waited for has a number");
        let family = Family::of(group, terminal, &environment);
        Ok((Self { child, group, family }, ends))
    }

    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Sends a signal. Names unknown to this system are ignored.
    pub(crate) fn signal(group: Pid, signal: &Sig) {
        if let Some(signal) = signals::number(signal) {
            // Fails only if the group has gone.
            _ = rustix::process::kill_process_group(group, signal);
        }
    }

    /// What the process and its descendants have in common.
    pub(crate) fn family(&self) -> Option<Family> {
        self.family.clone()
    }

    pub(crate) fn group(&self) -> Pid {
        self.group
    }

    /// Hangs up, kills after [`HANGUP_TIME`], and returns the exit status if the system tells it.
    pub(crate) async fn hang_up(mut self, terminal: Option<&End>) -> Option<ExitStatus> {
        let Ok(None) = self.child.try_wait() else { return self.child.wait().await.ok() };
        // The foreground group of the terminal is hung up too.
        let front = terminal.and_then(|end| rustix::termios::tcgetpgrp(end.get_ref()).ok());
        let groups = [Some(self.group), front.filter(|front| *front != self.group)];
        let signal = |signal: Signal| {
            for group in groups.into_iter().flatten() {
                _ = rustix::process::kill_process_group(group, signal);
            }
        };
        signal(Signal::HUP);
        signal(Signal::CONT);
        let ended = match tokio::time::timeout(HANGUP_TIME, self.child.wait()).await {
            Ok(ended) => ended,
            Err(_late) => {
                signal(Signal::KILL);
                self.child.wait().await
            }
        };
        ended.ok()
    }
}

fn on_terminal(mut spec: CommandSpec) -> io::Result<(Child, Descriptors)> {
    let other = |error: pty_process::Error| match error {
        pty_process::Error::Io(error) => error,
        error => io::Error::other(error),
    };
    let (master, slave) = pty_process::open().map_err(other)?;
    if let Some(terminal) = &spec.terminal {
        rustix::termios::tcsetwinsize(&master, terminal.size.window())?;
        terminal_modes::set(&master, &terminal.modes)?;
    }
    let name = rustix::pty::ptsname(&master, Vec::new())?;
    spec.environment.push(("SSH_TTY".into(), OsString::from_vec(name.into_bytes())));
    let command = pty_process::Command::new(spec.program)
        .args(spec.arguments)
        .env_clear()
        .envs(spec.environment)
        .kill_on_drop(true);
    let command = match home() {
        Some(home) => command.current_dir(home),
        None => command,
    };
    let child = command.spawn(slave).map_err(other)?;
    Ok((child, Descriptors::Terminal(end(master.into(), Interest::READABLE | Interest::WRITABLE)?)))
}

fn on_pipes(spec: CommandSpec) -> io::Result<(Child, Descriptors)> {
    let mut command = tokio::process::Command::new(spec.program);
    command.args(spec.arguments).env_clear().envs(spec.environment).kill_on_drop(true).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(home) = home() {
        command.current_dir(home);
    }
    let mut child = command.spawn()?;
    let input = child.stdin.take().expect("it was asked for").into_owned_fd()?;
    let output = child.stdout.take().expect("it was asked for").into_owned_fd()?;
    let errors = child.stderr.take().expect("it was asked for").into_owned_fd()?;
    let ends = Descriptors::Pipes {
        input: Some(end(input, Interest::WRITABLE)?),
        output: end(output, Interest::READABLE)?,
        errors: end(errors, Interest::READABLE)?,
    };
    Ok((child, ends))
}

/// The working directory of a login.
fn home() -> Option<OsString> {
    std::env::var_os("HOME").filter(|home| std::path::Path::new(home).is_dir())
}

#[expect(
    deprecated,
    reason = "what is to replace it is unsafe; an `OwnedFd` is one open file all its life, as is asked for"
)]
fn end(fd: OwnedFd, interest: Interest) -> io::Result<End> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
    AsyncFd::with_interest(fd, interest)
}

/// Outcome of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    Some,
    /// Nothing now.
    Nothing,
    /// End of file.
    Ended,
}

/// Waits for output and reads up to `bytes_max` of it.
pub(crate) async fn read(end: &End, into: &mut BytesMut, bytes_max: usize) -> io::Result<Read> {
    loop {
        let mut ready = end.readable().await?;
        match ready.try_io(|end| match take(end, into, bytes_max) {
            Ok(Read::Nothing) => Err(io::ErrorKind::WouldBlock.into()),
            other => other,
        }) {
            Ok(read) => return read,
            Err(_nothing_yet) => {}
        }
    }
}

/// Reads the output there is, up to `bytes_max`. Does not wait.
pub(crate) fn take<F: AsFd>(fd: &F, into: &mut BytesMut, bytes_max: usize) -> io::Result<Read> {
    let begin = into.len();
    into.resize(begin + bytes_max, 0);
    let mut end = begin;
    let mut outcome = Read::Some;
    while end < into.len() {
        match rustix::io::read(fd, &mut into[end..]) {
            // Linux: EIO when the last process has closed the terminal; elsewhere end of file.
            Ok(0) | Err(Errno::IO) => outcome = Read::Ended,
            Ok(count) => {
                end += count;
                continue;
            }
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => outcome = Read::Nothing,
            Err(error) => return Err(error.into()),
        }
        break;
    }
    into.truncate(end);
    // Bytes first; the next read reports the end again.
    Ok(if end > begin { Read::Some } else { outcome })
}

/// Waits until some input is accepted. Returns how many bytes; 0 if nothing reads any more.
pub(crate) async fn write(end: &End, bytes: &[u8]) -> io::Result<usize> {
    loop {
        let mut ready = end.writable().await?;
        match ready.try_io(|end| match rustix::io::write(end, bytes) {
            Err(Errno::PIPE | Errno::IO) => Ok(0),
            other => Ok(other?),
        }) {
            Ok(written) => return written,
            Err(_no_room_yet) => {}
        }
    }
}

pub(crate) fn resize(terminal: &End, size: Size) {
    // Fails only if no process has the terminal open.
    _ = rustix::termios::tcsetwinsize(terminal.get_ref(), size.window());
}

/// Whether typed lines are echoed. Programs in raw mode echo by themselves.
pub(crate) fn echoes(terminal: &End) -> bool {
    rustix::termios::tcgetattr(terminal.get_ref()).map_or(true, |modes| {
        modes.local_modes.contains(LocalModes::ECHO) || !modes.local_modes.contains(LocalModes::ICANON)
    })
}

//! The local back end: a process on a terminal or on pipes. Knows SSH's signal names only.

use std::future::pending;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;

use bytes::BytesMut;
use russh::Sig;
use rustix::process::Pid;

use crate::backend::command::CommandSpec;
use crate::backend::left_running::LeftProcess;
use crate::backend::process::{self, Descriptors, End, Process, Read, Size};
use crate::backend::signals;
use crate::backend::{Event, Exit, HungUp, PIECE_BYTES_MAX};

/// The most bytes read from a terminal after the process's exit. The kernel buffers less; more
/// comes from a background writer.
const REST_BYTES_MAX: usize = 1 << 20;

/// SSH's extended data type of standard error.
pub(crate) const STDERR: u32 = 1;

/// Starts a process.
pub(crate) fn start(spec: CommandSpec) -> io::Result<(Output, Input)> {
    let (program, ends) = Process::start(spec)?;
    let group = program.group();
    let (stdin, output, errors, terminal) = match ends {
        Descriptors::Terminal(end) => {
            let end = Arc::new(end);
            (Stdin::Terminal(end.clone()), end.clone(), None, Some(end))
        }
        Descriptors::Pipes { input, output, errors } => {
            (Stdin::Pipe(input), Arc::new(output), Some(errors), None)
        }
    };
    let output = Output {
        program,
        terminal,
        output: Some(output),
        errors,
        status: None,
        rest: 0,
        buffer: BytesMut::new(),
        errors_buffer: BytesMut::new(),
    };
    Ok((output, Input { stdin, group }))
}

/// The process's output.
pub(crate) struct Output {
    program: Process,
    terminal: Option<Arc<End>>,
    /// `None` at end of file.
    output: Option<Arc<End>>,
    errors: Option<End>,
    status: Option<ExitStatus>,
    /// Bytes read from the terminal after the process's exit.
    rest: usize,
    buffer: BytesMut,
    errors_buffer: BytesMut,
}

impl Output {
    /// All output, then the exit. A terminal's output ends with the process, a pipe's when the last
    /// writer closes it.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            if let Some(status) = self.status {
                if let Some(terminal) = &self.terminal {
                    let left = self.rest < REST_BYTES_MAX;
                    if left
                        && let Ok(Read::Some) =
                            process::take(terminal.get_ref(), &mut self.buffer, PIECE_BYTES_MAX)
                    {
                        self.rest += self.buffer.len();
                        return Event::Output(self.buffer.split().freeze(), None);
                    }
                    return Event::Exited(exit(status));
                }
                if self.output.is_none() && self.errors.is_none() {
                    return Event::Exited(exit(status));
                }
            }
            tokio::select! {
                read = read(self.output.as_deref(), &mut self.buffer) => match read {
                    Ok(Read::Some) => return Event::Output(self.buffer.split().freeze(), None),
                    Ok(Read::Nothing) => {}
                    // A terminal without a reader may be opened again, but hardly ever is.
                    Ok(Read::Ended) | Err(_) => self.output = None,
                },
                read = read(self.errors.as_ref(), &mut self.errors_buffer) => match read {
                    Ok(Read::Some) => return Event::Output(self.errors_buffer.split().freeze(), Some(STDERR)),
                    Ok(Read::Nothing) => {}
                    Ok(Read::Ended) | Err(_) => self.errors = None,
                },
                status = self.program.wait(), if self.status.is_none() => match status {
                    Ok(status) => self.status = Some(status),
                    Err(error) => return Event::Exited(Exit::Lost(format!("how the program ended is not known: {error}"))),
                },
            }
        }
    }

    /// Processes that outlive the session's; `None` if unknown. To be called after the exit.
    pub(crate) async fn left_running(&self) -> Option<Vec<LeftProcess>> {
        self.program.family()?.left_running().await
    }

    pub(crate) async fn hang_up(self) -> HungUp {
        let family = self.program.family();
        let exit = self.program.hang_up(self.terminal.as_deref()).await.map(exit);
        let left_running = match family {
            Some(family) => family.left_running().await,
            None => None,
        };
        HungUp { exit, left_running }
    }
}

async fn read(end: Option<&End>, into: &mut BytesMut) -> io::Result<Read> {
    match end {
        Some(end) => process::read(end, into, PIECE_BYTES_MAX).await,
        None => pending().await,
    }
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal().map(signals::name)) {
        (None, Some(name)) => Exit::Signal {
            name,
            number: status.signal(),
            core: status.core_dumped(),
            message: String::new(),
            language: String::new(),
        },
        (code, _) => Exit::Status(code.and_then(|code| u32::try_from(code).ok()).unwrap_or(255)),
    }
}

enum Stdin {
    Terminal(Arc<End>),
    /// `None` once closed.
    Pipe(Option<End>),
}

/// The process's input.
pub(crate) struct Input {
    stdin: Stdin,
    group: Pid,
}

impl Input {
    fn end(&self) -> Option<&End> {
        match &self.stdin {
            Stdin::Terminal(end) => Some(end),
            Stdin::Pipe(end) => end.as_ref(),
        }
    }

    pub(crate) fn takes(&self) -> bool {
        self.end().is_some()
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.end() {
            _ if bytes.is_empty() => pending().await,
            Some(end) => match process::write(end, bytes).await? {
                0 => Err(io::ErrorKind::BrokenPipe.into()),
                count => Ok(count),
            },
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Closes a pipe. A terminal stays open.
    pub(crate) fn finish(&mut self) {
        if let Stdin::Pipe(end) = &mut self.stdin {
            *end = None;
        }
    }

    pub(crate) fn resize(&mut self, size: Size) {
        if let Stdin::Terminal(end) = &self.stdin {
            process::resize(end, size);
        }
    }

    /// On a terminal the foreground process group gets the signal.
    pub(crate) fn signal(&mut self, signal: &Sig) {
        let front = match &self.stdin {
            Stdin::Terminal(end) => rustix::termios::tcgetpgrp(end.get_ref()).ok(),
            Stdin::Pipe(_) => None,
        };
        Process::signal(front.unwrap_or(self.group), signal);
    }

    pub(crate) fn echoes(&self) -> Option<bool> {
        match &self.stdin {
            Stdin::Terminal(end) => Some(process::echoes(end)),
            Stdin::Pipe(_) => None,
        }
    }
}

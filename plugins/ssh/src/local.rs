//! The ends of a program of this machine, on a terminal or on pipes. Knows nothing of SSH but what [`child`] does.

use std::future::pending;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;

use bytes::BytesMut;
use russh::Sig;
use rustix::process::Pid;

use crate::child::{self, End, Ends, Program, Read, Size};
use crate::ends::{Ending, PIECE_BYTES_MAX, Said};
use crate::order::Order;

/// So much is read from a terminal after the program's end: the kernel keeps less, so more is from somebody who goes on writing.
const REST_BYTES_MAX: usize = 1 << 20;

/// SSH's number of standard error.
pub(crate) const STDERR: u32 = 1;

/// Starts a program.
pub(crate) fn start(order: Order) -> io::Result<(Outlet, Inlet)> {
    let (program, ends) = Program::start(order)?;
    let group = program.group();
    let (entry, output, errors, terminal) = match ends {
        Ends::Terminal(end) => {
            let end = Arc::new(end);
            (Entry::Terminal(end.clone()), end.clone(), None, Some(end))
        }
        Ends::Pipes { input, output, errors } => (Entry::Pipe(input), Arc::new(output), Some(errors), None),
    };
    let outlet = Outlet {
        program,
        terminal,
        output: Some(output),
        errors,
        status: None,
        rest: 0,
        buffer: BytesMut::new(),
        errors_buffer: BytesMut::new(),
    };
    Ok((outlet, Inlet { entry, group }))
}

/// Where the program's output comes from.
pub(crate) struct Outlet {
    program: Program,
    terminal: Option<Arc<End>>,
    /// `None` once nobody can write to it any more.
    output: Option<Arc<End>>,
    errors: Option<End>,
    status: Option<ExitStatus>,
    /// How much came from the terminal after the program's end.
    rest: usize,
    buffer: BytesMut,
    errors_buffer: BytesMut,
}

impl Outlet {
    /// All output, and then how it ended. That of a terminal ends with the program, that of a pipe when the last one closes it.
    pub(crate) async fn next(&mut self) -> Said {
        loop {
            if let Some(status) = self.status {
                if let Some(terminal) = &self.terminal {
                    let left = self.rest < REST_BYTES_MAX;
                    if left
                        && let Ok(Read::Some) =
                            child::take(terminal.get_ref(), &mut self.buffer, PIECE_BYTES_MAX)
                    {
                        self.rest += self.buffer.len();
                        return Said::Output(self.buffer.split().freeze(), None);
                    }
                    return Said::Ended(ending(status));
                }
                if self.output.is_none() && self.errors.is_none() {
                    return Said::Ended(ending(status));
                }
            }
            tokio::select! {
                read = read(self.output.as_deref(), &mut self.buffer) => match read {
                    Ok(Read::Some) => return Said::Output(self.buffer.split().freeze(), None),
                    Ok(Read::Nothing) => {}
                    // A terminal that everybody has closed may be opened again, but hardly ever is.
                    Ok(Read::Ended) | Err(_) => self.output = None,
                },
                read = read(self.errors.as_ref(), &mut self.errors_buffer) => match read {
                    Ok(Read::Some) => return Said::Output(self.errors_buffer.split().freeze(), Some(STDERR)),
                    Ok(Read::Nothing) => {}
                    Ok(Read::Ended) | Err(_) => self.errors = None,
                },
                status = self.program.wait(), if self.status.is_none() => match status {
                    Ok(status) => self.status = Some(status),
                    Err(error) => return Said::Ended(Ending::Lost(format!("how the program ended is not known: {error}"))),
                },
            }
        }
    }

    pub(crate) async fn hang_up(self) -> Option<Ending> {
        self.program.hang_up(self.terminal.as_deref()).await.map(ending)
    }
}

async fn read(end: Option<&End>, into: &mut BytesMut) -> io::Result<Read> {
    match end {
        Some(end) => child::read(end, into, PIECE_BYTES_MAX).await,
        None => pending().await,
    }
}

fn ending(status: ExitStatus) -> Ending {
    match (status.code(), child::name(status)) {
        (None, Some(name)) => Ending::Signal {
            name,
            number: status.signal(),
            core: status.core_dumped(),
            message: String::new(),
            language: String::new(),
        },
        (code, _) => Ending::Status(code.and_then(|code| u32::try_from(code).ok()).unwrap_or(255)),
    }
}

enum Entry {
    Terminal(Arc<End>),
    /// `None` once it is closed.
    Pipe(Option<End>),
}

/// Where the program's input goes.
pub(crate) struct Inlet {
    entry: Entry,
    group: Pid,
}

impl Inlet {
    fn end(&self) -> Option<&End> {
        match &self.entry {
            Entry::Terminal(end) => Some(end),
            Entry::Pipe(end) => end.as_ref(),
        }
    }

    pub(crate) fn takes(&self) -> bool {
        self.end().is_some()
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.end() {
            _ if bytes.is_empty() => pending().await,
            Some(end) => match child::write(end, bytes).await? {
                0 => Err(io::ErrorKind::BrokenPipe.into()),
                count => Ok(count),
            },
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Closes a pipe. A terminal stays.
    pub(crate) fn finish(&mut self) {
        if let Entry::Pipe(end) = &mut self.entry {
            *end = None;
        }
    }

    pub(crate) fn resize(&mut self, size: Size) {
        if let Entry::Terminal(end) = &self.entry {
            child::resize(end, size);
        }
    }

    /// The group that stands in front on a terminal gets it: it changes as a shell runs one thing after another.
    pub(crate) fn signal(&mut self, signal: &Sig) {
        let front = match &self.entry {
            Entry::Terminal(end) => rustix::termios::tcgetpgrp(end.get_ref()).ok(),
            Entry::Pipe(_) => None,
        };
        Program::signal(front.unwrap_or(self.group), signal);
    }

    pub(crate) fn echoes(&self) -> Option<bool> {
        match &self.entry {
            Entry::Terminal(end) => Some(child::echoes(end)),
            Entry::Pipe(_) => None,
        }
    }
}

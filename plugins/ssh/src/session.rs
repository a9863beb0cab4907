//! One channel while something runs in it: output to the tape and then to the client, input the other way. Knows nothing of logins.

use std::collections::VecDeque;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use russh::server::{Handle, Msg};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::sync::{mpsc, watch};

use crate::backlog::{self, Backlog};
use crate::child::{self, End, Ends, Program, Read, Size};
use crate::tape::Tape;

/// The most bytes of a frame, which is what a client takes in one packet.
const FRAME_BYTES_MAX: usize = 32 << 10;

/// So much is read from a terminal after the program's end: the kernel keeps less, so more is from somebody who goes on writing.
const REST_BYTES_MAX: usize = 1 << 20;

/// SSH's number of standard error.
const STDERR: u32 = 1;

/// What a client asks of a session that runs.
pub(crate) enum Control {
    Resize(Size),
    Signal(Sig),
}

/// What a session is made of.
pub(crate) struct Session {
    pub(crate) program: Program,
    pub(crate) ends: Ends,
    pub(crate) tape: Tape,
    pub(crate) handle: Handle,
    pub(crate) from_client: ChannelReadHalf,
    pub(crate) to_client: ChannelWriteHalf<Msg>,
    pub(crate) control: mpsc::Receiver<Control>,
    pub(crate) records_input: bool,
    pub(crate) backlog: Arc<Backlog>,
}

/// Why a session came to nothing: the client has gone, or the engine takes no more frames.
struct Gone;

impl Session {
    /// Runs until the program's end, or the client's.
    pub(crate) async fn run(mut self, facts: String, size: Option<Size>) {
        let status = match self.begin(facts, size).await {
            Ok(()) => self.serve().await,
            Err(Gone) => Err(Gone),
        };
        match status {
            Ok(status) => _ = self.end(status).await,
            Err(Gone) => {
                let id = self.to_client.id();
                self.program.hang_up(&self.ends).await;
                // A client that is still there sees that the session is over.
                _ = self.handle.close(id).await;
            }
        }
    }

    async fn begin(&self, facts: String, size: Option<Size>) -> Result<(), Gone> {
        self.put("c", facts).await?;
        match size {
            Some(size) => self.put("r", format!("{}x{}", size.columns, size.rows)).await,
            None => Ok(()),
        }
    }

    async fn put(&self, code: &'static str, data: impl Into<Bytes>) -> Result<(), Gone> {
        self.tape.put(code, data).await.map_err(|_stopped| Gone)
    }

    async fn serve(&mut self) -> Result<ExitStatus, Gone> {
        let (exited, has_exited) = watch::channel(false);
        let wires = Wires { tape: &self.tape, to_client: &self.to_client, has_exited };
        let (output, errors, mut entry) = match &mut self.ends {
            Ends::Terminal(end) => (&*end, None, Entry::Terminal(&*end)),
            Ends::Pipes { input, output, errors } => (&*output, Some(&*errors), Entry::Pipe(input)),
        };
        let group = self.program.group();
        let waiting = async {
            let status = self.program.wait().await;
            exited.send_replace(true);
            status.map_err(|_lost| Gone)
        };
        let terminal = errors.is_none();
        let reading = async { wires.pump(output, None, terminal).await };
        let complaining = async {
            match errors {
                Some(errors) => wires.pump(errors, Some(STDERR), false).await,
                None => Ok(()),
            }
        };
        let mut typing = Typing {
            tape: &self.tape,
            from_client: &mut self.from_client,
            control: &mut self.control,
            records: self.records_input,
            echoes: true,
            waiting: VecDeque::new(),
            backlog: &self.backlog,
            bytes: 0,
            finished: false,
        };
        // The front group is asked for again at each signal on a terminal, for it changes as a shell runs one thing after another.
        let whom = |entry: &Entry<'_>| match entry {
            Entry::Terminal(end) => rustix::termios::tcgetpgrp(end.get_ref()).unwrap_or(group),
            Entry::Pipe(_) => group,
        };
        tokio::select! {
            done = async { tokio::try_join!(waiting, reading, complaining) } => done.map(|(status, (), ())| status),
            gone = typing.run(&mut entry, whom) => Err(gone),
        }
    }

    async fn end(&self, status: ExitStatus) -> Result<(), ()> {
        let number = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(255);
        // The client is told how it ended, also when the engine wants no more frames.
        drop(self.put("x", number.to_string()).await);
        let id = self.to_client.id();
        self.handle.eof(id).await?;
        match (status.code(), child::name(status)) {
            (None, Some(signal)) => {
                let core = status.core_dumped();
                self.handle.exit_signal_request(id, signal, core, String::new(), String::new()).await?;
            }
            (code, _) => {
                let code = code.and_then(|code| u32::try_from(code).ok()).unwrap_or(255);
                self.handle.exit_status_request(id, code).await?;
            }
        }
        self.handle.close(id).await
    }
}

/// The way of output.
struct Wires<'session> {
    tape: &'session Tape,
    to_client: &'session ChannelWriteHalf<Msg>,
    has_exited: watch::Receiver<bool>,
}

impl Wires<'_> {
    /// Passes on all output. That of a terminal ends with the program, that of a pipe when the last one closes it.
    async fn pump(&self, end: &End, ext: Option<u32>, terminal: bool) -> Result<(), Gone> {
        let mut has_exited = self.has_exited.clone();
        let mut buffer = BytesMut::new();
        loop {
            let read = tokio::select! {
                read = child::read(end, &mut buffer, FRAME_BYTES_MAX) => read,
                _ = has_exited.wait_for(|exited| *exited), if terminal => break,
            };
            match read {
                Ok(Read::Some) => self.pass(buffer.split().freeze(), ext).await?,
                Ok(Read::Nothing) => {}
                // A terminal that everybody has closed may be opened again, but hardly ever is; the program's end is waited for elsewhere.
                Ok(Read::Ended) | Err(_) => return Ok(()),
            }
        }
        let mut rest = 0;
        while rest < REST_BYTES_MAX {
            match child::take(end.get_ref(), &mut buffer, FRAME_BYTES_MAX) {
                Ok(Read::Some) => rest += buffer.len(),
                Ok(Read::Nothing | Read::Ended) | Err(_) => break,
            }
            self.pass(buffer.split().freeze(), ext).await?;
        }
        Ok(())
    }

    /// Records, and then shows.
    async fn pass(&self, data: Bytes, ext: Option<u32>) -> Result<(), Gone> {
        self.tape.put("o", data.clone()).await.map_err(|_stopped| Gone)?;
        let sent = match ext {
            None => self.to_client.data_bytes(data).await,
            Some(ext) => self.to_client.extended_data_bytes(ext, data).await,
        };
        sent.map_err(|_closed| Gone)
    }
}

/// Where input goes.
enum Entry<'session> {
    Terminal(&'session End),
    /// `None` once it is closed.
    Pipe(&'session mut Option<End>),
}

impl Entry<'_> {
    fn end(&self) -> Option<&End> {
        match self {
            Entry::Terminal(end) => Some(end),
            Entry::Pipe(end) => end.as_ref(),
        }
    }

    /// Closes a pipe. A terminal stays.
    fn close(&mut self) {
        if let Entry::Pipe(end) = self {
            **end = None;
        }
    }
}

/// The way of input.
struct Typing<'session> {
    tape: &'session Tape,
    from_client: &'session mut ChannelReadHalf,
    control: &'session mut mpsc::Receiver<Control>,
    records: bool,
    echoes: bool,
    /// What the program has not taken yet.
    waiting: VecDeque<Bytes>,
    bytes: usize,
    backlog: &'session Backlog,
    /// Whether the client has said that no more comes.
    finished: bool,
}

impl Typing<'_> {
    async fn run(
        &mut self,
        entry: &mut Entry<'_>,
        whom: impl Fn(&Entry<'_>) -> rustix::process::Pid,
    ) -> Gone {
        loop {
            if self.finished && self.waiting.is_empty() {
                entry.close();
            }
            let first = self.waiting.front().cloned().unwrap_or_default();
            let outcome = tokio::select! {
                message = self.from_client.wait(), if self.bytes < backlog::BYTES_MAX => {
                    self.take(message, entry).await
                }
                control = self.control.recv() => match control {
                    Some(Control::Resize(size)) => self.resize(size, entry).await,
                    Some(Control::Signal(signal)) => {
                        Program::signal(whom(entry), &signal);
                        Ok(())
                    }
                    None => Err(Gone),
                },
                written = write(entry.end(), &first), if !first.is_empty() => {
                    self.written(written);
                    Ok(())
                }
            };
            if let Err(gone) = outcome {
                return gone;
            }
        }
    }

    async fn take(&mut self, message: Option<ChannelMsg>, entry: &Entry<'_>) -> Result<(), Gone> {
        match message {
            Some(ChannelMsg::Data { data }) if !data.is_empty() => {
                if self.records {
                    self.record(data.clone(), entry).await?;
                } else {
                    self.tape.life.touch(self.tape.host.now());
                }
                if entry.end().is_some() {
                    self.bytes += data.len();
                    self.backlog.set(self.bytes);
                    self.waiting.push_back(data);
                }
                Ok(())
            }
            Some(ChannelMsg::Eof) => {
                self.finished = true;
                Ok(())
            }
            Some(ChannelMsg::Close) | None => Err(Gone),
            // What else a client asks for comes by the other way.
            Some(_) => Ok(()),
        }
    }

    async fn record(&mut self, data: Bytes, entry: &Entry<'_>) -> Result<(), Gone> {
        if let Entry::Terminal(end) = entry {
            let echoes = child::echoes(end);
            if std::mem::replace(&mut self.echoes, echoes) != echoes {
                self.put("e", if echoes { "on" } else { "off" }).await?;
            }
        }
        self.put("i", data).await
    }

    async fn put(&self, code: &'static str, data: impl Into<Bytes>) -> Result<(), Gone> {
        self.tape.put(code, data).await.map_err(|_stopped| Gone)
    }

    async fn resize(&mut self, size: Size, entry: &Entry<'_>) -> Result<(), Gone> {
        let Entry::Terminal(end) = entry else { return Ok(()) };
        // Recorded first: what the program draws for the new size comes after it.
        self.put("r", format!("{}x{}", size.columns, size.rows)).await?;
        child::resize(end, size);
        Ok(())
    }

    fn written(&mut self, written: io::Result<usize>) {
        match written {
            Ok(count) if count > 0 => {
                self.bytes -= count;
                let first = self.waiting.front_mut().expect("it was written from");
                first.advance(count);
                if first.is_empty() {
                    self.waiting.pop_front();
                }
            }
            // Nobody reads any more: as with any pipe, the rest is for nobody.
            Ok(_) | Err(_) => {
                self.waiting.clear();
                self.bytes = 0;
            }
        }
        self.backlog.set(self.bytes);
    }
}

async fn write(end: Option<&End>, bytes: &[u8]) -> io::Result<usize> {
    match end {
        Some(end) => child::write(end, bytes).await,
        None => Ok(0),
    }
}

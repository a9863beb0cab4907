//! The output relay: back end, recorder, client; in strict mode the client's part waits until the
//! frame is durable. Does not know input.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use russh::ChannelWriteHalf;
use russh::server::{Handle, Msg};
use serde_json::json;
use tapedeck_sdk::kinds::terminal::Code;

use crate::backend::left_running::LeftProcess;
use crate::backend::local::STDERR;
use crate::backend::{Event, Exit, Output};
use crate::channel::content::Content;
use crate::channel::partial_char::PartialChar;
use crate::channel::session::{Capture, Interruption, put, put_end};
use crate::recording::durability::DurabilityGate;
use crate::recording::facts::{AS_BYTES, Closing, OUTPUT_AS};
use crate::recording::recorder::Recorder;

/// The most pieces of 32 KiB waiting to be durable: 2 MiB a session.
const PENDING_MAX: usize = 64;

/// How long a partial character of a program on pipes is held back. Pipes may carry any protocol,
/// such as `rsync`'s, whose peer waits for the last byte.
const HALF_TIME: Duration = Duration::from_millis(100);

/// How long EOF is held back for the exit status, which mostly follows at once: a client without
/// input closes the channel at EOF and would miss the status.
const END_TIME: Duration = Duration::from_millis(500);

/// Recorded output that is not known to be durable.
struct Pending {
    number: u64,
    data: Bytes,
    ext: Option<u32>,
    /// A partial character: durable with the frame that completes it, as text sinks hold it until
    /// then.
    half: bool,
}

/// The output relay of a session.
pub(crate) struct OutputRelay<'session> {
    recorder: &'session Recorder,
    handle: &'session Handle,
    to_client: &'session ChannelWriteHalf<Msg>,
    gate: DurabilityGate,
    capture: Capture,
    content: Content,
    pending: VecDeque<Pending>,
    tail: PartialChar,
    /// Whether the output is a terminal's, which shows nothing of a partial character.
    terminal: bool,
    bytes: u64,
    /// End of output was seen: how long EOF is held back.
    eof: Option<Duration>,
    finished: bool,
}

impl<'session> OutputRelay<'session> {
    pub(crate) fn new(
        recorder: &'session Recorder,
        handle: &'session Handle,
        to_client: &'session ChannelWriteHalf<Msg>,
        gate: DurabilityGate,
        (capture, content): (Capture, Content),
        terminal: bool,
    ) -> Self {
        Self {
            recorder,
            handle,
            to_client,
            gate,
            capture,
            content,
            pending: VecDeque::new(),
            tail: PartialChar::default(),
            terminal,
            bytes: 0,
            eof: None,
            finished: false,
        }
    }

    /// Relays all output. Returns the exit; everything before was sent to the client.
    pub(crate) async fn run(&mut self, output: &mut Output, begun: u64) -> Result<Exit, Interruption> {
        if self.capture == Capture::Counts {
            // Only the first facts must be durable.
            self.wait(begun).await?;
        }
        let exit = loop {
            let oldest = self.pending.front().map_or(0, |pending| pending.number);
            let half = self.pending.front().map(|pending| pending.half);
            tokio::select! {
                said = output.next(), if self.pending.len() < PENDING_MAX => match said {
                    Event::Output(data, ext) => self.take(data, ext).await?,
                    Event::Eof { status_follows } => self.eof = Some(if status_follows { END_TIME } else { Duration::ZERO }),
                    Event::Exited(exit) => break exit,
                },
                durable = self.gate.durable(oldest), if half == Some(false) => {
                    durable.map_err(|_unrecorded| Interruption::Unrecorded)?;
                    self.show_oldest().await?;
                }
                () = tokio::time::sleep(self.eof.unwrap_or_default()), if self.eof.is_some() && half.is_none() => {
                    (self.eof, self.finished) = (None, true);
                    self.handle.eof(self.to_client.id()).await.map_err(|()| Interruption::ClientGone)?;
                }
                () = tokio::time::sleep(HALF_TIME), if half == Some(true) && !self.terminal => self.resolve_partial(None),
            }
        };
        if let Exit::Lost(why) = &exit {
            let message = Bytes::from(format!("tapedeck: {why}\r\n"));
            let number = put(self.recorder, Code::Output, message.clone()).await?;
            self.resolve_partial(Some(number));
            self.pending.push_back(Pending { number, data: message, ext: Some(STDERR), half: false });
        }
        self.release().await?;
        Ok(exit)
    }

    /// Records the exit, and sends the rest once durable.
    pub(crate) async fn record_end(
        &mut self,
        exit: &Exit,
        bytes_in: &AtomicU64,
        left_running: Option<Vec<LeftProcess>>,
    ) -> Result<(), Interruption> {
        // What still waits to be durable is sent, or the session is interrupted.
        let waiting: usize = self.pending.iter().map(|pending| pending.data.len()).sum();
        let closing = Closing {
            bytes: (bytes_in.load(Ordering::Relaxed), self.bytes + waiting as u64),
            exit: Some(exit),
            left_running: left_running.as_deref(),
            ended_by: None,
        };
        match put_end(self.recorder, &closing).await {
            Ok(number) => {
                // The character will not be completed.
                self.resolve_partial(Some(number));
                self.wait(number).await?;
                self.release().await
            }
            // Without strict mode the client hears the exit even if the engine takes no more
            // frames.
            Err(_) if self.gate.is_open() => Ok(()),
            Err(over) => Err(over),
        }
    }

    /// Bytes sent to the client so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether EOF was sent.
    pub(crate) fn finished(&self) -> bool {
        self.finished
    }

    async fn take(&mut self, mut data: Bytes, ext: Option<u32>) -> Result<(), Interruption> {
        if self.capture == Capture::Counts {
            self.recorder.touch();
            return self.show(data, ext).await;
        }
        if self.content.turns_to_bytes(&data, ext.is_some()) {
            put(self.recorder, Code::Facts, json!({ OUTPUT_AS: AS_BYTES }).to_string()).await?;
        }
        let number = put(self.recorder, Code::Output, data.clone()).await?;
        if self.gate.is_open() {
            return self.show(data, ext).await;
        }
        let half = if self.content == Content::Bytes { 0 } else { self.tail.after(&data) };
        if half <= data.len() {
            self.resolve_partial(Some(number));
        }
        let tail = data.split_off(data.len() - half.min(data.len()));
        for (data, half) in [(data, false), (tail, true)] {
            if !data.is_empty() {
                self.pending.push_back(Pending { number, data, ext, half });
            }
        }
        Ok(())
    }

    /// Stops waiting for the rest of partial characters: durable with this frame, or with their
    /// own.
    fn resolve_partial(&mut self, number: Option<u64>) {
        for pending in self.pending.iter_mut().rev().take_while(|pending| pending.half) {
            pending.half = false;
            pending.number = number.unwrap_or(pending.number);
        }
    }

    async fn wait(&mut self, number: u64) -> Result<(), Interruption> {
        self.gate.durable(number).await.map_err(|_unrecorded| Interruption::Unrecorded)
    }

    /// Sends everything pending once durable, but for a partial character.
    async fn release(&mut self) -> Result<(), Interruption> {
        while let Some(number) =
            self.pending.front().filter(|pending| !pending.half).map(|pending| pending.number)
        {
            self.wait(number).await?;
            self.show_oldest().await?;
        }
        Ok(())
    }

    async fn show_oldest(&mut self) -> Result<(), Interruption> {
        match self.pending.pop_front() {
            Some(Pending { data, ext, .. }) => self.show(data, ext).await,
            None => Ok(()),
        }
    }

    async fn show(&mut self, data: Bytes, ext: Option<u32>) -> Result<(), Interruption> {
        let bytes = data.len() as u64;
        let sent = match ext {
            None => self.to_client.data_bytes(data).await,
            Some(ext) => self.to_client.extended_data_bytes(ext, data).await,
        };
        sent.map_err(|_closed| Interruption::ClientGone)?;
        self.bytes += bytes;
        Ok(())
    }
}

//! The input relay: client, recorder if asked for, back end. Does not know output.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, Bytes};
use russh::{ChannelMsg, ChannelReadHalf};
use serde_json::json;
use tapedeck_sdk::kinds::terminal::Code;
use tokio::sync::mpsc;

use crate::backend::Input;
use crate::backend::process::Size;
use crate::channel::backlog::Backlog;
use crate::channel::content::Content;
use crate::channel::session::{Capture, Control, Interruption, put};
use crate::recording::facts::{AS_BYTES, INPUT_AS};
use crate::recording::recorder::Recorder;

/// Memory of a queued piece beside its bytes.
const PIECE_BYTES: usize = 128;

/// The input relay of a session.
pub(crate) struct InputRelay<'session> {
    pub(crate) recorder: &'session Recorder,
    pub(crate) from_client: &'session mut ChannelReadHalf,
    pub(crate) control: &'session mut mpsc::Receiver<Control>,
    pub(crate) capture: Capture,
    pub(crate) content: Content,
    pub(crate) backlog: &'session Backlog,
    /// Bytes received from the client.
    pub(crate) bytes_in: &'session AtomicU64,
}

/// Input not accepted by the back end yet.
struct Waiting<'session> {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    backlog: &'session Backlog,
}

impl Waiting<'_> {
    fn push(&mut self, data: Bytes) -> Result<(), Interruption> {
        self.bytes += data.len();
        self.pieces.push_back(data);
        self.tell();
        match self.backlog.exceeded() {
            Some(limit_bytes) => Err(Interruption::UnreadInput { limit_bytes }),
            None => Ok(()),
        }
    }

    fn tell(&self) {
        self.backlog.set(self.bytes + self.pieces.len() * PIECE_BYTES);
    }

    fn taken(&mut self, taken: io::Result<usize>) {
        match taken {
            Ok(0) => return,
            Ok(count) => {
                self.bytes -= count;
                let first = self.pieces.front_mut().expect("it was taken from");
                first.advance(count);
                if first.is_empty() {
                    self.pieces.pop_front();
                }
            }
            // Nothing reads any more: as with any pipe, the rest is dropped.
            Err(_) => {
                self.pieces.clear();
                self.bytes = 0;
            }
        }
        self.tell();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.backlog.set(0);
    }
}

impl InputRelay<'_> {
    /// Relays all input. Returns when the client has gone.
    pub(crate) async fn run(&mut self, input: &mut Input) -> Interruption {
        let mut waiting = Waiting { pieces: VecDeque::new(), bytes: 0, backlog: self.backlog };
        let (mut echoes, mut finished) = (true, false);
        loop {
            if finished && waiting.pieces.is_empty() {
                input.finish();
            }
            let first = waiting.pieces.front().cloned().unwrap_or_default();
            let outcome = tokio::select! {
                message = self.from_client.wait() => match message {
                    Some(ChannelMsg::Data { data }) if !data.is_empty() => {
                        let noted = self.note(&data, input, &mut echoes).await;
                        if input.takes() { noted.and_then(|()| waiting.push(data)) } else { noted }
                    }
                    Some(ChannelMsg::Eof) => {
                        finished = true;
                        Ok(())
                    }
                    Some(ChannelMsg::Close) | None => Err(Interruption::ClientGone),
                    // Other requests arrive through `control`.
                    Some(_) => Ok(()),
                },
                control = self.control.recv() => match control {
                    Some(Control::Resize(size)) => self.resize(size, input).await,
                    Some(Control::Signal(signal)) => {
                        input.signal(signal);
                        Ok(())
                    }
                    None => Err(Interruption::ClientGone),
                },
                taken = input.advance(&first) => {
                    waiting.taken(taken);
                    Ok(())
                }
            };
            if let Err(over) = outcome {
                return over;
            }
        }
    }

    /// Discards input: the back end has exited. Returns when the client has gone.
    pub(crate) async fn drain(&mut self) -> Interruption {
        loop {
            tokio::select! {
                message = self.from_client.wait() => match message {
                    Some(ChannelMsg::Data { data }) => self.count(&data),
                    Some(ChannelMsg::Close) | None => return Interruption::ClientGone,
                    Some(_) => {}
                },
                control = self.control.recv() => if control.is_none() {
                    return Interruption::ClientGone;
                },
            }
        }
    }

    fn count(&self, data: &Bytes) {
        self.bytes_in.fetch_add(data.len() as u64, Ordering::Relaxed);
    }

    /// Records input, or only its time.
    async fn note(&mut self, data: &Bytes, input: &Input, echoed: &mut bool) -> Result<(), Interruption> {
        self.count(data);
        if self.capture != Capture::OutputAndInput {
            self.recorder.touch();
            return Ok(());
        }
        if let Some(echoes) = input.echoes()
            && std::mem::replace(echoed, echoes) != echoes
        {
            put(self.recorder, Code::Echo, if echoes { "on" } else { "off" }).await?;
        }
        if self.content.turns_to_bytes(data, false) {
            put(self.recorder, Code::Facts, json!({ INPUT_AS: AS_BYTES }).to_string()).await?;
        }
        put(self.recorder, Code::Input, data.clone()).await.map(drop)
    }

    async fn resize(&self, size: Size, input: &mut Input) -> Result<(), Interruption> {
        // Recorded first: output for the new size comes after it.
        put(self.recorder, Code::Resize, size.text()).await?;
        input.resize(size);
        Ok(())
    }
}

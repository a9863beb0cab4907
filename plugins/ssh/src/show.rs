//! The way of output: recorded, in strict mode waited for until that is safe, and then shown. Knows nothing of input.

use std::collections::VecDeque;

use bytes::Bytes;
use russh::ChannelWriteHalf;
use russh::server::{Handle, Msg};
use serde_json::json;

use crate::ends::{Ending, Outlet, Said};
use crate::gate::Gate;
use crate::local::STDERR;
use crate::session::{Over, Records, put};
use crate::tape::Tape;

/// The most pieces that wait until they are safe. Each has 32 KiB at most, so this is at most 2 MiB a session.
const HELD_MAX: usize = 64;

/// A piece of output that is recorded, and not known to be safe yet.
struct Held {
    number: u64,
    data: Bytes,
    ext: Option<u32>,
}

/// The way of output of one session.
pub(crate) struct Show<'session> {
    tape: &'session Tape,
    handle: &'session Handle,
    to_client: &'session ChannelWriteHalf<Msg>,
    gate: Gate,
    records: Records,
    held: VecDeque<Held>,
    bytes: u64,
    finished: bool,
}

impl<'session> Show<'session> {
    pub(crate) fn new(
        tape: &'session Tape,
        handle: &'session Handle,
        to_client: &'session ChannelWriteHalf<Msg>,
        gate: Gate,
        records: Records,
    ) -> Self {
        Self { tape, handle, to_client, gate, records, held: VecDeque::new(), bytes: 0, finished: false }
    }

    /// Passes on all output. Returns how what runs has ended; everything before is shown then.
    pub(crate) async fn run(&mut self, outlet: &mut Outlet, begun: u64) -> Result<Ending, Over> {
        if self.records == Records::Counts {
            // There is nothing to wait for but that the connection itself is recorded.
            self.wait(begun).await?;
        }
        let ending = loop {
            let oldest = self.held.front().map_or(0, |held| held.number);
            tokio::select! {
                said = outlet.next(), if self.held.len() < HELD_MAX => match said {
                    Said::Output(data, ext) => self.take(data, ext).await?,
                    Said::Finished => {
                        self.release().await?;
                        self.finished = true;
                        self.handle.eof(self.to_client.id()).await.map_err(|()| Over::Gone)?;
                    }
                    Said::Ended(ending) => break ending,
                },
                passed = self.gate.passed(oldest), if !self.held.is_empty() => {
                    passed.map_err(|_unrecorded| Over::Unrecorded)?;
                    self.show_oldest().await?;
                }
            }
        };
        if let Ending::Lost(why) = &ending {
            let message = Bytes::from(format!("tapedeck: {why}\r\n"));
            let number = put(self.tape, "o", message.clone()).await?;
            self.held.push_back(Held { number, data: message, ext: Some(STDERR) });
        }
        self.release().await?;
        Ok(ending)
    }

    /// Records how it ended, and waits until that is safe.
    pub(crate) async fn record_end(&mut self, ending: &Ending, bytes_in: u64) -> Result<(), Over> {
        match self.put_end(ending, bytes_in).await {
            Ok(number) => self.wait(number).await,
            // Without strict mode the client is told how it ended, also when the engine wants no more frames.
            Err(_) if self.gate.is_open() => Ok(()),
            Err(over) => Err(over),
        }
    }

    /// Records how it ended. Returns the frame's number.
    async fn put_end(&self, ending: &Ending, bytes_in: u64) -> Result<u64, Over> {
        self.put_counts(bytes_in).await?;
        put(self.tape, "x", ending.number().to_string()).await
    }

    /// Records how much went by, if that is all that is recorded.
    pub(crate) async fn put_counts(&self, bytes_in: u64) -> Result<(), Over> {
        if self.records == Records::Counts {
            let counts = json!({ "bytes_in": bytes_in, "bytes_out": self.bytes });
            put(self.tape, "c", counts.to_string()).await?;
        }
        Ok(())
    }

    /// Whether the client knows that no more output comes.
    pub(crate) fn finished(&self) -> bool {
        self.finished
    }

    async fn take(&mut self, data: Bytes, ext: Option<u32>) -> Result<(), Over> {
        if self.records == Records::Counts {
            self.tape.touch();
            return self.show(data, ext).await;
        }
        let number = put(self.tape, "o", data.clone()).await?;
        if self.gate.is_open() {
            return self.show(data, ext).await;
        }
        self.held.push_back(Held { number, data, ext });
        Ok(())
    }

    async fn wait(&mut self, number: u64) -> Result<(), Over> {
        self.gate.passed(number).await.map_err(|_unrecorded| Over::Unrecorded)
    }

    /// Shows everything that waits, as soon as it is safe.
    async fn release(&mut self) -> Result<(), Over> {
        while let Some(number) = self.held.front().map(|held| held.number) {
            self.wait(number).await?;
            self.show_oldest().await?;
        }
        Ok(())
    }

    async fn show_oldest(&mut self) -> Result<(), Over> {
        match self.held.pop_front() {
            Some(Held { data, ext, .. }) => self.show(data, ext).await,
            None => Ok(()),
        }
    }

    async fn show(&mut self, data: Bytes, ext: Option<u32>) -> Result<(), Over> {
        self.bytes += data.len() as u64;
        let sent = match ext {
            None => self.to_client.data_bytes(data).await,
            Some(ext) => self.to_client.extended_data_bytes(ext, data).await,
        };
        sent.map_err(|_closed| Over::Gone)
    }
}

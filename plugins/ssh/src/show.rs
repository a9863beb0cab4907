//! The way of output: recorded, in strict mode waited for until that is safe, and then shown. Knows nothing of input.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use russh::ChannelWriteHalf;
use russh::server::{Handle, Msg};
use serde_json::json;

use crate::ends::{Ending, Outlet, Said};
use crate::gate::Gate;
use crate::local::STDERR;
use crate::session::{Over, Records, put};
use crate::tail::Tail;
use crate::tape::{LAST, Tape};

/// The most pieces that wait until they are safe. Each has 32 KiB at most, so this is at most 2 MiB a session.
const HELD_MAX: usize = 64;

/// How long half a character of a program on pipes waits for its other half. What goes through pipes may be anything, such as the
/// protocol of `rsync`, whose other side waits for the last byte.
const HALF_TIME: Duration = Duration::from_millis(100);

/// How long the word that no more output comes waits for how it ended, which mostly comes at once: a client that has nothing to say
/// closes the channel at that word, and would not hear the rest.
const END_TIME: Duration = Duration::from_millis(500);

/// A piece of output that is recorded, and not known to be safe yet.
struct Held {
    number: u64,
    data: Bytes,
    ext: Option<u32>,
    /// Half a character: safe with the frame that has the other half, as sinks that write text keep it until then.
    half: bool,
}

/// The way of output of one session.
pub(crate) struct Show<'session> {
    tape: &'session Tape,
    handle: &'session Handle,
    to_client: &'session ChannelWriteHalf<Msg>,
    gate: Gate,
    records: Records,
    held: VecDeque<Held>,
    tail: Tail,
    /// Whether what runs has a terminal, which shows nothing of half a character.
    terminal: bool,
    bytes: u64,
    counted: bool,
    /// No more output comes: for how long the client's word of it waits.
    eof: Option<Duration>,
    finished: bool,
}

impl<'session> Show<'session> {
    pub(crate) fn new(
        tape: &'session Tape,
        handle: &'session Handle,
        to_client: &'session ChannelWriteHalf<Msg>,
        gate: Gate,
        records: Records,
        terminal: bool,
    ) -> Self {
        Self {
            tape,
            handle,
            to_client,
            gate,
            records,
            held: VecDeque::new(),
            tail: Tail::default(),
            terminal,
            bytes: 0,
            counted: false,
            eof: None,
            finished: false,
        }
    }

    /// Passes on all output. Returns how what runs has ended; everything before is shown then.
    pub(crate) async fn run(&mut self, outlet: &mut Outlet, begun: u64) -> Result<Ending, Over> {
        if self.records == Records::Counts {
            // There is nothing to wait for but that the connection itself is recorded.
            self.wait(begun).await?;
        }
        let ending = loop {
            let oldest = self.held.front().map_or(0, |held| held.number);
            let half = self.held.front().map(|held| held.half);
            tokio::select! {
                said = outlet.next(), if self.held.len() < HELD_MAX => match said {
                    Said::Output(data, ext) => self.take(data, ext).await?,
                    Said::Finished { to_end } => self.eof = Some(if to_end { END_TIME } else { Duration::ZERO }),
                    Said::Ended(ending) => break ending,
                },
                passed = self.gate.passed(oldest), if half == Some(false) => {
                    passed.map_err(|_unrecorded| Over::Unrecorded)?;
                    self.show_oldest().await?;
                }
                () = tokio::time::sleep(self.eof.unwrap_or_default()), if self.eof.is_some() && half.is_none() => {
                    (self.eof, self.finished) = (None, true);
                    self.handle.eof(self.to_client.id()).await.map_err(|()| Over::Gone)?;
                }
                () = tokio::time::sleep(HALF_TIME), if half == Some(true) && !self.terminal => self.settle(None),
            }
        };
        if let Ending::Lost(why) = &ending {
            let message = Bytes::from(format!("tapedeck: {why}\r\n"));
            let number = put(self.tape, "o", message.clone()).await?;
            self.settle(Some(number));
            self.held.push_back(Held { number, data: message, ext: Some(STDERR), half: false });
        }
        self.release().await?;
        Ok(ending)
    }

    /// Records how it ended, and shows the rest when that is safe.
    pub(crate) async fn record_end(&mut self, ending: &Ending, bytes_in: u64) -> Result<(), Over> {
        match self.put_end(ending, bytes_in).await {
            Ok(number) => {
                // No other half will come.
                self.settle(Some(number));
                self.wait(number).await?;
                self.release().await
            }
            // Without strict mode the client is told how it ended, also when the engine wants no more frames.
            Err(_) if self.gate.is_open() => Ok(()),
            Err(over) => Err(over),
        }
    }

    /// Records how it ended. Returns the frame's number.
    async fn put_end(&mut self, ending: &Ending, bytes_in: u64) -> Result<u64, Over> {
        if let Some(counts) = self.counts(bytes_in) {
            put(self.tape, "c", counts).await?;
            self.counted = true;
        }
        put(self.tape, LAST, ending.number().to_string()).await
    }

    /// How much went by, if that is all that is recorded, and is not recorded yet.
    pub(crate) fn counts(&self, bytes_in: u64) -> Option<String> {
        let counts = || json!({ "bytes_in": bytes_in, "bytes_out": self.bytes }).to_string();
        (self.records == Records::Counts && !self.counted).then(counts)
    }

    /// Whether the client knows that no more output comes.
    pub(crate) fn finished(&self) -> bool {
        self.finished
    }

    async fn take(&mut self, mut data: Bytes, ext: Option<u32>) -> Result<(), Over> {
        if self.records == Records::Counts {
            self.tape.touch();
            return self.show(data, ext).await;
        }
        let number = put(self.tape, "o", data.clone()).await?;
        if self.gate.is_open() {
            return self.show(data, ext).await;
        }
        let half = self.tail.after(&data);
        if half <= data.len() {
            self.settle(Some(number));
        }
        let tail = data.split_off(data.len() - half.min(data.len()));
        for (data, half) in [(data, false), (tail, true)] {
            if !data.is_empty() {
                self.held.push_back(Held { number, data, ext, half });
            }
        }
        Ok(())
    }

    /// Halves of characters are not waited for any more: they are safe with this frame, or with their own.
    fn settle(&mut self, number: Option<u64>) {
        for held in self.held.iter_mut().rev().take_while(|held| held.half) {
            held.half = false;
            held.number = number.unwrap_or(held.number);
        }
    }

    async fn wait(&mut self, number: u64) -> Result<(), Over> {
        self.gate.passed(number).await.map_err(|_unrecorded| Over::Unrecorded)
    }

    /// Shows everything that waits, as soon as it is safe, but for half a character.
    async fn release(&mut self) -> Result<(), Over> {
        while let Some(number) = self.held.front().filter(|held| !held.half).map(|held| held.number) {
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

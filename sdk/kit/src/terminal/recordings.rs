//! For sinks that keep a file a connection: gives each connection its recording, and sees to it that one that fails costs nobody else's.
//! Knows nothing of what is in the files.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use tapedeck_sdk::kinds::terminal::{Code, Columns};
use tapedeck_sdk::{Batch, Error, Host, Sink, Timestamp, Written};

use super::Files;

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is written, or will be.
    Yes,
    /// It was left out on purpose.
    LeftOut,
    /// It is not what its code says, and was left out.
    No,
    /// It can't be kept, or not all of it, for this reason.
    Refused(&'static str),
    /// It was the last one of the connection, and is written.
    Ended,
    /// It was the last one of the connection, and was left out on purpose.
    EndedLeftOut,
}

/// The recording of one connection.
pub trait Recording: Sized + Send {
    /// What all recordings of a stream have in common.
    type Style: Send;

    /// Makes the files of a connection of this input. It began with a frame `at`; `stem` is their name without extensions, to be registered with
    /// [`Host::artifact`]. `open` says how many other recordings are open.
    ///
    /// # Errors
    /// They can't be made.
    fn begin(
        input: usize,
        connection: &str,
        at: Timestamp,
        stem: &Path,
        open: usize,
        style: &Self::Style,
        host: &dyn Host,
    ) -> Result<Self, Error>;

    /// Takes one frame.
    ///
    /// # Errors
    /// The recording can't go on.
    fn take(&mut self, at: Timestamp, code: Code, data: &[u8], style: &Self::Style) -> Result<Taken, Error>;

    /// Makes everything taken so far survive a `kill -9`.
    ///
    /// # Errors
    /// The recording can't go on.
    fn flush(&mut self) -> Result<(), Error>;

    /// Writes what is left and closes the files. `error` is what has gone wrong before, if anything has.
    ///
    /// # Errors
    /// The files are not whole.
    fn finish(self, error: Option<&Error>, style: &Self::Style) -> Result<(), Error>;
}

/// Frames of one connection that a kill would cost, or that can't be kept.
#[derive(Clone, Copy)]
struct Frames {
    count: u64,
    /// The first and the last `seq` of them.
    seqs: (u64, u64),
}

impl Frames {
    const NONE: Self = Self { count: 0, seqs: (u64::MAX, 0) };

    fn one(seq: u64) -> Self {
        Self { count: 1, seqs: (seq, seq) }
    }

    fn add(&mut self, seq: u64) {
        self.count += 1;
        self.seqs = (self.seqs.0.min(seq), self.seqs.1.max(seq));
    }
}

/// A connection that has not ended.
enum Connection<R> {
    /// The recording, and what was taken since the last flush.
    Recorded(R, Frames),
    /// Its recording has failed: what still comes of it is lost.
    Lost,
}

/// One input stream.
struct Stream<R: Recording> {
    columns: Columns,
    files: Files,
    style: R::Style,
    active: HashMap<String, Connection<R>>,
}

/// Collects what could not be written, and tells the user of it.
struct Losses {
    host: Arc<dyn Host>,
    recordings: u64,
    /// What the call in hand returns.
    written: Written,
}

impl Losses {
    /// Frames that can't be kept.
    fn refuse(&mut self, input: usize, frames: Frames, reason: impl FnOnce() -> Error) {
        let (first, last) = frames.seqs;
        self.written.refuse_with(input, frames.count, first..=last, reason);
    }

    /// A recording has come to nothing, and these frames of it.
    fn recording(&mut self, input: usize, frames: Frames, error: &Error) {
        self.refuse(input, frames, || error.clone());
        self.recordings += 1;
        let what = if self.recordings == 1 {
            "a recording has ended before its time".to_owned()
        } else {
            format!("{} recordings have ended before their time, the last one", self.recordings)
        };
        self.host.warn(&format!("{what}: {error}"));
    }
}

/// The recordings of all connections. One that can't be written is lost, and counted; a connection that begins later is tried again.
pub struct Recordings<R: Recording> {
    streams: Vec<Stream<R>>,
    losses: Losses,
}

impl<R: Recording> Recordings<R> {
    /// No recordings yet.
    #[must_use]
    pub fn new(host: Arc<dyn Host>) -> Self {
        Self { streams: Vec::new(), losses: Losses { host, recordings: 0, written: Written::ALL } }
    }

    /// Adds an input stream; the first one is input 0.
    pub fn add_stream(&mut self, columns: Columns, files: Files, style: R::Style) {
        self.streams.push(Stream { columns, files, style, active: HashMap::new() });
    }

    fn begin(&mut self, input: usize, connection: &str, at: Timestamp) {
        let open = self.streams.iter().map(|stream| stream.active.len()).sum();
        let stream = &mut self.streams[input];
        let stem = stream.files.stem(connection);
        let begun =
            match R::begin(input, connection, at, &stem, open, &stream.style, self.losses.host.as_ref()) {
                Ok(recording) => Connection::Recorded(recording, Frames::NONE),
                Err(error) => {
                    self.losses.recording(input, Frames::NONE, &error);
                    Connection::Lost
                }
            };
        stream.active.insert(connection.to_owned(), begun);
    }

    fn take(
        &mut self,
        input: usize,
        (seq, at): (u64, Timestamp),
        connection: &str,
        letter: &str,
        data: &[u8],
    ) {
        let code = Code::of(letter);
        if !self.streams[input].active.contains_key(connection) {
            self.begin(input, connection, at);
        }
        let Stream { active, style, .. } = &mut self.streams[input];
        let entry = active.get_mut(connection).expect("it was begun above");
        let Connection::Recorded(recording, unflushed) = entry else {
            let reason = || Error::data("the connection's recording has ended before its time");
            self.losses.refuse(input, Frames::one(seq), reason);
            if code == Some(Code::Exit) {
                active.remove(connection);
            }
            return;
        };
        let taken = code.map_or(Ok(Taken::No), |code| recording.take(at, code, data, style));
        if matches!(taken, Ok(Taken::LeftOut | Taken::EndedLeftOut)) {
            self.losses.host.left_out(1);
        }
        match taken {
            Ok(Taken::Yes) => unflushed.add(seq),
            Ok(Taken::LeftOut) => {}
            Ok(Taken::No) => {
                let reason = || Error::data(format!("it does not hold what its code \"{letter}\" says"));
                self.losses.refuse(input, Frames::one(seq), reason);
            }
            Ok(Taken::Refused(why)) => self.losses.refuse(input, Frames::one(seq), || Error::data(why)),
            Ok(Taken::Ended | Taken::EndedLeftOut) => {
                if matches!(taken, Ok(Taken::Ended)) {
                    unflushed.add(seq);
                }
                if let Some(ended) = active.remove(connection) {
                    end(input, ended, &mut self.losses, style);
                }
            }
            Err(error) => {
                // The frame in hand is lost with those that were not flushed.
                unflushed.add(seq);
                lose(input, entry, &error, &mut self.losses, style);
                if code == Some(Code::Exit) {
                    active.remove(connection);
                }
            }
        }
    }
}

/// Ends a recording that can't go on.
fn lose<R: Recording>(
    input: usize,
    entry: &mut Connection<R>,
    error: &Error,
    losses: &mut Losses,
    style: &R::Style,
) {
    if let Connection::Recorded(recording, unflushed) = std::mem::replace(entry, Connection::Lost) {
        losses.recording(input, unflushed, error);
        // It saves what it can; the first error is the one that counts.
        drop(recording.finish(Some(error), style));
    }
}

/// Finishes a recording that has ended by itself, or with the session.
fn end<R: Recording>(input: usize, entry: Connection<R>, losses: &mut Losses, style: &R::Style) {
    if let Connection::Recorded(recording, unflushed) = entry
        && let Err(error) = recording.finish(None, style)
    {
        losses.recording(input, unflushed, &error);
    }
}

impl<R: Recording> Sink for Recordings<R> {
    fn write(&mut self, input: usize, batch: Batch) -> Result<Written, Error> {
        let view = self.streams[input].columns.view(&batch);
        for (row, (&seq, &at)) in batch.seq().iter().zip(batch.timestamps()).enumerate() {
            let when = (seq, Timestamp(at));
            self.take(input, when, view.connection(row), view.code(row), view.data(row));
        }
        Ok(std::mem::take(&mut self.losses.written))
    }

    fn flush(&mut self) -> Result<Written, Error> {
        for (input, stream) in self.streams.iter_mut().enumerate() {
            for entry in stream.active.values_mut() {
                let Connection::Recorded(recording, unflushed) = entry else { continue };
                match recording.flush() {
                    Ok(()) => *unflushed = Frames::NONE,
                    Err(error) => lose(input, entry, &error, &mut self.losses, &stream.style),
                }
            }
        }
        Ok(std::mem::take(&mut self.losses.written))
    }

    fn finish(mut self: Box<Self>) -> Result<Written, Error> {
        for (input, stream) in self.streams.iter_mut().enumerate() {
            for (_, entry) in stream.active.drain() {
                end(input, entry, &mut self.losses, &stream.style);
            }
        }
        Ok(self.losses.written)
    }
}

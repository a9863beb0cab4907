//! For sinks that keep a file a connection: gives each connection its recording, and sees to it that one that fails costs nobody else's.
//! Knows nothing of what is in the files.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use tapedeck_sdk::kinds::terminal::{Code, Columns};
use tapedeck_sdk::{Batch, Error, Host, Sink, Timestamp};

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

/// A connection that has not ended.
enum Connection<R> {
    /// The recording, and how many frames were taken since the last flush.
    Recorded(R, u64),
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

/// Counts what could not be written, and tells the user of it.
struct Losses {
    host: Arc<dyn Host>,
    recordings: u64,
}

impl Losses {
    /// A recording has come to nothing, and these frames of it.
    fn recording(&mut self, frames: u64, error: &Error) {
        self.host.failed(frames);
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
        Self { streams: Vec::new(), losses: Losses { host, recordings: 0 } }
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
                Ok(recording) => Connection::Recorded(recording, 0),
                Err(error) => {
                    self.losses.recording(0, &error);
                    Connection::Lost
                }
            };
        stream.active.insert(connection.to_owned(), begun);
    }

    fn take(&mut self, input: usize, at: Timestamp, connection: &str, code: Option<Code>, data: &[u8]) {
        if !self.streams[input].active.contains_key(connection) {
            self.begin(input, connection, at);
        }
        let Stream { active, style, .. } = &mut self.streams[input];
        let entry = active.get_mut(connection).expect("it was begun above");
        let Connection::Recorded(recording, unflushed) = entry else {
            self.losses.host.failed(1);
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
            Ok(Taken::Yes) => *unflushed += 1,
            Ok(Taken::LeftOut) => {}
            Ok(Taken::No) => self.losses.host.failed(1),
            Ok(Taken::Ended | Taken::EndedLeftOut) => {
                *unflushed += u64::from(matches!(taken, Ok(Taken::Ended)));
                if let Some(ended) = active.remove(connection) {
                    end(ended, &mut self.losses, style);
                }
            }
            Err(error) => {
                // The frame in hand is lost with those that were not flushed.
                *unflushed += 1;
                lose(entry, &error, &mut self.losses, style);
                if code == Some(Code::Exit) {
                    active.remove(connection);
                }
            }
        }
    }
}

/// Ends a recording that can't go on.
fn lose<R: Recording>(entry: &mut Connection<R>, error: &Error, losses: &mut Losses, style: &R::Style) {
    if let Connection::Recorded(recording, unflushed) = std::mem::replace(entry, Connection::Lost) {
        losses.recording(unflushed, error);
        // It saves what it can; the first error is the one that counts.
        drop(recording.finish(Some(error), style));
    }
}

/// Finishes a recording that has ended by itself, or with the session.
fn end<R: Recording>(entry: Connection<R>, losses: &mut Losses, style: &R::Style) {
    if let Connection::Recorded(recording, unflushed) = entry
        && let Err(error) = recording.finish(None, style)
    {
        losses.recording(unflushed, &error);
    }
}

impl<R: Recording> Sink for Recordings<R> {
    fn write(&mut self, input: usize, batch: Batch) -> Result<(), Error> {
        let view = self.streams[input].columns.view(&batch);
        for (row, &at) in batch.timestamps().iter().enumerate() {
            let code = Code::of(view.code(row));
            self.take(input, Timestamp(at), view.connection(row), code, view.data(row));
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        for stream in &mut self.streams {
            for entry in stream.active.values_mut() {
                let Connection::Recorded(recording, unflushed) = entry else { continue };
                match recording.flush() {
                    Ok(()) => *unflushed = 0,
                    Err(error) => lose(entry, &error, &mut self.losses, &stream.style),
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Error> {
        for stream in &mut self.streams {
            for (_, entry) in stream.active.drain() {
                end(entry, &mut self.losses, &stream.style);
            }
        }
        Ok(())
    }
}

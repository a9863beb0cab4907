//! The frames of one terminal in a recorded file, in order and as often as needed. Knows nothing of time on the wall, nor of screens.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tapedeck_engine::playback::IdleLimit;
use tapedeck_sdk::terminal::{Columns, IDLE_LIMIT_KEY};
use tapedeck_sdk::{Batch, Error, Format, Recording, Timestamp};

/// What happened in the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Where in the recording.
    pub(crate) at: Duration,
    pub(crate) code: String,
    pub(crate) data: Vec<u8>,
}

/// A recorded file that was looked through once.
pub(crate) struct Tape {
    format: Arc<dyn Format>,
    path: PathBuf,
    connection: String,
    idle_limit: Option<Duration>,
    /// Where the marks are.
    pub(crate) marks: Vec<Duration>,
    /// Where the last event is.
    pub(crate) end: Duration,
}

/// How pauses are shortened.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Idle {
    /// As the recording says.
    AsRecorded,
    /// Not at all.
    Whole,
    /// To this.
    At(Duration),
}

impl Tape {
    /// Looks through a file. With several connections in it, `wanted` names the one to play.
    pub(crate) fn open(
        format: &Arc<dyn Format>,
        path: &Path,
        wanted: Option<&str>,
        idle: Idle,
    ) -> Result<Self, Error> {
        let recording = format.open(path)?;
        let recorded = recording.streams().first().and_then(|schema| schema.metadata().get(IDLE_LIMIT_KEY));
        let recorded = recorded.and_then(|text| text.parse().ok().map(Duration::try_from_secs_f64));
        let idle_limit = match idle {
            Idle::AsRecorded => recorded.and_then(Result::ok),
            Idle::Whole => None,
            Idle::At(limit) => Some(limit),
        };
        let mut tape = Self {
            format: format.clone(),
            path: path.to_owned(),
            connection: wanted.unwrap_or_default().to_owned(),
            idle_limit,
            marks: Vec::new(),
            end: Duration::ZERO,
        };
        let mut names = BTreeSet::new();
        let mut rows = Rows::new(recording)?;
        // A damaged end is where the recording ends; it is told when it is reached.
        while let Ok(Some((batch, columns, row))) = rows.next() {
            let name = batch.column(columns.connection).str_at(row);
            if !names.contains(name) {
                names.insert(name.to_owned());
            }
        }
        let names: Vec<String> = names.into_iter().collect();
        tape.connection = tape.choose(&names, wanted)?;
        let mut reel = tape.rewind()?;
        while let Ok(Some(event)) = reel.next() {
            tape.end = event.at;
            if event.code == "m" {
                tape.marks.push(event.at);
            }
        }
        Ok(tape)
    }

    fn choose(&self, names: &[String], wanted: Option<&str>) -> Result<String, Error> {
        let list = || format!("Its connections are: {}.", names.join(", "));
        match (wanted, names) {
            (Some(wanted), _) if names.iter().any(|name| name == wanted) => Ok(wanted.to_owned()),
            (Some(wanted), _) => {
                let message = format!("there is no connection \"{wanted}\" in {}", self.path.display());
                Err(Error::environment(message).with_hint(list()))
            }
            (None, [only]) => Ok(only.clone()),
            (None, []) => {
                Err(Error::data(format!("nothing is recorded in the file: {}", self.path.display()))
                    .with_hint("tapedeck inspect shows what a file holds"))
            }
            (None, _) => {
                let message = format!("{} connections are in {}", names.len(), self.path.display());
                Err(Error::environment(message).with_hint(format!("Name one with --connection. {}", list())))
            }
        }
    }

    /// From the beginning.
    pub(crate) fn rewind(&self) -> Result<Reel, Error> {
        Ok(Reel {
            rows: Rows::new(self.format.open(&self.path)?)?,
            connection: self.connection.clone(),
            place: IdleLimit::new(self.idle_limit),
            held: None,
        })
    }
}

/// A tape on its way through.
pub(crate) struct Reel {
    rows: Rows,
    connection: String,
    place: IdleLimit,
    held: Option<Event>,
}

impl Reel {
    /// Gives an event back: it is the next one again.
    pub(crate) fn put_back(&mut self, event: Event) {
        self.held = Some(event);
    }

    /// The next event; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Event>, Error> {
        if let Some(event) = self.held.take() {
            return Ok(Some(event));
        }
        while let Some((batch, columns, row)) = self.rows.next()? {
            if batch.column(columns.connection).str_at(row) == self.connection {
                let at = self.place.place(Timestamp(batch.timestamps()[row]));
                let code = batch.column(columns.code).str_at(row).to_owned();
                let data = batch.column(columns.data).bytes_at(row).to_vec();
                return Ok(Some(Event { at, code, data }));
            }
        }
        Ok(None)
    }
}

/// The rows of all streams of a file that are of kind `terminal`.
struct Rows {
    recording: Box<dyn Recording>,
    columns: Vec<Option<Columns>>,
    batch: Option<(Batch, Columns)>,
    row: usize,
}

impl Rows {
    fn new(recording: Box<dyn Recording>) -> Result<Self, Error> {
        let found: Vec<Result<Columns, Error>> = recording.streams().iter().map(Columns::of).collect();
        if let Some(Err(error)) = found.iter().find(|columns| columns.is_err())
            && !found.iter().any(Result::is_ok)
        {
            return Err(error.clone().with_hint("Only recordings of terminals can be played here."));
        }
        Ok(Self { recording, columns: found.into_iter().map(Result::ok).collect(), batch: None, row: 0 })
    }

    fn next(&mut self) -> Result<Option<(&Batch, Columns, usize)>, Error> {
        while self.batch.as_ref().is_none_or(|(batch, _)| self.row >= batch.rows()) {
            let Some((stream, batch)) = self.recording.next()? else { return Ok(None) };
            let columns = self.columns.get(stream).copied().flatten();
            (self.batch, self.row) = (columns.map(|columns| (batch, columns)), 0);
        }
        self.row += 1;
        Ok(self.batch.as_ref().map(|(batch, columns)| (batch, *columns, self.row - 1)))
    }
}

//! The events of one terminal in a recording, in order and as often as needed. Knows nothing of time on the wall, nor of screens.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tapedeck_engine::playback::IdleLimit;
use tapedeck_engine::replay::{Moment, Reel, Window};
use tapedeck_sdk::kinds::terminal::{Code, Columns, IDLE_LIMIT_KEY, View};
use tapedeck_sdk::{Batch, Error, Timestamp};

use super::player::Part;

/// What happened in the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Where in the recording, with its pauses shortened.
    pub(super) at: Duration,
    /// `None` for what is no code of the convention.
    pub(super) code: Option<Code>,
    pub(super) data: Vec<u8>,
}

/// A recording of a terminal that was looked through once.
pub(super) struct Tape {
    rows: Rows,
    connection: String,
    idle_limit: Option<Duration>,
    place: IdleLimit,
    held: Option<Event>,
    pub(super) part: Part,
    /// Where what is not played any more begins.
    until: Option<Duration>,
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
    /// Looks through a recording. With several connections in it, `wanted` names the one to play. `path` is what it is called.
    pub(super) fn open(
        reel: Reel,
        path: &Path,
        wanted: Option<&str>,
        idle: Idle,
        window: Window,
    ) -> Result<Self, Error> {
        let recorded = reel.streams().first().and_then(|schema| schema.metadata().get(IDLE_LIMIT_KEY));
        let recorded = recorded.and_then(|text| text.parse().ok().map(Duration::try_from_secs_f64));
        let idle_limit = match idle {
            Idle::AsRecorded => recorded.and_then(Result::ok),
            Idle::Whole => None,
            Idle::At(limit) => Some(limit),
        };
        let mut tape = Self {
            rows: Rows::new(reel)?,
            connection: wanted.unwrap_or_default().to_owned(),
            idle_limit,
            place: IdleLimit::new(idle_limit),
            held: None,
            part: Part::default(),
            until: None,
        };
        let names = tape.look_through(wanted.is_none(), window);
        choose(&names, wanted, path)?;
        tape.rewind()?;
        Ok(tape)
    }

    /// Finds the connections and, of the one that is played, the marks, the end, and where the window is. `any`: the
    /// first connection is played. A damaged end is where the recording ends; it is told when it is reached.
    fn look_through(&mut self, any: bool, window: Window) -> Vec<String> {
        let Self { rows, connection, place, part, until, .. } = self;
        let mut names = BTreeSet::new();
        let (mut start, mut end) = (None, None);
        let mut begin = None;
        while let Ok(Some((time, view, row))) = rows.next() {
            let name = view.connection(row);
            if !names.contains(name) {
                if any && names.is_empty() {
                    name.clone_into(connection);
                }
                names.insert(name.to_owned());
            }
            if name != connection || until.is_some() {
                continue;
            }
            // Where a moment is depends on the pauses before it.
            let before = place.clone();
            let at = place.place(time);
            if begin.is_none() {
                begin = Some(time);
                start = window.start.map(|start| match start {
                    Moment::After(after) => time + after,
                    Moment::At(at) => at.max(time),
                });
                end = window.duration.map(|duration| start.unwrap_or(time) + duration);
            }
            if let Some(start) = start.take_if(|start| *start <= time) {
                part.from = before.clone().place(start);
            }
            if let Some(end) = end.take_if(|end| *end <= time) {
                *until = Some(before.clone().place(end));
                continue;
            }
            part.end = Some(at);
            if Code::of(view.code(row)) == Some(Code::Mark) {
                part.marks.push(at);
            }
        }
        if start.is_some() {
            part.from = part.end.unwrap_or_default();
        }
        names.into_iter().collect()
    }

    /// Goes to the beginning.
    pub(super) fn rewind(&mut self) -> Result<(), Error> {
        self.rows.rewind()?;
        (self.place, self.held) = (IdleLimit::new(self.idle_limit), None);
        Ok(())
    }

    /// Where the next event is; none at the end.
    pub(super) fn next_at(&mut self) -> Result<Option<Duration>, Error> {
        if self.held.is_none() {
            let until = self.until.unwrap_or(Duration::MAX);
            self.held = self.read()?.map(|(_, event)| event).filter(|event| event.at < until);
        }
        Ok(self.held.as_ref().map(|event| event.at))
    }

    /// The next event; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Event>, Error> {
        self.next_at()?;
        Ok(self.held.take())
    }

    /// The next event of the connection, with its time.
    fn read(&mut self) -> Result<Option<(Timestamp, Event)>, Error> {
        while let Some((time, view, row)) = self.rows.next()? {
            if view.connection(row) == self.connection {
                let (code, data) = (Code::of(view.code(row)), view.data(row).to_vec());
                return Ok(Some((time, Event { at: self.place.place(time), code, data })));
            }
        }
        Ok(None)
    }
}

/// Whether one connection is to be played.
fn choose(names: &[String], wanted: Option<&str>, path: &Path) -> Result<(), Error> {
    let list = || format!("its connections are: {}", names.join(", "));
    match (wanted, names) {
        (None, [_]) => Ok(()),
        (Some(wanted), _) if names.iter().any(|name| name == wanted) => Ok(()),
        (Some(wanted), _) => {
            let message = format!("there is no connection \"{wanted}\" in {}", path.display());
            Err(Error::environment(message).with_hint(list()))
        }
        (None, []) => Err(Error::data(format!("nothing is recorded in it: {}", path.display()))
            .with_hint("tapedeck inspect shows what a file holds")),
        (None, _) => {
            let message = format!("{} connections are in {}", names.len(), path.display());
            Err(Error::environment(message).with_hint(format!("name one with --connection; {}", list())))
        }
    }
}

/// The rows of all streams of a recording that are of kind `terminal`.
struct Rows {
    reel: Reel,
    columns: Vec<Option<Columns>>,
    batch: Option<(Batch, Columns)>,
    row: usize,
}

impl Rows {
    fn new(reel: Reel) -> Result<Self, Error> {
        let found: Vec<Result<Columns, Error>> =
            reel.streams().iter().map(|schema| Columns::of(schema)).collect();
        if let Some(Err(error)) = found.iter().find(|columns| columns.is_err())
            && !found.iter().any(Result::is_ok)
        {
            return Err(error.clone());
        }
        Ok(Self { reel, columns: found.into_iter().map(Result::ok).collect(), batch: None, row: 0 })
    }

    fn rewind(&mut self) -> Result<(), Error> {
        (self.batch, self.row) = (None, 0);
        self.reel.seek(Timestamp(i64::MIN))
    }

    fn next(&mut self) -> Result<Option<(Timestamp, View<'_>, usize)>, Error> {
        while self.batch.as_ref().is_none_or(|(batch, _)| self.row >= batch.rows()) {
            let Some((stream, batch)) = self.reel.read()? else { return Ok(None) };
            let columns = self.columns.get(stream).copied().flatten();
            (self.batch, self.row) = (columns.map(|columns| (batch, columns)), 0);
        }
        self.row += 1;
        let row = self.row - 1;
        Ok(self
            .batch
            .as_ref()
            .map(|(batch, columns)| (Timestamp(batch.timestamps()[row]), columns.view(batch), row)))
    }
}

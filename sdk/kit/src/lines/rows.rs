//! The rows of a file of lines: what a format tells of them, and a cursor that goes from row to row and to any moment. Knows no
//! format.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use super::index::{LineIndex, Place};
use tapedeck_sdk::{Error, Extent, Repair, RowWriter, StreamSchema, Timestamp};

/// How a file ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// In a whole row, or in none at all.
    Whole,
    /// In a row that is not whole, which begins at this byte.
    Torn(u64),
}

/// Lines that can't be read. Those after them can: they cost only themselves.
#[derive(Debug, Default)]
struct BadLines {
    /// The first one, and why.
    first: Option<String>,
    count: u64,
    /// The number of the last one.
    last: u64,
}

impl BadLines {
    /// Adds a line, unless it was read before. `unit` is what the format calls it.
    fn add(&mut self, unit: &str, line: u64, why: &str) {
        if line > self.last {
            self.first.get_or_insert_with(|| format!("{unit} {line} {why}"));
            (self.count, self.last) = (self.count + 1, line);
        }
    }

    /// What is told of them.
    fn told(&self, unit: &str) -> Option<String> {
        let first = self.first.as_ref()?;
        Some(match self.count - 1 {
            0 => first.clone(),
            1 => format!("{first}; 1 more {unit} can't be read"),
            more => format!("{first}; {more} more {unit}s can't be read"),
        })
    }
}

/// What [`RowReader::advance`] came upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A row.
    Row {
        /// Its `seq`, if the file has one.
        seq: Option<u64>,
        /// Its time, in nanoseconds since 1970.
        time: i64,
    },
    /// A line that is no row, and why, such as `has no time`: rows may follow it.
    Bad(String),
    /// No row: the end.
    End(Ending),
}

impl Step {
    /// A row by the text of its `seq`, if the file has one, and its time, or what is wrong with it.
    ///
    /// # Errors
    /// One of them is none.
    pub fn row(seq: Option<&str>, time: Option<Timestamp>) -> Result<Self, &'static str> {
        let seq = seq.map(|text| text.parse().ok().ok_or("has a seq that is no number")).transpose()?;
        Ok(Self::Row { seq, time: time.ok_or("has a timestamp that is none")?.0 })
    }
}

/// What a format makes of the lines of a file. It has one row in hand at a time.
pub trait RowReader: Send {
    /// What a row stands on, and has its number by.
    const UNIT: &str = "line";

    /// Goes on to the next row.
    ///
    /// # Errors
    /// Reading failed.
    fn advance(&mut self) -> io::Result<Step>;

    /// Where the row in hand begins: its first byte in the file, and the number of its line (or other [unit](Self::UNIT)), counted from 1.
    fn begin(&self) -> (u64, u64);

    /// The next row is the one at this place, which was in hand before.
    ///
    /// # Errors
    /// The system refuses.
    fn go_to(&mut self, place: &Place) -> io::Result<()>;

    /// From here on the payload columns of this schema are wanted, which the format knows by their names.
    fn choose(&mut self, schema: &StreamSchema);

    /// Sets the chosen columns of the row in hand. `None` when a value is not of its column's type.
    fn fill(&self, writer: &mut RowWriter<'_, '_>) -> Option<()>;
}

/// A row without its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) place: Place,
    pub(super) seq: u64,
    pub(super) time: i64,
}

/// Goes through the rows of a file and keeps an index of where it has been. A format that finds its columns in a first pass makes it
/// with [`read_to_end`](Self::read_to_end); in one that does not, times never fall.
pub struct RowCursor<R> {
    rows: R,
    index: LineIndex,
    /// How the file ends, once that was seen.
    ending: Option<Ending>,
    bad: BadLines,
    /// The rows before the next one, and the time of the last of them.
    passed: u64,
    time_before: i64,
    /// A row that was come upon and is still the next.
    held: Option<Row>,
    path: PathBuf,
}

impl<R: RowReader> RowCursor<R> {
    /// Begins with the first row.
    pub fn new(rows: R, path: &Path) -> Self {
        Self {
            rows,
            index: LineIndex::default(),
            ending: None,
            bad: BadLines::default(),
            passed: 0,
            time_before: i64::MIN,
            held: None,
            path: path.to_owned(),
        }
    }

    /// The first pass: `see` looks at each row.
    ///
    /// # Errors
    /// Reading failed.
    pub fn read_to_end(&mut self, mut see: impl FnMut(&R)) -> Result<(), Error> {
        while self.step()?.is_some() {
            see(&self.rows);
        }
        Ok(())
    }

    /// What is wrong with the lines that can't be read, as far as the file was seen.
    #[must_use]
    pub fn bad_lines(&self) -> Option<String> {
        self.bad.told(R::UNIT)
    }

    /// Reads to the end of the file, if that was not seen, and cuts a torn last row off. Lines that can't be read stay.
    ///
    /// # Errors
    /// Reading or writing failed.
    pub fn mend(&mut self) -> Result<Repair, Error> {
        if self.ending.is_none() {
            self.read_to_end(|_| {})?;
        }
        let cut = match self.ending {
            Some(Ending::Torn(at)) => Some(self.cut(at)?),
            Some(Ending::Whole) | None => None,
        };
        Ok(match (self.bad_lines(), cut) {
            (None, None) => Repair::Intact,
            (None, Some(cut)) => Repair::Mended(cut),
            (Some(bad), None) => Repair::Unreadable(bad),
            (Some(bad), Some(cut)) => Repair::Unreadable(format!("{bad}; {cut}")),
        })
    }

    fn cut(&self, at: u64) -> Result<String, Error> {
        let file = OpenOptions::new().write(true).open(&self.path);
        let cut = file.and_then(|file| {
            let length = file.metadata()?.len();
            file.set_len(at).map(|()| length.saturating_sub(at))
        });
        let cut = cut.map_err(|error| Error::io("mend the recording", &self.path, &error))?;
        let which = if at == 0 { "first" } else { "last" };
        Ok(format!("cut {cut} bytes of a torn {which} line"))
    }

    /// What the rows are together, once the end was seen.
    #[must_use]
    pub fn extent(&self) -> Option<Extent> {
        self.ending.as_ref().map(|_| self.index.extent())
    }

    /// What the format makes of the lines.
    pub fn rows(&self) -> &R {
        &self.rows
    }

    pub(super) fn rows_mut(&mut self) -> &mut R {
        &mut self.rows
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What is to be told where the rows end.
    pub(super) fn damage(&self) -> Option<Error> {
        self.bad_lines().map(|what| self.damaged(&what))
    }

    pub(super) fn damaged(&self, what: &str) -> Error {
        let error = Error::data(format!("the recording is damaged: {what}: {}", self.path.display()));
        error.with_hint("what can be read of it was given")
    }

    /// Goes on to the next row. `None` where there is none: the file ends there, or is damaged.
    pub(super) fn step(&mut self) -> Result<Option<Row>, Error> {
        if let Some(held) = self.held.take() {
            return Ok(Some(held));
        }
        // What was added to the file since the first pass may be of other types.
        if self.ending.is_some() && self.passed == self.index.rows() {
            return Ok(None);
        }
        let step = loop {
            match self.rows.advance().map_err(|error| self.unread(&error))? {
                Step::Bad(why) => self.bad.add(R::UNIT, self.rows.begin().1, &why),
                step => break step,
            }
        };
        let (seq, time) = match step {
            Step::Row { seq, time } => (seq.unwrap_or(self.passed), time),
            Step::End(_) | Step::Bad(_) if self.passed < self.index.rows() => {
                let (_, line) = self.rows.begin();
                return Err(self.damaged(&format!("{} {line} has changed while it was read", R::UNIT)));
            }
            Step::Bad(_) => return Ok(None),
            Step::End(ending) => {
                self.ending = Some(ending);
                return Ok(None);
            }
        };
        let (byte, line) = self.rows.begin();
        let place = Place { row: self.passed, byte, line, time_before: self.time_before };
        if self.passed == self.index.rows() {
            self.index.push(place, seq, time);
        }
        self.passed += 1;
        self.time_before = time;
        Ok(Some(Row { place, seq, time }))
    }

    /// The next row is the first whose time is at or after `time`.
    pub(super) fn seek(&mut self, time: i64) -> Result<(), Error> {
        self.held = None;
        match self.index.block_reaching(time).or_else(|| self.index.last_block()) {
            Some(place) => self.go_to(&place)?,
            // Nothing was read yet, or there is nothing.
            None => debug_assert_eq!(self.passed, 0, "rows that were read are in the index"),
        }
        while let Some(row) = self.step()? {
            if row.time >= time {
                self.held = Some(row);
                break;
            }
        }
        Ok(())
    }

    /// Whether a row at or after `time` was seen.
    pub(super) fn reaches(&self, time: i64) -> bool {
        self.index.block_reaching(time).is_some()
    }

    /// Takes the row into hand that is nearest to `time`; of two the earlier one.
    pub(super) fn closest(&mut self, time: i64) -> Result<Option<Row>, Error> {
        if self.ending.is_none() {
            // Times never fall: rows that come later than this are further away.
            self.seek(time)?;
        }
        let key = |row: &Row| (row.time.abs_diff(time), row.place.row);
        let mut nearest: Option<Row> = None;
        for (distance, begin, rows) in self.index.nearest_blocks(time) {
            if nearest.is_some_and(|row| key(&row) <= (distance, begin.row)) {
                break;
            }
            self.go_to(&begin)?;
            for _ in 0..rows {
                let row = self.step()?;
                nearest = nearest.into_iter().chain(row).min_by_key(key);
            }
        }
        let Some(row) = nearest else { return Ok(None) };
        self.go_to(&row.place)?;
        self.step()
    }

    fn go_to(&mut self, place: &Place) -> Result<(), Error> {
        self.rows.go_to(place).map_err(|error| self.unread(&error))?;
        (self.passed, self.time_before, self.held) = (place.row, place.time_before, None);
        Ok(())
    }

    fn unread(&self, error: &io::Error) -> Error {
        Error::io("read the recording", &self.path, error)
    }
}

//! The events of a file as rows, whatever its form. Each form says how its events follow each other ([`Events`]); what is in hand is put
//! into columns here.

use std::io;

use tapedeck_kit::lines::{Ending, Place, RowReader, Step};
use tapedeck_sdk::RowWriter;
use tapedeck_sdk::prelude::*;

use crate::facts::{Facts, nanos, relative};
use tapedeck_kit::json::put_plain;

/// The column with the time as it was recorded, where nanoseconds can't tell it.
pub(crate) const TIME_COLUMN: &str = "event_time";

/// The event in hand. `data` and `state` are JSON as it stands in the file.
#[derive(Debug, Default)]
pub(crate) struct InHand {
    pub(crate) timestamp: f64,
    pub(crate) kind: String,
    pub(crate) player_id: String,
    pub(crate) data: Vec<u8>,
    pub(crate) state: Vec<u8>,
    /// Whether these are in the notation that rows have.
    pub(crate) plain: bool,
}

/// What a form came upon.
pub(crate) enum Next {
    Event,
    /// An event that can't be read, and why; others may follow it.
    Bad(String),
    End,
}

/// The events of a file of one form.
pub(crate) trait Events: Send {
    /// Takes the next event into `hand`.
    fn next(&mut self, hand: &mut InHand) -> io::Result<Next>;

    /// The first byte of the event in hand.
    fn begin(&self) -> u64;

    /// The next event begins at this byte.
    fn go_to(&mut self, byte: u64) -> io::Result<()>;

    /// What the file says beside its events, as far as it was read.
    fn facts(&self) -> &Facts;

    /// Every event was read once and is good: what it says needs no second look.
    fn trust(&mut self);
}

/// A column of the schema.
#[derive(Debug, Clone, Copy)]
enum Column {
    Kind,
    Player,
    Data,
    State,
    Time,
}

/// The rows of a file.
pub(crate) struct EventRows {
    events: Box<dyn Events>,
    hand: InHand,
    /// When the recording began.
    start: Timestamp,
    /// How many events were taken, those that can't be read included.
    number: u64,
    chosen: Vec<Column>,
    /// Whether an event could not be read so far.
    bad: bool,
}

impl EventRows {
    /// `start` is when the recording began.
    pub(crate) fn new(events: Box<dyn Events>, start: Timestamp) -> Self {
        Self { events, hand: InHand::default(), start, number: 0, chosen: Vec::new(), bad: false }
    }

    pub(crate) fn facts(&self) -> &Facts {
        self.events.facts()
    }

    /// Whether nanoseconds tell the time of the event in hand.
    pub(crate) fn is_exact(&self) -> bool {
        let seconds = self.hand.timestamp;
        relative(nanos(seconds)).to_bits() == seconds.to_bits()
    }
}

impl RowReader for EventRows {
    const UNIT: &str = "event";

    fn advance(&mut self) -> io::Result<Step> {
        let next = self.events.next(&mut self.hand)?;
        self.number += 1;
        Ok(match next {
            Next::Event => {
                Step::Row { seq: None, time: self.start.0.saturating_add(nanos(self.hand.timestamp)) }
            }
            Next::Bad(why) => {
                self.bad = true;
                Step::Bad(why)
            }
            Next::End => {
                if !self.bad {
                    self.events.trust();
                }
                Step::End(Ending::Whole)
            }
        })
    }

    fn begin(&self) -> (u64, u64) {
        (self.events.begin(), self.number)
    }

    fn go_to(&mut self, place: &Place) -> io::Result<()> {
        self.number = place.line.saturating_sub(1);
        self.events.go_to(place.byte)
    }

    fn choose(&mut self, schema: &StreamSchema) {
        let column = |field: &Field| match field.name.as_str() {
            "type" => Column::Kind,
            "player_id" => Column::Player,
            "data" => Column::Data,
            "state" => Column::State,
            _ => Column::Time,
        };
        self.chosen = schema.payload().iter().map(column).collect();
    }

    fn fill(&self, writer: &mut RowWriter<'_, '_>) -> Option<()> {
        let mut json = Vec::new();
        for (index, column) in self.chosen.iter().enumerate() {
            let text = match column {
                Column::Kind => self.hand.kind.as_bytes(),
                Column::Player => self.hand.player_id.as_bytes(),
                Column::Data | Column::State => {
                    let raw = if matches!(column, Column::Data) { &self.hand.data } else { &self.hand.state };
                    if self.hand.plain {
                        &raw[..]
                    } else {
                        json.clear();
                        put_plain(raw, &mut json);
                        &json[..]
                    }
                }
                Column::Time => {
                    if !self.is_exact() {
                        writer.set(index, self.hand.timestamp);
                    }
                    continue;
                }
            };
            writer.set_str(index, std::str::from_utf8(text).ok()?);
        }
        Some(())
    }
}

/// The schema of a recording's stream. `timed`: with the column for times that nanoseconds can't tell.
pub(crate) fn schema(name: &str, facts: &Facts, timed: bool) -> Result<Arc<StreamSchema>, Error> {
    let schema = facts.describe(Kind::Event.schema(name));
    let schema = if timed { schema.nullable(TIME_COLUMN, DataType::Float64) } else { schema };
    schema.build()
}

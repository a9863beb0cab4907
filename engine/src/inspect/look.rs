//! What is said of a stream, collected batch by batch: counts, gaps in `seq`, true rates and intervals, and what happened in it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use hdrhistogram::Histogram;
use serde::Serialize;
use tapedeck_sdk::kinds::event;
use tapedeck_sdk::kinds::terminal::{Code, Columns};
use tapedeck_sdk::{Batch, StreamSchema, Timestamp};

use crate::at::checkpoints;
use crate::closing::rate;
use crate::report::Percentiles;
use crate::stats::{duration_histogram, record};

/// How many gaps are listed one by one.
const GAPS_MAX: usize = 20;

/// Up to how many connections of a terminal stream are counted, and up to how many codes by themselves. The rest counts as `OTHER`.
const CONNECTIONS_MAX: usize = 100_000;
const CODES_MAX: usize = 64;
const OTHER: &str = "other";
/// Up to how many players are counted by themselves.
const PLAYERS_MAX: usize = 1000;
/// How much of what is said to be a size is shown, in bytes.
const SIZE_BYTES_MAX: usize = 64;

/// What a file holds of a stream.
#[derive(Debug, Clone, Serialize)]
pub struct StreamInspection {
    /// Its schema.
    pub schema: StreamSchema,
    /// Frames.
    pub frames: u64,
    /// The first and the last `seq`.
    pub seq: Option<(u64, u64)>,
    /// The first and the last timestamp, in ns since the Unix epoch.
    pub timestamps: Option<(i64, i64)>,
    /// Frames a second, between the first and the last.
    pub frames_per_second: f64,
    /// Time between frames.
    pub interval: Option<Percentiles>,
    /// Gaps in `seq`: the first missing number and how many are missing. At most 20 of them are listed.
    pub gaps: Vec<(u64, u64)>,
    /// How many gaps there are; none if the frames were not read.
    pub gap_count: Option<u64>,
    /// How many frames are missing in all gaps; none if that is not known.
    pub missing: Option<u64>,
    /// Nulls in each payload column; none if the frames were not read.
    pub nulls: Option<Vec<u64>>,
    /// What happened, if it is a stream of kind `terminal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminal: Option<TerminalInspection>,
    /// What happened, if it is a stream of kind `event`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<EventInspection>,
}

/// What happened in a stream of events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EventInspection {
    /// Events of each type; of more than 64 types, the rest together as `other`.
    pub types: BTreeMap<String, u64>,
    /// Events of each player; of more than 1,000 players, the rest together as `other`.
    pub players: BTreeMap<String, u64>,
    /// The checkpoints, and the number of the event that each stands for.
    pub checkpoints: Vec<(String, u64)>,
}

/// What happened in the terminals of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TerminalInspection {
    /// How many connections there are.
    pub connections: u64,
    /// Frames of each code; of more than 64 codes, the rest together as `other`.
    pub events: BTreeMap<String, u64>,
    /// Bytes of output.
    pub output_bytes: u64,
    /// The size that was told first, as `COLSxROWS`.
    pub size: Option<String>,
}

/// Collects what is said of a stream.
pub(super) struct Look {
    found: StreamInspection,
    intervals: Histogram<u64>,
    /// Of a stream of kind `terminal`.
    columns: Option<Columns>,
    /// Of a stream of kind `event`.
    events: Option<event::Columns>,
    connections: HashSet<String>,
    gap_count: u64,
    missing: u64,
    nulls: Vec<u64>,
}

impl StreamInspection {
    /// Of a stream of which nothing is known yet.
    pub(super) fn new(schema: &StreamSchema) -> Self {
        Self {
            schema: schema.clone(),
            frames: 0,
            seq: None,
            timestamps: None,
            frames_per_second: 0.0,
            interval: None,
            gaps: Vec::new(),
            gap_count: None,
            missing: None,
            nulls: None,
            terminal: None,
            events: None,
        }
    }
}

/// Counts one of a name; of too many names the further ones together.
fn count(counts: &mut BTreeMap<String, u64>, name: &str, names_max: usize) {
    let is_new = !counts.contains_key(name);
    let name = if is_new && counts.len() >= names_max { OTHER } else { name };
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => _ = counts.insert(name.to_owned(), 1),
    }
}

impl Look {
    pub(super) fn new(schema: &Arc<StreamSchema>) -> Self {
        Self {
            found: StreamInspection::new(schema),
            intervals: duration_histogram(),
            columns: Columns::of(schema).ok(),
            events: event::Columns::of(schema).ok(),
            connections: HashSet::new(),
            gap_count: 0,
            missing: 0,
            nulls: vec![0; schema.payload().len()],
        }
    }

    fn take_terminal(&mut self, batch: &Batch, columns: Columns) {
        let terminal = self.found.terminal.get_or_insert_default();
        let view = columns.view(batch);
        for row in 0..batch.rows() {
            let (connection, letter, data) = (view.connection(row), view.code(row), view.data(row));
            if !self.connections.contains(connection) && self.connections.len() < CONNECTIONS_MAX {
                self.connections.insert(connection.to_owned());
            }
            count(&mut terminal.events, letter, CODES_MAX);
            match Code::of(letter) {
                Some(Code::Output) => terminal.output_bytes += data.len() as u64,
                Some(Code::Resize) if terminal.size.is_none() => {
                    let shown = &data[..data.len().min(SIZE_BYTES_MAX)];
                    terminal.size = Some(String::from_utf8_lossy(shown).into_owned());
                }
                _ => {}
            }
        }
        terminal.connections = self.connections.len() as u64;
    }

    fn take_events(&mut self, batch: &Batch, columns: event::Columns) {
        let events = self.found.events.get_or_insert_default();
        let view = columns.view(batch);
        for row in 0..batch.rows() {
            count(&mut events.types, view.event_type(row), CODES_MAX);
            count(&mut events.players, view.player_id(row), PLAYERS_MAX);
        }
    }

    pub(super) fn take(&mut self, batch: &Batch) {
        let found = &mut self.found;
        for (&seq, &timestamp) in batch.seq().iter().zip(batch.timestamps()) {
            if let Some((_, last)) = found.timestamps {
                record(&mut self.intervals, Timestamp(timestamp).since(Timestamp(last)));
            }
            found.timestamps = Some((found.timestamps.map_or(timestamp, |(first, _)| first), timestamp));
            // A recording may begin anywhere: one that was cut misses nothing.
            let expected = found.seq.map_or(seq, |(_, last)| last.saturating_add(1));
            if seq > expected {
                self.gap_count += 1;
                self.missing = self.missing.saturating_add(seq - expected);
                if found.gaps.len() < GAPS_MAX {
                    found.gaps.push((expected, seq - expected));
                }
            }
            found.seq = Some((found.seq.map_or(seq, |(first, _)| first), seq));
        }
        found.frames += batch.rows() as u64;
        if let Some(columns) = self.columns {
            self.take_terminal(batch, columns);
        }
        if let Some(columns) = self.events {
            self.take_events(batch, columns);
        }
        for (nulls, column) in self.nulls.iter_mut().zip(batch.columns()) {
            *nulls += column.null_count() as u64;
        }
    }

    pub(super) fn done(mut self) -> StreamInspection {
        self.found.frames_per_second = rate(self.found.frames, self.found.timestamps);
        self.found.interval = Percentiles::of(&self.intervals);
        if let Some(events) = &mut self.found.events {
            events.checkpoints = checkpoints(&self.found.schema);
        }
        StreamInspection {
            gap_count: Some(self.gap_count),
            missing: Some(self.missing),
            nulls: Some(self.nulls),
            ..self.found
        }
    }
}

//! Writes a stream of events as a recording: which frames are events, what the recording says of itself, and where its checkpoints are.

use std::path::PathBuf;

use serde_json::value::RawValue;
use tapedeck_kit::seconds;
use tapedeck_sdk::kinds::event;
use tapedeck_sdk::prelude::*;

use tapedeck_kit::tas::{check_state, check_type};

use crate::event::{check_time, checkpoint_of};
use crate::facts::{Facts, relative};
use crate::options::LmspOptions;
use crate::rows::TIME_COLUMN;
use crate::writer::{self, Style, Writer};

/// Keys of a state that the head of a recording may be taken from.
#[derive(serde::Deserialize)]
struct Challenge {
    challenge_id: String,
}

/// Writes one stream of events.
pub(crate) struct LmspSink {
    path: PathBuf,
    style: Style,
    /// There is one from the first event on: the head of the file is taken from it.
    writer: Option<Writer>,
    columns: event::Columns,
    time_column: Option<usize>,
    facts: Facts,
    start: Timestamp,
    /// The checkpoints of the recording that the stream comes from, by `seq`. None: they are events of the stream.
    recorded: Option<Vec<(String, u64)>>,
    checkpoints: Vec<(String, u64)>,
    state: Option<String>,
    host: Arc<dyn Host>,
}

/// A row, taken apart.
struct Row<'b> {
    seq: u64,
    timestamp: f64,
    kind: &'b str,
    player_id: &'b str,
    data: &'b str,
    state: Option<&'b str>,
}

impl LmspSink {
    /// Writes a row. The inner error says why it is refused.
    fn take(&mut self, row: &Row<'_>) -> Result<Result<(), String>, Error> {
        if serde_json::from_str::<&RawValue>(row.data).is_err() {
            return Ok(Err("has data that is no JSON".to_owned()));
        }
        if row.kind == event::FINISH {
            return Ok(self.end_with(row.data));
        }
        if let Err(why) = check_type(row.kind).and_then(|()| check_time(row.timestamp)) {
            return Ok(Err(why));
        }
        if let Some(state) = row.state {
            if let Err(why) = check_state(state) {
                return Ok(Err(why));
            }
            self.state = Some(state.to_owned());
        } else if self.state.is_some() {
            // The format has no event without a state: nothing was told of a change.
            self.host.partial(1);
        } else {
            return Ok(Err("has no state, and none was told before it".to_owned()));
        }
        let state = self.state.take().unwrap_or_default();
        let written = self.event(row, &state);
        self.state = Some(state);
        written
    }

    fn event(&mut self, row: &Row<'_>, state: &str) -> Result<Result<(), String>, Error> {
        self.head(row.player_id, state)?;
        let Some(writer) = &mut self.writer else { return Ok(Ok(())) };
        let Row { seq, timestamp, kind, player_id, data, .. } = *row;
        let number = writer.events();
        if let Err(why) = writer.event(&writer::Written { timestamp, kind, player_id, data, state })? {
            return Ok(Err(why));
        }
        match &self.recorded {
            Some(recorded) => {
                let here =
                    recorded.iter().filter(|(_, at)| *at == seq).map(|(name, _)| (name.clone(), number));
                self.checkpoints.extend(here);
            }
            None => self.checkpoint(checkpoint_of(kind, data), number),
        }
        Ok(Ok(()))
    }

    /// A checkpoint stands for the last event before it.
    fn checkpoint(&mut self, name: Option<String>, number: u64) {
        let Some(name) = name else { return };
        match number.checked_sub(1) {
            _ if self.checkpoints.iter().any(|(known, _)| *known == name) => {
                self.host.warn(&format!("Checkpoint '{name}' already exists"));
            }
            None => self.host.warn(&format!("checkpoint '{name}' comes before the first event")),
            Some(before) => self.checkpoints.push((name, before)),
        }
    }

    /// Takes the facts of the end.
    fn end_with(&mut self, data: &str) -> Result<(), String> {
        let facts: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(data).map_err(|error| format!("has facts that are none: {error}"))?;
        let known = ["duration", "success", "final_code", "final_time"];
        facts
            .iter()
            .filter(|(key, _)| known.contains(&key.as_str()))
            .try_for_each(|(key, value)| self.facts.take(key, &value.to_string()))
    }

    /// Makes the file. What nobody has said of the recording is taken from its first event.
    fn head(&mut self, player_id: &str, state: &str) -> Result<(), Error> {
        if self.writer.is_none() {
            self.facts.player_id.get_or_insert_with(|| player_id.to_owned());
            let challenge = || {
                serde_json::from_str(state)
                    .map_or_else(|_| String::new(), |Challenge { challenge_id }| challenge_id)
            };
            self.facts.challenge_id.get_or_insert_with(challenge);
            self.writer = Some(Writer::create(&self.path, &self.style, &self.facts)?);
        }
        Ok(())
    }
}

impl Sink for LmspSink {
    fn write(&mut self, input: usize, batch: Batch) -> Result<Written, Error> {
        let view = self.columns.view(&batch);
        let times = self.time_column.map(|column| batch.column(column));
        let mut written = Written::ALL;
        for (index, (&seq, &time)) in batch.seq().iter().zip(batch.timestamps()).enumerate() {
            let exact =
                times.filter(|column| !column.is_null(index)).map(|column| column.values::<f64>()[index]);
            let row = Row {
                seq,
                timestamp: exact.unwrap_or_else(|| relative(time.saturating_sub(self.start.0))),
                kind: view.event_type(index),
                player_id: view.player_id(index),
                data: view.data(index),
                state: view.state(index),
            };
            if let Err(why) = self.take(&row)? {
                written.refuse(input, 1, seq..=seq, Error::data(format!("an event {why}")));
            }
        }
        Ok(written)
    }

    /// A recording has no end before its end: the journal keeps what comes before.
    fn flush(&mut self) -> Result<Written, Error> {
        Ok(Written::ALL)
    }

    fn finish(mut self: Box<Self>) -> Result<Written, Error> {
        self.head("", "")?;
        if self.recorded.is_some() || !self.checkpoints.is_empty() {
            self.facts.checkpoints = Some(std::mem::take(&mut self.checkpoints));
        }
        if let Some(writer) = self.writer.take() {
            writer.finish(&self.facts)?;
        }
        Ok(Written::ALL)
    }
}

impl OpenSink for LmspSink {
    type Options = LmspOptions;

    fn describe() -> Description {
        let summary = "Writes recordings of events with the state of a game (TAS format 1.0.0)";
        Description::sink("lmsp", summary)
            .version(env!("CARGO_PKG_VERSION"))
            .takes(&[Kind::Event])
            .writes("lmsp.gz")
            .needs_journal()
    }

    fn check(options: &LmspOptions) -> Result<(), Error> {
        options.check()
    }

    fn open(options: LmspOptions, inputs: &[Arc<StreamSchema>], context: Context) -> Result<Self, Error> {
        options.check()?;
        let [schema] = inputs else {
            let error = Error::data("a recording of events holds one stream");
            return Err(error.with_hint("give each stream an lmsp sink of its own"));
        };
        let form = options.form();
        let path = context.artifact(options.path.as_deref(), form.extension())?;
        let mut facts = Facts::of(schema);
        facts.player_id = options.player_id.or(facts.player_id);
        facts.challenge_id = options.challenge_id.or(facts.challenge_id);
        // With the clock of the recording frames have times of its own.
        let start = facts.created_at.map_or(context.session.started_at, |_| facts.start());
        facts.created_at.get_or_insert_with(|| seconds::to_seconds(start));
        let time_column = schema.payload_index(TIME_COLUMN);
        let time_column =
            time_column.filter(|&column| schema.payload()[column].data_type == DataType::Float64);
        Ok(Self {
            path,
            style: Style { form, level: options.level, module: options.module },
            writer: None,
            columns: event::Columns::of(schema)?,
            time_column,
            start,
            recorded: facts.checkpoints.take(),
            facts,
            checkpoints: Vec::new(),
            state: None,
            host: context.host.clone(),
        })
    }
}

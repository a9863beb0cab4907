//! Makes frames of lines.

use std::collections::BTreeMap;
use std::time::Duration;

use tapedeck_kit::tas::{check_state, decompress, known};
use tapedeck_sdk::kinds::event::{self, FINISH};
use tapedeck_sdk::prelude::*;

use crate::line::{self, Said};
use crate::lines::{LINE_BYTES_MAX, Line, Lines};
use crate::options::EventsOptions;

/// The longest that one call waits.
const CALL_MAX: Duration = Duration::from_millis(50);
/// The most frames of a batch.
const BATCH_ROWS_MAX: usize = 64;
/// How many bad lines are told one by one.
const TOLD_MAX: u64 = 10;
/// The most checkpoints, each of which keeps a state.
const CHECKPOINTS_MAX: usize = 10_000;

/// Events as they come.
pub(crate) struct EventsSource {
    lines: Lines,
    streams: [Arc<StreamSchema>; 1],
    pool: BatchPool,
    player_id: String,
    /// The state now, and those of the checkpoints.
    state: Option<String>,
    checkpoints: BTreeMap<String, Option<String>>,
    bad: u64,
    finished: bool,
    host: Arc<dyn Host>,
}

/// A frame that is made.
struct Made {
    kind: String,
    player_id: String,
    data: String,
    state: Option<String>,
}

impl EventsSource {
    /// The state that an event tells: whole, or a delta of the one before.
    fn state_of(&self, text: &str) -> Result<String, String> {
        if check_state(text).is_ok() {
            return Ok(text.to_owned());
        }
        // Deltas have no numbers here: each follows the line before.
        let mut before = self.state.as_ref().map_or(Ok(None), |state| known(0, state))?;
        match decompress(&mut before, 1, text) {
            Ok(state) => check_state(&state).map(|()| state),
            // What is neither full nor a delta was meant to be a state.
            Err(_) if !text.contains("\"delta\"") => Err(check_state(text).err().unwrap_or_default()),
            Err(why) => Err(why),
        }
    }

    /// What a line makes, if it makes a frame.
    fn take(&mut self, text: &[u8]) -> Result<Option<Made>, String> {
        let text = std::str::from_utf8(text).map_err(|_bytes| "it is no UTF-8".to_owned())?;
        let (kind, player_id, data) = match line::read(text.trim())? {
            Said::Event { kind, player_id, data, state } => {
                if let Some(state) = state.filter(|state| *state != "null") {
                    self.state = Some(self.state_of(state).map_err(|why| format!("it {why}"))?);
                }
                let player_id =
                    player_id.map_or_else(|| self.player_id.clone(), |player| player.into_owned());
                (kind.into_owned(), player_id, data)
            }
            Said::Checkpoint(name) => {
                if self.checkpoints.contains_key(&name) {
                    return Err(format!("Checkpoint '{name}' already exists"));
                }
                if self.checkpoints.len() >= CHECKPOINTS_MAX {
                    return Err(format!("there are {CHECKPOINTS_MAX} checkpoints already"));
                }
                let data = serde_json::json!({ "name": name }).to_string();
                self.checkpoints.insert(name, self.state.clone());
                ("checkpoint".to_owned(), self.player_id.clone(), data)
            }
            Said::Rewind(name) => {
                let state =
                    self.checkpoints.get(&name).ok_or_else(|| format!("Checkpoint '{name}' not found"))?;
                self.state.clone_from(state);
                let data = serde_json::json!({ "checkpoint": name }).to_string();
                ("rewind".to_owned(), self.player_id.clone(), data)
            }
            Said::Pause(true) => {
                self.host.pause();
                return Ok(None);
            }
            Said::Pause(false) => {
                self.host.resume();
                return Ok(None);
            }
            Said::Finish(data) => {
                self.finished = true;
                (FINISH.to_owned(), self.player_id.clone(), data)
            }
        };
        Ok(Some(Made { kind, player_id, data, state: self.state.clone() }))
    }

    fn refuse(&mut self, line: &Line, why: &str) {
        self.host.failed(1);
        self.bad += 1;
        if self.bad <= TOLD_MAX {
            self.host.warn(&format!("line {} is no event: {why}", line.number));
        }
        self.lines.answer(line, why);
    }
}

impl Source for EventsSource {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn next(&mut self, deadline: Timestamp) -> Result<Next, Error> {
        let mut made = Vec::new();
        let mut waited = false;
        while made.len() < BATCH_ROWS_MAX && !self.finished {
            let Some(line) = self.lines.take() else {
                if !made.is_empty() || self.lines.has_ended() {
                    break;
                }
                let now = self.host.now();
                // In a pause time stands still, and the deadline never comes.
                if now >= deadline || waited {
                    return Ok(Next::Idle);
                }
                self.lines.wait(deadline.since(now).min(CALL_MAX));
                waited = true;
                continue;
            };
            let taken = match &line.text {
                Some(text) => self.take(text),
                None => Err(format!("it has over {} MiB", LINE_BYTES_MAX >> 20)),
            };
            match taken {
                Ok(Some(frame)) => made.push(frame),
                Ok(None) => {}
                Err(why) => self.refuse(&line, &why),
            }
        }
        if made.is_empty() {
            return Ok(if self.finished || self.lines.has_ended() { Next::End } else { Next::Idle });
        }
        let mut builder = self.pool.builder(made.len());
        for Made { kind, player_id, data, state } in &made {
            let row = event::Row { event_type: kind, player_id, data, state: state.as_deref() };
            row.put(&mut builder.push_row(Timestamp::UNSET));
        }
        Ok(Next::Batch { output: 0, batch: builder.finish() })
    }
}

impl OpenSource for EventsSource {
    type Options = EventsOptions;

    fn describe() -> Description {
        Description::source("events", "Takes events with the state of a game as JSON lines, live")
            .version(env!("CARGO_PKG_VERSION"))
            .gives(&[Kind::Event])
            .runs_in_pause()
    }

    fn check(options: &EventsOptions) -> Result<(), Error> {
        options.listen().map(drop)
    }

    fn open(options: EventsOptions, context: Context) -> Result<Self, Error> {
        let schema = Kind::Event.schema(&context.id).build()?;
        Ok(Self {
            lines: Lines::open(&options.listen()?)?,
            pool: BatchPool::new(schema.clone()),
            streams: [schema],
            player_id: options.player_id,
            state: None,
            checkpoints: BTreeMap::new(),
            bad: 0,
            finished: false,
            host: context.host.clone(),
        })
    }
}

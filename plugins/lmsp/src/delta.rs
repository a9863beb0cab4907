//! States as what has changed since the event before (`state_delta`), and back (`state_undelta`).
//!
//! A state becomes `{"type": "full", "data": {…}}` or `{"type": "delta", "data": {…}, "base": N}`: a delta where fewer than 30 % of its keys have
//! changed and none was removed. `base` is the `seq` of the event that it builds on, which readers of the format pass over: after a
//! lost event a delta says nothing, and such events are counted as failed until the next full state.

use std::borrow::Cow;

use serde_json::value::RawValue;
use tapedeck_kit::json::Pairs;
use tapedeck_sdk::kinds::event;
use tapedeck_sdk::prelude::*;

use crate::event::Text;
use crate::text::put_plain;

/// A state is a delta where so many of a hundred keys have changed at the most, less one.
const CHANGED_PERCENT: usize = 30;

/// A state: keys and values in one notation.
type State = Vec<(String, String)>;

fn state_of(text: &str) -> Result<State, String> {
    let Pairs(pairs) =
        serde_json::from_str(text).map_err(|error| format!("has a state that is none: {error}"))?;
    let plain = |(key, value): (Cow<'_, str>, &RawValue)| {
        let mut text = Vec::new();
        put_plain(value.get().as_bytes(), &mut text);
        String::from_utf8(text).map(|text| (key.into_owned(), text)).map_err(|error| error.to_string())
    };
    pairs.into_iter().map(plain).collect()
}

fn put_state<'s>(pairs: impl Iterator<Item = &'s (String, String)>, out: &mut String) {
    out.push('{');
    for (place, (key, value)) in pairs.enumerate() {
        out.push_str(if place > 0 { "," } else { "" });
        out.push_str(&serde_json::Value::from(key.as_str()).to_string());
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
}

/// A state and the `seq` of its event.
type Known = Option<(u64, State)>;

/// The form of a state that follows another one.
fn compress(known: &mut Known, seq: u64, text: &str) -> Result<String, String> {
    let state = state_of(text)?;
    let mut out = String::new();
    let changed = known.as_ref().and_then(|(base, before)| {
        let value = |key: &str| before.iter().find(|(known, _)| known == key).map(|(_, value)| value);
        let removed = before.iter().any(|(key, _)| state.iter().all(|(kept, _)| kept != key));
        let changed: Vec<_> = state.iter().filter(|(key, new)| value(key) != Some(new)).collect();
        let few = changed.len() * 100 < state.len() * CHANGED_PERCENT;
        (few && !removed).then_some((*base, changed))
    });
    if let Some((base, changed)) = changed {
        out.push_str("{\"type\":\"delta\",\"data\":");
        put_state(changed.into_iter(), &mut out);
        out.push_str(&format!(",\"base\":{base}}}"));
    } else {
        out.push_str("{\"type\":\"full\",\"data\":");
        put_state(state.iter(), &mut out);
        out.push('}');
    }
    *known = Some((seq, state));
    Ok(out)
}

/// How a state was compressed.
#[derive(serde::Deserialize)]
struct Compressed<'t> {
    #[serde(rename = "type", borrow)]
    kind: Text<'t>,
    #[serde(borrow)]
    data: &'t RawValue,
    base: Option<u64>,
}

/// The state that a form of it stands for.
fn decompress(known: &mut Known, seq: u64, text: &str) -> Result<String, String> {
    let form: Compressed<'_> = serde_json::from_str(text)
        .map_err(|error| format!("has a state that is neither full nor a delta: {error}"))?;
    let mut state = state_of(form.data.get())?;
    match (&*form.kind.0, known.take()) {
        ("full", _) => {}
        ("delta", Some((before, base))) if form.base.is_none_or(|base| base == before) => {
            let changed = std::mem::replace(&mut state, base);
            for (key, value) in changed {
                match state.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, old)) => *old = value,
                    None => state.push((key, value)),
                }
            }
        }
        ("delta", _) => return Err("has a delta of a state that was lost".to_owned()),
        (other, _) => {
            return Err(format!("has a state of type \"{other}\", which is neither full nor delta"));
        }
    }
    let mut out = String::new();
    put_state(state.iter(), &mut out);
    *known = Some((seq, state));
    Ok(out)
}

/// What is done to a state, given the one before it.
type Step = fn(&mut Known, u64, &str) -> Result<String, String>;

/// One input, as far as it came.
struct Stream {
    pool: BatchPool,
    columns: event::Columns,
    /// The payload column of the state.
    state: usize,
    known: Known,
}

/// What the two transforms share.
struct States {
    context: Context,
    step: Step,
    streams: Vec<Stream>,
}

impl States {
    fn new(context: Context, step: Step) -> Self {
        Self { context, step, streams: Vec::new() }
    }

    fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
        let stream = |input: &Arc<StreamSchema>| {
            let schema = input.renamed(&self.context.stream_name(input, inputs))?;
            let missing = || Error::data(format!("stream \"{}\" has no states", input.name()));
            Ok(Stream {
                columns: event::Columns::of(input)?,
                state: input.payload_index("state").ok_or_else(missing)?,
                pool: BatchPool::new(schema),
                known: None,
            })
        };
        self.streams = inputs.iter().map(stream).collect::<Result<_, Error>>()?;
        Ok(self.streams.iter().map(|stream| stream.pool.schema().clone()).collect())
    }

    fn process(&mut self, input: usize, batch: &Batch, out: &mut dyn Outputs) {
        let Stream { pool, columns, state, known } = &mut self.streams[input];
        let view = columns.view(batch);
        let mut builder = pool.builder(batch.rows());
        for (row, &seq) in batch.seq().iter().enumerate() {
            let made = view.state(row).map(|text| (self.step)(known, seq, text)).transpose();
            let made = match made {
                Ok(made) => made,
                Err(why) => {
                    self.context.host.failed(1);
                    self.context.host.warn(&format!("left out: event {seq} {why}"));
                    continue;
                }
            };
            builder.push_rows_of(batch, row..row + 1);
            for column in (0..batch.schema().payload().len()).filter(|column| column != state) {
                builder.copy_column(column, batch.column(column), row..row + 1);
            }
            builder.fill_variable(*state, 1, |_, value| {
                made.iter().for_each(|text| value.extend_from_slice(text.as_bytes()));
                made.is_some()
            });
        }
        out.push(input, builder.finish());
    }
}

/// Options of `state_delta` and `state_undelta`: none.
#[derive(Debug, Clone, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeltaOptions {}

/// Makes deltas of states.
pub(crate) struct StateDelta(States);

/// Makes states of deltas.
pub(crate) struct StateUndelta(States);

macro_rules! transform {
    ($name:ident, $plugin:literal, $summary:literal, $step:expr) => {
        impl Transform for $name {
            fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
                self.0.streams(inputs)
            }

            fn process(&mut self, input: usize, batch: Batch, out: &mut dyn Outputs) -> Result<(), Error> {
                self.0.process(input, &batch, out);
                Ok(())
            }
        }

        impl OpenTransform for $name {
            type Options = DeltaOptions;

            fn describe() -> Description {
                Description::transform($plugin, $summary)
                    .version(env!("CARGO_PKG_VERSION"))
                    .takes(&[Kind::Event])
            }

            fn open(_options: DeltaOptions, context: Context) -> Result<Self, Error> {
                Ok(Self(States::new(context, $step)))
            }
        }
    };
}
transform!(StateDelta, "state_delta", "Keeps of each event's state what has changed", compress);
transform!(
    StateUndelta,
    "state_undelta",
    "Puts back the states that state_delta has made deltas of",
    decompress
);

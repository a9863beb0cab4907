//! States as what has changed since the event before (`state_delta`), and back (`state_undelta`).
//!
//! A state becomes `{"type": "full", "data": {…}}` or `{"type": "delta", "data": {…}, "base": N}`: a delta where fewer than 30 % of its keys have
//! changed and none was removed. `base` is the `seq` of the event that it builds on, which readers of the format pass over: after a
//! lost event a delta says nothing, and such events are counted as failed until the next full state.

use tapedeck_kit::tas::{Known, compress, decompress};
use tapedeck_sdk::kinds::event;
use tapedeck_sdk::prelude::*;

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

//! Multiplies every `f64` value, or hands batches on as they are when the gain is 1. The bench runs it built in and through the door.

use tapedeck_sdk::SchemaBuilder;
use tapedeck_sdk::prelude::*;

/// Options of the `gain` transform.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GainOptions {
    /// What every value is multiplied by; 1 changes nothing.
    gain: f64,
}

/// A transform that multiplies.
pub(crate) struct Gain {
    gain: f64,
    context: Context,
    outputs: Vec<(Relabel, BatchPool)>,
}

impl Transform for Gain {
    fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
        for input in inputs {
            let builder = input.to_builder().name(&self.context.stream_name(input, inputs));
            let schema = input.payload().iter().cloned().fold(builder, SchemaBuilder::push).build()?;
            self.outputs.push((Relabel::new(input.clone(), schema.clone())?, BatchPool::new(schema)));
        }
        Ok(self.outputs.iter().map(|(relabel, _)| relabel.schema().clone()).collect())
    }

    fn process(&mut self, input: usize, batch: Batch, out: &mut dyn Outputs) -> Result<(), Error> {
        let (relabel, pool) = &mut self.outputs[input];
        #[expect(clippy::float_cmp, reason = "exactly 1 is what changes nothing")]
        if self.gain == 1.0 {
            out.push(input, relabel.apply(batch)?);
            return Ok(());
        }
        let rows = batch.rows();
        let mut scaled = pool.builder(rows);
        scaled.append(&batch, 0..rows);
        for (column, field) in batch.schema().payload().iter().enumerate() {
            if field.data_type == DataType::Float64 {
                scaled.column_mut::<f64>(column).iter_mut().for_each(|value| *value *= self.gain);
            }
        }
        out.push(input, scaled.finish());
        Ok(())
    }
}

impl OpenTransform for Gain {
    type Options = GainOptions;

    fn describe() -> Description {
        Description::transform("gain", "Multiplies every f64 value").version(env!("CARGO_PKG_VERSION"))
    }

    fn open(options: GainOptions, context: Context) -> Result<Self, Error> {
        Ok(Self { gain: options.gain, context, outputs: Vec::new() })
    }
}

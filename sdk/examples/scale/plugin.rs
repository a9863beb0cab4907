//! Multiplies every `f64` value by a number. The example of a transform in `sdk/README.md`.

use tapedeck_sdk::prelude::*;

/// Options of the `scale` transform.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScaleOptions {
    /// What every value is multiplied by.
    #[serde(default = "one")]
    gain: f64,
}

fn one() -> f64 {
    1.0
}

/// A transform that multiplies.
pub(crate) struct Scale {
    gain: f64,
    context: Context,
    /// What each input's rows are called on their way out, and memory for them.
    outputs: Vec<(Relabel, BatchPool)>,
}

impl Transform for Scale {
    fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
        let renamed = |input: &Arc<StreamSchema>| {
            let fields = input.payload().iter().cloned();
            let builder = input.to_builder().name(&self.context.stream_name(input, inputs));
            fields.fold(builder, |builder, field| builder.push(field)).build()
        };
        let streams = inputs.iter().map(renamed).collect::<Result<Vec<_>, _>>()?;
        let pairs = inputs.iter().zip(&streams);
        let output = |(input, stream): (&Arc<StreamSchema>, &Arc<StreamSchema>)| {
            Ok((Relabel::new(input.clone(), stream.clone())?, BatchPool::new(stream.clone())))
        };
        self.outputs = pairs.map(output).collect::<Result<_, Error>>()?;
        Ok(streams)
    }

    fn process(&mut self, input: usize, batch: Batch, out: &mut dyn Outputs) -> Result<(), Error> {
        let (relabel, pool) = &mut self.outputs[input];
        if self.gain == 1.0 {
            out.push(input, relabel.apply(batch)?);
            return Ok(());
        }
        let rows = batch.rows();
        let mut scaled = pool.builder(rows);
        scaled.append(&batch, 0..rows);
        for (index, field) in batch.schema().payload().iter().enumerate() {
            if field.data_type == DataType::Float64 {
                scaled.column_mut::<f64>(index).iter_mut().for_each(|value| *value *= self.gain);
            }
        }
        out.push(input, scaled.finish());
        Ok(())
    }
}

impl OpenTransform for Scale {
    type Options = ScaleOptions;

    fn describe() -> Description {
        Description::transform("scale", "Multiplies every f64 value")
            .takes(&[Kind::Attributes])
            .version(env!("CARGO_PKG_VERSION"))
    }

    fn check(options: &ScaleOptions) -> Result<(), Error> {
        if options.gain.is_finite() {
            return Ok(());
        }
        Err(Error::option(["gain"], "the gain is not a finite number").with_hint("write `gain = 2.0`"))
    }

    fn open(options: ScaleOptions, context: Context) -> Result<Self, Error> {
        Ok(Self { gain: options.gain, context, outputs: Vec::new() })
    }
}

//! A transform that describes itself as a source.

use tapedeck_sdk::prelude::*;

/// Options of the `liar`.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct LiarOptions {}

struct Liar;

impl Transform for Liar {
    fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
        Ok(inputs.to_vec())
    }

    fn process(&mut self, input: usize, batch: Batch, out: &mut dyn Outputs) -> Result<(), Error> {
        out.push(input, batch);
        Ok(())
    }
}

impl OpenTransform for Liar {
    type Options = LiarOptions;

    fn describe() -> Description {
        Description::source("liar", "Is no source").gives(&[Kind::Attributes])
    }

    fn open(_options: LiarOptions, _context: Context) -> Result<Self, Error> {
        Ok(Self)
    }
}

tapedeck_sdk::export!(transform Liar);

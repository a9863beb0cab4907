//! Counts upwards. The example of a source in `sdk/README.md`.

use tapedeck_sdk::prelude::*;

/// Options of the `ramp` source.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RampOptions {
    /// How much the value grows with each frame.
    #[serde(default = "one")]
    step: f64,
    /// How many frames there are; without it, no end.
    frames: Option<u64>,
}

fn one() -> f64 {
    1.0
}

/// A source that counts.
pub(crate) struct Ramp {
    streams: Vec<Arc<StreamSchema>>,
    pool: BatchPool,
    options: RampOptions,
    value: f64,
    given: u64,
}

impl Source for Ramp {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn next(&mut self, _deadline: Timestamp) -> Result<Next, Error> {
        if self.options.frames.is_some_and(|frames| self.given >= frames) {
            return Ok(Next::End);
        }
        let mut batch = self.pool.builder(1);
        batch.push_row(Timestamp::UNSET).set(0, self.value);
        self.value += self.options.step;
        self.given += 1;
        Ok(Next::Batch { output: 0, batch: batch.finish() })
    }
}

impl OpenSource for Ramp {
    type Options = RampOptions;

    fn describe() -> Description {
        Description::source("ramp", "Counts upwards").gives(&[Kind::Attributes])
    }

    fn open(options: RampOptions, context: Context) -> Result<Self, Error> {
        let schema =
            StreamSchema::builder(&context.id, Kind::Attributes).field("value", DataType::Float64).build()?;
        let pool = BatchPool::new(schema.clone());
        Ok(Self { streams: vec![schema], pool, options, value: 0.0, given: 0 })
    }
}

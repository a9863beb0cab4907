//! Makes up frames, deterministic from a seed: any number of columns and rows a second, for tests and benches.
//!
//! Every value is a pure function of the seed, the column's number and the row's number, so that a reader in any language can
//! check a recording without having seen it being made: the formula is on the page of [`value`].
//!
//! With a `rate` each call gives one batch of `batch_rows` rows (1 by default) that the engine stamps. Without one the source
//! gives batches as fast as they are taken; all rows of a batch carry the session time at which it was begun, so timestamps
//! never fall. Knows nothing of pacing, files or formats.

mod fill;
mod options;
mod presets;
#[cfg(test)]
mod tests;
pub mod value;

use tapedeck_sdk::prelude::*;

pub use options::{FieldOptions, SyntheticOptions};
pub use value::Pattern;

use options::ColumnPlan;

/// The `synthetic` source.
#[must_use]
pub fn factory() -> Factory {
    Factory::source::<Synthetic>()
}

/// What rows are made of.
enum Recipe {
    Columns(Vec<ColumnPlan>),
    Preset(Kind),
}

/// A source whose frames are made up.
pub struct Synthetic {
    streams: [Arc<StreamSchema>; 1],
    pool: BatchPool,
    recipe: Recipe,
    seed: u64,
    batch_rows: usize,
    paced: bool,
    rows: u64,
    count: u64,
    host: Arc<dyn Host>,
}

impl Source for Synthetic {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn next(&mut self, _deadline: Timestamp) -> Result<Next, Error> {
        let left = usize::try_from(self.count - self.rows).unwrap_or(usize::MAX);
        let rows = self.batch_rows.min(left);
        if rows == 0 {
            return Ok(Next::End);
        }
        let first = self.rows;
        let mut builder = self.pool.builder(self.batch_rows);
        builder.push_rows(rows);
        if !self.paced {
            builder.timestamps_mut().fill(self.host.now().nanos());
        }
        match &self.recipe {
            Recipe::Columns(plans) => fill::columns(&mut builder, plans, self.seed, first),
            Recipe::Preset(kind) => presets::fill(&mut builder, *kind, first),
        }
        let batch = builder.finish();
        self.rows += rows as u64;
        Ok(Next::Batch { output: 0, batch })
    }
}

impl OpenSource for Synthetic {
    type Options = SyntheticOptions;

    fn describe() -> Description {
        Description::source("synthetic", "Makes up frames, deterministic from a seed").gives(Kind::ALL)
    }

    fn check(options: &SyntheticOptions) -> Result<(), Error> {
        options::check(options)
    }

    fn open(options: SyntheticOptions, context: Context) -> Result<Self, Error> {
        options::check(&options)?;
        let (recipe, schema) = if options.kind == Kind::Attributes {
            let plans = options::plans(&options);
            let schema = options::schema(&context.id, &plans)?;
            (Recipe::Columns(plans), schema)
        } else {
            (Recipe::Preset(options.kind), options.kind.schema(&context.id).build()?)
        };
        let paced = context.rate_hz.is_some();
        let batch_rows = options::batch_rows(&options, &schema, paced);
        Ok(Self {
            pool: BatchPool::new(schema.clone()),
            streams: [schema],
            recipe,
            seed: options.seed,
            batch_rows,
            paced,
            rows: 0,
            count: options.count.unwrap_or(u64::MAX),
            host: context.host,
        })
    }
}

//! Keeps, drops, renames and casts columns of attribute streams.
//!
//! All options name columns as they are called where they come from. `keep` says which columns go on, in which order; `drop` takes
//! some of them out again; `cast` and `rename` are then applied to what is left. Nothing that changes only names costs a copy.
//! Knows nothing of rows: each comes out with all the `seq` and time it came in with.

mod cast;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use tapedeck_sdk::prelude::*;

use plan::{Plan, Step};

/// The `select` transform.
#[must_use]
pub fn factory() -> Factory {
    Factory::transform::<Select>()
}

/// Options of the `select` transform.
#[derive(Debug, Clone, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SelectOptions {
    /// The columns that go on, in this order: names, or patterns with `*` and `?`. Default: all, in their own order.
    pub keep: Option<Vec<String>>,
    /// Columns that are left out: names, or patterns with `*` and `?`.
    #[serde(default)]
    pub drop: Vec<String>,
    /// New names: `{ old = "new" }`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub rename: IndexMap<String, String>,
    /// New types: `{ column = "f32" }`, between `bool`, `i8` to `u64`, `f32`, `f64` and `timestamp_ns` (nanoseconds). Fractions are cut off;
    /// a value that does not fit becomes null, and its frame counts as failed.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub cast: IndexMap<String, DataType>,
}

/// A transform that keeps, renames and casts columns.
pub struct Select {
    options: SelectOptions,
    context: Context,
    plans: Vec<Plan>,
    /// Which rows of the batch in hand lost a value.
    failed: Vec<bool>,
}

impl Transform for Select {
    fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
        plan::names_exist(&self.options, inputs)?;
        let plan = |input: &Arc<StreamSchema>| {
            Plan::new(&self.options, input, &self.context.stream_name(input, inputs))
        };
        self.plans = inputs.iter().map(plan).collect::<Result<_, _>>()?;
        Ok(self.plans.iter().map(|plan| plan.schema().clone()).collect())
    }

    fn process(&mut self, input: usize, batch: Batch, out: &mut dyn Outputs) -> Result<(), Error> {
        match &mut self.plans[input] {
            Plan::Relabel(relabel) => out.push(input, relabel.apply(batch)?),
            Plan::Steps { pool, steps } => {
                let rows = batch.rows();
                // A capacity that rarely changes lets the pool use its memory again.
                let mut builder = pool.builder(rows.next_power_of_two());
                builder.push_rows_of(&batch, 0..rows);
                self.failed.clear();
                for step in steps {
                    match *step {
                        Step::Copy { to, from, count } => {
                            builder.copy_columns(to, &batch, from, count, 0..rows)
                        }
                        Step::Cast { to, from } => {
                            self.failed.resize(rows, false);
                            cast::column(&mut builder, to, batch.column(from), &mut self.failed);
                        }
                    }
                }
                let failed = self.failed.iter().filter(|&&failed| failed).count() as u64;
                if failed > 0 {
                    self.context.host.partial(failed);
                }
                out.push(input, builder.finish());
            }
        }
        Ok(())
    }
}

impl OpenTransform for Select {
    type Options = SelectOptions;

    fn describe() -> Description {
        Description::transform("select", "Keeps, drops, renames and casts columns").takes(&[Kind::Attributes])
    }

    fn check(options: &SelectOptions) -> Result<(), Error> {
        for (column, data_type) in &options.cast {
            if !cast::possible(*data_type) {
                let error = Error::option(
                    ["cast", column],
                    format!("column \"{column}\" can't be cast to {data_type}"),
                );
                return Err(error.with_hint("Casts go between bool, i8 to u64, f32, f64 and timestamp_ns."));
            }
        }
        Ok(())
    }

    fn open(options: SelectOptions, context: Context) -> Result<Self, Error> {
        Self::check(&options)?;
        Ok(Self { options, context, plans: Vec::new(), failed: Vec::new() })
    }
}

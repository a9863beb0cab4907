//! Decodes a binary column into typed columns by a layout of its fields: offset, type, byte order, scale, unit.
//!
//! What comes out is an attribute stream. A value that is too short for a field, and text that is not UTF-8, gives null, and the frame
//! counts as failed once; a value that is null gives nulls, which is no failure. Knows no message format by name.

mod field;
mod options;
mod plan;
#[cfg(test)]
mod tests;

use tapedeck_sdk::prelude::*;

pub use options::{DecodeOptions, Endian, FieldOptions, FieldType};

use plan::Plan;

/// The `decode` transform.
#[must_use]
pub fn factory() -> Factory {
    Factory::transform::<Decode>()
}

/// A transform that decodes a binary column by a layout.
pub struct Decode {
    options: DecodeOptions,
    context: Context,
    plans: Vec<Plan>,
    /// Which rows of the batch in hand lost a value.
    failed: Vec<bool>,
}

impl Transform for Decode {
    fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
        let plan = |input: &Arc<StreamSchema>| {
            Plan::new(&self.options, input, &self.context.stream_name(input, inputs))
        };
        self.plans = inputs.iter().map(plan).collect::<Result<_, _>>()?;
        Ok(self.plans.iter().map(|plan| plan.pool.schema().clone()).collect())
    }

    fn process(&mut self, input: usize, batch: Batch, out: &mut dyn Outputs) -> Result<(), Error> {
        let Plan { pool, column, kept, fields } = &mut self.plans[input];
        let rows = batch.rows();
        let mut builder = pool.builder(rows.next_power_of_two());
        builder.push_rows_of(&batch, 0..rows);
        for (to, &from) in kept.iter().enumerate() {
            builder.copy_column(to, batch.column(from), 0..rows);
        }
        self.failed.clear();
        self.failed.resize(rows, false);
        for (to, field) in (kept.len()..).zip(fields) {
            field.decode(&mut builder, to, batch.column(*column), &mut self.failed);
        }
        let failed = self.failed.iter().filter(|&&failed| failed).count() as u64;
        if failed > 0 {
            self.context.host.partial(failed);
        }
        out.push(input, builder.finish());
        Ok(())
    }
}

impl OpenTransform for Decode {
    type Options = DecodeOptions;

    fn describe() -> Description {
        Description::transform("decode", "Decodes a binary column into typed columns by a field layout")
            .takes(&[Kind::Attributes, Kind::Message, Kind::Image])
            .gives(&[Kind::Attributes])
    }

    fn check(options: &DecodeOptions) -> Result<(), Error> {
        options::check(options)
    }

    fn open(options: DecodeOptions, context: Context) -> Result<Self, Error> {
        options::check(&options)?;
        Ok(Self { options, context, plans: Vec::new(), failed: Vec::new() })
    }
}

//! How many nulls each dataset has, told at the dataset itself: HDF5 has no null, and whoever reads the dataset alone sees zeros. Does not
//! know which values are null: the group `_tapedeck` says that.

use tapedeck_sdk::Batch;

use crate::plan::{Column, Label, Plan, internal};
use crate::raw::{Dataset, Failure, set_number};

/// The attribute with the number of nulls, as of the last flush.
const NULLS: &str = "nulls";
/// The attribute that says where the bits are.
const VALIDITY: &str = "validity";

/// Says at a dataset where the bits of its column are: an expression that is not zero where the value is no null.
pub(crate) fn label(column: Column, payload: usize) -> Column {
    let bits = internal(crate::datasets::VALIDITY);
    let text = format!("{bits}[:, {}] & {}", payload / 8, 1_u8 << (payload % 8));
    column.label(VALIDITY, Label::Text(text))
}

/// A column that may be null.
struct Count {
    /// Its place among the payload columns, and so among the datasets.
    column: usize,
    nulls: u64,
    /// What the attribute says.
    noted: u64,
}

/// The nulls of a stream's columns.
pub(crate) struct Nulls(Vec<Count>);

impl Nulls {
    pub(crate) fn of(plan: &Plan) -> Self {
        let columns = plan.columns.iter().enumerate();
        let labelled = columns.filter(|(_, column)| is_labelled(column));
        Self(labelled.map(|(column, _)| Count { column, nulls: 0, noted: 0 }).collect())
    }

    /// Makes the attribute of a new dataset, if it is to have one.
    pub(crate) fn begin(dataset: &Dataset, column: &Column) -> Result<(), Failure> {
        if is_labelled(column) { set_number(dataset, NULLS, 0) } else { Ok(()) }
    }

    /// Counts the nulls of rows that are written.
    pub(crate) fn take(&mut self, batch: &Batch) {
        for count in &mut self.0 {
            count.nulls += batch.column(count.column).null_count() as u64;
        }
    }

    /// Writes what has changed since the last call.
    pub(crate) fn note<'d>(&mut self, dataset: impl Fn(usize) -> &'d Dataset) -> Result<(), Failure> {
        for count in self.0.iter_mut().filter(|count| count.nulls != count.noted) {
            set_number(dataset(count.column), NULLS, count.nulls)?;
            count.noted = count.nulls;
        }
        Ok(())
    }
}

fn is_labelled(column: &Column) -> bool {
    column.attributes.iter().any(|(key, _)| *key == VALIDITY)
}

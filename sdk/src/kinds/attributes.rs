//! The convention of streams of kind `attributes`: columns of any names, one for each value. Numbers and truth values have columns of
//! their own type, byte arrays columns of fixed width. [`Field::UNIT`](crate::Field::UNIT) in a column's metadata says what is counted.

use crate::{Kind, SchemaBuilder};

/// Begins the schema of a stream of this kind; the columns are to be added.
#[must_use]
pub fn schema(name: &str) -> SchemaBuilder {
    Kind::Attributes.schema(name)
}

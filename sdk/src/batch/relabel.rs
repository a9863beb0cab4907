//! The same rows under another schema: how a transform renames a stream or its columns without touching the slab.

use std::sync::Arc;

use super::Batch;
use crate::{Error, StreamSchema};

/// Gives batches of one schema another one of the same column types, without a copy and without an allocation. Make it once for
/// each stream; names, units and other metadata may differ, and a column may become nullable.
#[derive(Debug, Clone)]
pub struct Relabel {
    from: Arc<StreamSchema>,
    to: Arc<StreamSchema>,
}

impl Relabel {
    /// From one schema to another.
    ///
    /// # Errors
    /// The columns differ in number or type, or one that may be null would no longer be so.
    pub fn new(from: Arc<StreamSchema>, to: Arc<StreamSchema>) -> Result<Self, Error> {
        check(&from, &to)?;
        Ok(Self { from, to })
    }

    /// The schema that batches get.
    #[must_use]
    pub fn schema(&self) -> &Arc<StreamSchema> {
        &self.to
    }

    /// The batch under the other schema.
    ///
    /// # Errors
    /// The batch is not of the schema that this was made for, nor of one with the same columns.
    pub fn apply(&self, batch: Batch) -> Result<Batch, Error> {
        if !Arc::ptr_eq(&batch.schema, &self.from) {
            check(&batch.schema, &self.to)?;
        }
        Ok(Batch { slab: batch.slab, schema: self.to.clone() })
    }
}

fn check(from: &StreamSchema, to: &StreamSchema) -> Result<(), Error> {
    let same = from.fields().len() == to.fields().len()
        && from
            .fields()
            .iter()
            .zip(to.fields())
            .all(|(from, to)| from.data_type == to.data_type && (to.nullable || !from.nullable));
    let names = (from.name(), to.name());
    if same {
        Ok(())
    } else {
        Err(Error::plugin(format!("stream \"{}\" has other columns than \"{}\"", names.0, names.1)))
    }
}

//! Writes and reads Parquet recordings: one file a stream, or several when they rotate.
//!
//! A Parquet file is unreadable until its footer is written, at the very end: the engine keeps a journal beside it.

mod file;
mod groups;
mod options;
mod reader;
mod recording;
#[cfg(test)]
mod seeking_tests;
#[cfg(test)]
mod tests;

use tapedeck_sdk::prelude::*;

pub use options::{Compression, ParquetOptions};
pub use reader::ParquetFormat;
use recording::{Recording, file_names};

/// Writes each of its streams into Parquet files of its own.
struct ParquetSink {
    recordings: Vec<Recording>,
}

impl Sink for ParquetSink {
    fn write(&mut self, input: usize, batch: Batch) -> Result<Written, Error> {
        self.recordings[input].write(&batch).map(|()| Written::ALL)
    }

    /// Nothing: a row group that is not complete can't be read, whatever is on the disk. The journal has the rows.
    fn flush(&mut self) -> Result<Written, Error> {
        Ok(Written::ALL)
    }

    fn finish(mut self: Box<Self>) -> Result<Written, Error> {
        // Each file is finished, whatever happens to the others.
        let results: Vec<_> = self.recordings.iter_mut().map(Recording::finish).collect();
        results.into_iter().collect::<Result<(), _>>().map(|()| Written::ALL)
    }
}

impl OpenSink for ParquetSink {
    type Options = ParquetOptions;

    fn describe() -> Description {
        let description =
            Description::sink("parquet", "Writes Parquet files").version(env!("CARGO_PKG_VERSION"));
        description.writes("parquet").needs_journal().takes_blocks()
    }

    fn check(options: &ParquetOptions) -> Result<(), Error> {
        options.check()
    }

    fn open(options: ParquetOptions, inputs: &[Arc<StreamSchema>], context: Context) -> Result<Self, Error> {
        options.check()?;
        let names = file_names(options.path.as_deref(), &context.id, inputs);
        let open = |(schema, name)| Recording::open(name, schema, &options, &context);
        Ok(Self {
            recordings: inputs
                .iter()
                .zip(names.into_iter().enumerate())
                .map(open)
                .collect::<Result<_, _>>()?,
        })
    }
}

/// The plugin.
#[must_use]
pub fn factory() -> Factory {
    Factory::sink::<ParquetSink>().with_format(ParquetFormat)
}

//! Writes and reads comma-separated values, for people: spreadsheets, pandas, a look with `less`. One file a stream.
//!
//! The first line names the columns: `seq`, `timestamp`, then the stream's own. A null is an empty field, an empty text is `""`, bytes
//! are hexadecimal (`0x00ff`), floats are the shortest text that gives the same number again. The types are not in the file: a reader
//! gets numbers as 64 bits wide, and everything in quotes as text.

mod encode;
mod infer;
mod parse;
mod reader;
mod rows;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::PathBuf;

use tapedeck_kit::lines::{LineFile, Storage};
use tapedeck_sdk::prelude::*;

use encode::{Rows, header};
pub use reader::CsvFormat;

/// How points in time are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Timestamps {
    /// ISO 8601 in UTC with nanoseconds: `2023-11-14T22:13:20.000000000Z`.
    #[default]
    Iso,
    /// Nanoseconds since 1970, a whole number.
    Ns,
    /// Seconds since 1970 with nine decimals.
    Seconds,
}

/// Options of the `csv` sink.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvOptions {
    /// The file, inside the session folder. Default: the sink's id with the extension `csv`.
    #[serde(default)]
    path: Option<PathBuf>,
    /// How points in time are written: `iso`, `ns` or `seconds`.
    #[serde(default)]
    timestamps: Timestamps,
}

/// One input stream and its file.
struct Recording<S> {
    output: LineFile<S>,
    timestamps: Timestamps,
}

impl<S: Storage> Recording<S> {
    fn open(mut output: LineFile<S>, schema: &StreamSchema, timestamps: Timestamps) -> Result<Self, Error> {
        output.append(|out| out.extend(header(schema)))?;
        output.flush()?;
        Ok(Self { output, timestamps })
    }

    fn write(&mut self, batch: &Batch) -> Result<(), Error> {
        let rows = Rows::new(batch, self.timestamps);
        (0..batch.rows()).try_for_each(|row| self.output.append(|out| rows.line(row, out)))
    }
}

/// Writes each of its streams into a file of its own.
struct CsvSink {
    recordings: Vec<Recording<File>>,
}

impl Sink for CsvSink {
    fn write(&mut self, input: usize, batch: Batch) -> Result<Written, Error> {
        self.recordings[input].write(&batch).map(|()| Written::ALL)
    }

    fn flush(&mut self) -> Result<Written, Error> {
        self.recordings.iter_mut().try_for_each(|recording| recording.output.flush()).map(|()| Written::ALL)
    }

    fn finish(mut self: Box<Self>) -> Result<Written, Error> {
        // Each file is finished, whatever happens to the others.
        let results: Vec<_> = self.recordings.iter_mut().map(|recording| recording.output.flush()).collect();
        results.into_iter().collect::<Result<(), _>>().map(|()| Written::ALL)
    }
}

impl OpenSink for CsvSink {
    type Options = CsvOptions;

    fn describe() -> Description {
        Description::sink("csv", "Writes comma-separated values, for people")
            .version(env!("CARGO_PKG_VERSION"))
            .writes("csv")
    }

    fn open(options: CsvOptions, inputs: &[Arc<StreamSchema>], context: Context) -> Result<Self, Error> {
        let paths = context.artifacts(options.path.as_deref(), "csv", inputs)?;
        let open = |(schema, path): (&Arc<StreamSchema>, _)| {
            Recording::open(LineFile::create(path)?, schema, options.timestamps)
        };
        Ok(Self { recordings: inputs.iter().zip(paths).map(open).collect::<Result<_, _>>()? })
    }
}

/// The plugin.
#[must_use]
pub fn factory() -> Factory {
    Factory::sink::<CsvSink>().with_format(CsvFormat)
}

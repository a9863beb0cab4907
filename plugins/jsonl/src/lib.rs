//! Writes and reads JSON lines, for people and their scripts: one object a line. One file a stream.
//!
//! `{"seq":…,"timestamp":…,` and then the stream's own columns; a null is `null`. JSON has no not-a-number and no infinities: they are
//! `null`, too, so that a column of numbers is one for every reader, or with the option `non_finite = "text"` the texts `"NaN"`, `"Infinity"`
//! and `"-Infinity"`. Bytes are base64. An event's `data` and `state` are JSON already and stand there as
//! what they are. The types are not in the file: a reader gets numbers as 64 bits wide, and bytes as text, unless the columns are
//! those of a known kind of stream.

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

use encode::{Keys, Rows};
pub use reader::JsonlFormat;

/// How points in time are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Timestamps {
    /// ISO 8601 in UTC with nanoseconds: `"2023-11-14T22:13:20.000000000Z"`.
    #[default]
    Iso,
    /// Nanoseconds since 1970, a whole number.
    Ns,
}

/// What is written for numbers that JSON does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NonFinite {
    /// `null`.
    #[default]
    Null,
    /// The texts `"NaN"`, `"Infinity"` and `"-Infinity"`, which many readers refuse among numbers.
    Text,
}

/// How values are written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Notation {
    pub(crate) timestamps: Timestamps,
    pub(crate) non_finite: NonFinite,
}

/// Options of the `jsonl` sink.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonlOptions {
    /// The file, inside the session folder. Default: the sink's id with the extension `jsonl`.
    #[serde(default)]
    path: Option<PathBuf>,
    /// How points in time are written: `iso` or `ns`.
    #[serde(default)]
    timestamps: Timestamps,
    /// What is written for not-a-number and the infinities, which JSON does not have: `null` or `text`.
    #[serde(default)]
    non_finite: NonFinite,
}

/// One input stream and its file.
struct Recording<S> {
    output: LineFile<S>,
    keys: Keys,
    notation: Notation,
}

impl<S: Storage> Recording<S> {
    fn new(output: LineFile<S>, schema: &StreamSchema, notation: Notation) -> Self {
        Self { output, keys: Keys::new(schema), notation }
    }

    fn write(&mut self, batch: &Batch) -> Result<(), Error> {
        let rows = Rows::new(batch, &self.keys, self.notation);
        (0..batch.rows()).try_for_each(|row| self.output.append(|out| rows.line(row, out)))
    }
}

/// Writes each of its streams into a file of its own.
struct JsonlSink {
    recordings: Vec<Recording<File>>,
}

impl Sink for JsonlSink {
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

impl OpenSink for JsonlSink {
    type Options = JsonlOptions;

    fn describe() -> Description {
        Description::sink("jsonl", "Writes JSON lines, for people")
            .version(env!("CARGO_PKG_VERSION"))
            .writes("jsonl")
    }

    fn open(options: JsonlOptions, inputs: &[Arc<StreamSchema>], context: Context) -> Result<Self, Error> {
        let paths = context.artifacts(options.path.as_deref(), "jsonl", inputs)?;
        let notation = Notation { timestamps: options.timestamps, non_finite: options.non_finite };
        let open = |(schema, path): (&Arc<StreamSchema>, _)| {
            Ok(Recording::new(LineFile::create(path)?, schema, notation))
        };
        Ok(Self { recordings: inputs.iter().zip(paths).map(open).collect::<Result<_, Error>>()? })
    }
}

/// The plugin.
#[must_use]
pub fn factory() -> Factory {
    Factory::sink::<JsonlSink>().with_format(JsonlFormat)
}

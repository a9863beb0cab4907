//! Writes and reads Arrow IPC streams, the plainest lossless form, and the engine's journal. One file a stream.
//!
//! Knows the stream format and where its files lie; when to flush is the engine's business.

mod message;
mod messages;
mod output;
mod reader;
mod scan;
#[cfg(test)]
mod seeking_tests;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::IoSlice;
use std::path::PathBuf;

use tapedeck_sdk::batch::{Gather, arrow_schema};
use tapedeck_sdk::options::ByteSize;
use tapedeck_sdk::prelude::*;

use message::{END_OF_STREAM, Encoder, schema_message};
use output::{Output, Storage};
pub use reader::ArrowFormat;

/// The schema metadata keys of the session.
const SESSION_KEY: &str = "tapedeck.session";
const PIPELINE_KEY: &str = "tapedeck.pipeline";
const STARTED_AT_KEY: &str = "tapedeck.started_at";

/// About how many bytes of metadata a message has for each column, and besides.
const COLUMN_METADATA_BYTES: usize = 64;
const MESSAGE_METADATA_BYTES: usize = 256;
/// A batch that is this many times larger than the metadata it needs is worth a message of its own.
const DIRECT_FACTOR: usize = 8;
/// A batch below this size is gathered, so that a message is worth a system call.
const DIRECT_BYTES_MIN: usize = 128 << 10;
/// The most that `batch_bytes_max` may be.
const GATHER_BYTES_MAX: u64 = 256 << 20;

/// Options of the `arrow` sink.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArrowOptions {
    /// The file, inside the session folder. Default: the sink's id with the extension `arrows`.
    #[serde(default)]
    path: Option<PathBuf>,
    /// The most rows that are gathered into one message. A message is written at the latest at each `flush_interval`.
    #[serde(default = "default_batch_rows_max")]
    #[schemars(extend("x-unit" = "rows"))]
    batch_rows_max: usize,
    /// The most bytes that are gathered into one message.
    #[serde(default = "default_batch_bytes_max")]
    batch_bytes_max: ByteSize,
}

fn default_batch_rows_max() -> usize {
    4096
}

fn default_batch_bytes_max() -> ByteSize {
    ByteSize(1 << 20)
}

/// One input stream and its file.
struct Recording<S> {
    output: Output<S>,
    encoder: Encoder,
    gather: Gather,
    gather_bytes_max: usize,
    /// A batch of so many bytes is written from where it lies.
    direct_bytes_min: usize,
    /// Bytes of a row, but for values of varying length.
    row_bytes: usize,
    variable_columns: Vec<usize>,
}

impl<S: Storage> Recording<S> {
    fn open(
        output: Output<S>,
        schema: &Arc<StreamSchema>,
        options: &ArrowOptions,
        session: &SessionInfo,
    ) -> Result<Self, Error> {
        let width = |field: &Field| {
            field.data_type.width().unwrap_or(if field.data_type == DataType::Bool { 1 } else { 4 })
        };
        let row_bytes: usize = schema.fields().iter().map(width).sum();
        let gather_bytes_max = usize::try_from(options.batch_bytes_max.0).unwrap_or(usize::MAX);
        let rows = (gather_bytes_max / row_bytes).clamp(1, options.batch_rows_max);
        let fields = schema.fields().iter().enumerate();
        let variable = fields.filter(|(_, field)| field.data_type.is_variable()).map(|(index, _)| index);
        let metadata_bytes = COLUMN_METADATA_BYTES * schema.fields().len() + MESSAGE_METADATA_BYTES;
        let mut recording = Self {
            output,
            encoder: Encoder::new(),
            gather: Gather::new(schema.clone(), rows),
            gather_bytes_max,
            direct_bytes_min: (metadata_bytes * DIRECT_FACTOR).max(DIRECT_BYTES_MIN),
            row_bytes,
            variable_columns: variable.collect(),
        };
        recording.begin(schema, session)?;
        Ok(recording)
    }

    fn begin(&mut self, schema: &StreamSchema, session: &SessionInfo) -> Result<(), Error> {
        let mut schema = arrow_schema(schema);
        schema.metadata.insert(SESSION_KEY.to_owned(), session.id.clone());
        schema.metadata.insert(PIPELINE_KEY.to_owned(), session.pipeline.clone());
        schema.metadata.insert(STARTED_AT_KEY.to_owned(), session.started_at.to_iso8601());
        let message = schema_message(&schema)
            .map_err(|error| Error::data(format!("can't write the schema: {error}")))?;
        self.output.append(&mut [IoSlice::new(&message)])
    }

    fn write(&mut self, batch: &Batch) -> Result<(), Error> {
        let values = |&index: &usize| batch.any_column(index).value_bytes().len();
        let variable: usize = self.variable_columns.iter().map(values).sum();
        if self.row_bytes * batch.rows() + variable >= self.direct_bytes_min {
            self.write_gathered()?;
            return self.output.append(&mut self.encoder.encode(batch));
        }
        let mut row = 0;
        while row < batch.rows() {
            if self.gather.room() == 0 || self.gather.variable_bytes() + variable > self.gather_bytes_max {
                self.write_gathered()?;
            }
            let count = (batch.rows() - row).min(self.gather.room());
            self.gather.append(batch, row..row + count);
            row += count;
        }
        Ok(())
    }

    /// Hands the rows that were gathered to the kernel, as one message.
    fn write_gathered(&mut self) -> Result<(), Error> {
        match self.gather.take() {
            Some(batch) => self.output.append(&mut self.encoder.encode(&batch)),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        if !self.output.failed() {
            self.write_gathered()?;
        }
        self.output.append(&mut [IoSlice::new(&END_OF_STREAM)])
    }
}

/// Writes each of its streams into an Arrow IPC stream of its own.
struct ArrowSink {
    recordings: Vec<Recording<File>>,
}

impl Sink for ArrowSink {
    fn write(&mut self, input: usize, batch: Batch) -> Result<Written, Error> {
        self.recordings[input].write(&batch).map(|()| Written::ALL)
    }

    fn flush(&mut self) -> Result<Written, Error> {
        self.recordings.iter_mut().try_for_each(Recording::write_gathered).map(|()| Written::ALL)
    }

    fn finish(mut self: Box<Self>) -> Result<Written, Error> {
        // Each file is finished, whatever happens to the others.
        let results: Vec<_> = self.recordings.iter_mut().map(Recording::finish).collect();
        results.into_iter().collect::<Result<(), _>>().map(|()| Written::ALL)
    }
}

impl OpenSink for ArrowSink {
    type Options = ArrowOptions;

    fn describe() -> Description {
        let summary = "Writes Arrow IPC streams, the plainest lossless form";
        Description::sink("arrow", summary).version(env!("CARGO_PKG_VERSION")).writes("arrows").takes_blocks()
    }

    fn check(options: &ArrowOptions) -> Result<(), Error> {
        if options.batch_rows_max == 0 || options.batch_rows_max > 1 << 20 {
            let message =
                format!("batch_rows_max is {}: it goes from 1 to {}", options.batch_rows_max, 1 << 20);
            return Err(Error::option(["batch_rows_max"], message));
        }
        if options.batch_bytes_max.0 > GATHER_BYTES_MAX {
            let message = format!(
                "batch_bytes_max is {}: it goes up to {}",
                options.batch_bytes_max,
                ByteSize(GATHER_BYTES_MAX)
            );
            return Err(Error::option(["batch_bytes_max"], message));
        }
        Ok(())
    }

    fn open(options: ArrowOptions, inputs: &[Arc<StreamSchema>], context: Context) -> Result<Self, Error> {
        Self::check(&options)?;
        let paths = context.artifacts(options.path.as_deref(), "arrows", inputs)?;
        let open =
            |(schema, path)| Recording::open(Output::create(path)?, schema, &options, &context.session);
        Ok(Self { recordings: inputs.iter().zip(paths).map(open).collect::<Result<_, _>>()? })
    }
}

/// The plugin.
#[must_use]
pub fn factory() -> Factory {
    Factory::sink::<ArrowSink>().with_format(ArrowFormat)
}

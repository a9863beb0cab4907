//! The `asciicast` sink: opens, and leaves the rest to its recordings. Knows nothing of how lines look.

use tapedeck_kit::terminal::{Files, Recordings};
use tapedeck_sdk::kinds::terminal::Columns;
use tapedeck_sdk::prelude::*;

use crate::options::AsciicastOptions;
use crate::recording::{CastRecording, Style};
use crate::{HEADER_KEY, decode};

/// Writes each connection into a file of its own. A connection whose file can't be written is lost; the others go on.
pub(crate) struct AsciicastSink(Recordings<CastRecording>);

impl Sink for AsciicastSink {
    fn write(&mut self, input: usize, batch: Batch) -> Result<Written, Error> {
        self.0.write(input, batch)
    }

    fn flush(&mut self) -> Result<Written, Error> {
        self.0.flush()
    }

    fn finish(self: Box<Self>) -> Result<Written, Error> {
        Box::new(self.0).finish()
    }
}

impl OpenSink for AsciicastSink {
    type Options = AsciicastOptions;

    fn describe() -> Description {
        Description::sink("asciicast", "Writes terminal recordings that asciinema plays")
            .version(env!("CARGO_PKG_VERSION"))
            .takes(&[Kind::Terminal])
            .writes("cast")
    }

    fn check(options: &AsciicastOptions) -> Result<(), Error> {
        options.check()
    }

    fn open(
        options: AsciicastOptions,
        inputs: &[Arc<StreamSchema>],
        context: Context,
    ) -> Result<Self, Error> {
        options.check()?;
        let mut recordings = Recordings::new(context.host.clone());
        for schema in inputs {
            let files = Files::new(schema, inputs.len(), options.path.as_deref(), &context, "cast");
            let replayed = schema.metadata().get(HEADER_KEY).and_then(|line| decode::header(line).ok());
            let style = Style {
                host: context.host.clone(),
                version: options.version(),
                precision: options.precision(replayed.as_ref()),
                size: options.size(),
                input: options.input,
                sidecar: options.sidecar.unwrap_or(!files.is_single()),
                facts: options.facts(replayed.map(|header| header.facts).unwrap_or_default()),
            };
            recordings.add_stream(Columns::of(schema)?, files, style);
        }
        Ok(Self(recordings))
    }
}

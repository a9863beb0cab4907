//! The `text` sink: opens, and leaves the rest to its transcripts. Knows nothing of screens.

use tapedeck_kit::terminal::{Files, Recordings};
use tapedeck_sdk::kinds::terminal::Columns;
use tapedeck_sdk::prelude::*;

use crate::options::TextOptions;
use crate::transcript::{Style, Transcript};

/// Writes what each connection showed into a file of its own.
pub(crate) struct TextSink(Recordings<Transcript>);

impl Sink for TextSink {
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

impl OpenSink for TextSink {
    type Options = TextOptions;

    fn describe() -> Description {
        Description::sink("text", "Writes what terminals showed as plain text")
            .version(env!("CARGO_PKG_VERSION"))
            .takes(&[Kind::Terminal])
            .writes("txt")
    }

    fn check(options: &TextOptions) -> Result<(), Error> {
        options.check()
    }

    fn open(options: TextOptions, inputs: &[Arc<StreamSchema>], context: Context) -> Result<Self, Error> {
        options.check()?;
        let mut recordings = Recordings::new(context.host.clone());
        for schema in inputs {
            let files = Files::new(schema, inputs.len(), options.path.as_deref(), &context, "txt");
            let style = Style { size: options.size(), host: context.host.clone() };
            recordings.add_stream(Columns::of(schema)?, files, style);
        }
        Ok(Self(recordings))
    }
}

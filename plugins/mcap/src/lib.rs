//! Writes and reads MCAP (mcap.dev/spec), the container of the robotics world: all streams in one file, each message with its schema.
//!
//! A file is readable up to its last whole chunk without its summary, so it needs no journal. Reading knows files of other programs,
//! too; how they are read is in `recording`.

mod chunk;
mod columns;
mod descriptor;
mod extents;
mod form;
mod format;
mod image;
mod index;
mod input;
mod json;
mod names;
mod options;
mod order;
mod output;
mod recent;
mod recording;
mod repair;
mod resync;
mod rows;
mod scan;
mod streams;
mod summary;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;

use tapedeck_sdk::prelude::*;

use form::{LOSS_RECORD, SESSION_RECORD, STREAMS_RECORD};
pub use format::McapFormat;
use input::{Input, Refused};
pub use options::{Attributes, Compression, McapOptions, Profile};
use output::Output;

/// Writes all of its streams into one file.
struct McapSink {
    output: Output,
    inputs: Vec<Input>,
    names: Vec<String>,
    host: Arc<dyn Host>,
}

impl McapSink {
    fn begin(&mut self, session: &SessionInfo) -> Result<(), Error> {
        let started_at = u64::try_from(session.started_at.nanos()).unwrap_or(0);
        let pairs = [("id", session.id.clone()), ("started_at", session.started_at.to_iso8601())];
        let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        self.output.metadata(SESSION_RECORD, pairs)?;
        let streams = self.inputs.iter().enumerate();
        let streams = streams.map(|(number, input)| (format!("{number:05}"), input.json().to_owned()));
        let streams = streams.collect();
        self.output.metadata(STREAMS_RECORD, streams)?;
        self.output.attach("pipeline.toml", "application/toml", started_at, session.pipeline.as_bytes())?;
        self.output.flush()
    }
}

/// Why a frame is refused.
fn reason(refused: Refused) -> Error {
    Error::data(match refused {
        Refused::Early => "frames from before 1970 are left out: MCAP has no such times",
        Refused::Large => "messages over 200 MiB are left out: readers could not hold their chunk",
        Refused::Channels => {
            "frames of more topics are left out: a file has at most 65,534 channels, and as many types"
        }
    })
}

impl Sink for McapSink {
    fn write(&mut self, input: usize, batch: Batch) -> Result<Written, Error> {
        let mut written = Written::ALL;
        let refuse = |seq, why| written.refuse(input, 1, seq..=seq, reason(why));
        self.inputs[input].write(&batch, &mut self.output, refuse)?;
        Ok(written)
    }

    fn flush(&mut self) -> Result<Written, Error> {
        self.output.flush().map(|()| Written::ALL)
    }

    fn finish(mut self: Box<Self>) -> Result<Written, Error> {
        let loss = |name: &String| (name.clone(), serde_json::json!(self.host.loss(name)).to_string());
        let loss: BTreeMap<String, String> = self.names.iter().map(loss).collect();
        // A file that has failed gets its summary without it.
        let told = if self.output.has_failed() { Ok(()) } else { self.output.metadata(LOSS_RECORD, loss) };
        told.and(self.output.finish()).map(|()| Written::ALL)
    }
}

impl OpenSink for McapSink {
    type Options = McapOptions;

    fn describe() -> Description {
        let summary = "Writes MCAP files: all streams in one, each with its schema";
        Description::sink("mcap", summary).version(env!("CARGO_PKG_VERSION")).writes("mcap")
    }

    fn check(options: &McapOptions) -> Result<(), Error> {
        options.check()
    }

    fn open(options: McapOptions, inputs: &[Arc<StreamSchema>], context: Context) -> Result<Self, Error> {
        options.check()?;
        let names = inputs.iter().map(|schema| schema.name().to_owned()).collect();
        let inputs: Vec<Input> =
            inputs.iter().map(|schema| Input::new(schema, &options)).collect::<Result<_, _>>()?;
        let path = context.artifact(options.path.as_deref(), "mcap")?;
        let output = Output::create(path, &options)?;
        let mut sink = Self { output, inputs, names, host: context.host.clone() };
        sink.begin(&context.session)?;
        Ok(sink)
    }
}

/// The plugin.
#[must_use]
pub fn factory() -> Factory {
    Factory::sink::<McapSink>().with_format(McapFormat)
}

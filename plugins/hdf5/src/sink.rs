//! The `hdf5` sink: what the engine calls. What is in the file is the layouts' business.

use std::sync::Arc;

use tapedeck_sdk::{Batch, Context, Description, Error, Host, Kind, OpenSink, Sink, StreamSchema, Written};

use crate::options::{Layout, Options};
use crate::recording::{Recording, Settings};
use crate::{datasets, siphon};

/// The sink.
pub(crate) struct Hdf5Sink {
    recording: Recording,
    /// A call failed or panicked: only closing is left.
    is_broken: bool,
    host: Arc<dyn Host>,
    warned: bool,
}

impl OpenSink for Hdf5Sink {
    type Options = Options;

    fn describe() -> Description {
        Description::sink(
            "hdf5",
            "Writes attributes and pictures to an HDF5 file that can be read while it is written",
        )
        .takes(&[Kind::Attributes, Kind::Image])
        .takes_blocks()
        .writes("h5")
    }

    fn check(options: &Options) -> Result<(), Error> {
        options.check()
    }

    fn open(options: Options, inputs: &[Arc<StreamSchema>], context: Context) -> Result<Self, Error> {
        options.check()?;
        let (layout, plans) = match options.layout {
            Layout::Datasets => ("datasets", datasets::plans(inputs)?),
            Layout::Siphon => ("siphon", siphon::plans(inputs, &options)?),
        };
        let settings = Settings {
            layout,
            chunk_rows: options.chunk_rows,
            deflate: options.deflate(),
            shuffle: options.shuffle,
            swmr: options.swmr,
        };
        let path = context.artifact(options.path.as_deref(), "h5")?;
        let recording = Recording::create(&path, &plans, settings, &context)?;
        Ok(Self { recording, is_broken: false, host: context.host, warned: false })
    }
}

impl Hdf5Sink {
    /// Runs `body` on the open recording; after an error only closing is left.
    fn run<T>(&mut self, body: impl FnOnce(&mut Recording) -> Result<T, Error>) -> Result<T, Error> {
        if std::mem::replace(&mut self.is_broken, true) {
            return Err(Error::plugin("an hdf5 sink was called after it had failed"));
        }
        let result = body(&mut self.recording);
        self.is_broken = result.is_err();
        result
    }
}

impl Sink for Hdf5Sink {
    fn write(&mut self, input: usize, batch: Batch) -> Result<Written, Error> {
        let (cut, refused) = self.run(|recording| recording.write(input, &batch))?;
        if cut > 0 {
            self.host.partial(cut.min(batch.rows() as u64));
            if !std::mem::replace(&mut self.warned, true) {
                let stream = batch.schema().name();
                self.host.warn(&format!(
                    "stream \"{stream}\": a value was longer than its column's longest length and was cut"
                ));
            }
        }
        let mut written = Written::ALL;
        refused.into_iter().for_each(|(seq, why)| written.refuse(input, 1, seq..=seq, why));
        Ok(written)
    }

    fn flush(&mut self) -> Result<Written, Error> {
        self.run(Recording::flush).map(|()| Written::ALL)
    }

    fn finish(self: Box<Self>) -> Result<Written, Error> {
        let Self { recording, is_broken, host, .. } = *self;
        let closed =
            if is_broken { recording.abandon() } else { recording.finish(|stream| host.loss(stream)) };
        closed.map(|()| Written::ALL)
    }
}

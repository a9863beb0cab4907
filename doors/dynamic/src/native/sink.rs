//! A sink in a library.

use tapedeck_sdk::native::lend;
use tapedeck_sdk::{Batch, Error, Sink};

use super::instance::Instance;
use super::table::SinkCalls;
use super::transform::index;

/// A sink in a library.
pub(super) struct DynamicSink {
    instance: Instance,
    calls: SinkCalls,
}

impl DynamicSink {
    pub(super) fn new(instance: Instance, calls: SinkCalls) -> Self {
        Self { instance, calls }
    }
}

impl Sink for DynamicSink {
    fn write(&mut self, input: usize, batch: Batch) -> Result<(), Error> {
        let (input, write) = (index(input)?, self.calls.write);
        // SAFETY: the library keeps the contract; what is passed lives during the call.
        self.instance.call(|instance, error| unsafe { write(instance, input, &lend(&batch), error) })
    }

    fn flush(&mut self) -> Result<(), Error> {
        let flush = self.calls.flush;
        // SAFETY: as in `write`.
        self.instance.call(|instance, error| unsafe { flush(instance, error) })
    }

    fn finish(&mut self) -> Result<(), Error> {
        let finish = self.calls.finish;
        // SAFETY: as in `write`; a sink has no outputs.
        self.instance.call(|instance, error| unsafe { finish(instance, std::ptr::null(), error) })
    }
}

//! A sink in a library.

use tapedeck_sdk::native::lend;
use tapedeck_sdk::{Batch, Error, Sink, Written};

use super::instance::Instance;
use super::refusals::collected;
use super::table::SinkCalls;
use super::transform::index;

/// A sink in a library.
pub(super) struct DynamicSink {
    instance: Instance,
    calls: SinkCalls,
    /// How many streams it was opened for.
    inputs: usize,
}

impl DynamicSink {
    pub(super) fn new(instance: Instance, calls: SinkCalls, inputs: usize) -> Self {
        Self { instance, calls, inputs }
    }
}

impl Sink for DynamicSink {
    fn write(&mut self, input: usize, batch: Batch) -> Result<Written, Error> {
        let (input, write, instance) = (index(input)?, self.calls.write, &mut self.instance);
        collected(self.inputs, |refusals| {
            // SAFETY: the library keeps the contract; what is passed lives during the call.
            instance.call(|instance, error| unsafe { write(instance, input, &lend(&batch), refusals, error) })
        })
    }

    fn flush(&mut self) -> Result<Written, Error> {
        let (flush, instance) = (self.calls.flush, &mut self.instance);
        collected(self.inputs, |refusals| {
            // SAFETY: as in `write`.
            instance.call(|instance, error| unsafe { flush(instance, refusals, error) })
        })
    }

    fn finish(mut self: Box<Self>) -> Result<Written, Error> {
        let (finish, instance) = (self.calls.finish, &mut self.instance);
        collected(self.inputs, |refusals| {
            // SAFETY: as in `write`.
            instance.call(|instance, error| unsafe { finish(instance, refusals, error) })
        })
    }
}

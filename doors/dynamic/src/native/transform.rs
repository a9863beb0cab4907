//! A transform in a library.

use std::sync::Arc;

use tapedeck_sdk::native::{TEXT_BYTES_MAX, abi, lend, received};
use tapedeck_sdk::{Batch, Error, Outputs, StreamSchema, Timestamp, Transform};

use super::instance::Instance;
use super::outputs::{Output, Pushing};
use super::table::TransformCalls;

/// A transform in a library.
pub(super) struct DynamicTransform {
    instance: Instance,
    calls: TransformCalls,
    outputs: Vec<Output>,
}

impl DynamicTransform {
    pub(super) fn new(instance: Instance, calls: TransformCalls) -> Self {
        Self { instance, calls, outputs: Vec::new() }
    }
}

impl Transform for DynamicTransform {
    fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
        let streams = self.instance.streams(self.calls.streams, Some(inputs))?;
        self.outputs = streams.iter().cloned().map(Output::new).collect();
        Ok(streams)
    }

    fn process(&mut self, input: usize, batch: Batch, out: &mut dyn Outputs) -> Result<(), Error> {
        let input = index(input)?;
        let (instance, process) = (&mut self.instance, self.calls.process);
        Pushing::during(&mut self.outputs, out, |outputs| {
            // SAFETY: the library keeps the contract; what is passed lives during the call.
            instance
                .call(|instance, error| unsafe { process(instance, input, &lend(&batch), outputs, error) })
        })
    }

    fn flush(&mut self, now: Timestamp, out: &mut dyn Outputs) -> Result<(), Error> {
        let Some(flush) = self.calls.flush else { return Ok(()) };
        let instance = &mut self.instance;
        Pushing::during(&mut self.outputs, out, |outputs| {
            // SAFETY: the library keeps the contract; what is passed lives during the call.
            instance.call(|instance, error| unsafe { flush(instance, now.0, outputs, error) })
        })
    }

    fn finish(mut self: Box<Self>, out: &mut dyn Outputs) -> Result<Option<String>, Error> {
        let (finish, this) = (self.calls.finish, &mut *self);
        let (instance, mut report) = (&mut this.instance, abi::Bytes::EMPTY);
        let finished = Pushing::during(&mut this.outputs, out, |outputs| {
            // SAFETY: the library keeps the contract; what is passed lives during the call.
            instance.call(|instance, error| unsafe { finish(instance, outputs, &raw mut report, error) })
        });
        // SAFETY: it was handed over, or is empty.
        let report = unsafe { received(&report, TEXT_BYTES_MAX) };
        finished.map(|()| Some(report).filter(|report| !report.is_empty()))
    }
}

/// An input as it crosses the door.
pub(super) fn index(input: usize) -> Result<u32, Error> {
    u32::try_from(input).map_err(|error| Error::plugin(format!("can't name input {input}: {error}")))
}

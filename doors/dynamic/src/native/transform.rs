//! A transform in a library.

use std::sync::Arc;

use tapedeck_sdk::native::lend;
use tapedeck_sdk::{Batch, Error, Outputs, StreamSchema, Transform};

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

    fn finish(&mut self, out: &mut dyn Outputs) -> Result<(), Error> {
        let (instance, finish) = (&mut self.instance, self.calls.finish);
        Pushing::during(&mut self.outputs, out, |outputs| {
            // SAFETY: the library keeps the contract; what is passed lives during the call.
            instance.call(|instance, error| unsafe { finish(instance, outputs, error) })
        })
    }

    fn report(&self) -> Option<String> {
        self.instance.report(self.calls.report?)
    }
}

/// An input as it crosses the door.
pub(super) fn index(input: usize) -> Result<u32, Error> {
    u32::try_from(input).map_err(|error| Error::plugin(format!("can't name input {input}: {error}")))
}

//! A source in a library.

use std::sync::Arc;

use tapedeck_sdk::native::abi;
use tapedeck_sdk::{Batch, Error, Next, Outputs, Source, StreamSchema, Timestamp};

use super::instance::Instance;
use super::outputs::{Output, Pushing};
use super::table::SourceCalls;

/// A source in a library.
pub(super) struct DynamicSource {
    instance: Instance,
    calls: SourceCalls,
    streams: Vec<Arc<StreamSchema>>,
    outputs: Vec<Output>,
    /// What comes after the batch that was just given: the call that gave it also ended the source.
    then: Option<Result<Next, Error>>,
}

/// The one batch of a call.
#[derive(Default)]
struct One {
    batch: Option<(usize, Batch)>,
    refused: bool,
}

impl Outputs for One {
    fn push(&mut self, output: usize, batch: Batch) {
        if self.batch.is_some() {
            self.refused = true;
        } else {
            self.batch = Some((output, batch));
        }
    }
}

impl DynamicSource {
    pub(super) fn new(mut instance: Instance, calls: SourceCalls) -> Result<Self, Error> {
        let streams = instance.streams(calls.streams, None)?;
        let outputs = streams.iter().cloned().map(Output::new).collect();
        Ok(Self { instance, calls, streams, outputs, then: None })
    }

    /// Calls the plugin: the batch that it gave, if any, and what it said.
    fn call(&mut self, deadline: Timestamp) -> (Option<(usize, Batch)>, Result<Next, Error>) {
        let (mut one, mut state) = (One::default(), abi::NEXT_MORE);
        let (instance, next) = (&mut self.instance, self.calls.next);
        let called = Pushing::during(&mut self.outputs, &mut one, |outputs| {
            // SAFETY: the library keeps the contract; what is passed lives during the call.
            instance
                .call(|instance, error| unsafe { next(instance, deadline.0, outputs, &raw mut state, error) })
        });
        let said = match (called, state) {
            (Err(error), _) => Err(error),
            (Ok(()), _) if one.refused => {
                Err(Error::plugin("the plugin pushed more than one batch in one call of \"next\""))
            }
            // More may come at once, but did not yet: the engine calls again.
            (Ok(()), abi::NEXT_MORE | abi::NEXT_IDLE) => Ok(Next::Idle),
            (Ok(()), abi::NEXT_END) => Ok(Next::End),
            (Ok(()), state) => Err(Error::plugin(format!("the plugin set the unknown state {state}"))),
        };
        (one.batch, said)
    }
}

impl Source for DynamicSource {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn next(&mut self, deadline: Timestamp) -> Result<Next, Error> {
        if let Some(then) = self.then.take() {
            return then;
        }
        let (batch, said) = self.call(deadline);
        let Some((output, batch)) = batch else { return said };
        // What was given before an end is recorded, whatever the end.
        self.then = (!matches!(said, Ok(Next::Idle))).then_some(said);
        Ok(Next::Batch { output, batch })
    }

    fn stop(&mut self) -> Result<bool, Error> {
        // It has ended already, and what it said then has not been given yet.
        if self.then.is_some() {
            return Ok(true);
        }
        let Some(stop) = self.calls.stop else { return Ok(false) };
        let mut more = 0;
        // SAFETY: the library keeps the contract; the place lives during the call.
        self.instance.call(|instance, error| unsafe { stop(instance, &raw mut more, error) })?;
        Ok(more != 0)
    }
}

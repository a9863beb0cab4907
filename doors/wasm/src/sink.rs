//! A sink that is a component.

use std::sync::Arc;

use serde_json::Value;
use tapedeck_sdk::door::streams_text;
use tapedeck_sdk::{Batch, Context, Error, Sink, StreamSchema, Written};

use crate::bindings::sink::SinkPlugin;
use crate::bindings::types;
use crate::host::heard;
use crate::instance::{A_BUG, Instance};
use crate::loading::{Plugin, Pre};
use crate::scratch::Scratch;
use crate::stage::{Recipe, index};
use crate::state::State;

/// A sink that is a component. Its first failure ends it: an instance made anew would write over what was recorded.
pub(crate) struct WasmSink {
    recipe: Recipe,
    instance: Option<Instance<SinkPlugin>>,
    /// How many streams it was opened for.
    inputs: usize,
}

impl WasmSink {
    pub(crate) fn open(
        plugin: Arc<Plugin>,
        options: &Value,
        inputs: &[Arc<StreamSchema>],
        context: Context,
    ) -> Result<Self, Error> {
        let recipe = Recipe::new(plugin, options, context)?;
        let Pre::Sink(pre) = &recipe.plugin.pre else { unreachable!("the factory is a sink's") };
        let state = State::new(&recipe.plugin.shared, &recipe.sandbox, Some(&recipe.context), true)?;
        let (shared, output) = (&recipe.plugin.shared, recipe.sandbox.output.0);
        let mut instance = Instance::new(shared, state, output, |store| pre.instantiate(store))?;
        let inputs_text = streams_text(inputs);
        instance.call("open", recipe.timeout(), |guest, store| {
            guest.tapedeck_plugin_sink().call_open(store, &recipe.options, &recipe.context_text, &inputs_text)
        })?;
        Ok(Self { recipe, instance: Some(instance), inputs: inputs.len() })
    }

    fn call(
        &mut self,
        doing: &str,
        call: impl FnOnce(
            &SinkPlugin,
            &mut wasmtime::Store<State>,
        ) -> wasmtime::Result<Result<Vec<types::Refusal>, types::Error>>,
    ) -> Result<Written, Error> {
        let Some(instance) = &mut self.instance else { return Ok(Written::ALL) };
        match instance.call(doing, self.recipe.timeout(), call) {
            Ok(refusals) => written(refusals, self.inputs),
            Err(failure) => {
                // A trapped instance is not called again, not even to finish.
                if matches!(failure, crate::instance::Failure::Broke(_)) {
                    self.instance = None;
                }
                Err(failure.into())
            }
        }
    }

    /// Makes the files as they are now the session's.
    fn settle(&self) -> Result<(), Error> {
        let scratch = self.instance.as_ref().and_then(|instance| instance.store.data().scratch.as_ref());
        scratch.map_or(Ok(()), Scratch::settle)
    }
}

impl Sink for WasmSink {
    fn write(&mut self, input: usize, batch: Batch) -> Result<Written, Error> {
        let input = index(input)?;
        self.call("write", |guest, store| {
            guest.tapedeck_plugin_sink().call_write(store, input, batch.as_bytes())
        })
    }

    fn flush(&mut self) -> Result<Written, Error> {
        let written = self.call("flush", |guest, store| guest.tapedeck_plugin_sink().call_flush(store))?;
        self.settle()?;
        Ok(written)
    }

    fn finish(mut self: Box<Self>) -> Result<Written, Error> {
        let written = self.call("finish", |guest, store| guest.tapedeck_plugin_sink().call_finish(store))?;
        self.settle()?;
        Ok(written)
    }
}

/// What the component says of what it has kept of `inputs` streams.
fn written(refusals: Vec<types::Refusal>, inputs: usize) -> Result<Written, Error> {
    let mut written = Written::ALL;
    for refusal in refusals {
        let input = refusal.input as usize;
        if input >= inputs {
            return Err(Error::plugin(format!(
                "the component refused frames of input {input}, which it does not have"
            ))
            .with_hint(A_BUG));
        }
        let (seqs, reason) = (refusal.first_seq..=refusal.last_seq, heard(refusal.reason));
        written.refuse(input, refusal.frames, seqs, reason);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_an_input_that_there_is_not_are_not_refused() {
        let refusal = |input| {
            let reason = crate::host::told(Error::data("too long"));
            types::Refusal { input, frames: 2, first_seq: 3, last_seq: 4, reason }
        };
        assert_eq!(written(vec![refusal(0), refusal(1)], 2).unwrap().refused_frames(), 4);
        let error = written(vec![refusal(2)], 2).unwrap_err();
        assert!(error.message.contains("input 2"), "{error}");
    }
}

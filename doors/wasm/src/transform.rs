//! A transform that is a component.

use std::sync::Arc;

use serde_json::Value;
use tapedeck_sdk::door::{read_streams, streams_text};
use tapedeck_sdk::{Batch, Context, Error, ErrorKind, Outputs, StreamSchema, Timestamp, Transform};

use crate::bindings::transform::TransformPlugin;
use crate::held::Held;
use crate::host::{TEXT_CHARACTERS_MAX, shortened};
use crate::instance::{Failure, Instance};
use crate::loading::{Plugin, Pre};
use crate::stage::{Failures, Recipe, index};
use crate::state::State;

/// An instance whose memory has crept up is made anew, but not more often than after so many calls.
const CALLS_MIN: u64 = 1000;

/// A transform that is a component.
pub(crate) struct WasmTransform {
    recipe: Recipe,
    inputs: Vec<Arc<StreamSchema>>,
    outputs: Vec<Arc<StreamSchema>>,
    instance: Option<Instance<TransformPlugin>>,
    failures: Failures,
    held: Held,
    /// Calls of the instance at hand.
    calls: u64,
    /// Whether it is not the first.
    is_anew: bool,
}

impl WasmTransform {
    pub(crate) fn open(plugin: Arc<Plugin>, options: &Value, context: Context) -> Result<Self, Error> {
        let recipe = Recipe::new(plugin, options, context)?;
        let instance = Some(instance(&recipe)?);
        let (inputs, outputs, failures) = (Vec::new(), Vec::new(), Failures::default());
        let held = Held::default();
        Ok(Self { recipe, inputs, outputs, instance, failures, held, calls: 0, is_anew: false })
    }

    /// The instance; made anew if the last one broke or was let go.
    fn instance(&mut self) -> Result<&mut Instance<TransformPlugin>, Error> {
        if self.instance.is_none() {
            self.failures.back_off();
            let mut fresh = instance(&self.recipe)?;
            if streams(&mut fresh, &self.recipe, &self.inputs)? != self.outputs {
                return Err(Error::plugin("made anew, the component declares other streams than before"));
            }
            fresh.store.data_mut().declare(&self.outputs);
            self.calls = 0;
            self.is_anew = true;
            self.instance = Some(fresh);
        }
        Ok(self.instance.as_mut().expect("just made"))
    }

    fn failed(&mut self, failure: Failure) -> Error {
        match failure {
            Failure::Said(error) => error,
            Failure::Broke(error) => self.broke(error),
        }
    }

    fn broke(&mut self, error: Error) -> Error {
        self.let_go();
        self.failures.broke(error, self.recipe.plugin.shared.now())
    }

    /// Lets the instance go: what it still holds back is lost.
    fn let_go(&mut self) {
        self.instance = None;
        let lost = self.held.lose();
        if lost > 0 {
            self.recipe.context.host.failed(lost);
        }
    }

    fn broke_in_flush(&mut self, error: Error) -> Result<(), Error> {
        let error = self.broke(error);
        let host = &self.recipe.context.host;
        if error.kind == ErrorKind::Plugin {
            return Err(error);
        }
        host.warn(&format!("\"{}\": {}; it was made anew", self.recipe.context.id, error.message));
        Ok(())
    }

    /// Hands on what the last call has handed over.
    fn hand_on(&mut self, out: &mut dyn Outputs) {
        let Some(instance) = &mut self.instance else { return };
        while let Some((output, batch)) = instance.store.data_mut().pushed.batches.pop_front() {
            self.held.hand_on(output, &batch);
            out.push(output, batch);
        }
    }

    /// Lets an instance go whose memory has crept up: what it holds back is handed on first.
    fn recycle(&mut self, out: &mut dyn Outputs) -> Result<(), Error> {
        let full = self.instance.as_ref().is_some_and(|instance| instance.store.data().limits.nearly_full());
        if !full || self.calls < CALLS_MIN {
            return Ok(());
        }
        let ended = self.end(out);
        if ended.is_ok() {
            // What has not come out now was left out by intent.
            self.held.lose();
        }
        // Finished, it is not called again, whatever it said.
        self.let_go();
        ended.map(drop)
    }

    fn end(&mut self, out: &mut dyn Outputs) -> Result<Option<String>, Error> {
        let timeout = self.recipe.timeout();
        let Some(instance) = &mut self.instance else { return Ok(None) };
        let finished = instance
            .call("finish", timeout, |guest, store| guest.tapedeck_plugin_transform().call_finish(store));
        match finished {
            Ok(report) => {
                self.hand_on(out);
                Ok(report.map(|report| shortened(report, TEXT_CHARACTERS_MAX)))
            }
            Err(failure) => Err(self.failed(failure)),
        }
    }
}

impl Transform for WasmTransform {
    fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
        self.inputs = inputs.to_vec();
        let instance = self.instance.as_mut().ok_or_else(|| Error::plugin("called before it was opened"))?;
        self.outputs = streams(instance, &self.recipe, inputs)?;
        instance.store.data_mut().declare(&self.outputs);
        self.held = Held::new(inputs.len(), self.outputs.len());
        Ok(self.outputs.clone())
    }

    fn process(&mut self, input: usize, batch: Batch, out: &mut dyn Outputs) -> Result<(), Error> {
        let timeout = self.recipe.timeout();
        let at = index(input)?;
        let called = match self.instance() {
            Ok(instance) => instance.call("process", timeout, |guest, store| {
                guest.tapedeck_plugin_transform().call_process(store, at, batch.as_bytes())
            }),
            Err(error) => Err(Failure::Broke(error)),
        };
        match called {
            Ok(()) => {
                self.failures.well();
                self.calls += 1;
                self.held.give(input, &batch);
                self.hand_on(out);
                self.recycle(out)
            }
            Err(failure) => Err(self.failed(failure)),
        }
    }

    fn flush(&mut self, now: Timestamp, out: &mut dyn Outputs) -> Result<(), Error> {
        let timeout = self.recipe.timeout();
        // One that broke holds nothing back.
        let Some(instance) = &mut self.instance else { return Ok(()) };
        let flushed = instance.call("flush", timeout, |guest, store| {
            guest.tapedeck_plugin_transform().call_flush(store, now.nanos())
        });
        match flushed {
            Ok(()) => {
                self.hand_on(out);
                self.held.flush();
                Ok(())
            }
            Err(Failure::Said(error)) => Err(error),
            Err(Failure::Broke(error)) => self.broke_in_flush(error),
        }
    }

    fn finish(mut self: Box<Self>, out: &mut dyn Outputs) -> Result<Option<String>, Error> {
        let ended = self.end(out);
        if ended.is_err() {
            self.let_go();
        }
        let partly = |report: String| {
            if self.is_anew { format!("{report} (since it was last made anew)") } else { report }
        };
        Ok(ended?.map(partly))
    }
}

fn instance(recipe: &Recipe) -> Result<Instance<TransformPlugin>, Error> {
    let Pre::Transform(pre) = &recipe.plugin.pre else { unreachable!("the factory is a transform's") };
    let state = State::new(&recipe.plugin.shared, &recipe.sandbox, Some(&recipe.context), false)?;
    let shared = &recipe.plugin.shared;
    let mut instance = Instance::new(shared, state, recipe.sandbox.output.0, |store| pre.instantiate(store))?;
    instance.call("open", recipe.timeout(), |guest, store| {
        guest.tapedeck_plugin_transform().call_open(store, &recipe.options, &recipe.context_text)
    })?;
    Ok(instance)
}

fn streams(
    instance: &mut Instance<TransformPlugin>,
    recipe: &Recipe,
    inputs: &[Arc<StreamSchema>],
) -> Result<Vec<Arc<StreamSchema>>, Error> {
    let inputs = streams_text(inputs);
    let text = instance.call("streams", recipe.timeout(), |guest, store| {
        guest.tapedeck_plugin_transform().call_streams(store, &inputs)
    })?;
    read_streams(&text)
}

//! A source that is a component.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tapedeck_sdk::door::read_streams;
use tapedeck_sdk::{Batch, Context, Error, ErrorKind, Next, Source, StreamSchema, Timestamp};

use crate::bindings::source::SourcePlugin;
use crate::bindings::source::exports::tapedeck::plugin::source::NextState;
use crate::followed::Followed;
use crate::instance::{Failure, Instance};
use crate::loading::{Plugin, Pre};
use crate::stage::{Failures, Recipe};
use crate::state::State;

/// How long to wait when a component that can't wait has nothing: it would be called without end. Doubled each time, up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(16);

/// A source that is a component.
pub(crate) struct WasmSource {
    recipe: Recipe,
    streams: Vec<Arc<StreamSchema>>,
    instance: Option<Instance<SourcePlugin>>,
    failures: Failures,
    /// Handed over by the component, and not given yet.
    waiting: VecDeque<(usize, Batch)>,
    /// Whether the session is about to end. What breaks from here on is not made anew: it would begin again.
    stopping: bool,
    /// Why `stop` failed, while something waits.
    stop_error: Option<Error>,
    ended: bool,
    /// How long to wait next time.
    pause: Duration,
    followed: Arc<Followed>,
}

impl WasmSource {
    pub(crate) fn open(plugin: Arc<Plugin>, options: &Value, context: Context) -> Result<Self, Error> {
        let recipe = Recipe::new(plugin, options, context)?;
        let followed = Arc::default();
        let (instance, streams) = instance(&recipe, &followed)?;
        Ok(Self {
            recipe,
            streams,
            instance: Some(instance),
            failures: Failures::default(),
            waiting: VecDeque::new(),
            stopping: false,
            stop_error: None,
            ended: false,
            pause: PAUSE_MIN,
            followed,
        })
    }

    /// The instance; made anew if the last one broke.
    fn instance(&mut self) -> Result<&mut Instance<SourcePlugin>, Error> {
        if self.instance.is_none() {
            self.failures.back_off();
            let (fresh, streams) = instance(&self.recipe, &self.followed)?;
            if streams != self.streams {
                return Err(Error::plugin("made anew, the component declares other streams than before"));
            }
            self.instance = Some(fresh);
        }
        Ok(self.instance.as_mut().expect("just made"))
    }

    fn waiting(&mut self) -> Option<Next> {
        let (output, batch) = self.waiting.pop_front()?;
        Some(Next::Batch { output, batch })
    }

    /// The instance broke: a frame is lost, and the source goes on unless it has failed too often.
    fn broke(&mut self, error: Error) -> Result<Next, Error> {
        self.instance = None;
        let host = self.recipe.context.host.clone();
        host.failed(1);
        if self.stopping {
            return Err(error);
        }
        let error = self.failures.broke(error, self.recipe.plugin.shared.now());
        if error.kind == ErrorKind::Plugin {
            return Err(error);
        }
        host.warn(&format!("\"{}\": {}; it was made anew", self.recipe.context.id, error.message));
        Ok(Next::Idle)
    }
}

impl Source for WasmSource {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn next(&mut self, deadline: Timestamp) -> Result<Next, Error> {
        if let Some(next) = self.waiting() {
            return Ok(next);
        }
        if let Some(error) = self.stop_error.take() {
            return Err(error);
        }
        if self.ended {
            return Ok(Next::End);
        }
        let left = deadline.since(self.recipe.context.host.now());
        let allowed = left + self.recipe.timeout();
        let called = match self.instance() {
            Ok(instance) => instance.call("next", allowed, |guest, store| {
                guest.tapedeck_plugin_source().call_next(store, deadline.nanos())
            }),
            Err(error) => Err(Failure::Broke(error)),
        };
        let state = match called {
            Ok(state) => state,
            Err(Failure::Said(error)) => return Err(error),
            Err(Failure::Broke(error)) => return self.broke(error),
        };
        self.failures.well();
        self.ended = state == NextState::End;
        if let Some(instance) = &mut self.instance {
            std::mem::swap(&mut self.waiting, &mut instance.store.data_mut().pushed.batches);
        }
        match self.waiting() {
            Some(next) => {
                self.pause = PAUSE_MIN;
                Ok(next)
            }
            None if self.ended => Ok(Next::End),
            None => {
                if state == NextState::Idle && self.recipe.context.rate_hz.is_none() {
                    // Nothing is left where it has waited by itself.
                    let left = deadline.since(self.recipe.context.host.now());
                    std::thread::sleep(self.pause.min(left));
                    self.pause = (self.pause * 2).min(PAUSE_MAX);
                }
                Ok(Next::Idle)
            }
        }
    }

    fn stop(&mut self) -> Result<bool, Error> {
        self.stopping = true;
        let timeout = self.recipe.timeout();
        // One that broke has nothing to wind up.
        let stopped = match self.instance.as_mut().filter(|_| !self.ended) {
            Some(instance) => {
                instance.call("stop", timeout, |guest, store| guest.tapedeck_plugin_source().call_stop(store))
            }
            None => Ok(false),
        };
        let waits = !self.waiting.is_empty();
        match stopped {
            Ok(more) => {
                self.ended = !more;
                Ok(more || waits)
            }
            Err(failure) if waits => {
                self.stop_error = Some(failure.into());
                Ok(true)
            }
            Err(failure) => Err(failure.into()),
        }
    }
}

fn instance(
    recipe: &Recipe,
    followed: &Arc<Followed>,
) -> Result<(Instance<SourcePlugin>, Vec<Arc<StreamSchema>>), Error> {
    let Pre::Source(pre) = &recipe.plugin.pre else { unreachable!("the factory is a source's") };
    let mut state = State::new(&recipe.plugin.shared, &recipe.sandbox, Some(&recipe.context), false)?;
    followed.begin_anew();
    state.followed = followed.clone();
    let shared = &recipe.plugin.shared;
    let mut instance = Instance::new(shared, state, recipe.sandbox.output.0, |store| pre.instantiate(store))?;
    let text = instance.call("open", recipe.timeout(), |guest, store| {
        guest.tapedeck_plugin_source().call_open(store, &recipe.options, &recipe.context_text)
    })?;
    let streams = read_streams(&text)?;
    instance.store.data_mut().declare(&streams);
    Ok((instance, streams))
}

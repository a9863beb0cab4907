//! One instance of a component: calls into it, each with a limit of its time, and what comes of them.

use std::sync::Arc;
use std::time::Duration;

use tapedeck_sdk::Error;
use wasmtime::{Store, Trap};

use crate::bindings::types;
use crate::door::Shared;
use crate::host::heard;
use crate::state::State;
use crate::ticker::ticks;

/// Bytes beyond its output that a component may hand to the host in one call: names, messages.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// What to do about a component that breaks the contract.
pub(crate) const A_BUG: &str = "this is a bug of the plugin: please report it with the pipeline";

/// Why a call gave nothing.
pub(crate) enum Failure {
    /// The plugin said so. It can be called again.
    Said(Error),
    /// The instance trapped, took too long, went over a limit or broke the contract: it can't be called again.
    Broke(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Said(error) | Failure::Broke(error) => error,
        }
    }
}

/// An instance with its exports.
pub(crate) struct Instance<G> {
    guest: G,
    pub(crate) store: Store<State>,
}

impl<G> Instance<G> {
    /// Makes an instance; `instantiate` finds its exports.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        state: State,
        output_bytes_max: u64,
        instantiate: impl FnOnce(&mut Store<State>) -> wasmtime::Result<G>,
    ) -> Result<Self, Error> {
        let mut store = Store::new(&shared.engine, state);
        store.limiter(|state| &mut state.limits);
        store.set_hostcall_fuel(usize::try_from(output_bytes_max + TEXT_BYTES_MAX).unwrap_or(usize::MAX));
        let allowed = store.data().allowed;
        store.set_epoch_deadline(ticks(allowed));
        let ticker = store.data().ticker.clone();
        let _running = ticker.run();
        match instantiate(&mut store) {
            Ok(guest) => Ok(Self { guest, store }),
            Err(error) => Err(broken(&store, "be made", &error)),
        }
    }

    /// Calls the component, which has `allowed` until it must be back.
    pub(crate) fn call<R>(
        &mut self,
        doing: &str,
        allowed: Duration,
        call: impl FnOnce(&G, &mut Store<State>) -> wasmtime::Result<Result<R, types::Error>>,
    ) -> Result<R, Failure> {
        self.store.set_epoch_deadline(ticks(allowed));
        self.store.data_mut().begin(allowed);
        let ticker = self.store.data().ticker.clone();
        let _running = ticker.run();
        let outcome = call(&self.guest, &mut self.store);
        if let Some(wrong) = self.store.data_mut().pushed.wrong.take() {
            let message = format!("the component broke the contract in `{doing}`: {}", wrong.message);
            let hint = wrong.hint.or_else(|| Some(A_BUG.to_owned()));
            return Err(Failure::Broke(Error { message, hint, ..wrong }));
        }
        match outcome {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => Err(Failure::Said(heard(error))),
            Err(error) => Err(Failure::Broke(broken(&self.store, doing, &error))),
        }
    }
}

/// What went wrong, in words.
fn broken(store: &Store<State>, doing: &str, error: &wasmtime::Error) -> Error {
    let state = store.data();
    if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
        return Error::plugin(format!("the component took longer than {:?} in `{doing}`", state.allowed))
            .with_hint("the pipeline can grant more: `call_timeout` in the stage's `sandbox` table");
    }
    if state.limits.is_exceeded {
        return Error::plugin(format!(
            "the component ran out of memory in `{doing}`: {}",
            error.root_cause()
        ))
        .with_hint("the pipeline can grant more: `memory` in the stage's `sandbox` table");
    }
    let printed = state.stderr.last_lines();
    let printed = if printed.is_empty() { printed } else { format!(" (it printed: {printed})") };
    Error::plugin(format!("the component failed in `{doing}`: {}{printed}", error.root_cause()))
        .with_hint(A_BUG)
}

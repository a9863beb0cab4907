//! The one instance of the plugin that a component holds.

use std::cell::RefCell;
use std::sync::Arc;

use serde_json::Value;

use super::source::tapedeck::plugin::types;
use super::told;
use crate::{Error, ErrorKind, StreamSchema};

/// Room for an instance and the schemas of its inputs.
pub(super) struct Slot<T>(RefCell<Option<(T, Vec<Arc<StreamSchema>>)>>);

impl<T> Slot<T> {
    pub(super) const fn new() -> Self {
        Self(RefCell::new(None))
    }

    pub(super) fn fill(&self, instance: T, inputs: Vec<Arc<StreamSchema>>) {
        *self.0.borrow_mut() = Some((instance, inputs));
    }

    pub(super) fn set_inputs(&self, inputs: Vec<Arc<StreamSchema>>) {
        if let Some((_, own)) = self.0.borrow_mut().as_mut() {
            *own = inputs;
        }
    }

    /// Calls the instance.
    pub(super) fn run<R>(
        &self,
        call: impl FnOnce(&mut T, &[Arc<StreamSchema>]) -> Result<R, Error>,
    ) -> Result<R, types::Error> {
        match self.0.borrow_mut().as_mut() {
            Some((instance, inputs)) => call(instance, inputs).map_err(told),
            None => Err(told(not_open())),
        }
    }

    /// Takes the instance out: it is called no more.
    pub(super) fn take(&self) -> Result<T, types::Error> {
        self.0.borrow_mut().take().map(|(instance, _)| instance).ok_or_else(|| told(not_open()))
    }
}

fn not_open() -> Error {
    Error::plugin("called before it was opened, or after it was finished")
}

pub(super) fn read_json(text: &str) -> Result<Value, types::Error> {
    serde_json::from_str(text)
        .map_err(|error| told(Error::new(ErrorKind::Options, format!("the options are no JSON: {error}"))))
}

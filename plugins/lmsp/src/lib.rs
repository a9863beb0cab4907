//! Recordings of events with the state of a game (TAS format, version 1.0.0) in its three forms: compressed JSON (`.lmsp.gz`), JSON
//! (`.json`) and a binary form of Python pickles (`LMSP`), which are read and never executed.
//!
//! An event is a frame of kind `event`: its `type`, `player_id`, `data` and `state` (JSON), at the time the recording began and its seconds
//! since then. Seconds that nanoseconds can't tell are kept in a column of their own, `event_time`. What the recording says of itself is in
//! the stream's metadata under `lmsp.`, its checkpoints under [`event.checkpoints`](tapedeck_sdk::kinds::event::CHECKPOINTS_KEY).
//!
//! # Written
//!
//! A frame of type [`finish`](tapedeck_sdk::kinds::event::FINISH) is no event: its data says `success`, `final_code`, `final_time`. A frame of
//! type `checkpoint` is one, and stands for the event before it under the `name` in its data, unless the stream's metadata has checkpoints. A frame
//! without a state has that of the event before it. The binary form has, behind all that its original reader knows, the facts that it loses.

mod binary;
mod delta;
mod document;
mod event;
mod facts;
mod format;
mod options;
mod pickled;
mod reader;
mod repair;
mod rows;
mod scanner;
mod sink;
#[cfg(test)]
mod tests;
mod writer;

use tapedeck_sdk::prelude::*;

pub use delta::DeltaOptions;
pub use format::LmspFormat;
pub use options::{Form, LmspOptions};

/// The sink and its format.
#[must_use]
pub fn factory() -> Factory {
    Factory::sink::<sink::LmspSink>().with_format(LmspFormat)
}

/// The transform that makes deltas of states.
#[must_use]
pub fn state_delta_factory() -> Factory {
    Factory::transform::<delta::StateDelta>()
}

/// Its inverse.
#[must_use]
pub fn state_undelta_factory() -> Factory {
    Factory::transform::<delta::StateUndelta>()
}

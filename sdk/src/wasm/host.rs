//! The engine, as a component sees it, and batches on their way in and out of the component's memory.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::heard;
use super::source::tapedeck::plugin::host;
use crate::native::ForeignSlab;
use crate::{Batch, Error, Follower, Host, Loss, Outputs, Role, StreamSchema, Timestamp, Told, Watermark};

struct Engine;

thread_local! {
    /// Who follows which output.
    static FOLLOWERS: RefCell<Vec<(u32, Follower)>> = const { RefCell::new(Vec::new()) };
}

/// Tells the followers what has changed. A component has no thread of its own, so this is done whenever its source is called.
pub(super) fn tell_followers() {
    FOLLOWERS.with_borrow_mut(|followers| {
        for (output, follower) in followers {
            if let Some(host::Watermark { written, flushed, lost }) = host::reached(*output) {
                follower(Watermark { written, flushed, lost });
            }
        }
    });
}

/// The engine.
pub(super) fn engine() -> Arc<dyn Host> {
    Arc::new(Engine)
}

impl Host for Engine {
    fn now(&self) -> Timestamp {
        Timestamp(host::now())
    }

    fn failed(&self, frames: u64) {
        host::failed(frames);
    }

    fn partial(&self, frames: u64) {
        host::partial(frames);
    }

    fn absent(&self, ticks: u64) {
        host::absent(ticks);
    }

    fn left_out(&self, frames: u64) {
        host::left_out(frames);
    }

    fn mark(&self, label: &str) {
        host::mark(label);
    }

    fn pause(&self) {
        host::pause();
    }

    fn resume(&self) {
        host::resume();
    }

    fn is_paused(&self) -> bool {
        host::is_paused()
    }

    fn told(&self) -> Option<Told> {
        let host::Message { name, value } = host::told()?;
        // The engine writes JSON.
        Some(Told { name, value: serde_json::from_str(&value).unwrap_or_default() })
    }

    fn follow(&self, output: usize, follower: Follower) -> Result<(), Error> {
        let output = u32::try_from(output)
            .map_err(|error| Error::plugin(format!("can't follow output {output}: {error}")))?;
        host::follow(output).map_err(heard)?;
        FOLLOWERS.with_borrow_mut(|followers| followers.push((output, follower)));
        tell_followers();
        Ok(())
    }

    fn warn(&self, message: &str) {
        host::warn(message);
    }

    fn artifact(&self, name: &Path, role: Role) -> Result<PathBuf, Error> {
        let name = name
            .to_str()
            .ok_or_else(|| Error::option(["path"], format!("\"{}\" is not UTF-8", name.display())))?;
        let role = match role {
            Role::Recording => host::Role::Recording,
            // An input that does not fit into 32 bits was not given either.
            Role::RecordingOf(input) => host::Role::RecordingOf(u32::try_from(input).unwrap_or(u32::MAX)),
            Role::Beside => host::Role::Beside,
        };
        host::artifact(name, role).map(PathBuf::from).map_err(heard)
    }

    fn loss(&self, stream: &str) -> Loss {
        let host::Losses { late, dropped, failed, partial } = host::loss(stream);
        Loss { late, dropped, failed, partial }
    }
}

/// Hands batches to the engine: one copy, out of this component's memory.
pub(super) struct Push;

impl Outputs for Push {
    fn push(&mut self, output: usize, batch: Batch) {
        hand_over(output, &batch);
    }
}

pub(super) fn hand_over(output: usize, batch: &Batch) {
    // An output that does not fit into 32 bits was not declared either.
    host::push(u32::try_from(output).unwrap_or(u32::MAX), batch.as_bytes());
}

/// A batch that the engine has put into this component's memory: taken as it is.
pub(super) fn received(inputs: &[Arc<StreamSchema>], input: usize, slab: Vec<u8>) -> Result<Batch, Error> {
    let schema = inputs.get(input).ok_or_else(|| {
        Error::plugin(format!("the engine gave a batch of input {input}, which there isn't"))
    })?;
    Batch::adopt(schema.clone(), ForeignSlab::from_vec(slab))
}

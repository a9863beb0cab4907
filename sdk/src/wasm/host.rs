//! The engine, as a component sees it, and batches on their way in and out of the component's memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::heard;
use super::source::tapedeck::plugin::host;
use crate::native::ForeignSlab;
use crate::{Batch, Error, Host, Loss, Outputs, Role, StreamSchema, Timestamp};

struct Engine;

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

    fn warn(&self, message: &str) {
        host::warn(message);
    }

    fn artifact(&self, name: &Path, _role: Role) -> Result<PathBuf, Error> {
        let name = name
            .to_str()
            .ok_or_else(|| Error::option(["path"], format!("\"{}\" is not UTF-8", name.display())))?;
        host::artifact(name).map(PathBuf::from).map_err(heard)
    }

    fn loss(&self, stream: &str) -> Loss {
        let host::Losses { late, dropped, failed } = host::loss(stream);
        Loss { late, dropped, failed, partial: 0 }
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

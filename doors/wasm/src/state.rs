//! What the engine keeps beside an instance: its sandbox, its limits, what it has handed on, and what it did wrong.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tapedeck_sdk::batch::Intake;
use tapedeck_sdk::{Batch, Context, Error, Host, StreamSchema, Timestamp};
use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::door::Shared;
use crate::followed::Followed;
use crate::sandbox::Sandbox;
use crate::scratch::Scratch;
use crate::stderr::Stderr;
use crate::ticker::Ticker;

/// Memories, tables and instances that one component may have, of each.
const INSTANCES_MAX: usize = 64;
/// What an element of a table counts as memory.
const ELEMENT_BYTES: usize = size_of::<usize>();

/// The state of one instance.
pub(crate) struct State {
    pub(crate) wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    pub(crate) limits: Limits,
    pub(crate) stderr: Stderr,
    /// Where a sink's files are made.
    pub(crate) scratch: Option<Scratch>,
    /// The engine; a descriptor is asked for without one.
    pub(crate) host: Option<Arc<dyn Host>>,
    /// When the call in hand began, in the session's time.
    pub(crate) began: Timestamp,
    /// How long it may take.
    pub(crate) allowed: Duration,
    /// When it ends at the latest, by the steady clock.
    ends: Timestamp,
    shared: Arc<Shared>,
    pub(crate) ticker: Arc<Ticker>,
    pub(crate) live_clock: bool,
    /// Whether it may set marks and pause the session.
    may_control: bool,
    /// Whether the user was told that it may not.
    control_refused: bool,
    pub(crate) pushed: Pushed,
    /// How far the recording of a source's outputs is.
    pub(crate) followed: Arc<Followed>,
}

/// What the call in hand has handed on.
#[derive(Default)]
pub(crate) struct Pushed {
    /// One for each stream that was declared.
    pub(crate) intakes: Vec<Intake>,
    pub(crate) batches: VecDeque<(usize, Batch)>,
    pub(crate) bytes: u64,
    pub(crate) bytes_max: u64,
    /// The promise that was broken.
    pub(crate) wrong: Option<Error>,
}

impl State {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        sandbox: &Sandbox,
        context: Option<&Context>,
        sink: bool,
    ) -> Result<Self, Error> {
        let now = context.map_or(Timestamp(0), |context| context.host.now());
        let stderr = Stderr::default();
        let scratch = match context.filter(|_| sink) {
            Some(context) => Some(Scratch::new(context)?),
            None => None,
        };
        let folder: Option<PathBuf> = scratch.as_ref().map(|scratch| scratch.folder().to_owned());
        Ok(Self {
            wasi: sandbox.wasi(folder.as_deref(), &stderr, now)?,
            table: ResourceTable::new(),
            limits: Limits::new(usize::try_from(sandbox.memory.0).unwrap_or(usize::MAX)),
            stderr,
            scratch,
            host: context.map(|context| context.host.clone()),
            began: now,
            allowed: sandbox.call_timeout.0,
            ends: shared.now() + sandbox.call_timeout.0,
            shared: shared.clone(),
            ticker: shared.ticker()?,
            live_clock: sandbox.clock,
            may_control: sandbox.control,
            control_refused: false,
            followed: Arc::default(),
            pushed: Pushed { bytes_max: sandbox.output.0, ..Pushed::default() },
        })
    }

    /// A call begins.
    pub(crate) fn begin(&mut self, allowed: Duration) {
        self.began = self.host.as_ref().map_or(self.began, |host| host.now());
        self.allowed = allowed;
        self.ends = self.shared.now() + allowed;
        self.pushed.bytes = 0;
        self.pushed.batches.clear();
    }

    /// What is left of the time of the call in hand.
    pub(crate) fn left(&self) -> Duration {
        self.ends.since(self.shared.now())
    }

    /// The engine, for what is about the session as a whole. Without the grant there is none, and the user is told.
    pub(crate) fn control(&mut self) -> Option<&dyn Host> {
        let host = self.host.as_deref()?;
        if self.may_control {
            return Some(host);
        }
        if !std::mem::replace(&mut self.control_refused, true) {
            host.warn(
                "the component may neither set marks nor pause the session: \
                 the pipeline can grant it, with `control = true` in the stage's `sandbox` table",
            );
        }
        None
    }

    /// The streams that may be pushed to.
    pub(crate) fn declare(&mut self, streams: &[Arc<StreamSchema>]) {
        self.pushed.intakes = streams.iter().cloned().map(Intake::new).collect();
    }
}

impl Pushed {
    /// Takes what the component hands on. What is wrong with it ends the call at once.
    pub(crate) fn take(&mut self, output: u32, slab: &[u8]) -> wasmtime::Result<()> {
        self.bytes += slab.len() as u64;
        let taken = if self.bytes > self.bytes_max {
            Err(Error::plugin(format!("it handed on more than {} bytes in one call", self.bytes_max))
                .with_hint("the pipeline can grant more: `output` in the stage's `sandbox` table"))
        } else {
            match self.intakes.get_mut(output as usize) {
                Some(intake) => intake.take(slab),
                None => Err(Error::plugin(format!(
                    "it handed on a batch for output {output}, which it did not declare"
                ))),
            }
        };
        match taken {
            Ok(batch) => {
                self.batches.push_back((output as usize, batch));
                Ok(())
            }
            Err(error) => {
                let wrong = wasmtime::Error::msg(error.message.clone());
                self.wrong.get_or_insert(error);
                Err(wrong)
            }
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Watches over the memory of an instance: that of all its memories and tables together.
pub(crate) struct Limits {
    bytes_max: usize,
    bytes: usize,
    /// What was allowed last, taken back if the growth fails after all.
    growth: usize,
    /// Whether a growth was refused.
    pub(crate) is_exceeded: bool,
}

impl Limits {
    fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: 0, growth: 0, is_exceeded: false }
    }

    /// Whether most of the memory that there may be is taken.
    pub(crate) fn nearly_full(&self) -> bool {
        self.bytes > self.bytes_max / 4 * 3
    }

    fn grow(&mut self, growth: usize) -> wasmtime::Result<()> {
        self.growth = 0;
        let bytes = self.bytes.saturating_add(growth);
        if bytes > self.bytes_max {
            self.is_exceeded = true;
            return Err(wasmtime::format_err!(
                "it asked for {bytes} bytes of memory, the limit is {}",
                self.bytes_max
            ));
        }
        (self.bytes, self.growth) = (bytes, growth);
        Ok(())
    }

    fn take_back(&mut self) {
        self.bytes -= std::mem::take(&mut self.growth);
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.grow(desired.saturating_sub(current)).map(|()| true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.take_back();
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.grow(desired.saturating_sub(current).saturating_mul(ELEMENT_BYTES)).map(|()| true)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.take_back();
        Ok(())
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        INSTANCES_MAX
    }

    fn memories(&self) -> usize {
        INSTANCES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::{Engine, Instance, Module, Store};

    /// Whether a module can be instantiated within one mebibyte.
    fn fits(text: &str) -> Result<(), String> {
        let engine = Engine::default();
        let module = Module::from_binary(&engine, &wat::parse_str(text).unwrap()).unwrap();
        let mut store = Store::new(&engine, Limits::new(1 << 20));
        store.limiter(|limits| limits);
        Instance::new(&mut store, &module, &[]).map(drop).map_err(|error| error.root_cause().to_string())
    }

    #[test]
    fn all_memories_and_tables_count_together() {
        fits("(module (memory 16))").unwrap();
        fits("(module (memory 8) (memory 8))").unwrap();
        fits("(module (memory 8) (table 65536 funcref))").unwrap();
        for text in [
            "(module (memory 9) (memory 8))",
            "(module (table 131073 funcref))",
            "(module (memory 9) (table 65536 funcref))",
        ] {
            let error = fits(text).unwrap_err();
            assert!(error.contains("the limit is 1048576"), "{text}: {error}");
        }
    }
}

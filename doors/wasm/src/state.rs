//! What the engine keeps beside an instance: its sandbox, its limits, what it has handed on, and what it did wrong.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tapedeck_sdk::batch::Intake;
use tapedeck_sdk::{Batch, Context, Error, Host, StreamSchema, Timestamp};
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::followed::Followed;
use crate::sandbox::Sandbox;
use crate::scratch::Scratch;
use crate::stderr::Stderr;

/// Tables, their elements, and instances that one component may have.
const ELEMENTS_MAX: usize = 1_000_000;
const INSTANCES_MAX: usize = 64;

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
    /// When the call in hand began.
    pub(crate) began: Timestamp,
    /// How long it may take.
    pub(crate) allowed: Duration,
    pub(crate) live_clock: bool,
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
    /// The first promise that was broken.
    pub(crate) wrong: Option<Error>,
}

impl State {
    pub(crate) fn new(sandbox: &Sandbox, context: Option<&Context>, sink: bool) -> Result<Self, Error> {
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
            live_clock: sandbox.clock,
            followed: Arc::default(),
            pushed: Pushed { bytes_max: sandbox.output.0, ..Pushed::default() },
        })
    }

    /// A call begins.
    pub(crate) fn begin(&mut self, allowed: Duration) {
        self.began = self.host.as_ref().map_or(self.began, |host| host.now());
        self.allowed = allowed;
        self.pushed.bytes = 0;
        self.pushed.batches.clear();
    }

    /// What is left of the time of the call in hand.
    pub(crate) fn left(&self) -> Duration {
        let end = self.began + self.allowed;
        self.host.as_ref().map_or(self.allowed, |host| end.since(host.now()))
    }

    /// The streams that may be pushed to.
    pub(crate) fn declare(&mut self, streams: &[Arc<StreamSchema>]) {
        self.pushed.intakes = streams.iter().cloned().map(Intake::new).collect();
    }
}

impl Pushed {
    /// Takes what the component hands on.
    pub(crate) fn take(&mut self, output: u32, slab: &[u8]) {
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
            Ok(batch) => self.batches.push_back((output as usize, batch)),
            Err(error) => {
                self.wrong.get_or_insert(error);
            }
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Watches over the memory of an instance.
pub(crate) struct Limits {
    others: StoreLimits,
    memory_max: usize,
    /// Bytes of the largest memory.
    pub(crate) memory: usize,
    /// How much was asked for when it was too much.
    pub(crate) refused: Option<usize>,
}

impl Limits {
    fn new(memory_max: usize) -> Self {
        let others = StoreLimitsBuilder::new()
            .table_elements(ELEMENTS_MAX)
            .instances(INSTANCES_MAX)
            .tables(INSTANCES_MAX)
            .memories(INSTANCES_MAX)
            .build();
        Self { others, memory_max, memory: 0, refused: None }
    }

    /// Whether most of the memory that there may be is taken.
    pub(crate) fn nearly_full(&self) -> bool {
        self.memory > self.memory_max / 4 * 3
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.memory_max {
            self.refused = Some(desired);
            return Err(wasmtime::format_err!(
                "it asked for {desired} bytes of memory, the limit is {}",
                self.memory_max
            ));
        }
        self.memory = self.memory.max(desired);
        self.others.memory_growing(current, desired, maximum)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.others.table_growing(current, desired, maximum)
    }

    fn instances(&self) -> usize {
        self.others.instances()
    }

    fn tables(&self) -> usize {
        self.others.tables()
    }

    fn memories(&self) -> usize {
        self.others.memories()
    }
}

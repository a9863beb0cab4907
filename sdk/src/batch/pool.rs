//! The memory of slabs, and its way back: a slab that nobody holds any more is used again for the same stream.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

use super::BatchBuilder;
use super::layout::Layout;
use crate::StreamSchema;
use crate::native::ForeignSlab;

/// How many slabs wait for reuse at the most.
const FREE_MAX: usize = 512;

/// How many of them are used again first: where a stage below was slow for a moment, the slabs that it had do not go
/// round for ever, each out of the caches when its turn comes.
const WARM_MAX: usize = 2;

/// The memory of a slab.
pub(crate) enum Memory {
    /// Ours, 16-byte aligned: a `Vec` of `u128` gives the alignment without `unsafe`.
    Own(Vec<u128>),
    /// Somebody else's, 8-byte aligned, which never changes.
    Foreign(ForeignSlab),
}

impl Default for Memory {
    fn default() -> Self {
        Self::Own(Vec::new())
    }
}

impl Memory {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self::Own(vec![0; bytes.div_ceil(16)])
    }

    pub(super) fn copied(bytes: &[u8]) -> Self {
        let mut memory = Self::with_capacity(bytes.len());
        memory.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        memory
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(lines) => bytemuck::cast_slice(lines),
            Self::Foreign(slab) => slab.bytes(),
        }
    }

    /// # Panics
    /// The memory is somebody else's.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(self.lines())
    }

    /// Makes room for `bytes`, keeping what is there.
    pub(super) fn reserve(&mut self, bytes: usize) {
        let lines = bytes.div_ceil(16);
        if lines > self.lines().len() {
            self.lines().resize(lines, 0);
        }
    }

    fn lines(&mut self) -> &mut Vec<u128> {
        match self {
            Self::Own(lines) => lines,
            Self::Foreign(_) => unreachable!("only memory of our own is written"),
        }
    }
}

/// Slabs of one layout that wait for reuse.
pub(super) struct Home {
    pub(super) layout: Layout,
    /// What came back last.
    warm: ArrayQueue<Memory>,
    free: ArrayQueue<Memory>,
}

impl Home {
    pub(super) fn new(layout: Layout) -> Self {
        Self { layout, warm: ArrayQueue::new(WARM_MAX), free: ArrayQueue::new(FREE_MAX) }
    }

    /// Memory that is free, with whatever is in it, or none yet.
    pub(super) fn take_any(&self) -> Memory {
        self.pop().unwrap_or_default()
    }

    pub(super) fn give_back(&self, memory: Memory) {
        // A full queue means that there are more slabs than the stream needs: this one is freed.
        drop(self.warm.push(memory).or_else(|memory| self.free.push(memory)));
    }

    fn pop(&self) -> Option<Memory> {
        self.warm.pop().or_else(|| self.free.pop())
    }

    /// Memory with the layout's directory in it; values are whatever they were.
    pub(super) fn take(&self) -> Memory {
        let mut memory = self.pop().unwrap_or_else(|| Memory::with_capacity(self.layout.fixed_bytes));
        self.layout.write_directory(memory.bytes_mut());
        memory
    }
}

/// Gives out builders for batches of one stream, and takes the memory back when the last holder of a batch drops it.
///
/// Keep one for each output stream and ask for the same capacity each time: then the steady state allocates nothing but the
/// batch's reference count.
pub struct BatchPool {
    schema: Arc<StreamSchema>,
    home: Option<Arc<Home>>,
    variable: Vec<Vec<u8>>,
}

impl BatchPool {
    /// A pool for batches of this schema.
    #[must_use]
    pub fn new(schema: Arc<StreamSchema>) -> Self {
        Self { schema, home: None, variable: Vec::new() }
    }

    /// The schema of the batches.
    #[must_use]
    pub fn schema(&self) -> &Arc<StreamSchema> {
        &self.schema
    }

    /// What a [`Gather`](super::Gather) of blocks of `rows` rows stands on.
    pub(super) fn into_parts(self, rows: usize) -> (Arc<Home>, Vec<Vec<u8>>) {
        let layout = Layout::new(self.schema, rows);
        let variable = vec![Vec::new(); layout.variable_columns];
        (Arc::new(Home::new(layout)), variable)
    }

    /// A builder with room for `rows` rows.
    ///
    /// # Panics
    /// The batch would be over [`SLAB_BYTES_MAX`](super::SLAB_BYTES_MAX).
    pub fn builder(&mut self, rows: usize) -> BatchBuilder<'_> {
        let home = match self.home.take() {
            Some(home) if home.layout.capacity == rows => home,
            _ => {
                let layout = Layout::new(self.schema.clone(), rows);
                self.variable.resize_with(layout.variable_columns, Vec::new);
                Arc::new(Home::new(layout))
            }
        };
        let home = self.home.insert(home);
        self.variable.iter_mut().for_each(Vec::clear);
        BatchBuilder::new(home.take(), home.clone(), &mut self.variable)
    }
}

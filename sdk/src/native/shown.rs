//! Batches that the engine shows one after the other, each for one call. Most are gone when the call is: then neither a holder is
//! added and taken away, nor is the batch's own little piece of memory given back and taken again. Only what somebody has kept is retained.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::abi::Bytes;
use super::slab::{ForeignSlab, keep, slice};
use crate::batch::{Memory, Slab};
use crate::{Batch, Error, StreamSchema};

/// Room for the batches of one stream.
#[derive(Default)]
pub(super) struct Shown {
    spare: Option<Spare>,
}

/// A batch without its memory, for the next slab that has the same header. Nobody else holds it.
struct Spare {
    batch: Batch,
    header: Header,
}

type Header = [u8; Batch::HEADER_BYTES];

impl Shown {
    /// Calls `call` with the batch that is shown.
    ///
    /// # Errors
    /// The bytes are no batch of this schema. What `call` says is inside.
    ///
    /// # Safety
    /// `bytes` keeps the contract of [`Bytes`] during the call, and longer if it is retained.
    #[inline]
    pub(super) unsafe fn during<T>(
        &mut self,
        schema: &Arc<StreamSchema>,
        bytes: &Bytes,
        call: impl FnOnce(Batch) -> T,
    ) -> Result<T, Error> {
        // SAFETY: the caller promises it.
        let header = unsafe { slice(bytes) }.first_chunk::<{ Batch::HEADER_BYTES }>();
        let visit = match (self.spare.take(), header, bytes.retain) {
            (Some(spare), Some(header), Some(retain)) if spare.fits(schema, header, bytes) => {
                // SAFETY: nobody else holds a spare batch; the memory is as the caller promises, and `Visit` sees to its holder.
                unsafe { *spare.memory() = Memory::Foreign(ForeignSlab::new(*bytes)) };
                Visit { room: self, spare: Some(spare), retain: Some((retain, bytes.owner)) }
            }
            (_, header, _) => {
                let header = header.copied().unwrap_or_default();
                // SAFETY: the caller promises it.
                let batch = unsafe { keep(schema.clone(), bytes) }?;
                Visit { room: self, spare: Some(Spare { batch, header }), retain: None }
            }
        };
        Ok(call(visit.batch()))
    }
}

impl Spare {
    fn fits(&self, schema: &Arc<StreamSchema>, header: &Header, bytes: &Bytes) -> bool {
        // The header was looked at when the spare batch was made, and its length found to be that of the bytes.
        self.header == *header
            && bytes.length == self.batch.byte_len() as u64
            && bytes.bytes.addr().is_multiple_of(8)
            && Arc::ptr_eq(schema, self.batch.schema())
    }

    /// Where the batch's memory stands.
    fn memory(&self) -> *mut Memory {
        let slab: *mut Slab = Arc::as_ptr(&self.batch.slab).cast_mut();
        // SAFETY: the slab is there; no reference is made.
        unsafe { &raw mut (*slab).memory }
    }
}

type Retain = (unsafe extern "C" fn(owner: *mut std::ffi::c_void), *mut std::ffi::c_void);

/// A batch while it is shown. What becomes of it is decided when the call has ended, by a panic too.
struct Visit<'room> {
    room: &'room mut Shown,
    /// Always there until the end.
    spare: Option<Spare>,
    /// How a holder is added, if the batch's memory has none of its own yet.
    retain: Option<Retain>,
}

impl Visit<'_> {
    fn batch(&self) -> Batch {
        self.spare.as_ref().expect("it is taken at the end only").batch.clone()
    }
}

impl Drop for Visit<'_> {
    #[inline]
    fn drop(&mut self) {
        let Some(spare) = self.spare.take() else { return };
        if Arc::strong_count(&spare.batch.slab) > 1 {
            if let Some((retain, owner)) = self.retain {
                // SAFETY: the bytes are still shown; from here on the batch that somebody keeps has a holder.
                unsafe { retain(owner) };
            }
            return;
        }
        // Whoever held the batch on another thread has done with it before it was counted down.
        fence(Ordering::Acquire);
        // SAFETY: nobody else holds the batch: there is one holder, and slabs have no weak ones.
        let memory = unsafe { mem::take(&mut *spare.memory()) };
        let foreign = matches!(memory, Memory::Foreign(_));
        if self.retain.is_some() {
            // It has no holder to release.
            mem::forget(memory);
        }
        if foreign {
            self.room.spare = Some(spare);
        }
    }
}

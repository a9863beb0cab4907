//! Slabs on their way through a door: a batch of ours lent or handed to somebody else, and somebody else's bytes as a slab.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;

use super::abi::Bytes;
use crate::batch::{Memory, SLAB_BYTES_MAX, Slab};
use crate::{Batch, Error, StreamSchema};

/// Bytes that somebody else owns. Released when dropped.
pub struct ForeignSlab {
    bytes: NonNull<[u8]>,
    owner: *mut c_void,
    retain: Option<unsafe extern "C" fn(owner: *mut c_void)>,
    release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

// SAFETY: the contract of `Bytes` says that the bytes never change while there is a holder, and that `retain` and `release` may be
// called from any thread.
unsafe impl Send for ForeignSlab {}
// SAFETY: as above; nothing is written through it.
unsafe impl Sync for ForeignSlab {}

impl ForeignSlab {
    /// Takes over one holder of `bytes`.
    ///
    /// # Safety
    /// `bytes` keeps the contract of [`Bytes`]: `bytes.length` bytes at `bytes.bytes` can be read and don't change until `release` has
    /// been called, which may happen on any thread.
    #[must_use]
    #[inline]
    pub unsafe fn new(bytes: Bytes) -> Self {
        let Bytes { owner, retain, release, .. } = bytes;
        Self { bytes: range(&bytes), owner, retain, release }
    }

    /// Bytes of the Rust heap.
    #[must_use]
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        unsafe extern "C" fn release_vec(owner: *mut c_void) {
            // SAFETY: `owner` is the box that `from_vec` made, and this is its only release: `retain` is not given out.
            drop(unsafe { Box::from_raw(owner.cast::<Vec<u8>>()) });
        }
        let owned = Box::new(bytes);
        let bytes = NonNull::from(owned.as_slice());
        Self { bytes, owner: Box::into_raw(owned).cast(), retain: None, release: Some(release_vec) }
    }

    /// The bytes with their holder, which the caller now has to release.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        std::mem::ManuallyDrop::new(self).shown()
    }

    /// The bytes.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `new` was promised that these bytes can be read until `release`, which only `drop` calls.
        unsafe { self.bytes.as_ref() }
    }

    fn shown(&self) -> Bytes {
        let Self { bytes, owner, retain, release } = *self;
        Bytes {
            bytes: bytes.as_ptr().cast::<u8>().cast_const(),
            length: bytes.len() as u64,
            owner,
            retain,
            release,
        }
    }
}

impl Drop for ForeignSlab {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: this holder was handed over to us and is given back once, here.
            unsafe { release(self.owner) };
        }
    }
}

/// Where the bytes lie; nowhere if the length is one that no memory has.
fn range(bytes: &Bytes) -> NonNull<[u8]> {
    let length = isize::try_from(bytes.length).unwrap_or(0).unsigned_abs();
    match NonNull::new(bytes.bytes.cast_mut()) {
        Some(first) => NonNull::slice_from_raw_parts(first, length),
        None => NonNull::from(&[]),
    }
}

/// The bytes that a `Bytes` stands for; none if the length is one that no memory has.
///
/// # Safety
/// They can be read and don't change during `'a`.
#[must_use]
#[inline]
pub unsafe fn slice<'a>(bytes: &Bytes) -> &'a [u8] {
    // SAFETY: the caller promises it.
    unsafe { range(bytes).as_ref() }
}

unsafe extern "C" fn retain_slab(owner: *mut c_void) {
    // SAFETY: `owner` comes from `Arc::into_raw` or `Arc::as_ptr` of a slab that has a holder.
    unsafe { Arc::increment_strong_count(owner.cast_const().cast::<Slab>()) };
}

unsafe extern "C" fn release_slab(owner: *mut c_void) {
    // SAFETY: as above; the holder that is given back is one that was counted.
    unsafe { Arc::decrement_strong_count(owner.cast_const().cast::<Slab>()) };
}

/// A batch as it is shown to the other side of a door: valid as long as `batch` is; who wants to keep it retains it.
#[must_use]
#[inline]
pub fn lend(batch: &Batch) -> Bytes {
    if let Memory::Foreign(foreign) = &batch.slab.memory
        && foreign.retain.is_some()
    {
        // It came from the other side, or from a third: its own owner is shown, so that it does not get wrapped again and again.
        return foreign.shown();
    }
    let bytes = batch.as_bytes();
    Bytes {
        bytes: bytes.as_ptr(),
        length: bytes.len() as u64,
        owner: Arc::as_ptr(&batch.slab).cast_mut().cast(),
        retain: Some(retain_slab),
        release: Some(release_slab),
    }
}

/// A batch as it is handed over: the receiver has one holder to release.
#[must_use]
#[inline]
pub fn give(batch: Batch) -> Bytes {
    let bytes = lend(&batch);
    if bytes.owner.cast_const() == Arc::as_ptr(&batch.slab).cast() {
        // The holder that `batch` was becomes the receiver's.
        _ = Arc::into_raw(batch.slab);
        return bytes;
    }
    let mut slab = batch.slab;
    // Asking for the count first costs nothing; a compare-and-swap that fails costs as much as one that doesn't.
    if Arc::strong_count(&slab) == 1
        && let Some(only) = Arc::get_mut(&mut slab)
    {
        // So does the one that the slab had of somebody else's memory.
        std::mem::forget(std::mem::take(&mut only.memory));
    } else if let Some(retain) = bytes.retain {
        // SAFETY: `slab` is a holder and lives until after this call.
        unsafe { retain(bytes.owner) };
    }
    bytes
}

/// A batch of the bytes that the other side has handed over. Takes the same time whatever their number: only the header is looked at,
/// and that the two columns that the engine itself reads are there.
///
/// # Errors
/// The header is not that of a batch of this schema. The holder is released all the same.
///
/// # Safety
/// As for [`ForeignSlab::new`].
#[inline]
pub unsafe fn take(schema: Arc<StreamSchema>, bytes: &Bytes) -> Result<Batch, Error> {
    // SAFETY: the caller promises it.
    let batch = unsafe { adopted(schema, bytes) }?;
    if leads(batch.as_bytes()) {
        return Ok(batch);
    }
    let (stream, rows) = (batch.schema().name(), batch.rows());
    Err(Error::data(format!("a batch of stream \"{stream}\" has no seq and timestamp for its {rows} rows")))
}

#[inline]
unsafe fn adopted(schema: Arc<StreamSchema>, bytes: &Bytes) -> Result<Batch, Error> {
    if bytes
        .release
        .is_some_and(|release| std::ptr::fn_addr_eq(release, release_slab as unsafe extern "C" fn(_)))
    {
        // One of our own slabs has come back.
        // SAFETY: only `lend` and `give` of this very library make such `Bytes`; the holder that was handed over becomes the `Arc`.
        let slab = unsafe { Arc::from_raw(bytes.owner.cast_const().cast::<Slab>()) };
        return Batch::of_slab(slab, schema);
    }
    // SAFETY: the caller promises it.
    let slab = unsafe { ForeignSlab::new(*bytes) };
    if bytes.length > SLAB_BYTES_MAX as u64 {
        let (stream, length) = (schema.name(), bytes.length);
        return Err(Error::data(format!(
            "a batch of stream \"{stream}\" is {length} bytes long; the limit is {SLAB_BYTES_MAX}"
        )));
    }
    Batch::adopt(schema, slab)
}

/// Whether `seq` and `timestamp` have a value for each row, inside the slab. The header has been looked at: the directory is there.
#[inline]
fn leads(slab: &[u8]) -> bool {
    let head: &[u8; Batch::HEADER_BYTES + 32] = slab.first_chunk().expect("the directory has two columns");
    let word =
        |at: usize| u64::from(u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
    let rows = word(4);
    [Batch::HEADER_BYTES, Batch::HEADER_BYTES + 16].into_iter().all(|entry| {
        let (begin, length) = (word(entry), word(entry + 4));
        begin.is_multiple_of(8) && length == rows * 8 && begin + length <= slab.len() as u64
    })
}

/// A batch of the bytes that the other side shows during a call: one holder is added.
///
/// # Errors
/// As for [`take`], or the bytes can't be retained.
///
/// # Safety
/// As for [`ForeignSlab::new`].
#[inline]
pub unsafe fn keep(schema: Arc<StreamSchema>, bytes: &Bytes) -> Result<Batch, Error> {
    match bytes.retain {
        Some(retain) => {
            // SAFETY: whoever shows the bytes is a holder during the call.
            unsafe { retain(bytes.owner) };
            // SAFETY: the holder that was just added is handed over.
            unsafe { adopted(schema, bytes) }
        }
        // SAFETY: the caller promises that the bytes can be read now.
        None => Batch::from_bytes(schema, unsafe { slice(bytes) }),
    }
}

//! Where a sink in a library says which frames it refuses.

use std::ffi::c_void;

use tapedeck_sdk::native::abi::{self, Status};
use tapedeck_sdk::native::hear;
use tapedeck_sdk::panics::caught;
use tapedeck_sdk::{Error, Written};

/// Runs `call` with a place for refusals; what was refused comes back.
///
/// # Errors
/// What `call` says.
pub(super) fn collected(
    call: impl FnOnce(*const abi::Refusals) -> Result<(), Error>,
) -> Result<Written, Error> {
    let mut written = Written::ALL;
    let refusals = abi::Refusals { context: (&raw mut written).cast(), refuse };
    call(&raw const refusals)?;
    Ok(written)
}

unsafe extern "C" fn refuse(
    context: *mut c_void,
    input: u32,
    frames: u64,
    first_seq: u64,
    last_seq: u64,
    status: Status,
    reason: *mut abi::Error,
) {
    let body = || {
        let no_reason = || Error::data("the plugin gave no reason");
        // SAFETY: the plugin's error, whose texts are handed over, or null.
        let reason = unsafe { reason.as_mut() }.map_or_else(
            || Err(no_reason()),
            // SAFETY: as above.
            |reason| unsafe { hear(status, reason) },
        );
        let reason = reason.err().unwrap_or_else(no_reason);
        // SAFETY: the context is that of the call in hand, on its thread; nobody else uses it now.
        let written = unsafe { &mut *context.cast::<Written>() };
        written.refuse(input as usize, frames, first_seq..=last_seq, reason);
        Ok(())
    };
    // Nothing in it panics but for a lack of memory.
    drop(caught(body));
}

//! Where a sink in a library says which frames it refuses.

use std::ffi::c_void;

use tapedeck_sdk::native::abi::{self, Status};
use tapedeck_sdk::native::hear;
use tapedeck_sdk::panics::caught;
use tapedeck_sdk::{Error, Written};

/// What stands behind the context of an [`abi::Refusals`], for one call.
struct Collecting {
    /// How many inputs the sink has.
    inputs: usize,
    written: Written,
    /// The first refusal that broke the contract.
    fault: Option<Error>,
}

/// Runs `call` with a place for refusals of frames of so many inputs; what was refused comes back.
///
/// # Errors
/// What `call` says, or a refusal of an input that there isn't.
pub(super) fn collected(
    inputs: usize,
    call: impl FnOnce(*const abi::Refusals) -> Result<(), Error>,
) -> Result<Written, Error> {
    let mut collecting = Collecting { inputs, written: Written::ALL, fault: None };
    let refusals = abi::Refusals { context: (&raw mut collecting).cast(), refuse };
    call(&raw const refusals)?;
    collecting.fault.map_or(Ok(collecting.written), Err)
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
        let collecting = unsafe { &mut *context.cast::<Collecting>() };
        if input as usize >= collecting.inputs {
            let unknown = || {
                Error::plugin(format!("the plugin refused frames of input {input}, which it does not have"))
            };
            collecting.fault.get_or_insert_with(unknown);
            return Ok(());
        }
        collecting.written.refuse(input as usize, frames, first_seq..=last_seq, reason);
        Ok(())
    };
    // Nothing in it panics but for a lack of memory.
    drop(caught(body));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Refuses a frame of this input of a sink that has two.
    fn refusing(input: u32) -> Result<Written, Error> {
        collected(2, |refusals| {
            // SAFETY: the place for refusals lives during the call.
            unsafe { refuse((*refusals).context, input, 1, 7, 7, abi::DATA, std::ptr::null_mut()) };
            Ok(())
        })
    }

    #[test]
    fn frames_of_an_input_that_there_is_not_are_not_refused() {
        assert_eq!(refusing(1).unwrap().refused_frames(), 1);
        let error = refusing(2).unwrap_err();
        assert!(error.message.contains("input 2"), "{error}");
    }
}

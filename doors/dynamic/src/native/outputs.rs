//! Where a plugin in a library puts its batches: straight into what the engine gave, in the same call.

use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use tapedeck_sdk::native::abi::{self, Bytes};
use tapedeck_sdk::native::{ForeignSlab, take};
use tapedeck_sdk::{Batch, Error, Outputs, StreamSchema};

/// A stream that the plugin has declared.
pub(super) struct Output {
    schema: Arc<StreamSchema>,
    /// Whether a batch of it was looked at byte by byte. One is: a plugin that lays them out wrongly does so each time.
    checked: bool,
}

impl Output {
    pub(super) fn new(schema: Arc<StreamSchema>) -> Self {
        Self { schema, checked: false }
    }
}

/// What stands behind the context of an [`abi::Outputs`], for one call.
pub(super) struct Pushing<'call> {
    streams: &'call mut [Output],
    out: &'call mut dyn Outputs,
    /// The first push that broke the contract.
    fault: Option<Error>,
    /// What a stage below panicked with: it must not unwind through the plugin.
    panic: Option<Box<dyn Any + Send>>,
}

impl<'call> Pushing<'call> {
    /// Runs `call` with outputs that hand batches of `streams` to `out`.
    ///
    /// # Errors
    /// What `call` says; but a push that broke the contract comes first.
    ///
    /// # Panics
    /// As `out` did.
    #[inline]
    pub(super) fn during(
        streams: &'call mut [Output],
        out: &'call mut dyn Outputs,
        call: impl FnOnce(&abi::Outputs) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut pushing = Self { streams, out, fault: None, panic: None };
        let called = call(&abi::Outputs { context: (&raw mut pushing).cast(), push });
        if pushing.fault.is_none() && pushing.panic.is_none() {
            return called;
        }
        match pushing.panic {
            Some(panic) => resume_unwind(panic),
            None => pushing.fault.map_or(called, Err),
        }
    }

    fn take(&mut self, output: u32, bytes: &Bytes) -> Result<(), Error> {
        if self.panic.is_some() {
            // The stage below is no more.
            // SAFETY: the batch was handed over.
            drop(unsafe { ForeignSlab::new(*bytes) });
            return Ok(());
        }
        let Some(stream) = self.streams.get_mut(output as usize) else {
            // SAFETY: as above.
            drop(unsafe { ForeignSlab::new(*bytes) });
            return Err(unknown_output(output));
        };
        // SAFETY: as above.
        let batch = unsafe { take(stream.schema.clone(), bytes) }.map_err(broken)?;
        if !stream.checked && batch.rows() > 0 {
            Batch::from_bytes(stream.schema.clone(), batch.as_bytes()).map_err(broken)?;
            stream.checked = true;
        }
        self.out.push(output as usize, batch);
        Ok(())
    }
}

#[cold]
fn unknown_output(output: u32) -> Error {
    Error::plugin(format!("the plugin pushed to output {output}, which it has not declared"))
}

#[cold]
fn broken(error: Error) -> Error {
    Error::plugin(format!("the plugin pushed a batch that is none: {}", error.message))
}

unsafe extern "C" fn push(context: *mut c_void, output: u32, batch: *const Bytes) {
    // SAFETY: the context is that of the call in hand, on its thread; nobody else uses it now.
    let pushing = unsafe { &mut *context.cast::<Pushing<'_>>() };
    // SAFETY: the plugin hands over a batch.
    let taken = match unsafe { batch.as_ref() } {
        Some(batch) => catch_unwind(AssertUnwindSafe(|| pushing.take(output, batch))),
        None => Ok(Err(Error::plugin("the plugin pushed a null pointer"))),
    };
    match taken {
        Ok(Ok(())) => {}
        Ok(Err(error)) => _ = pushing.fault.get_or_insert(error),
        Err(panic) => pushing.panic = Some(panic),
    }
}

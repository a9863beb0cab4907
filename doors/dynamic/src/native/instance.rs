//! An opened plugin of whatever kind: what the three have in common.

use std::sync::Arc;

use serde_json::Value;
use tapedeck_sdk::door::{ContextText, read_streams, streams_text};
use tapedeck_sdk::native::{ForeignSlab, Text, abi, hear, received};
use tapedeck_sdk::{Context, Error, StreamSchema};

use super::engine::Engine;
use super::table::Common;

/// The most bytes of the schemas that a plugin declares.
const STREAMS_BYTES_MAX: u64 = 64 << 20;

/// An opened plugin; closed when it is dropped.
pub(super) struct Instance {
    instance: abi::Instance,
    close: abi::Close,
    /// Where each call puts its error; empty between calls.
    error: abi::Error,
    /// What `open` was shown: it stays where it is until `close` has returned.
    _table: Box<abi::Host>,
    engine: Arc<Engine>,
}

// SAFETY: the contract says that one instance is called by different threads, one after the other.
unsafe impl Send for Instance {}

impl Instance {
    pub(super) fn open(
        common: &Common,
        options: &Value,
        context: Context,
        inputs: &[Arc<StreamSchema>],
    ) -> Result<Self, Error> {
        let shown = [
            options.to_string(),
            ContextText::of(&context),
            if inputs.is_empty() { String::new() } else { streams_text(inputs) },
        ];
        let [options, context_text, inputs_text] = shown.map(Text::new);
        let engine = Arc::new(Engine::new(context.host));
        engine.set_inputs(inputs);
        let table = Box::new(Engine::table(&engine));
        let (mut instance, mut error) = (std::ptr::null_mut(), abi::Error::EMPTY);
        // SAFETY: the library keeps the contract; what is passed lives during the call, and the table as long as the instance.
        let status = unsafe {
            (common.open)(
                &options.lend(),
                &context_text.lend(),
                &inputs_text.lend(),
                &raw const *table,
                &raw mut instance,
                &raw mut error,
            )
        };
        // SAFETY: `error` is what the call has put there.
        unsafe { hear(status, &mut error) }?;
        if instance.is_null() {
            return Err(Error::plugin("the plugin opened without an instance")
                .with_hint("`open` sets `*instance` to a pointer that is not null."));
        }
        Ok(Self { instance, close: common.close, error, _table: table, engine })
    }

    /// Calls into the plugin; what it said is an error.
    #[inline]
    pub(super) fn call(
        &mut self,
        call: impl FnOnce(abi::Instance, *mut abi::Error) -> abi::Status,
    ) -> Result<(), Error> {
        let status = call(self.instance, &raw mut self.error);
        // SAFETY: `error` is what the call has put there.
        unsafe { hear(status, &mut self.error) }
    }

    /// The streams that a source gives, or that a transform makes of `inputs`.
    pub(super) fn streams(
        &mut self,
        streams: abi::Streams,
        inputs: Option<&[Arc<StreamSchema>]>,
    ) -> Result<Vec<Arc<StreamSchema>>, Error> {
        let shown = Text::new(inputs.map(streams_text).unwrap_or_default());
        if let Some(inputs) = inputs {
            self.engine.set_inputs(inputs);
        }
        let mut made = abi::Bytes::EMPTY;
        // SAFETY: the library keeps the contract; what is passed lives during the call.
        let called =
            self.call(|instance, error| unsafe { streams(instance, &shown.lend(), &raw mut made, error) });
        // SAFETY: it was handed over, or is empty.
        let text = unsafe { limited(&made, STREAMS_BYTES_MAX, "the text of its streams") };
        called?;
        read_streams(&text?)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: the instance was opened, and this is its last call.
        unsafe { (self.close)(self.instance) };
    }
}

/// A text that was handed over, if it is not too long; released in any case. A length that is a lie is often a large one, so nothing is read
/// of what is too long.
///
/// # Errors
/// It is longer than `length_max`.
///
/// # Safety
/// `bytes` keeps the contract, and one holder is handed over.
pub(super) unsafe fn limited(bytes: &abi::Bytes, length_max: u64, what: &str) -> Result<String, Error> {
    if bytes.length <= length_max {
        // SAFETY: the caller promises it.
        return Ok(unsafe { received(bytes, length_max) });
    }
    // SAFETY: as above.
    drop(unsafe { ForeignSlab::new(*bytes) });
    Err(Error::plugin(format!("{what} has {} bytes, the limit is {length_max}", bytes.length)))
}

//! What [`export!`](crate::export) makes of a plugin: the calls of [`abi::Plugin`] in front of the three traits. No panic gets out.

use std::sync::Arc;

use serde_json::Value;

use super::abi::{self, Bytes, Instance, Plugin, Status};
use super::engine::engine;
use super::slab::slice;
use super::stages::{self, Opened};
use super::text::{Text, tell};
use crate::door::{ContextText, Make, SinkOf, SourceOf, TransformOf, read_streams};
use crate::panics::{caught, dropped, hide_caught};
use crate::{
    Context, Error, ErrorKind, Host, OpenSink, OpenSource, OpenTransform, Opener, Sink, Source, StreamSchema,
    Transform,
};

impl Plugin {
    /// A source as a library exports it.
    #[must_use]
    pub const fn source<P: OpenSource>() -> Self {
        Self::made_source::<SourceOf<P>>()
    }

    /// A transform as a library exports it.
    #[must_use]
    pub const fn transform<P: OpenTransform>() -> Self {
        Self::made_transform::<TransformOf<P>>()
    }

    /// A sink as a library exports it.
    #[must_use]
    pub const fn sink<P: OpenSink>() -> Self {
        Self::made_sink::<SinkOf<P>>()
    }

    /// The source that a factory makes.
    #[must_use]
    pub const fn made_source<M: Make>() -> Self {
        Self {
            kind: abi::KIND_SOURCE,
            streams: Some(stages::source_streams),
            next: Some(stages::next),
            stop: Some(stages::stop),
            close: Some(close::<dyn Source>),
            ..Self::of::<M>()
        }
    }

    /// The transform that a factory makes.
    #[must_use]
    pub const fn made_transform<M: Make>() -> Self {
        Self {
            kind: abi::KIND_TRANSFORM,
            streams: Some(stages::transform_streams),
            process: Some(stages::process),
            flush_transform: Some(stages::flush_transform),
            finish_transform: Some(stages::finish_transform),
            close: Some(close::<dyn Transform>),
            ..Self::of::<M>()
        }
    }

    /// The sink that a factory makes.
    #[must_use]
    pub const fn made_sink<M: Make>() -> Self {
        Self {
            kind: abi::KIND_SINK,
            write: Some(stages::write),
            flush_sink: Some(stages::flush_sink),
            finish_sink: Some(stages::finish_sink),
            close: Some(close::<dyn Sink>),
            ..Self::of::<M>()
        }
    }

    /// What all kinds have.
    const fn of<M: Make>() -> Self {
        Self {
            magic: abi::MAGIC,
            size: const {
                assert!(size_of::<Self>() <= u32::MAX as usize);
                #[expect(clippy::cast_possible_truncation, reason = "checked in the line above")]
                let size = size_of::<Self>() as u32;
                size
            },
            abi_major: abi::ABI_MAJOR,
            abi_minor: abi::ABI_MINOR,
            kind: 0,
            describe: Some(describe::<M>),
            check: Some(check::<M>),
            open: Some(open::<M>),
            streams: None,
            next: None,
            stop: None,
            process: None,
            flush_transform: None,
            finish_transform: None,
            write: None,
            flush_sink: None,
            finish_sink: None,
            close: None,
        }
    }
}

/// Runs the body of a call: an error or a panic is told, nothing gets out.
///
/// # Safety
/// `error` can be written, or is null.
pub(super) unsafe fn guarded(error: *mut abi::Error, body: impl FnOnce() -> Result<(), Error>) -> Status {
    match caught(body) {
        Ok(()) => abi::OK,
        // SAFETY: the caller promises it.
        Err(told) => unsafe { tell(told, error) },
    }
}

/// A text to hand over.
pub(super) fn given(text: String) -> Bytes {
    Text::new(text).give()
}

/// # Safety
/// `bytes` is shown during `'a`, or null.
pub(super) unsafe fn text<'a>(bytes: *const Bytes, what: &str) -> Result<&'a str, Error> {
    // SAFETY: the caller promises it.
    let bytes =
        unsafe { bytes.as_ref() }.ok_or_else(|| Error::plugin(format!("the engine gave no {what}")))?;
    // SAFETY: as above.
    std::str::from_utf8(unsafe { slice(bytes) })
        .map_err(|error| Error::plugin(format!("the engine gave {what} that are no UTF-8: {error}")))
}

fn options(text: &str) -> Result<Value, Error> {
    serde_json::from_str(text)
        .map_err(|error| Error::new(ErrorKind::Options, format!("the options are no JSON: {error}")))
}

unsafe extern "C" fn describe<M: Make>(descriptor: *mut Bytes) {
    // The first call of a library: from here on its panics are told and not printed.
    hide_caught();
    let text = || Ok(serde_json::to_string(M::factory().descriptor()).unwrap_or_default());
    // The engine refuses a plugin that says nothing of itself.
    let text = caught(text).unwrap_or_default();
    // SAFETY: the engine's place to put it.
    unsafe { descriptor.write(given(text)) };
}

unsafe extern "C" fn check<M: Make>(shown: *const Bytes, error: *mut abi::Error) -> Status {
    // SAFETY: the engine shows the options and has room for an error.
    unsafe { guarded(error, || M::factory().check(&options(text(shown, "options")?)?)) }
}

unsafe extern "C" fn open<M: Make>(
    shown: *const Bytes,
    context: *const Bytes,
    inputs: *const Bytes,
    host: *const abi::Host,
    instance: *mut Instance,
    error: *mut abi::Error,
) -> Status {
    let body = || {
        // SAFETY: the engine shows these during the call.
        let (shown, context) = unsafe { (text(shown, "options")?, text(context, "context")?) };
        // SAFETY: the engine's host keeps its contract.
        let context = ContextText::read(context, unsafe { engine(host) }?)?;
        // SAFETY: as above.
        let inputs = unsafe { text(inputs, "inputs") }?;
        let opened = make(M::factory().opener(), &options(shown)?, context, inputs)?;
        // SAFETY: the engine's place to put it.
        unsafe { instance.write(opened) };
        Ok(())
    };
    // SAFETY: the engine has room for an error.
    unsafe { guarded(error, body) }
}

fn make(opener: &Opener, options: &Value, context: Context, inputs: &str) -> Result<Instance, Error> {
    fn leak<T: ?Sized>(stage: Box<T>, inputs: Vec<Arc<StreamSchema>>, host: Arc<dyn Host>) -> Instance {
        Box::into_raw(Box::new(Opened::new(stage, inputs, host))).cast()
    }
    let host = context.host.clone();
    Ok(match opener {
        Opener::Source(open) => leak(open(options, context)?, Vec::new(), host),
        Opener::Transform(open) => leak(open(options, context)?, Vec::new(), host),
        Opener::Sink(open) => {
            let inputs = read_streams(inputs)?;
            leak(open(options, &inputs, context)?, inputs, host)
        }
    })
}

unsafe extern "C" fn close<T: ?Sized>(instance: Instance) {
    // SAFETY: `open` made it of a box of this type, and this is its last call.
    let (stage, host) = unsafe { Box::from_raw(instance.cast::<Opened<T>>()) }.into_parts();
    if let Err(error) = dropped(stage) {
        host.warn(&format!("closing the plugin {}", error.message));
    }
}

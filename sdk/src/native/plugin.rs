//! What [`export!`](crate::export) makes of a plugin: the calls of [`abi::Plugin`] in front of the three traits. No panic gets out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::Value;

use super::abi::{self, Bytes, Instance, Plugin, Status};
use super::engine::engine;
use super::shown::Shown;
use super::slab::{give, slice};
use super::text::{Text, panicked, tell};
use crate::door::{ContextText, read_streams, streams_text};
use crate::{
    Batch, Context, Error, ErrorKind, Factory, Host, Next, OpenSink, OpenSource, OpenTransform, Opener,
    Outputs, Sink, Source, StreamSchema, Timestamp, Transform,
};

/// An opened plugin of one of the three traits.
struct Opened<T: ?Sized> {
    stage: Box<T>,
    /// The streams that come in, and room for their batches.
    inputs: Vec<(Arc<StreamSchema>, Shown)>,
    /// Told of what no error can tell.
    host: Arc<dyn Host>,
}

type SourceInstance = Opened<dyn Source>;
type TransformInstance = Opened<dyn Transform>;
type SinkInstance = Opened<dyn Sink>;

/// How a plugin of whatever kind is made.
trait Made {
    fn factory() -> Factory;
}

struct SourceOf<P>(std::marker::PhantomData<P>);
struct TransformOf<P>(std::marker::PhantomData<P>);
struct SinkOf<P>(std::marker::PhantomData<P>);

impl<P: OpenSource> Made for SourceOf<P> {
    fn factory() -> Factory {
        Factory::source::<P>()
    }
}

impl<P: OpenTransform> Made for TransformOf<P> {
    fn factory() -> Factory {
        Factory::transform::<P>()
    }
}

impl<P: OpenSink> Made for SinkOf<P> {
    fn factory() -> Factory {
        Factory::sink::<P>()
    }
}

impl Plugin {
    /// A source as a library exports it.
    #[must_use]
    pub const fn source<P: OpenSource>() -> Self {
        Self {
            kind: abi::KIND_SOURCE,
            streams: Some(source_streams),
            next: Some(next),
            close: Some(close::<dyn Source>),
            ..Self::of::<SourceOf<P>>()
        }
    }

    /// A transform as a library exports it.
    #[must_use]
    pub const fn transform<P: OpenTransform>() -> Self {
        Self {
            kind: abi::KIND_TRANSFORM,
            streams: Some(transform_streams),
            process: Some(process),
            finish: Some(finish_transform),
            report: Some(report),
            close: Some(close::<dyn Transform>),
            ..Self::of::<TransformOf<P>>()
        }
    }

    /// A sink as a library exports it.
    #[must_use]
    pub const fn sink<P: OpenSink>() -> Self {
        Self {
            kind: abi::KIND_SINK,
            write: Some(write),
            flush: Some(flush),
            finish: Some(finish_sink),
            close: Some(close::<dyn Sink>),
            ..Self::of::<SinkOf<P>>()
        }
    }

    /// What all kinds have.
    const fn of<M: Made>() -> Self {
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
            process: None,
            write: None,
            flush: None,
            finish: None,
            report: None,
            close: None,
        }
    }
}

/// Runs the body of a call: an error or a panic is told, nothing gets out.
///
/// # Safety
/// `error` can be written, or is null.
unsafe fn guarded(error: *mut abi::Error, body: impl FnOnce() -> Result<(), Error>) -> Status {
    let done = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(panicked(panic)));
    match done {
        Ok(()) => abi::OK,
        // SAFETY: the caller promises it.
        Err(told) => unsafe { tell(told, error) },
    }
}

/// A text to hand over.
fn given(text: String) -> Bytes {
    Text::new(text).give()
}

/// # Safety
/// `bytes` is shown during `'a`, or null.
unsafe fn text<'a>(bytes: *const Bytes, what: &str) -> Result<&'a str, Error> {
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

unsafe extern "C" fn describe<M: Made>(descriptor: *mut Bytes) {
    let text = || serde_json::to_string(M::factory().descriptor()).unwrap_or_default();
    // The engine refuses a plugin that says nothing of itself.
    let text = catch_unwind(text).map_err(panicked).unwrap_or_default();
    // SAFETY: the engine's place to put it.
    unsafe { descriptor.write(given(text)) };
}

unsafe extern "C" fn check<M: Made>(shown: *const Bytes, error: *mut abi::Error) -> Status {
    // SAFETY: the engine shows the options and has room for an error.
    unsafe { guarded(error, || M::factory().check(&options(text(shown, "options")?)?)) }
}

unsafe extern "C" fn open<M: Made>(
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
        Box::into_raw(Box::new(Opened { stage, inputs: rooms(inputs), host })).cast()
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

/// # Safety
/// `instance` is what `open` of this kind has made, and no other call uses it now.
unsafe fn of<'a, T>(instance: Instance) -> &'a mut T {
    // SAFETY: the caller promises it.
    unsafe { &mut *instance.cast::<T>() }
}

fn rooms(inputs: Vec<Arc<StreamSchema>>) -> Vec<(Arc<StreamSchema>, Shown)> {
    inputs.into_iter().map(|schema| (schema, Shown::default())).collect()
}

/// Calls `call` with a batch that the engine shows.
///
/// # Safety
/// `batch` is shown during the call.
#[inline]
unsafe fn visit(
    inputs: &mut [(Arc<StreamSchema>, Shown)],
    input: u32,
    batch: *const Bytes,
    call: impl FnOnce(Batch) -> Result<(), Error>,
) -> Result<(), Error> {
    let (schema, shown) = inputs.get_mut(input as usize).ok_or_else(|| {
        Error::plugin(format!("the engine gave a batch of input {input}, which there isn't"))
    })?;
    // SAFETY: the caller promises it.
    unsafe { shown.during(schema, &*batch, call) }?
}

/// Hands batches to the engine.
struct Push<'a>(&'a abi::Outputs);

impl Outputs for Push<'_> {
    #[inline]
    fn push(&mut self, output: usize, batch: Batch) {
        // An output that does not fit into 32 bits was not declared either.
        let output = u32::try_from(output).unwrap_or(u32::MAX);
        // SAFETY: the outputs are valid during the call that this stands in; the batch is handed over.
        unsafe { (self.0.push)(self.0.context, output, &give(batch)) };
    }
}

/// # Safety
/// `outputs` is valid during `'a`, or null.
unsafe fn push<'a>(outputs: *const abi::Outputs) -> Result<Push<'a>, Error> {
    // SAFETY: the caller promises it.
    unsafe { outputs.as_ref() }.map(Push).ok_or_else(|| Error::plugin("the engine gave no outputs"))
}

unsafe extern "C" fn source_streams(
    instance: Instance,
    _inputs: *const Bytes,
    streams: *mut Bytes,
    error: *mut abi::Error,
) -> Status {
    let body = || {
        // SAFETY: an instance of a source, and the engine's place to put the streams.
        unsafe { streams.write(given(streams_text(of::<SourceInstance>(instance).stage.streams()))) };
        Ok(())
    };
    // SAFETY: the engine has room for an error.
    unsafe { guarded(error, body) }
}

unsafe extern "C" fn next(
    instance: Instance,
    deadline: i64,
    outputs: *const abi::Outputs,
    state: *mut u32,
    error: *mut abi::Error,
) -> Status {
    let body = || {
        // SAFETY: an instance of a source, and outputs that are valid during the call.
        let (instance, mut out) = unsafe { (of::<SourceInstance>(instance), push(outputs)?) };
        let said = match instance.stage.next(Timestamp(deadline))? {
            Next::Batch { output, batch } => {
                out.push(output, batch);
                abi::NEXT_MORE
            }
            Next::Idle => abi::NEXT_IDLE,
            Next::End => abi::NEXT_END,
        };
        // SAFETY: the engine's place to put it.
        unsafe { state.write(said) };
        Ok(())
    };
    // SAFETY: the engine has room for an error.
    unsafe { guarded(error, body) }
}

unsafe extern "C" fn transform_streams(
    instance: Instance,
    inputs: *const Bytes,
    streams: *mut Bytes,
    error: *mut abi::Error,
) -> Status {
    let body = || {
        // SAFETY: an instance of a transform; the inputs are shown during the call.
        let (instance, inputs) = unsafe { (of::<TransformInstance>(instance), text(inputs, "inputs")?) };
        let inputs = read_streams(inputs)?;
        instance.inputs = rooms(inputs.clone());
        let made = streams_text(&instance.stage.streams(&inputs)?);
        // SAFETY: the engine's place to put them.
        unsafe { streams.write(given(made)) };
        Ok(())
    };
    // SAFETY: the engine has room for an error.
    unsafe { guarded(error, body) }
}

unsafe extern "C" fn process(
    instance: Instance,
    input: u32,
    batch: *const Bytes,
    outputs: *const abi::Outputs,
    error: *mut abi::Error,
) -> Status {
    let body = || {
        // SAFETY: an instance of a transform, and outputs that are valid during the call.
        let (instance, mut out) = unsafe { (of::<TransformInstance>(instance), push(outputs)?) };
        let Opened { stage, inputs, .. } = instance;
        // SAFETY: the batch is shown during the call.
        unsafe { visit(inputs, input, batch, |batch| stage.process(input as usize, batch, &mut out)) }
    };
    // SAFETY: the engine has room for an error.
    unsafe { guarded(error, body) }
}

unsafe extern "C" fn finish_transform(
    instance: Instance,
    outputs: *const abi::Outputs,
    error: *mut abi::Error,
) -> Status {
    // SAFETY: an instance of a transform, outputs that are valid during the call, and room for an error.
    unsafe { guarded(error, || of::<TransformInstance>(instance).stage.finish(&mut push(outputs)?)) }
}

unsafe extern "C" fn report(instance: Instance, report: *mut Bytes) {
    // SAFETY: an instance of a transform.
    let instance = unsafe { of::<TransformInstance>(instance) };
    let said = catch_unwind(AssertUnwindSafe(|| instance.stage.report()));
    let said = said.unwrap_or_else(|panic| {
        instance.host.warn(&format!("the report {}", panicked(panic)));
        None
    });
    // SAFETY: the engine's place to put it.
    unsafe { report.write(given(said.unwrap_or_default())) };
}

unsafe extern "C" fn write(
    instance: Instance,
    input: u32,
    batch: *const Bytes,
    error: *mut abi::Error,
) -> Status {
    let body = || {
        // SAFETY: an instance of a sink.
        let Opened { stage, inputs, .. } = unsafe { of::<SinkInstance>(instance) };
        // SAFETY: the batch is shown during the call.
        unsafe { visit(inputs, input, batch, |batch| stage.write(input as usize, batch)) }
    };
    // SAFETY: the engine has room for an error.
    unsafe { guarded(error, body) }
}

unsafe extern "C" fn flush(instance: Instance, error: *mut abi::Error) -> Status {
    // SAFETY: an instance of a sink, and room for an error.
    unsafe { guarded(error, || of::<SinkInstance>(instance).stage.flush()) }
}

unsafe extern "C" fn finish_sink(
    instance: Instance,
    _outputs: *const abi::Outputs,
    error: *mut abi::Error,
) -> Status {
    // SAFETY: an instance of a sink, and room for an error.
    unsafe { guarded(error, || of::<SinkInstance>(instance).stage.finish()) }
}

unsafe extern "C" fn close<T: ?Sized>(instance: Instance) {
    // SAFETY: `open` made it of a box of this type, and this is its last call.
    let Opened { stage, host, .. } = *unsafe { Box::from_raw(instance.cast::<Opened<T>>()) };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(stage))) {
        host.warn(&format!("closing the plugin {}", panicked(panic)));
    }
}

//! The calls of the three kinds behind [`abi::Plugin`]: each finds its stage, runs it, and hands over what it says. Knows nothing of how
//! a plugin is opened.

use std::sync::Arc;

use super::abi::{self, Bytes, Instance, Status};
use super::plugin::{given, guarded, text};
use super::shown::Shown;
use super::slab::give;
use super::text::tell;
use crate::door::{read_streams, streams_text};
use crate::{Batch, Error, Host, Next, Outputs, Sink, Source, StreamSchema, Timestamp, Transform, Written};

/// An opened plugin of one of the three traits.
pub(super) struct Opened<T: ?Sized> {
    /// `None` once it has been finished.
    stage: Option<Box<T>>,
    /// The streams that come in, and room for their batches.
    inputs: Vec<(Arc<StreamSchema>, Shown)>,
    /// Told of what no error can tell.
    host: Arc<dyn Host>,
}

type SourceInstance = Opened<dyn Source>;
type TransformInstance = Opened<dyn Transform>;
type SinkInstance = Opened<dyn Sink>;
/// A running stage and the room of each of its inputs.
type Running<'a, T> = (&'a mut T, &'a mut [(Arc<StreamSchema>, Shown)]);

impl<T: ?Sized> Opened<T> {
    pub(super) fn new(stage: Box<T>, inputs: Vec<Arc<StreamSchema>>, host: Arc<dyn Host>) -> Self {
        Self { stage: Some(stage), inputs: rooms(inputs), host }
    }

    /// What is left to close: the stage, if it was not finished.
    pub(super) fn into_parts(self) -> (Option<Box<T>>, Arc<dyn Host>) {
        (self.stage, self.host)
    }

    fn running(&mut self) -> Result<&mut T, Error> {
        self.with_inputs().map(|(stage, _)| stage)
    }

    fn with_inputs(&mut self) -> Result<Running<'_, T>, Error> {
        let stage = self.stage.as_deref_mut().ok_or_else(finished)?;
        Ok((stage, &mut self.inputs))
    }

    fn taken(&mut self) -> Result<Box<T>, Error> {
        self.stage.take().ok_or_else(finished)
    }
}

#[cold]
fn finished() -> Error {
    Error::plugin("the engine called a plugin that it had finished")
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
unsafe fn visit<T>(
    inputs: &mut [(Arc<StreamSchema>, Shown)],
    input: u32,
    batch: *const Bytes,
    call: impl FnOnce(Batch) -> Result<T, Error>,
) -> Result<T, Error> {
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

pub(super) unsafe extern "C" fn source_streams(
    instance: Instance,
    _inputs: *const Bytes,
    streams: *mut Bytes,
    error: *mut abi::Error,
) -> Status {
    let body = || {
        // SAFETY: an instance of a source, and the engine's place to put the streams.
        unsafe { streams.write(given(streams_text(of::<SourceInstance>(instance).running()?.streams()))) };
        Ok(())
    };
    // SAFETY: the engine has room for an error.
    unsafe { guarded(error, body) }
}

pub(super) unsafe extern "C" fn next(
    instance: Instance,
    deadline: i64,
    outputs: *const abi::Outputs,
    state: *mut u32,
    error: *mut abi::Error,
) -> Status {
    let body = || {
        // SAFETY: an instance of a source, and outputs that are valid during the call.
        let (instance, mut out) = unsafe { (of::<SourceInstance>(instance), push(outputs)?) };
        let said = match instance.running()?.next(Timestamp(deadline))? {
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

pub(super) unsafe extern "C" fn stop(instance: Instance, more: *mut u32, error: *mut abi::Error) -> Status {
    let body = || {
        // SAFETY: an instance of a source, and the engine's place to put the answer.
        unsafe { more.write(u32::from(of::<SourceInstance>(instance).running()?.stop()?)) };
        Ok(())
    };
    // SAFETY: the engine has room for an error.
    unsafe { guarded(error, body) }
}

pub(super) unsafe extern "C" fn transform_streams(
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
        let made = streams_text(&instance.running()?.streams(&inputs)?);
        // SAFETY: the engine's place to put them.
        unsafe { streams.write(given(made)) };
        Ok(())
    };
    // SAFETY: the engine has room for an error.
    unsafe { guarded(error, body) }
}

pub(super) unsafe extern "C" fn process(
    instance: Instance,
    input: u32,
    batch: *const Bytes,
    outputs: *const abi::Outputs,
    error: *mut abi::Error,
) -> Status {
    let body = || {
        // SAFETY: an instance of a transform, and outputs that are valid during the call.
        let (instance, mut out) = unsafe { (of::<TransformInstance>(instance), push(outputs)?) };
        let (stage, inputs) = instance.with_inputs()?;
        // SAFETY: the batch is shown during the call.
        unsafe { visit(inputs, input, batch, |batch| stage.process(input as usize, batch, &mut out)) }
    };
    // SAFETY: the engine has room for an error.
    unsafe { guarded(error, body) }
}

pub(super) unsafe extern "C" fn flush_transform(
    instance: Instance,
    now: i64,
    outputs: *const abi::Outputs,
    error: *mut abi::Error,
) -> Status {
    let body = || {
        // SAFETY: an instance of a transform, and outputs that are valid during the call.
        let (instance, mut out) = unsafe { (of::<TransformInstance>(instance), push(outputs)?) };
        instance.running()?.flush(Timestamp(now), &mut out)
    };
    // SAFETY: the engine has room for an error.
    unsafe { guarded(error, body) }
}

pub(super) unsafe extern "C" fn finish_transform(
    instance: Instance,
    outputs: *const abi::Outputs,
    report: *mut Bytes,
    error: *mut abi::Error,
) -> Status {
    let body = || {
        // SAFETY: an instance of a transform, and outputs that are valid during the call.
        let (instance, mut out) = unsafe { (of::<TransformInstance>(instance), push(outputs)?) };
        let said = instance.taken()?.finish(&mut out)?;
        // SAFETY: the engine's place to put it.
        unsafe { report.write(given(said.unwrap_or_default())) };
        Ok(())
    };
    // SAFETY: the engine has room for an error.
    unsafe { guarded(error, body) }
}

/// Tells the engine what a sink refused.
///
/// # Safety
/// `refusals` is valid during the call, or null.
unsafe fn refuse(refusals: *const abi::Refusals, written: &Written) -> Result<(), Error> {
    // SAFETY: the caller promises it.
    let place = unsafe { refusals.as_ref() };
    let place = place.ok_or_else(|| Error::plugin("the engine gave no place for refusals"))?;
    for refused in written.refused() {
        // An input that does not fit into 32 bits was not given either.
        let input = u32::try_from(refused.input).unwrap_or(u32::MAX);
        let (frames, (first, last)) = (refused.frames, refused.seqs);
        let mut reason = abi::Error::EMPTY;
        // SAFETY: the place is valid during the call, and `reason` can be written; its texts are handed over.
        unsafe {
            let status = tell(refused.reason.clone(), &raw mut reason);
            (place.refuse)(place.context, input, frames, first, last, status, &raw mut reason);
        }
    }
    Ok(())
}

pub(super) unsafe extern "C" fn write(
    instance: Instance,
    input: u32,
    batch: *const Bytes,
    refusals: *const abi::Refusals,
    error: *mut abi::Error,
) -> Status {
    let body = || {
        // SAFETY: an instance of a sink.
        let (stage, inputs) = unsafe { of::<SinkInstance>(instance) }.with_inputs()?;
        // SAFETY: the batch is shown during the call.
        let written = unsafe { visit(inputs, input, batch, |batch| stage.write(input as usize, batch)) }?;
        // SAFETY: valid during the call.
        unsafe { refuse(refusals, &written) }
    };
    // SAFETY: the engine has room for an error.
    unsafe { guarded(error, body) }
}

pub(super) unsafe extern "C" fn flush_sink(
    instance: Instance,
    refusals: *const abi::Refusals,
    error: *mut abi::Error,
) -> Status {
    // SAFETY: an instance of a sink, refusals that are valid during the call, and room for an error.
    unsafe { guarded(error, || refuse(refusals, &of::<SinkInstance>(instance).running()?.flush()?)) }
}

pub(super) unsafe extern "C" fn finish_sink(
    instance: Instance,
    refusals: *const abi::Refusals,
    error: *mut abi::Error,
) -> Status {
    // SAFETY: an instance of a sink, refusals that are valid during the call, and room for an error.
    unsafe { guarded(error, || refuse(refusals, &of::<SinkInstance>(instance).taken()?.finish()?)) }
}

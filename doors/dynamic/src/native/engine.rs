//! The engine, as a plugin in a library sees it: the functions of [`abi::Host`]. No panic gets out of them, and what a plugin says is
//! not believed to be UTF-8.

use std::borrow::Cow;
use std::ffi::c_void;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use tapedeck_sdk::native::abi::{self, Bytes, Status};
use tapedeck_sdk::native::{TEXT_BYTES_MAX, Text, slice, tell};
use tapedeck_sdk::panics::caught;
use tapedeck_sdk::{Error, Host, Role, StreamSchema, Timestamp};

use super::arrow::{self, Input};
use super::follower::Foreign;

/// What stands behind the context of an [`abi::Host`].
pub(super) struct Engine {
    host: Arc<dyn Host>,
    /// The streams that come in, once they are known: for the Arrow view.
    inputs: OnceLock<Vec<Input>>,
}

impl Engine {
    pub(super) fn new(host: Arc<dyn Host>) -> Self {
        Self { host, inputs: OnceLock::new() }
    }

    /// Makes the streams known that come in. There being none is not yet knowing them.
    pub(super) fn set_inputs(&self, inputs: &[Arc<StreamSchema>]) {
        if !inputs.is_empty() {
            self.inputs.get_or_init(|| inputs.iter().cloned().map(Input::new).collect());
        }
    }

    /// The table over this engine. It adds no holder.
    pub(super) fn table(engine: &Arc<Self>) -> abi::Host {
        abi::Host {
            size: u32::try_from(size_of::<abi::Host>()).expect("the table is some hundred bytes long"),
            reserved: 0,
            context: Arc::as_ptr(engine).cast_mut().cast(),
            retain,
            release,
            now,
            failed,
            partial,
            warn,
            mark,
            pause,
            resume,
            is_paused,
            told,
            follow,
            artifact,
            loss,
            to_arrow,
            absent,
            left_out,
        }
    }

    /// # Safety
    /// `context` is that of a table of ours, and there is a holder of it.
    unsafe fn of<'a>(context: *mut c_void) -> &'a Self {
        // SAFETY: the caller promises it.
        unsafe { &*context.cast_const().cast::<Self>() }
    }
}

/// Runs the body of a call that can't fail.
fn quiet<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    // There is nobody to tell of a panic.
    caught(|| Ok(body())).unwrap_or(otherwise)
}

/// Runs the body of a call that can.
///
/// # Safety
/// `error` can be written, or is null.
unsafe fn telling(error: *mut abi::Error, body: impl FnOnce() -> Result<(), Error>) -> Status {
    match caught(body) {
        Ok(()) => abi::OK,
        // SAFETY: the caller promises it.
        Err(told) => unsafe { tell(told, error) },
    }
}

/// The bytes of a text that the plugin shows, if it has a sensible length.
///
/// # Safety
/// They can be read during `'a`.
unsafe fn text<'a>(bytes: *const u8, length: u64, what: &str) -> Result<&'a str, Error> {
    if length > TEXT_BYTES_MAX {
        return Err(Error::plugin(format!("{what} has {length} bytes, the limit is {TEXT_BYTES_MAX}")));
    }
    // SAFETY: the caller promises it.
    let bytes = unsafe { slice(&Bytes { bytes, length, ..Bytes::EMPTY }) };
    std::str::from_utf8(bytes).map_err(|error| Error::plugin(format!("{what} is no UTF-8: {error}")))
}

unsafe extern "C" fn retain(context: *mut c_void) {
    // SAFETY: the context is an `Arc` that has a holder.
    unsafe { Arc::increment_strong_count(context.cast_const().cast::<Engine>()) };
}

unsafe extern "C" fn release(context: *mut c_void) {
    // SAFETY: as above; the holder that is taken away is one that was added.
    quiet((), || unsafe { Arc::decrement_strong_count(context.cast_const().cast::<Engine>()) });
}

unsafe extern "C" fn now(context: *mut c_void) -> i64 {
    // SAFETY: a context of ours.
    quiet(Timestamp::UNSET.0, || unsafe { Engine::of(context) }.host.now().0)
}

unsafe extern "C" fn failed(context: *mut c_void, frames: u64) {
    // SAFETY: a context of ours.
    quiet((), || unsafe { Engine::of(context) }.host.failed(frames));
}

unsafe extern "C" fn partial(context: *mut c_void, frames: u64) {
    // SAFETY: a context of ours.
    quiet((), || unsafe { Engine::of(context) }.host.partial(frames));
}

unsafe extern "C" fn absent(context: *mut c_void, ticks: u64) {
    // SAFETY: a context of ours.
    quiet((), || unsafe { Engine::of(context) }.host.absent(ticks));
}

unsafe extern "C" fn left_out(context: *mut c_void, frames: u64) {
    // SAFETY: a context of ours.
    quiet((), || unsafe { Engine::of(context) }.host.left_out(frames));
}

/// The first bytes of a text that the plugin shows, whatever they are.
///
/// # Safety
/// They can be read during `'a`.
unsafe fn lossy<'a>(bytes: *const u8, length: u64) -> Cow<'a, str> {
    let shown = Bytes { bytes, length: length.min(TEXT_BYTES_MAX), ..Bytes::EMPTY };
    // SAFETY: the caller promises it.
    String::from_utf8_lossy(unsafe { slice(&shown) })
}

unsafe extern "C" fn warn(context: *mut c_void, message: *const u8, length: u64) {
    // SAFETY: a context of ours; the plugin shows the text during the call.
    quiet((), || unsafe { Engine::of(context).host.warn(&lossy(message, length)) });
}

unsafe extern "C" fn mark(context: *mut c_void, label: *const u8, length: u64) {
    // SAFETY: a context of ours; the plugin shows the text during the call.
    quiet((), || unsafe { Engine::of(context).host.mark(&lossy(label, length)) });
}

unsafe extern "C" fn pause(context: *mut c_void) {
    // SAFETY: a context of ours.
    quiet((), || unsafe { Engine::of(context) }.host.pause());
}

unsafe extern "C" fn resume(context: *mut c_void) {
    // SAFETY: a context of ours.
    quiet((), || unsafe { Engine::of(context) }.host.resume());
}

unsafe extern "C" fn is_paused(context: *mut c_void) -> u32 {
    // SAFETY: a context of ours.
    quiet(0, || u32::from(unsafe { Engine::of(context) }.host.is_paused()))
}

unsafe extern "C" fn told(context: *mut c_void, place: *mut abi::Told) -> u32 {
    quiet(0, || {
        if place.is_null() {
            return 0;
        }
        // SAFETY: a context of ours.
        let Some(told) = (unsafe { Engine::of(context) }).host.told() else { return 0 };
        let [name, value] = [told.name, told.value.to_string()].map(|text| Text::new(text).give());
        // SAFETY: the plugin's place to put it.
        unsafe { place.write(abi::Told { name, value }) };
        1
    })
}

unsafe extern "C" fn follow(
    context: *mut c_void,
    output: u32,
    follower: *const abi::Follower,
    error: *mut abi::Error,
) -> Status {
    let body = || {
        // SAFETY: the plugin hands a follower over, or null.
        let follower = unsafe { follower.as_ref() }
            .ok_or_else(|| Error::plugin("the plugin follows an output without a follower"))?;
        // SAFETY: as above.
        let foreign = unsafe { Foreign::new(*follower) }?;
        // SAFETY: a context of ours.
        let host = &unsafe { Engine::of(context) }.host;
        host.follow(output as usize, Box::new(move |mark| foreign.tell(mark)))
    };
    // SAFETY: the plugin's place for an error.
    unsafe { telling(error, body) }
}

unsafe extern "C" fn artifact(
    context: *mut c_void,
    name: *const u8,
    length: u64,
    role: u32,
    input: u32,
    path: *mut Bytes,
    error: *mut abi::Error,
) -> Status {
    let body = || {
        let role = match role {
            abi::ROLE_RECORDING => Role::Recording,
            abi::ROLE_RECORDING_OF => Role::RecordingOf(input as usize),
            abi::ROLE_BESIDE => Role::Beside,
            other => return Err(Error::plugin(format!("the plugin gives a file the unknown role {other}"))),
        };
        if path.is_null() {
            return Err(Error::plugin("the plugin asks for a file and has no place for its path"));
        }
        // SAFETY: the plugin shows the name during the call.
        let name = unsafe { text(name, length, "the name of a file") }?;
        // SAFETY: a context of ours.
        let full = unsafe { Engine::of(context) }.host.artifact(Path::new(name), role)?;
        let full = full.into_os_string().into_string().map_err(|full| {
            Error::environment(format!("can't name a file to a plugin: {} is no UTF-8", full.display()))
        })?;
        // SAFETY: the plugin's place to put it.
        unsafe { path.write(Text::new(full).give()) };
        Ok(())
    };
    // SAFETY: the plugin's place for an error.
    unsafe { telling(error, body) }
}

unsafe extern "C" fn loss(context: *mut c_void, stream: *const u8, length: u64, loss: *mut abi::Loss) {
    let lost = quiet(abi::Loss::default(), || {
        // SAFETY: the plugin shows the name during the call.
        let Ok(stream) = (unsafe { text(stream, length, "the name of a stream") }) else {
            return abi::Loss::default();
        };
        // SAFETY: a context of ours.
        let lost = unsafe { Engine::of(context) }.host.loss(stream);
        abi::Loss { late: lost.late, dropped: lost.dropped, failed: lost.failed, partial: lost.partial }
    });
    if !loss.is_null() {
        // SAFETY: the plugin's place to put it.
        unsafe { loss.write(lost) };
    }
}

unsafe extern "C" fn to_arrow(
    context: *mut c_void,
    input: u32,
    batch: *const Bytes,
    array: *mut c_void,
    schema: *mut c_void,
    error: *mut abi::Error,
) -> Status {
    let body = || {
        // SAFETY: a context of ours.
        let inputs = unsafe { Engine::of(context) }.inputs.get();
        let input = inputs
            .and_then(|inputs| inputs.get(input as usize))
            .ok_or_else(|| Error::plugin(format!("the plugin asks for input {input}, which there isn't")))?;
        // SAFETY: the plugin shows a batch that it was shown, and has room for the two structs.
        unsafe { arrow::view(input, batch, array, schema) }
    };
    // SAFETY: the plugin's place for an error.
    unsafe { telling(error, body) }
}

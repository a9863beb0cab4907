//! The engine, as a Rust plugin in a dynamic library sees it: the calls of [`abi::Host`] behind the trait.

use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::abi::{self, Bytes};
use super::text::{TEXT_BYTES_MAX, hear, received};
use crate::{Error, Follower, Host, Loss, Role, Timestamp, Told, Watermark};

/// The most bytes of a path.
const PATH_BYTES_MAX: u64 = 64 << 10;

struct Engine(abi::Host);

// SAFETY: the contract of `abi::Host` says that every call may come from any thread.
unsafe impl Send for Engine {}
// SAFETY: as above.
unsafe impl Sync for Engine {}

/// The engine behind `host`. It may be kept as long as the plugin likes.
///
/// # Errors
/// The engine is older than this crate.
///
/// # Safety
/// `host` keeps the contract of [`abi::Host`].
pub(super) unsafe fn engine(host: *const abi::Host) -> Result<Arc<dyn Host>, Error> {
    // SAFETY: the caller promises it; the size stands at the same place in every version.
    if unsafe { (*host).size as usize } < size_of::<abi::Host>() {
        return Err(Error::plugin("the engine speaks an older version of the contract than the plugin")
            .with_hint("Update tapedeck."));
    }
    // SAFETY: it is long enough.
    let host = unsafe { *host };
    // SAFETY: the context is valid during `open`; from here on there is a holder more, which `drop` takes away.
    unsafe { (host.retain)(host.context) };
    Ok(Arc::new(Engine(host)))
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: the holder is the one that `engine` added.
        unsafe { (self.0.release)(self.0.context) };
    }
}

impl Host for Engine {
    fn now(&self) -> Timestamp {
        // SAFETY: there is a holder of the context as long as `self` lives.
        Timestamp(unsafe { (self.0.now)(self.0.context) })
    }

    fn failed(&self, frames: u64) {
        // SAFETY: as in `now`.
        unsafe { (self.0.failed)(self.0.context, frames) };
    }

    fn partial(&self, frames: u64) {
        // SAFETY: as in `now`.
        unsafe { (self.0.partial)(self.0.context, frames) };
    }

    fn absent(&self, ticks: u64) {
        // SAFETY: as in `now`.
        unsafe { (self.0.absent)(self.0.context, ticks) };
    }

    fn left_out(&self, frames: u64) {
        // SAFETY: as in `now`.
        unsafe { (self.0.left_out)(self.0.context, frames) };
    }

    fn mark(&self, label: &str) {
        // SAFETY: as in `now`; the text lives during the call.
        unsafe { (self.0.mark)(self.0.context, label.as_ptr(), label.len() as u64) };
    }

    fn pause(&self) {
        // SAFETY: as in `now`.
        unsafe { (self.0.pause)(self.0.context) };
    }

    fn resume(&self) {
        // SAFETY: as in `now`.
        unsafe { (self.0.resume)(self.0.context) };
    }

    fn is_paused(&self) -> bool {
        // SAFETY: as in `now`.
        unsafe { (self.0.is_paused)(self.0.context) != 0 }
    }

    fn told(&self) -> Option<Told> {
        let mut told = abi::Told { name: Bytes::EMPTY, value: Bytes::EMPTY };
        // SAFETY: as in `now`; the place lives during the call.
        if unsafe { (self.0.told)(self.0.context, &raw mut told) } == 0 {
            return None;
        }
        // SAFETY: both texts were handed over.
        let [name, value] = [told.name, told.value].map(|text| unsafe { received(&text, TEXT_BYTES_MAX) });
        // The engine writes JSON.
        Some(Told { name, value: serde_json::from_str(&value).unwrap_or_default() })
    }

    fn follow(&self, output: usize, follower: Follower) -> Result<(), Error> {
        let output = u32::try_from(output)
            .map_err(|error| Error::plugin(format!("can't follow output {output}: {error}")))?;
        let follower = abi::Follower {
            data: Box::into_raw(Box::new(follower)).cast(),
            moved: Some(moved),
            release: Some(unfollow),
        };
        let mut error = abi::Error::EMPTY;
        // SAFETY: as in `now`; the follower is handed over, and both places live during the call.
        let status = unsafe { (self.0.follow)(self.0.context, output, &raw const follower, &raw mut error) };
        // SAFETY: `error` is what this call has put there.
        unsafe { hear(status, &mut error) }
    }

    fn warn(&self, message: &str) {
        // SAFETY: as in `now`; the text lives during the call.
        unsafe { (self.0.warn)(self.0.context, message.as_ptr(), message.len() as u64) };
    }

    fn artifact(&self, name: &Path, role: Role) -> Result<PathBuf, Error> {
        let text = name
            .to_str()
            .ok_or_else(|| Error::option(["path"], format!("\"{}\" is not UTF-8", name.display())))?;
        let (role, input) = match role {
            Role::Recording => (abi::ROLE_RECORDING, 0),
            // An input that does not fit into 32 bits was not given either.
            Role::RecordingOf(input) => (abi::ROLE_RECORDING_OF, u32::try_from(input).unwrap_or(u32::MAX)),
            Role::Beside => (abi::ROLE_BESIDE, 0),
        };
        let (name, length) = (text.as_ptr(), text.len() as u64);
        let (mut path, mut error) = (Bytes::EMPTY, abi::Error::EMPTY);
        // SAFETY: as in `now`; the text and both places live during the call.
        let status = unsafe {
            (self.0.artifact)(self.0.context, name, length, role, input, &raw mut path, &raw mut error)
        };
        // SAFETY: `error` is what this call has put there.
        unsafe { hear(status, &mut error) }?;
        // SAFETY: the path was handed over.
        Ok(unsafe { received(&path, PATH_BYTES_MAX) }.into())
    }

    fn loss(&self, stream: &str) -> Loss {
        let mut loss = abi::Loss::default();
        // SAFETY: as in `now`; the text and the place live during the call.
        unsafe { (self.0.loss)(self.0.context, stream.as_ptr(), stream.len() as u64, &raw mut loss) };
        let abi::Loss { late, dropped, failed, partial } = loss;
        Loss { late, dropped, failed, partial }
    }
}

/// Tells a follower of ours. A panic ends here: there is nobody on this thread to tell of it.
unsafe extern "C" fn moved(data: *mut c_void, mark: *const abi::Watermark) {
    // SAFETY: `data` is the box that `follow` made, which lives until `unfollow`; the engine never calls by two threads at once.
    let (follower, mark) = unsafe { (&mut *data.cast::<Follower>(), *mark) };
    let abi::Watermark { written, flushed, lost } = mark;
    drop(crate::panics::caught(|| {
        follower(Watermark { written, flushed, lost });
        Ok(())
    }));
}

unsafe extern "C" fn unfollow(data: *mut c_void) {
    // SAFETY: the box that `follow` made; the engine calls this once.
    let follower = unsafe { Box::from_raw(data.cast::<Follower>()) };
    drop(crate::panics::dropped(follower));
}

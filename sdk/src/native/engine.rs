//! The engine, as a Rust plugin in a dynamic library sees it: the calls of [`abi::Host`] behind the trait.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::abi::{self, Bytes};
use super::text::{hear, received};
use crate::{Error, Host, Loss, Role, Timestamp};

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

    fn warn(&self, message: &str) {
        // SAFETY: as in `now`; the text lives during the call.
        unsafe { (self.0.warn)(self.0.context, message.as_ptr(), message.len() as u64) };
    }

    fn artifact(&self, name: &Path, _role: Role) -> Result<PathBuf, Error> {
        let text = name
            .to_str()
            .ok_or_else(|| Error::option(["path"], format!("\"{}\" is not UTF-8", name.display())))?;
        let (mut path, mut error) = (Bytes::EMPTY, abi::Error::EMPTY);
        // SAFETY: as in `now`; the text and both places live during the call.
        let status = unsafe {
            (self.0.artifact)(self.0.context, text.as_ptr(), text.len() as u64, &raw mut path, &raw mut error)
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
        let abi::Loss { late, dropped, failed } = loss;
        Loss { late, dropped, failed, partial: 0 }
    }
}

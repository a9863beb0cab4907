//! Whom a plugin in a library has told of its watermark: a function of the plugin's with its data, given back at the end.

use std::ffi::c_void;

use tapedeck_sdk::native::abi;
use tapedeck_sdk::{Error, Watermark};

/// A follower of the plugin's.
pub(super) struct Foreign {
    data: *mut c_void,
    moved: unsafe extern "C" fn(data: *mut c_void, mark: *const abi::Watermark),
    release: Option<unsafe extern "C" fn(data: *mut c_void)>,
}

// SAFETY: the contract says that a follower is called on other threads than its own, never by two at once, and released on any.
unsafe impl Send for Foreign {}

impl Foreign {
    /// Takes a follower over.
    ///
    /// # Errors
    /// It has no function to be told by.
    ///
    /// # Safety
    /// It keeps the contract of [`abi::Follower`] and is not used by anybody else.
    pub(super) unsafe fn new(follower: abi::Follower) -> Result<Self, Error> {
        let abi::Follower { data, moved, release } = follower;
        if let Some(moved) = moved {
            return Ok(Self { data, moved, release });
        }
        if let Some(release) = release {
            // SAFETY: it is handed over, whatever comes of it; this is the last call.
            unsafe { release(data) };
        }
        Err(Error::plugin("the plugin follows an output with a follower without `moved`"))
    }

    /// Tells it how far the recording is.
    pub(super) fn tell(&self, mark: Watermark) {
        let Watermark { written, flushed, lost } = mark;
        let mark = abi::Watermark { written, flushed, lost };
        // SAFETY: the caller of `new` promises it; the mark lives during the call.
        unsafe { (self.moved)(self.data, &raw const mark) };
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: as in `tell`; this is the last call.
            unsafe { release(self.data) };
        }
    }
}

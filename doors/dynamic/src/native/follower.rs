//! Whom a plugin in a library has told of its watermark: a function of the plugin's with its data, given back at the end.

use tapedeck_sdk::Watermark;
use tapedeck_sdk::native::abi;

/// A follower of the plugin's.
pub(super) struct Foreign(abi::Follower);

// SAFETY: the contract says that a follower is called on other threads than its own, never by two at once, and released on any.
unsafe impl Send for Foreign {}

impl Foreign {
    /// Takes a follower over.
    ///
    /// # Safety
    /// It keeps the contract of [`abi::Follower`] and is not used by anybody else.
    pub(super) unsafe fn new(follower: abi::Follower) -> Self {
        Self(follower)
    }

    /// Tells it how far the recording is.
    pub(super) fn tell(&self, mark: Watermark) {
        let Watermark { written, flushed, lost } = mark;
        let mark = abi::Watermark { written, flushed, lost };
        // SAFETY: the caller of `new` promises it; the mark lives during the call.
        unsafe { (self.0.moved)(self.0.data, &raw const mark) };
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(release) = self.0.release {
            // SAFETY: as in `tell`; this is the last call.
            unsafe { release(self.0.data) };
        }
    }
}

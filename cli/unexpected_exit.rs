//! A library can end the whole process with `exit`, and the process would seem to have come to a good end. Whoever records says so
//! here; an exit that is not the program's own is then told and gets a code of its own.
//!
//! Does not see `_exit` and `quick_exit`, after which no code of the process runs.

use std::io::Write;
use std::sync::{Mutex, Once};

/// The exit code of a process that a plugin has ended: `EX_SOFTWARE` of BSD's `sysexits.h`.
const PLUGIN_EXIT: u8 = 70;

/// What is to be said, if the process exits now.
static UNEXPECTED: Mutex<Option<String>> = Mutex::new(None);

/// From here on an exit is not the program's own, until [`expect`]: `message` goes to the standard error, and the code is
/// [`PLUGIN_EXIT`].
pub(crate) fn forbid(message: String) {
    static REGISTERED: Once = Once::new();
    #[expect(unsafe_code, reason = "the standard library has no call for it")]
    // SAFETY: the handler is a plain function that lives as long as the process. Without it an exit stays as it is.
    REGISTERED.call_once(|| _ = unsafe { libc::atexit(tell) });
    if let Ok(mut unexpected) = UNEXPECTED.lock() {
        *unexpected = Some(message);
    }
}

/// From here on an exit is the program's own.
pub(crate) fn expect() {
    if let Ok(mut unexpected) = UNEXPECTED.lock() {
        *unexpected = None;
    }
}

/// Called by `exit`, on the thread that calls it.
extern "C" fn tell() {
    let Some(message) = UNEXPECTED.try_lock().ok().and_then(|mut unexpected| unexpected.take()) else {
        return;
    };
    // Nobody is left to be told of an error.
    drop(std::io::stderr().write_all(message.as_bytes()));
    #[expect(unsafe_code, reason = "the standard library's exit would call this again")]
    // SAFETY: ends the process, whatever the state of its threads.
    unsafe {
        libc::_exit(i32::from(PLUGIN_EXIT))
    }
}

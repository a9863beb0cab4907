//! The only file that starts threads, and that says which is woken first.

use std::thread::{Builder, JoinHandle};

/// Starts a thread of the engine. Its name (at most 15 bytes are kept by the kernel) is what `top -H` shows.
///
/// # Errors
/// The system refuses another thread.
#[expect(clippy::disallowed_methods, reason = "this is the place that the rule sends everybody to")]
pub fn start<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    #[cfg(test)]
    refusals::pass()?;
    // A name with a zero is none to the system.
    Builder::new().name(name.chars().filter(|&c| c != '\0').take(15).collect()).spawn(run)
}

/// Runs something on a thread of its own while `here` runs, and waits for both.
///
/// # Errors
/// The system refuses another thread; `here` has not run then.
pub(crate) fn beside<T>(
    name: &str,
    aside: impl FnOnce() + Send,
    here: impl FnOnce() -> T,
) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let name = name.chars().filter(|&c| c != '\0').take(15).collect();
        Builder::new().name(name).spawn_scoped(scope, aside)?;
        Ok(here())
    })
}

/// The calling thread is woken before all that are not as urgent (`SCHED_FIFO`, priority 10).
///
/// # Errors
/// The system refuses: it takes `CAP_SYS_NICE`, or a limit of `ulimit -r`.
#[expect(unsafe_code, reason = "no safe crate of ours has this call")]
pub(crate) fn raise_priority() -> std::io::Result<()> {
    const PRIORITY: i32 = 10;
    // SAFETY: a plain C structure of numbers, for which zeros are valid.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = PRIORITY;
    // SAFETY: 0 is the calling thread, and the structure outlives the call.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// A system that has no more threads, for tests.
#[cfg(test)]
pub(crate) mod refusals {
    use std::cell::Cell;
    use std::io;

    thread_local! {
        static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
    }

    /// The calling thread can start so many more.
    pub(crate) fn after(threads: usize) {
        LEFT.set(threads);
    }

    pub(super) fn pass() -> io::Result<()> {
        let left = LEFT.get();
        LEFT.set(left.saturating_sub(1));
        if left == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    }
}

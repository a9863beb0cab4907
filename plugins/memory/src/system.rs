//! The two calls into the kernel that the compiler can't check: reading another process's memory, and what a child does
//! between `fork` and `exec`. Knows nothing of attributes, and never decides what a failure means.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// A run of bytes in another process. Laid out as the kernel's `struct iovec`, but an address there is no pointer here.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) address: usize,
    pub(crate) length: usize,
}

const _: () =
    assert!(size_of::<Span>() == size_of::<libc::iovec>() && align_of::<Span>() == align_of::<libc::iovec>());

/// The most spans that one call takes (`UIO_MAXIOV`).
pub(crate) const SPANS_MAX: usize = 1024;

/// Reads `spans` of the process `pid` one behind the other into `into`, which is as long as they are together. Returns how many
/// bytes came before the first one that can't be read.
///
/// # Errors
/// `EFAULT` when not even the first byte can be read, `ESRCH` when the process is gone, `EPERM` when we may not.
#[expect(unsafe_code, reason = "the one system call that reads another process's memory")]
pub(crate) fn read_spans(pid: i32, spans: &[Span], into: &mut [u8]) -> io::Result<usize> {
    debug_assert!(spans.len() <= SPANS_MAX);
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    // SAFETY: the kernel writes only inside `local`, which is `into`, borrowed for the length of the call. `spans` has the layout of
    // an array of `iovec` (checked above); the addresses in it are only ever looked up in the other process, and bad ones
    // are answered with an error.
    let read = unsafe {
        libc::process_vm_readv(
            pid,
            &raw const local,
            1,
            spans.as_ptr().cast(),
            spans.len() as libc::c_ulong,
            0,
        )
    };
    usize::try_from(read).map_err(|_negative| io::Error::last_os_error())
}

/// Makes the child die with the thread that starts it, even if that is killed.
#[expect(unsafe_code, reason = "code between fork and exec")]
pub(crate) fn die_with_us(command: &mut Command) {
    let parent = rustix::process::getpid();
    let before_exec = move || {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // The parent may have died before the call above: then no signal ever comes.
        if rustix::process::getppid() == Some(parent) {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::ESRCH))
        }
    };
    // SAFETY: the closure makes two bare system calls; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(before_exec) };
}

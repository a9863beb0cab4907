//! What is mapped from a file that somebody else cuts short, or whose disk fails, must not end the process: the memory stays, and what is
//! written to it from then on is lost on disk only. Knows addresses; does not know what they hold.
//!
//! The system says `SIGBUS` to whoever touches such memory. A handler puts fresh memory in its place, and leaves every other fault to
//! whoever handled it before.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How many mappings are guarded at once; those of further sessions are not.
const GUARDED_MAX: usize = 1024;

/// A guarded mapping. A length of 0 is none.
struct Slot {
    /// Whether somebody has it.
    taken: AtomicBool,
    begin: AtomicUsize,
    bytes: AtomicUsize,
    /// Whether it was cut from its file.
    lost: AtomicBool,
}

static SLOTS: [Slot; GUARDED_MAX] = [const {
    Slot {
        taken: AtomicBool::new(false),
        begin: AtomicUsize::new(0),
        bytes: AtomicUsize::new(0),
        lost: AtomicBool::new(false),
    }
}; GUARDED_MAX];

/// Who handled the signal before.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// Guards a mapping until it is dropped, which must be before the mapping goes.
pub(super) struct Guard(Option<&'static Slot>);

impl Guard {
    /// Guards the mapping that begins at a page.
    pub(super) fn new(begin: usize, bytes: usize) -> Self {
        install();
        let slot = SLOTS.iter().find(|slot| !slot.taken.swap(true, Ordering::AcqRel));
        if let Some(slot) = slot {
            slot.lost.store(false, Ordering::Relaxed);
            slot.begin.store(begin, Ordering::Relaxed);
            slot.bytes.store(bytes, Ordering::Release);
        }
        Self(slot)
    }

    /// Whether the mapping was cut from its file.
    #[cfg(test)]
    pub(super) fn is_lost(&self) -> bool {
        self.0.is_some_and(|slot| slot.lost.load(Ordering::Relaxed))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            slot.bytes.store(0, Ordering::Release);
            slot.taken.store(false, Ordering::Release);
        }
    }
}

#[expect(unsafe_code, reason = "a signal handler")]
fn install() {
    BEFORE.get_or_init(|| {
        let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_fault;
        let mut before = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: all zeros are a valid `sigaction`; both pointers are to ones that live as long as the call. The handler is
        // async-signal-safe: it reads atomics and makes system calls.
        unsafe {
            let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            libc::sigaction(libc::SIGBUS, &raw const action, before.as_mut_ptr());
            before.assume_init()
        }
    });
}

#[expect(unsafe_code, reason = "a signal handler")]
extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system passes a valid `siginfo_t`; for `SIGBUS` it has an address.
    let address = unsafe { (*info).si_addr() } as usize;
    for slot in &SLOTS {
        let bytes = slot.bytes.load(Ordering::Acquire);
        let begin = slot.begin.load(Ordering::Relaxed);
        if (begin..begin + bytes).contains(&address) && replace(begin, bytes) {
            slot.lost.store(true, Ordering::Relaxed);
            return;
        }
    }
    pass_on(signal, info, context);
}

/// Puts fresh memory in the place of a mapping.
#[expect(unsafe_code, reason = "maps memory at a fixed place")]
fn replace(begin: usize, bytes: usize) -> bool {
    use rustix::mm::{MapFlags, ProtFlags};
    let place = std::ptr::with_exposed_provenance_mut(begin);
    // SAFETY: the place is a mapping of ours, of that length, that is accessed through atomics only; it stays mapped until after its
    // guard is dropped.
    let mapped = unsafe {
        let flags = MapFlags::PRIVATE | MapFlags::FIXED;
        rustix::mm::mmap_anonymous(place, bytes, ProtFlags::READ | ProtFlags::WRITE, flags)
    };
    mapped.is_ok()
}

/// Leaves a fault to whoever handled it before; by default it ends the process.
#[expect(unsafe_code, reason = "calls another signal handler")]
fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let before = BEFORE.get().filter(|before| !matches!(before.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN));
    // SAFETY: what the system gave back as a handler is one, of the kind that its flags say. Without one the default is put back: the
    // instruction faults again, and ends the process as it would have.
    unsafe {
        match before {
            Some(before) if before.sa_flags & libc::SA_SIGINFO != 0 => {
                let handler = std::mem::transmute::<
                    usize,
                    extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void),
                >(before.sa_sigaction);
                handler(signal, info, context);
            }
            Some(before) => {
                std::mem::transmute::<usize, extern "C" fn(c_int)>(before.sa_sigaction)(signal);
            }
            None => _ = libc::signal(signal, libc::SIG_DFL),
        }
    }
}

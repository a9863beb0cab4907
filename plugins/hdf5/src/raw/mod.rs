//! The C library behind functions that can't be called wrongly: every call is made under the library's one lock, every
//! identifier is closed once, every buffer's length is checked, and a failure is a value. The only place with `unsafe`.
//!
//! It knows nothing of recordings. The library is never left to clean up at process exit (`H5dont_atexit`): it would try
//! again, without end, to write what a full disk has refused.

mod attribute;
mod dataset;
mod element;
mod file;

use std::ffi::{CStr, CString, c_uint, c_void};
use std::sync::Once;

use hdf5_sys::LOCK;
use hdf5_sys::h5::{H5dont_atexit, H5open, herr_t};
use hdf5_sys::h5e::{H5E_DEFAULT, H5E_WALK_DOWNWARD, H5E_error2_t, H5Eclear2, H5Eset_auto2, H5Ewalk2};
use hdf5_sys::h5i::{H5Idec_ref, hid_t};
use hdf5_sys::h5l::{H5L_type_t, H5Lunregister};

pub(crate) use attribute::{set_number, set_text, set_texts, texts};
pub(crate) use dataset::{Dataset, Storage};
pub(crate) use element::Element;
pub(crate) use file::{File, Group, Mode, Node};

/// What the library said when it could not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The operating system's error number, where that was the cause.
    pub(crate) errno: Option<i32>,
    /// The library's own words, innermost first.
    pub(crate) message: String,
}

impl Failure {
    /// A failure that was found before the library was asked.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { errno: None, message: message.into() }
    }

    /// A dataset of the file has its values in another one.
    pub(crate) fn elsewhere(dataset: &str) -> Self {
        Self::new(format!("\"{dataset}\" keeps its values in another file, which is not opened"))
    }

    /// As an I/O error, which is what the user is told.
    pub(crate) fn to_io(&self) -> std::io::Error {
        match self.errno {
            Some(number) => std::io::Error::from_raw_os_error(number),
            None => std::io::Error::other(self.message.clone()),
        }
    }
}

/// A number that the library returns; below zero means failure.
trait Status: Copy {
    fn is_failure(self) -> bool;
}

impl Status for i32 {
    fn is_failure(self) -> bool {
        self < 0
    }
}

impl Status for i64 {
    fn is_failure(self) -> bool {
        self < 0
    }
}

/// Makes a call under the library's lock, which one thread may take several times over.
fn call<T: Status>(body: impl FnOnce() -> T) -> Result<T, Failure> {
    static PREPARED: Once = Once::new();
    let _guard = LOCK.lock();
    PREPARED.call_once(|| {
        // SAFETY: the first calls into the library, under its lock, with no pointers but a null that it allows.
        unsafe {
            H5dont_atexit();
            H5open();
            H5Eset_auto2(H5E_DEFAULT, None, std::ptr::null_mut());
            // Links into other files lead nowhere in this program: whoever made a file would choose where to.
            H5Lunregister(H5L_type_t::H5L_TYPE_EXTERNAL);
        }
    });
    let status = body();
    if status.is_failure() { Err(last_failure()) } else { Ok(status) }
}

/// Reads the library's error stack and empties it. The lock is held.
fn last_failure() -> Failure {
    unsafe extern "C" fn collect(_: c_uint, error: *const H5E_error2_t, words: *mut c_void) -> herr_t {
        // SAFETY: the library passes its own record and, unchanged, the pointer that `H5Ewalk2` was given below.
        let (error, words) = unsafe { (&*error, &mut *words.cast::<Vec<String>>()) };
        if !error.desc.is_null() {
            // SAFETY: a description is a string that ends in NUL and lives as long as the record.
            words.push(unsafe { CStr::from_ptr(error.desc) }.to_string_lossy().into_owned());
        }
        0
    }
    let mut words: Vec<String> = Vec::new();
    // SAFETY: `words` outlives the walk, and `collect` has the signature that the library expects.
    unsafe {
        H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, Some(collect), (&raw mut words).cast());
        H5Eclear2(H5E_DEFAULT);
    }
    words.reverse();
    let errno = words.iter().find_map(|word| errno_of(word));
    Failure {
        errno,
        message: if words.is_empty() {
            "unknown failure of the HDF5 library".to_owned()
        } else {
            words.join("; ")
        },
    }
}

/// The library's file drivers write the system's error number into their description: `… errno = 28, error message = …`.
fn errno_of(description: &str) -> Option<i32> {
    let digits = description.split_once("errno = ")?.1;
    let end = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok().filter(|&number| number != 0)
}

/// An identifier of the library, whatever it is of.
#[derive(Debug)]
struct Id(hid_t);

impl Id {
    /// Takes what a call returns that makes an identifier.
    fn new(body: impl FnOnce() -> hid_t) -> Result<Self, Failure> {
        call(body).map(Self)
    }

    fn close(self) -> Result<(), Failure> {
        let number = self.0;
        std::mem::forget(self);
        // SAFETY: the identifier is this value's own and not used again.
        call(|| unsafe { H5Idec_ref(number) }).map(drop)
    }
}

impl Drop for Id {
    fn drop(&mut self) {
        // Nobody is left to be told; whoever wants to know calls `close`.
        // SAFETY: the identifier is this value's own and not used again.
        drop(call(|| unsafe { H5Idec_ref(self.0) }));
    }
}

/// A name for the library. A NUL, which it can't take, is replaced.
fn name(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).expect("NULs were replaced")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_error_number_is_found_in_the_librarys_words() {
        let words = "file write failed: time = Fri, filename = 'a', file descriptor = 3, errno = 28, error message = 'No space'";
        assert_eq!(errno_of(words), Some(libc::ENOSPC));
        assert_eq!(errno_of("can't close file"), None);
    }

    #[test]
    fn a_failure_says_why_and_leaves_no_trace() {
        let missing = std::path::Path::new("/nonexistent/file.h5");
        let first = File::open(missing, Mode::Read).map(drop).unwrap_err();
        assert_eq!(first.errno, Some(libc::ENOENT));
        assert_eq!(File::open(missing, Mode::Read).map(drop).unwrap_err().errno, first.errno);
    }
}

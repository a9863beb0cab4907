//! Texts and errors on their way through the dynamic door, for both of its sides.

use super::abi::{self, Bytes, Status};
use super::slab::{ForeignSlab, slice};
use crate::{Error, ErrorKind};

/// The most bytes of an error, a warning, a name or a report that are read; the rest is cut off.
pub const TEXT_BYTES_MAX: u64 = 64 << 10;

/// A text with a zero byte behind it that its length does not count: what C calls a string.
pub struct Text(Vec<u8>);

impl Text {
    /// The text with its zero byte.
    #[must_use]
    pub fn new(text: impl Into<Vec<u8>>) -> Self {
        let mut bytes = text.into();
        bytes.push(0);
        Self(bytes)
    }

    /// The text as it is shown during a call: there is no keeping it.
    #[must_use]
    pub fn lend(&self) -> Bytes {
        Bytes { bytes: self.0.as_ptr(), length: self.length(), ..Bytes::EMPTY }
    }

    /// The text as it is handed over.
    #[must_use]
    pub fn give(self) -> Bytes {
        let length = self.length();
        if length == 0 {
            // Static: still a string to C.
            Bytes { bytes: c"".as_ptr().cast(), ..Bytes::EMPTY }
        } else {
            Bytes { length, ..ForeignSlab::from_vec(self.0).into_bytes() }
        }
    }

    fn length(&self) -> u64 {
        self.0.len() as u64 - 1
    }
}

/// The first bytes of what is shown, at most `length_max` of them.
///
/// # Safety
/// `bytes` keeps the contract of [`Bytes`] during `'a`.
#[must_use]
pub unsafe fn view<'a>(bytes: &Bytes, length_max: u64) -> &'a [u8] {
    // SAFETY: the caller promises it; a part of what can be read can be read.
    unsafe { slice(&Bytes { length: bytes.length.min(length_max), ..*bytes }) }
}

/// Copies a text that was handed over and releases it. What is no UTF-8 is replaced by `U+FFFD`.
///
/// # Safety
/// `bytes` keeps the contract of [`Bytes`], and one holder is handed over.
#[must_use]
pub unsafe fn received(bytes: &Bytes, length_max: u64) -> String {
    // SAFETY: the caller promises it.
    let text = String::from_utf8_lossy(unsafe { view(bytes, length_max) }).into_owned();
    // SAFETY: the caller promises a holder; it is released here.
    drop(unsafe { ForeignSlab::new(*bytes) });
    text
}

/// Tells the other side of an error.
///
/// # Safety
/// `place` can be written, or is null.
pub unsafe fn tell(error: Error, place: *mut abi::Error) -> Status {
    let status = match error.kind {
        ErrorKind::Options => abi::OPTIONS,
        ErrorKind::Environment => abi::ENVIRONMENT,
        ErrorKind::Data => abi::DATA,
        ErrorKind::Io => abi::IO,
        ErrorKind::Plugin => abi::PLUGIN,
    };
    if !place.is_null() {
        let told = abi::Error {
            message: Text::new(error.message).give(),
            hint: Text::new(error.hint.unwrap_or_default()).give(),
            option: Text::new(error.option.join("\n")).give(),
        };
        // SAFETY: the caller promises that it can be written.
        unsafe { place.write(told) };
    }
    status
}

/// What the other side has told: nothing, or an error, whose texts are released. `place` is empty afterwards.
///
/// # Errors
/// What was told. A status that there isn't is an error of the kind `Plugin`.
///
/// # Safety
/// `place` holds what the call that returned `status` has put there.
#[inline]
pub unsafe fn hear(status: Status, place: &mut abi::Error) -> Result<(), Error> {
    if status == abi::OK {
        if !is_empty(place) {
            // A plugin that fills in an error and then says that all is well: the texts are released, so that the next error isn't
            // told with them.
            // SAFETY: the caller promises it.
            drop(unsafe { heard(abi::PLUGIN, place) });
        }
        return Ok(());
    }
    // SAFETY: the caller promises it.
    Err(unsafe { heard(status, place) })
}

/// Whether nothing was handed over.
fn is_empty(place: &abi::Error) -> bool {
    let untouched = |text: &abi::Bytes| text.bytes.is_null() && text.release.is_none();
    untouched(&place.message) && untouched(&place.hint) && untouched(&place.option)
}

#[cold]
unsafe fn heard(status: Status, place: &mut abi::Error) -> Error {
    let told = std::mem::replace(place, abi::Error::EMPTY);
    // SAFETY: the caller of `hear` promises that the texts were handed over.
    let [message, hint, option] =
        [told.message, told.hint, told.option].map(|text| unsafe { received(&text, TEXT_BYTES_MAX) });
    let kind = match status {
        abi::OPTIONS => ErrorKind::Options,
        abi::ENVIRONMENT => ErrorKind::Environment,
        abi::DATA => ErrorKind::Data,
        abi::IO => ErrorKind::Io,
        abi::PLUGIN => ErrorKind::Plugin,
        unknown => {
            let said = if message.is_empty() { String::new() } else { format!(": {message}") };
            return Error::plugin(format!("the plugin returned the unknown status {unknown}{said}"));
        }
    };
    let message = if message.is_empty() { "the plugin gave no reason".to_owned() } else { message };
    let option = if option.is_empty() { Vec::new() } else { option.split('\n').map(str::to_owned).collect() };
    Error { kind, message, hint: Some(hint).filter(|hint| !hint.is_empty()), option }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_text_is_a_string_to_c_too() {
        let text = Text::new("").give();
        // SAFETY: a string has its zero byte behind it.
        let first = unsafe { text.bytes.as_ref() };
        assert_eq!((first, text.length), (Some(&0), 0));
        // SAFETY: it was handed over.
        assert_eq!(unsafe { received(&text, TEXT_BYTES_MAX) }, "");
    }
}

//! Panics of a plugin's code as errors: what was said, where, and nothing on the terminal. Used by whoever calls a plugin: the engine,
//! and the plugin's side of the dynamic door.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::Error;

thread_local! {
    /// How many calls of [`caught`] this thread is in.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Where the last panic inside of one happened.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps panics inside of [`caught`] from being printed: they become errors, which are told in their place. All others are printed as
/// before. To be called once by a program; a library that [`export!`](crate::export) made does it by itself.
pub fn hide_caught() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // A thread that is ending has no depth any more.
            if DEPTH.try_with(Cell::get).is_ok_and(|depth| depth > 0) {
                let place = panic.location().map(ToString::to_string);
                drop(PLACE.try_with(|last| last.replace(place)));
            } else {
                before(panic);
            }
        }));
    });
}

/// Runs a plugin's code; a panic becomes an error of kind `Plugin` that says "panicked", why, and where if [`hide_caught`] was called.
///
/// # Errors
/// What `body` says, or that it panicked.
pub fn caught<T>(body: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    DEPTH.set(DEPTH.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(body));
    DEPTH.set(DEPTH.get() - 1);
    outcome.unwrap_or_else(|panic| Err(panicked(panic)))
}

/// Drops a plugin's value; a panic of its `drop` becomes an error.
///
/// # Errors
/// It panicked.
pub fn dropped<T>(value: T) -> Result<(), Error> {
    caught(|| {
        drop(value);
        Ok(())
    })
}

/// What a panic says.
fn panicked(panic: Box<dyn Any + Send>) -> Error {
    let text = match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => match other.downcast::<&'static str>() {
            Ok(text) => (*text).to_owned(),
            Err(other) => {
                // Dropping an unknown value could panic once more.
                std::mem::forget(other);
                "the reason is not a text".to_owned()
            }
        },
    };
    let place = PLACE.take().map(|place| format!(", at {place}")).unwrap_or_default();
    Error::plugin(format!("panicked: {text}{place}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_reason_and_its_place() {
        hide_caught();
        let error = caught(|| -> Result<(), Error> { panic!("a {}", "bug") }).unwrap_err();
        assert!(error.message.starts_with("panicked: a bug, at sdk/src/panics.rs:"), "{error}");
        let nested = caught(|| {
            caught(|| -> Result<(), Error> { std::panic::panic_any(7) }).unwrap_err();
            Ok(DEPTH.get())
        });
        assert_eq!(nested, Ok(1));
        assert_eq!(DEPTH.get(), 0);
    }

    #[test]
    fn a_value_that_panics_when_dropped_is_an_error() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("boom");
            }
        }
        assert!(dropped(Bomb).unwrap_err().message.contains("boom"));
    }
}

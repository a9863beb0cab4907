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
    /// Where the panics happened that are on their way out of one, each with the depth at which it happened.
    static PLACES: RefCell<Vec<(u32, String)>> = const { RefCell::new(Vec::new()) };
}

/// Keeps panics inside of [`caught`] from being printed: they become errors, which are told in their place. All others are printed as
/// before. To be called once by a program; a library that [`export!`](crate::export) made does it by itself.
pub fn hide_caught() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // A thread that is ending has no depth any more.
            let depth = DEPTH.try_with(Cell::get).unwrap_or(0);
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            if depth == 0 || !on_its_way(depth, place) {
                before(panic);
            }
        }));
    });
}

/// Notes a panic that will be caught. False for one that happens while another one is on its way: most likely it ends the process, and
/// nobody but the hook can tell of it.
fn on_its_way(depth: u32, place: String) -> bool {
    let note = |places: &RefCell<Vec<(u32, String)>>| {
        let Ok(mut places) = places.try_borrow_mut() else { return false };
        let first = places.pop_if(|(last, _)| *last == depth).is_none();
        places.push((depth, place));
        first
    };
    PLACES.try_with(note).unwrap_or(false)
}

/// Runs a plugin's code; a panic becomes an error of kind `Plugin` that says "panicked", why, and where if [`hide_caught`] was called.
///
/// # Errors
/// What `body` says, or that it panicked.
pub fn caught<T>(body: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let outside = DEPTH.get();
    DEPTH.set(outside + 1);
    let outcome = catch_unwind(AssertUnwindSafe(body));
    DEPTH.set(outside);
    let place = PLACES.with_borrow_mut(|places| {
        let inside = places.iter().position(|(depth, _)| *depth > outside).unwrap_or(places.len());
        places.drain(inside..).next_back()
    });
    outcome.unwrap_or_else(|panic| Err(panicked(panic, place.map(|(_, place)| place))))
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
fn panicked(panic: Box<dyn Any + Send>, place: Option<String>) -> Error {
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
    let place = place.map(|place| format!(", at {place}")).unwrap_or_default();
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
    fn a_panic_on_top_of_another_one_is_printed_since_nobody_else_can_tell_of_it() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("the second one");
            }
        }
        const APART: &str = "TAPEDECK_TEST_PANICS_TWICE";
        if std::env::var_os(APART).is_some() {
            hide_caught();
            drop(caught(|| -> Result<(), Error> {
                let _bomb = Bomb;
                panic!("the first one")
            }));
            return;
        }
        let test = std::thread::current().name().unwrap().to_owned();
        let apart = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", &test])
            .env(APART, "1")
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&apart.stderr);
        assert!(!apart.status.success() && printed.contains("the second one"), "{printed}");
        assert!(!printed.contains("the first one"), "{printed}");
    }

    #[test]
    fn a_panic_that_the_plugin_catches_itself_is_forgotten() {
        hide_caught();
        for _ in 0..2 {
            let error = caught(|| -> Result<(), Error> {
                let _ = catch_unwind(|| panic!("mended"));
                Err(Error::data("the plugin's own"))
            });
            assert_eq!(error.unwrap_err().message, "the plugin's own");
            PLACES.with_borrow(|places| assert!(places.is_empty()));
        }
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

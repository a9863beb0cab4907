//! What sessions are called.

use std::path::{Path, PathBuf};

use tapedeck_sdk::Error;

use crate::clock::SessionClock;

/// The most characters of a session's name.
const NAME_CHARS_MAX: usize = 128;

/// Whether it can be a session's name: of a folder, an address and a command line alike.
///
/// # Errors
/// It can't.
pub fn check_name(name: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts && name.len() <= NAME_CHARS_MAX && name.chars().all(plain) {
        return Ok(());
    }
    Err(Error::environment(format!("{name:?} can't be a session's name"))
        .with_hint("take a letter or digit, then up to 127 letters, digits, `.`, `_` and `-`"))
}

/// A folder of that name and the time that is not there yet.
pub(crate) fn free_name(directory: &Path, name: &str, clock: &SessionClock) -> PathBuf {
    // What a name can't have is left out; the time and a number need 20 characters.
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let stem: String = name.chars().filter(plain).take(NAME_CHARS_MAX - 28).collect();
    let stem = stem.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let stem = if stem.is_empty() { "session" } else { stem };
    let time: String =
        clock.anchor().to_iso8601().chars().take(19).filter(|c| c.is_ascii_alphanumeric()).collect();
    let name = format!("{stem}-{}", time.replace('T', "-"));
    let free = (1..).map(|count| if count == 1 { name.clone() } else { format!("{name}-{count}") });
    let free = free.map(|name| directory.join(name)).find(|path| path.symlink_metadata().is_err());
    free.expect("there are endless names")
}

//! Whether a command can be started, with the exit codes that shells have for it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tapedeck_sdk::Error;

/// The command was not found.
pub(crate) const NOT_FOUND: u8 = 127;
/// It was found and can't be run.
pub(crate) const NOT_EXECUTABLE: u8 = 126;

/// Looks for a program as the system does; the error comes with its exit code.
pub(crate) fn check(program: &str) -> Result<(), (Error, u8)> {
    let found: Vec<PathBuf> = places(program).into_iter().filter(|path| path.is_file()).collect();
    if found.iter().any(|path| is_executable(path)) {
        return Ok(());
    }
    let refused = |why: &str, hint: &str, code| {
        Err((Error::environment(format!("can't start \"{program}\": {why}")).with_hint(hint), code))
    };
    if found.is_empty() {
        let hint = "check how it is spelled; a program outside PATH needs its whole path";
        return refused("there is no such command", hint, NOT_FOUND);
    }
    refused("permission denied", "the file must be executable", NOT_EXECUTABLE)
}

/// Where the program may be: itself if it has a slash, else in the folders of PATH.
fn places(program: &str) -> Vec<PathBuf> {
    if program.contains('/') {
        return vec![PathBuf::from(program)];
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    std::env::split_paths(&path).map(|folder| folder.join(program)).collect()
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.permissions().mode() & 0o111 != 0)
}

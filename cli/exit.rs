//! The exit codes, the same for every verb; `--help` and the README have the table. `rec` returns the command's own.

use tapedeck_sdk::{Error, ErrorKind};

/// Everything is there.
pub(crate) const COMPLETE: u8 = 0;
/// It failed: the disk or the system refused, or nothing came of it.
pub(crate) const FAILED: u8 = 1;
/// Bad usage, a bad pipeline, nothing at the path, or no recording: nothing was begun.
pub(crate) const REFUSED: u8 = 2;
/// It was done, and something is missing: frames were lost or refused, or a recording can be read only in part.
pub(crate) const WITH_LOSS: u8 = 3;

/// Of an error before which nothing was done.
pub(crate) fn of(error: &Error) -> u8 {
    match error.kind {
        ErrorKind::Io | ErrorKind::Plugin => FAILED,
        ErrorKind::Options | ErrorKind::Environment | ErrorKind::Data => REFUSED,
    }
}

/// The table, for `--help`.
pub(crate) const HELP: &str = "\
Exit codes, of every command but `rec`, which returns its command's:
  0  complete
  1  failed: the disk or the system refused, or nothing came of it
  2  refused: bad usage, a bad pipeline, nothing at the path, or no recording
  3  with loss: frames were lost or refused, or a recording can be read only in part";

//! Folders of numbered, timed Python pickles: one frame a file, `000.pickle`, `001.pickle` …, each the pair `(timestamp, data)` of Unix
//! seconds and anything, as dimos' `TimedSensorStorage` writes them. Nothing is ever executed: see [`tapedeck_kit::pickle`].
//!
//! # Written
//!
//! A folder a stream, the file's number being the frame's `seq` less that of the first one, so that a gap in the numbers is a lost frame. A
//! file is written beside its place and renamed: a kill leaves whole files only. A message whose encoding is `pickle` becomes `data` with its
//! own opcodes. Any other row becomes a dict of its columns: `bool`, `int`, `float`, `str`, `bytes`, `None`.
//!
//! # Read
//!
//! A folder is a stream; a folder of such folders is several. Where every frame is a dict of the same plain values, its keys are columns, else
//! a frame is a message with encoding `pickle`, whose data is the payload as a pickle of its own, with the opcodes it was written with. A float
//! timestamp that nanoseconds can't tell is kept in a column of its own, `pickle_time`. Files that are torn are left out, and told of at the end.

mod columns;
mod folder;
mod format;
mod repair;
mod row;
mod sink;
#[cfg(test)]
mod tests;
mod track;

use tapedeck_sdk::prelude::*;

pub use format::PicklesFormat;
pub use sink::PicklesOptions;

/// The column that has the timestamp as it was pickled, where nanoseconds can't tell it.
pub const TIME_COLUMN: &str = "pickle_time";
/// How a message that is a pickle is encoded.
const ENCODING: &str = "pickle";

/// The plugin.
#[must_use]
pub fn factory() -> Factory {
    Factory::sink::<sink::PicklesSink>().with_format(PicklesFormat)
}

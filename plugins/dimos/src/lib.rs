//! SQLite recordings as dimos 0.0.15 has them (`dimos.memory.store.sqlite`): a table of observations and one of payloads for each stream.
//!
//! # Written
//!
//! Messages go in as they are where dimos has a codec for their encoding (`lcm`, `jpeg`, `lz4+lcm`, `pickle`, `json`) and their type is known: by
//! the column `schema`, or by a topic such as `/odom#nav_msgs.Odometry` or `dimos/odom/nav_msgs.Odometry`. A topic is a stream of dimos'.
//! Other messages become pickled `bytes`, and frames of other kinds pickled dicts of their columns, so that dimos reads them all. An
//! observation's `id` is the frame's `seq` plus one: a gap is a lost frame. What dimos does not ask for (the schema of our stream, the session,
//! what was lost) stands beside what it does.
//!
//! # Read
//!
//! A stream of dimos' is one of kind `message` with its codec as encoding, and where they are used the columns `value` (numbers that are
//! stored without a payload), `pose_x` to `pose_qw` and `tags`. Ours come back as they were, with times to the microsecond: dimos
//! keeps seconds as floats.

mod database;
mod fill;
mod format;
mod names;
mod shape;
mod sink;
#[cfg(test)]
mod tests;
mod track;

use tapedeck_sdk::prelude::*;

pub use format::DimosFormat;
pub use sink::DimosOptions;

/// The plugin.
#[must_use]
pub fn factory() -> Factory {
    Factory::sink::<sink::DimosSink>().with_format(DimosFormat)
}

//! Writes and reads HDF5 recordings.
//!
//! # The layout `datasets`
//!
//! One dataset a column, `[N]` in the column's own type and named as the column; a byte array is `u8 [N, length]`, a `bool` the
//! enumeration that h5py reads as `bool`, a text a UTF-8 string of fixed length. Beside them `timestamps`, `f64` seconds since the Unix
//! epoch, and `seq`, `u64`: a gap in it is a loss. Several streams each have a group of their name with all of this in it; one stream
//! is at the root. HDF5 has no null: a null is NaN in a column of floats and zero elsewhere, and the group `_tapedeck`
//! says which zeros are none. A dataset whose column may be null has the attributes `nulls`, how many there are as of the last flush, and
//! `validity`, where the bits are: `_tapedeck/validity[:, 0] & 4` is not zero where the value is no null.
//!
//! Root attributes: `session`, `pipeline`, `started_at` (ISO 8601), `generator`, `layout`, and the frames that were lost, `late`,
//! `dropped`, `failed` (zero until the recording is finished; of each stream on its group where there are several).
//!
//! The group `_tapedeck` is for our own reader: `timestamp` (`i64` nanoseconds, exact), `validity` (`u8`, a bit for each column, least
//! significant first, 1 = not null; only if a column is nullable), `lengths` (`u32`, bytes of each value of varying length), `description`
//! (JSON: streams, schemas and which datasets belong together) and, with compression, `tail`: the rows of a chunk that is not full yet.
//!
//! # The layout `siphon`
//!
//! `memory_data` `f32 [N, A]` with the attribute `attribute_names`; `timestamps` `i64` milliseconds; `inputs` `u8 [N, K]` with
//! `key_mapping`; `latencies` `f32 [N, 5]`; `frames` `u8 [N, H, W, 4]`, BGRA. `_tapedeck` holds the exact `timestamp` and `seq`, and those
//! of the pictures as `frames_timestamp` and `frames_seq`.
//!
//! # While it is written
//!
//! The file is in single-writer, multiple-reader mode from its first byte: h5py opens it with `swmr=True` and sees every row of the last flush. A
//! killed recording reads back up to its last flush, and repair takes away the marks of the writer and cuts all datasets to
//! one length. All calls into the library are made under one lock: several such sinks in one process write one at a time.

mod datasets;
mod disk;
mod fill;
mod frames;
mod nulls;
mod options;
mod plan;
#[expect(unsafe_code, reason = "the C library; nothing else in this crate is unsafe")]
mod raw;
mod reader;
mod recording;
mod repair;
mod reserve;
mod sink;
mod siphon;
mod table;
mod tail;

use tapedeck_sdk::Factory;

/// The `hdf5` sink, and the reader of its files.
#[must_use]
pub fn factory() -> Factory {
    Factory::sink::<sink::Hdf5Sink>().with_format(reader::Hdf5Format)
}

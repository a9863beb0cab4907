//! Writes and reads terminal recordings as asciicasts: versions 2 and 3 are written, 1, 2 and 3 are read.
//!
//! # Files
//!
//! One file a connection, `<id>/<connection>.cast`, the connection's name made safe for any disk. A stream whose schema metadata has
//! `tapedeck.terminal.single = "true"` goes into the single file `<id>.cast`. An `x` frame ends a connection and closes its file; a
//! frame of the same name that comes later begins another file, `<connection>-2.cast`. Every line is the kernel's after `flush`.
//!
//! # Frames
//!
//! `o`, `i` (only if the option `input` asks for it), `m`, `r` and, in version 3, `x` become events. The first `r` frame becomes the size in
//! the header when no event came before it. Two codes more are our own, and never written into the `.cast`:
//!
//! - `c` has facts about the connection: a JSON object, best given as the first frame, which goes into the sidecar. Its keys are
//!   `username`, `source_ip`, `source_port`, `authentication_method`, and any others.
//! - `e` says whether the terminal echoes; it is for transforms that hide passwords.
//!
//! An asciicast is text. A character that is split across frames is joined, for each connection and direction; a byte that is not UTF-8
//! becomes U+FFFD. Record the same stream with a lossless sink beside this one where each byte counts.
//!
//! Where facts say that output or input are bytes of a transfer (`output_as`, `input_as`), these are kept as
//! they are in `<connection>.out` and `<connection>.in` beside the sidecar, and make no events.
//!
//! # Sidecar
//!
//! `<connection>.json` beside each file: who, from where, when, how long, how much, and `status`: `recording` from the start, then
//! `complete` (an `x` frame came) or `interrupted`.
//!
//! # Reading
//!
//! A file reads back as a stream of kind `terminal` whose first row is the size, and whose connection is the file's name. What the
//! header says besides goes along as schema metadata, so that a file that is read and written again has the same bytes.

mod decode;
mod encode;
mod escape;
mod file;
mod header;
mod options;
mod reader;
mod recording;
mod repair;
mod rows;
mod seconds;
mod sidecar;
mod sink;
#[cfg(test)]
mod tests;
mod transfer;

use tapedeck_sdk::prelude::*;

pub use options::AsciicastOptions;
pub use reader::AsciicastFormat;
pub use seconds::Precision;

/// The schema metadata key under which the header of a file that was read goes along.
pub const HEADER_KEY: &str = "tapedeck.asciicast.header";

/// The plugin.
#[must_use]
pub fn factory() -> Factory {
    Factory::sink::<sink::AsciicastSink>().with_format(AsciicastFormat)
}

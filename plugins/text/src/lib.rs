//! Writes what a terminal showed as plain text: the lines that scrolled away, and the screen below them.
//!
//! # Files
//!
//! One file a connection, `<id>/<connection>.txt`, or for a stream with one connection the file `<id>.txt`. Output goes through the terminal
//! emulator that asciinema uses: colours and movements are gone, a line that was drawn over reads as it was at last, and a
//! line that was wrapped at the edge of the screen is one line again. What a full-screen program drew is not in the text, as it is not in a
//! terminal's scrollback. Only output counts; what was typed shows where it was echoed.
//!
//! After each `flush` the file has everything up to the screen as it is; the screen's lines are written over as they change.
//! A few bytes of output can fill a screen again and again. A character is repeated for one line at most, and where a frame makes more than 64
//! times its bytes and 8 MiB, the lines above that are left out: the text says so, and the frame counts as failed.
//!
//! An asciicast has the recording itself: from a text nothing can be played.

mod options;
mod screen;
mod sink;
#[cfg(test)]
mod tests;
mod transcript;

use tapedeck_sdk::prelude::*;

pub use options::TextOptions;

/// The `text` sink.
#[must_use]
pub fn factory() -> Factory {
    Factory::sink::<sink::TextSink>()
}

//! A file format, seen from the reading side: `inspect`, `recover`, `convert`, `play`, `at` and `replay` all stand on this.

use std::path::Path;

use crate::{Error, Recording};

/// What [`Format::repair`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// The file was whole.
    Intact,
    /// The file is whole now; the text says what was mended ("cut 113 bytes of a torn last line").
    Mended(String),
    /// Nothing, or too little, can be read: the file must be written again from the journal.
    Unreadable(String),
}

/// How many bytes of a file [`Format::matches`] is given.
pub const HEAD_BYTES: usize = 4096;

/// A file format, seen from the reading side. Its crate holds writer and reader side by side where there are both.
pub trait Format: Send + Sync {
    /// The format's name: that of its sink, if it has one.
    fn name(&self) -> &'static str;

    /// File name extensions, without a dot, the usual one first.
    fn extensions(&self) -> &'static [&'static str];

    /// Whether a file holds each frame that its sink took, with its `seq`. One that leaves some out by intent (a screen recording without
    /// what was typed) can't be held against the numbers of the source.
    fn holds_every_frame(&self) -> bool {
        true
    }

    /// Whether the content is of this format: `head` has the first [`HEAD_BYTES`] of a file (fewer if it is shorter), and is empty for a
    /// folder. Looks at nothing else of a file; of a folder at most at the names in it.
    fn matches(&self, head: &[u8], path: &Path) -> bool;

    /// Whether what is read has the types, names and nulls that were written. Of a stream that is kept by several sinks, a format that
    /// does not is read last.
    fn keeps_types(&self) -> bool {
        true
    }

    /// Opens a recording. Reads only.
    ///
    /// # Errors
    /// The file can't be read, or is not of this format.
    fn open(&self, path: &Path) -> Result<Box<dyn Recording>, Error>;

    /// Makes a file whole that its writer could not finish. Never loses a frame that could be read before, and changes nothing
    /// in a file that is whole.
    ///
    /// # Errors
    /// Reading or writing failed.
    fn repair(&self, path: &Path) -> Result<Repair, Error>;
}

//! What is known of a file without reading its messages: its channels, and where its messages lie, part by part.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mcap::records::{AttachmentIndex, Channel, MetadataIndex};
use tapedeck_sdk::Error;

/// The most bytes of a part, before and after decompression.
pub(crate) const PART_BYTES_MAX: u64 = 256 << 20;
/// The most bytes of any other record that is taken into memory.
pub(crate) const RECORD_BYTES_MAX: u64 = 64 << 20;
/// Opcode and length.
pub(crate) const HEAD_BYTES: u64 = 9;

/// A file, read at any place.
#[derive(Debug)]
pub(crate) struct Bytes {
    file: File,
    pub(crate) path: PathBuf,
    pub(crate) length: u64,
}

impl Bytes {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let opening = |error: &std::io::Error| Error::io("open the recording", path, error);
        let file = File::open(path).map_err(|error| opening(&error))?;
        let found = file.metadata().map_err(|error| opening(&error))?;
        Ok(Self { file, path: path.to_owned(), length: found.len() })
    }

    /// Reads `length` bytes from `at`. Fails past the end of the file.
    pub(crate) fn read(&self, at: u64, length: u64) -> Result<Vec<u8>, Error> {
        let end = at.checked_add(length).filter(|end| *end <= self.length);
        let length = end.and_then(|_| usize::try_from(length).ok());
        let Some(length) = length else { return Err(self.damaged(at, "the file ends too early")) };
        let mut bytes = vec![0; length];
        let read = self.file.read_exact_at(&mut bytes, at);
        read.map_err(|error| Error::io("read the recording", &self.path, &error))?;
        Ok(bytes)
    }

    pub(crate) fn damaged(&self, at: u64, what: &str) -> Error {
        Error::data(format!("the recording is damaged at byte {at}: {what}: {}", self.path.display()))
    }
}

/// How messages of a part lie in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A chunk record.
    Chunk,
    /// The beginning of a chunk record that the file ends in.
    Torn,
    /// Records one after the other, outside of chunks.
    Run,
}

/// How many messages of a channel there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    Known(u64),
    /// As many as the message index at this place has entries; not read yet.
    IndexAt(u64),
    /// This many, as the message index at this place says.
    Indexed(u64, u64),
}

/// Part of a file that is read at once.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) layout: Layout,
    /// Which file of the recording.
    pub(crate) file: usize,
    /// The first byte of its first record, and how many there are.
    pub(crate) at: u64,
    pub(crate) length: u64,
    /// The earliest and the latest log time.
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// Its channels, where they are known.
    pub(crate) channels: Option<Vec<(u16, Count)>>,
}

impl Part {
    /// Whether the part may have messages of a channel.
    pub(crate) fn may_have(&self, wanted: impl Fn(u16) -> bool) -> bool {
        self.channels.as_ref().is_none_or(|channels| channels.iter().any(|&(channel, _)| wanted(channel)))
    }

    /// Counts a message of a run.
    pub(crate) fn count(&mut self, channel: u16, time: i64) {
        (self.start, self.end) = (self.start.min(time), self.end.max(time));
        let channels = self.channels.get_or_insert_default();
        match channels.iter_mut().find(|(known, _)| *known == channel) {
            Some((_, Count::Known(count))) => *count += 1,
            _ => channels.push((channel, Count::Known(1))),
        }
    }
}

/// A time of the file. Times after 2262 are all the same here.
pub(crate) fn time(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

/// A channel's schema.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Schema {
    pub(crate) name: String,
    pub(crate) encoding: String,
    pub(crate) data: Vec<u8>,
}

/// How a file ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With the end of its data section.
    Marked,
    /// In the middle of a record, or without an end.
    Torn,
    /// Something is there that is not MCAP.
    Damaged(String),
}

/// What is in a file.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) channels: BTreeMap<u16, Channel>,
    pub(crate) schemas: BTreeMap<u16, Schema>,
    /// In the order of the file.
    pub(crate) parts: Vec<Part>,
    /// The messages of each channel, where the file says.
    pub(crate) counts: Option<BTreeMap<u16, u64>>,
    pub(crate) attachments: Vec<AttachmentIndex>,
    pub(crate) metadata: Vec<MetadataIndex>,
    /// What the metadata record with our streams says.
    pub(crate) streams: BTreeMap<String, String>,
    /// Whether there is a header record.
    pub(crate) header: bool,
    /// Damaged places after which the file goes on: where each begins, and where it ends.
    pub(crate) gaps: Vec<(u64, u64)>,
    /// Where the records that can be read end.
    pub(crate) end: u64,
    pub(crate) ending: Ending,
}

impl Default for Contents {
    fn default() -> Self {
        Self {
            channels: BTreeMap::new(),
            schemas: BTreeMap::new(),
            parts: Vec::new(),
            counts: None,
            attachments: Vec::new(),
            metadata: Vec::new(),
            streams: BTreeMap::new(),
            header: false,
            gaps: Vec::new(),
            end: 0,
            ending: Ending::Torn,
        }
    }
}

//! A part of a file in memory: decompressed, checked, and where its messages are.

use std::io::{Cursor, Read};

use binrw::BinReaderExt;
use mcap::records::{ChunkHeader, MessageHeader, Record, op};
use tapedeck_sdk::Error;

use crate::index::{Bytes, HEAD_BYTES, Layout, PART_BYTES_MAX, Part, time};

/// Bytes of a message's header.
const MESSAGE_HEAD_BYTES: usize = 22;

/// A message in a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) time: i64,
    /// Where its record's content begins.
    at: u32,
    length: u32,
    pub(crate) channel: u16,
}

impl Place {
    /// Bytes of the message, with its header.
    pub(crate) fn byte_len(self) -> usize {
        self.length as usize
    }
}

/// A part in memory.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    bytes: Vec<u8>,
    pub(crate) places: Vec<Place>,
}

impl Loaded {
    /// About how much memory it takes.
    pub(crate) fn byte_len(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<Place>()
    }

    /// A message's header and its data.
    pub(crate) fn message(&self, place: Place) -> (MessageHeader, &[u8]) {
        let bytes = &self.bytes[place.at as usize..][..place.length as usize];
        (message_header(bytes).unwrap_or(NOTHING), &bytes[MESSAGE_HEAD_BYTES..])
    }
}

/// What is never given: places are made of messages that have a header.
const NOTHING: MessageHeader = MessageHeader { channel_id: 0, sequence: 0, log_time: 0, publish_time: 0 };

/// The header of a message.
pub(crate) fn message_header(bytes: &[u8]) -> Option<MessageHeader> {
    let (channel_id, rest) = bytes.split_first_chunk()?;
    let (sequence, rest) = rest.split_first_chunk()?;
    let (log_time, rest) = rest.split_first_chunk()?;
    let (publish_time, _) = rest.split_first_chunk()?;
    Some(MessageHeader {
        channel_id: u16::from_le_bytes(*channel_id),
        sequence: u32::from_le_bytes(*sequence),
        log_time: u64::from_le_bytes(*log_time),
        publish_time: u64::from_le_bytes(*publish_time),
    })
}

/// One record after the other: its opcode, where its content begins, and the content.
pub(crate) struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn record(&mut self) -> Option<(u8, usize, &'a [u8])> {
        let rest = &self.bytes[self.at..];
        let (&[opcode], rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let content = rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        let at = self.bytes.len() - rest.len();
        self.at = at + content.len();
        Some((opcode, at, content))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<(u8, usize, &'a [u8]), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let record = self.record();
        if record.is_none() {
            self.at = self.bytes.len();
        }
        Some(record.ok_or("a record is longer than what it is in"))
    }
}

/// The records of a part.
pub(crate) fn records(bytes: &Bytes, part: &Part) -> Result<Vec<u8>, Error> {
    let damaged = |what: &str| bytes.damaged(part.at, what);
    if part.length > PART_BYTES_MAX {
        return Err(damaged("a chunk is over 256 MiB"));
    }
    let raw = bytes.read(part.at, part.length)?;
    if part.layout == Layout::Run {
        return Ok(raw);
    }
    let content = raw.get(usize::try_from(HEAD_BYTES).unwrap_or(0)..).unwrap_or_default();
    if raw.first() != Some(&op::CHUNK) {
        return Err(damaged("there should be a chunk"));
    }
    if part.layout == Layout::Torn {
        return Ok(torn(content));
    }
    let parsed = mcap::parse_record(op::CHUNK, content);
    let Ok(Record::Chunk { header, data }) = parsed else {
        return Err(damaged("a chunk's header makes no sense"));
    };
    let records = decompressed(&header, &data).map_err(|what| damaged(&what))?;
    // 0 means none.
    if header.uncompressed_crc != 0 && crc32fast::hash(&records) != header.uncompressed_crc {
        return Err(damaged("a chunk's checksum is wrong"));
    }
    Ok(records)
}

/// The whole records in what there is of a chunk.
fn torn(content: &[u8]) -> Vec<u8> {
    let mut cursor = Cursor::new(content);
    let Ok(header) = cursor.read_le::<ChunkHeader>() else { return Vec::new() };
    let data = usize::try_from(cursor.position()).ok().and_then(|at| content.get(at..)).unwrap_or_default();
    let mut found = match header.compression.as_str() {
        "" => data.to_vec(),
        "zstd" => zstd::stream::read::Decoder::with_buffer(data).map(readable).unwrap_or_default(),
        "lz4" => lz4::Decoder::new(data).map(readable).unwrap_or_default(),
        _ => Vec::new(),
    };
    let mut records = Records::new(&found);
    let mut end = 0;
    while let Some(Ok(_)) = records.next() {
        end = records.at;
    }
    found.truncate(end);
    found
}

/// What can be read before the first error.
fn readable(reader: impl Read) -> Vec<u8> {
    let mut found = Vec::new();
    // The bytes before an error are kept.
    _ = reader.take(PART_BYTES_MAX).read_to_end(&mut found);
    found
}

fn decompressed(header: &ChunkHeader, data: &[u8]) -> Result<Vec<u8>, String> {
    if header.uncompressed_size > PART_BYTES_MAX {
        return Err("a chunk is over 256 MiB".to_owned());
    }
    let size = usize::try_from(header.uncompressed_size).unwrap_or(usize::MAX);
    let records = match header.compression.as_str() {
        "" => data.to_vec(),
        "zstd" => zstd::bulk::decompress(data, size).map_err(|error| format!("zstd: {error}"))?,
        "lz4" => {
            // What is said of the size is not taken for granted: memory grows with what comes.
            let mut records = Vec::with_capacity(size.min(data.len().saturating_mul(4)));
            let decoder = lz4::Decoder::new(data).map_err(|error| format!("lz4: {error}"))?;
            let read = decoder.take(header.uncompressed_size.saturating_add(1)).read_to_end(&mut records);
            read.map_err(|error| format!("lz4: {error}"))?;
            records
        }
        other => return Err(format!("chunks are compressed with \"{other}\", which is not known")),
    };
    if records.len() == size { Ok(records) } else { Err("a chunk has another size than it says".to_owned()) }
}

/// Takes a part into memory. `by_time` sorts its messages; those of one time stay in the order of the file.
pub(crate) fn load(bytes: &Bytes, part: &Part, by_time: bool) -> Result<Loaded, Error> {
    let records = records(bytes, part)?;
    let mut places = Vec::new();
    for record in Records::new(&records) {
        let (opcode, at, content) = record.map_err(|what| bytes.damaged(part.at, what))?;
        if opcode != op::MESSAGE {
            continue;
        }
        let header = message_header(content);
        let header = header.ok_or_else(|| bytes.damaged(part.at, "a message has half a header"))?;
        let (Ok(at), Ok(length)) = (u32::try_from(at), u32::try_from(content.len())) else { continue };
        places.push(Place { time: time(header.log_time), at, length, channel: header.channel_id });
    }
    if by_time && !places.is_sorted_by_key(|place| place.time) {
        places.sort_by_key(|place| place.time);
    }
    Ok(Loaded { bytes: records, places })
}

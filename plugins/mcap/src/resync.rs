//! Finds where a damaged file goes on: the next chunk that is whole. Knows nothing of what was damaged.

use mcap::records::op;
use tapedeck_sdk::Error;

use crate::chunk::records;
use crate::index::{Bytes, HEAD_BYTES, Layout, PART_BYTES_MAX, Part};

/// How much is looked through at once.
const STEP_BYTES: u64 = 1 << 20;
/// Bytes of a chunk's header, up to the name of its compression.
const FIXED_BYTES: usize = 8 + 8 + 8 + 4 + 4;
/// The longest name of a compression.
const NAME_BYTES_MAX: usize = 64;
/// As many bytes of a chunk tell it from anything else: head, header, the length of the data.
pub(crate) const TELLING_BYTES: u64 = HEAD_BYTES + (FIXED_BYTES + NAME_BYTES_MAX + 8) as u64;
/// The compressions that the specification knows.
const COMPRESSIONS: [&[u8]; 3] = [b"", b"lz4", b"zstd"];

/// The first whole chunk between two places: its checksum is right, where it has one, and its data can be unpacked.
pub(crate) fn next_chunk(bytes: &Bytes, from: u64, to: u64) -> Result<Option<u64>, Error> {
    let mut at = from;
    while at + HEAD_BYTES < to {
        let step = bytes.read(at, (to - at).min(STEP_BYTES + TELLING_BYTES))?;
        for place in memchr::memchr_iter(op::CHUNK, &step) {
            let Some((length, name)) = chunk_length(&step[place..]) else { continue };
            if !COMPRESSIONS.contains(&name) {
                continue;
            }
            let begin = at + place as u64;
            let fits = length <= PART_BYTES_MAX && begin + length <= to;
            if fits && is_whole(bytes, begin, length) {
                return Ok(Some(begin));
            }
        }
        at += STEP_BYTES;
    }
    Ok(None)
}

/// The length of a chunk record and its compression, if this looks like one: its lengths agree.
pub(crate) fn chunk_length(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (length, header) = bytes.get(1..)?.split_first_chunk()?;
    let length = u64::from_le_bytes(*length);
    let (name_length, rest) = header.get(FIXED_BYTES - 4..)?.split_first_chunk()?;
    let name_length = usize::try_from(u32::from_le_bytes(*name_length)).ok()?;
    let name = rest.get(..name_length).filter(|name| name.len() <= NAME_BYTES_MAX)?;
    let (size, _) = rest.get(name.len()..)?.split_first_chunk()?;
    let content = (FIXED_BYTES + name.len() + 8) as u64;
    (u64::from_le_bytes(*size).checked_add(content) == Some(length)).then_some((HEAD_BYTES + length, name))
}

fn is_whole(bytes: &Bytes, at: u64, length: u64) -> bool {
    let (start, end) = (i64::MAX, i64::MIN);
    let part = Part { layout: Layout::Chunk, file: 0, at, length, start, end, channels: None };
    records(bytes, &part).is_ok()
}

//! What a file says of itself at its end. What the summary leaves out (messages outside of chunks, chunks without an index) is looked for
//! in the gaps between what it has.

use mcap::records::{ChunkIndex, Footer, Record, op};
use tapedeck_sdk::Error;

use crate::chunk::Records;
use crate::index::{Bytes, Contents, Count, HEAD_BYTES, Layout, Part, RECORD_BYTES_MAX, time};
use crate::scan::{self, Scan};

/// Bytes of a footer record with the magic behind it.
const FOOTER_BYTES: u64 = HEAD_BYTES + 20 + MAGIC_BYTES;
const MAGIC_BYTES: u64 = 8;
/// The most bytes of a summary: one chunk of 1 MiB in each 100 bytes of it.
const SUMMARY_BYTES_MAX: u64 = 1 << 30;

/// The footer of a file that has its end.
pub(crate) fn footer(bytes: &Bytes) -> Result<Option<Footer>, Error> {
    if bytes.length < MAGIC_BYTES + FOOTER_BYTES {
        return Ok(None);
    }
    let end = bytes.read(bytes.length - FOOTER_BYTES, FOOTER_BYTES)?;
    let Some((head, rest)) = end.split_first_chunk::<9>() else { return Ok(None) };
    if head != &[op::FOOTER, 20, 0, 0, 0, 0, 0, 0, 0] || !rest.ends_with(mcap::MAGIC) {
        return Ok(None);
    }
    match mcap::parse_record(op::FOOTER, &rest[..20]) {
        Ok(Record::Footer(footer)) => Ok(Some(footer)),
        Ok(_) | Err(_) => Ok(None),
    }
}

/// Reads what is in a file: by its summary if it has one, else record by record.
pub(crate) fn contents(bytes: &Bytes) -> Result<Contents, Error> {
    let footer = footer(bytes)?;
    if let Some(footer) = footer
        && let Some(contents) = by_summary(bytes, footer)?
    {
        return Ok(contents);
    }
    let mut scan = Scan::new(bytes, Contents::default());
    scan.walk(MAGIC_BYTES, bytes.length)?;
    Ok(scan.contents)
}

/// Whether a file has its end, and a summary that makes sense or none at all.
pub(crate) fn is_whole(bytes: &Bytes) -> Result<bool, Error> {
    Ok(match footer(bytes)? {
        Some(footer) => footer.summary_start == 0 || by_summary(bytes, footer)?.is_some(),
        None => false,
    })
}

/// `None` without a summary, or with one that contradicts the file.
fn by_summary(bytes: &Bytes, footer: Footer) -> Result<Option<Contents>, Error> {
    let end = bytes.length - FOOTER_BYTES;
    let length = end.saturating_sub(footer.summary_start);
    if footer.summary_start < MAGIC_BYTES || footer.summary_start >= end || length > SUMMARY_BYTES_MAX {
        return Ok(None);
    }
    // With the footer as far as the checksum goes.
    let summary = bytes.read(footer.summary_start, length + HEAD_BYTES + 16)?;
    if footer.summary_crc != 0 && crc32fast::hash(&summary) != footer.summary_crc {
        return Ok(None);
    }
    let records = &summary[..usize::try_from(length).unwrap_or(0)];
    let mut contents = Contents::default();
    let mut chunks = Vec::new();
    for record in Records::new(records) {
        let Ok((opcode, _, content)) = record else { return Ok(None) };
        match opcode {
            op::CHUNK_INDEX | op::STATISTICS => match mcap::parse_record(opcode, content) {
                Ok(Record::ChunkIndex(index)) => chunks.push(index),
                Ok(Record::Statistics(statistics)) => {
                    contents.counts = Some(statistics.channel_message_counts);
                }
                Ok(_) | Err(_) => return Ok(None),
            },
            _ => scan::describe(&mut contents, opcode, content),
        }
    }
    chunks.sort_by_key(|chunk| chunk.chunk_start_offset);
    fill(bytes, contents, &chunks, footer.summary_start)
}

/// Looks through the gaps between the chunks, and for channels that the summary does not repeat. `None` if chunks lie where there is none.
fn fill(
    bytes: &Bytes,
    contents: Contents,
    chunks: &[ChunkIndex],
    data_end: u64,
) -> Result<Option<Contents>, Error> {
    let mut scan = Scan::new(bytes, contents);
    let mut at = MAGIC_BYTES;
    for chunk in chunks {
        let begin = chunk.chunk_start_offset;
        let end =
            begin.checked_add(chunk.chunk_length).and_then(|end| end.checked_add(chunk.message_index_length));
        let Some(end) = end.filter(|&end| begin >= at && end <= data_end) else { return Ok(None) };
        scan.walk_gap(at, begin)?;
        if scan.contents.end != begin {
            return Ok(None);
        }
        scan.contents.parts.push(part(chunk));
        at = end;
    }
    scan.walk(at, data_end)?;
    Ok(Some(scan.contents))
}

fn part(chunk: &ChunkIndex) -> Part {
    let channels = chunk.message_index_offsets.iter();
    let channels: Vec<_> = channels.map(|(&channel, &at)| (channel, Count::IndexAt(at))).collect();
    Part {
        layout: Layout::Chunk,
        file: 0,
        at: chunk.chunk_start_offset,
        length: chunk.chunk_length,
        start: time(chunk.message_start_time),
        end: time(chunk.message_end_time),
        channels: Some(channels).filter(|channels| !channels.is_empty()),
    }
}

/// The times of a channel's messages, as a message index has them.
pub(crate) fn index_times(bytes: &Bytes, at: u64) -> Result<Vec<i64>, Error> {
    let length = index_length(bytes, at)?;
    let content = bytes.read(at + HEAD_BYTES, length)?;
    match mcap::parse_record(op::MESSAGE_INDEX, &content) {
        Ok(Record::MessageIndex(index)) => {
            Ok(index.records.iter().map(|entry| time(entry.log_time)).collect())
        }
        Ok(_) | Err(_) => Err(bytes.damaged(at, "a message index makes no sense")),
    }
}

/// How many messages a message index has.
pub(crate) fn index_count(bytes: &Bytes, at: u64) -> Result<u64, Error> {
    Ok(index_length(bytes, at)?.saturating_sub(6) / 16)
}

fn index_length(bytes: &Bytes, at: u64) -> Result<u64, Error> {
    let head = bytes.read(at, HEAD_BYTES)?;
    let length = head
        .get(1..)
        .and_then(|rest| rest.split_first_chunk())
        .map(|(length, _)| u64::from_le_bytes(*length));
    match (head.first(), length) {
        (Some(&op::MESSAGE_INDEX), Some(length)) if length <= RECORD_BYTES_MAX * 4 => Ok(length),
        _ => Err(bytes.damaged(at, "there should be a message index")),
    }
}

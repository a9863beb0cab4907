//! Writes the end that a file does not have: indexes of its last chunk, and the summary. What can't be read stays in the file, as records
//! that readers skip.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Cursor;
use std::os::unix::fs::FileExt;
use std::path::Path;

use binrw::BinWrite;
use mcap::records::{
    ChunkHeader, ChunkIndex, DataEnd, Footer, Header, MessageIndex, MessageIndexEntry, Statistics,
    SummaryOffset, op,
};
use tapedeck_sdk::{Error, Repair};

use crate::chunk::{Records, message_header, records};
use crate::index::{Bytes, Contents, Count, Ending, HEAD_BYTES, Layout, Part, RECORD_BYTES_MAX};
use crate::scan::Scan;
use crate::summary;

const MAGIC_BYTES: u64 = 8;
/// Bytes of a chunk's header, but for the name of its compression, which is short.
const CHUNK_HEADER_BYTES: u64 = 40 + 64;

/// Makes a file whole.
pub(crate) fn repair(path: &Path) -> Result<Repair, Error> {
    let bytes = Bytes::open(path)?;
    let magic = bytes.read(0, bytes.length.min(MAGIC_BYTES))?;
    if !mcap::MAGIC.starts_with(&magic) {
        return Ok(Repair::Unreadable("not an MCAP file".to_owned()));
    }
    if summary::is_whole(&bytes)? {
        return Ok(Repair::Intact);
    }
    let mut scan = Scan::new(&bytes, Contents::default());
    scan.walk(MAGIC_BYTES.min(bytes.length), bytes.length)?;
    let mut contents = scan.contents;
    let frames: u64 = contents.parts.iter().map(frames).sum();
    if let Ending::Damaged(what) = &contents.ending {
        let at = contents.end;
        return Ok(Repair::Unreadable(format!(
            "damaged at byte {at}: {what}; the {frames} frames before it can be read"
        )));
    }
    let torn = torn_record(&bytes, &contents)?;
    // Nothing that can't be read is taken away: readers are told to skip it.
    let mut skipped = contents.gaps.clone();
    let cut = bytes.length - contents.end;
    if torn {
        skipped.push((contents.end, bytes.length));
        contents.end = bytes.length;
    }
    let tail = tail(&bytes, &magic, &mut contents, torn)?;
    write(&bytes, contents.end, &tail, &skipped)?;
    let mut said = String::new();
    if !contents.gaps.is_empty() {
        let damaged: u64 = contents.gaps.iter().map(|(from, to)| to - from).sum();
        said.push_str(&format!("set {damaged} damaged bytes in {} places aside; ", contents.gaps.len()));
    }
    if contents.parts.iter().any(|part| part.layout == Layout::Torn) {
        said.push_str("closed the torn last chunk and ");
    } else if torn {
        said.push_str(&format!("set {cut} bytes of a torn end aside and "));
    } else if cut > 0 && contents.ending == Ending::Torn {
        said.push_str(&format!("cut {cut} bytes of a torn end and "));
    }
    Ok(Repair::Mended(format!("{said}added the missing summary")))
}

/// Whether the file ends in a record that may hold something: neither room that was kept, nor an index, which can be made anew.
fn torn_record(bytes: &Bytes, contents: &Contents) -> Result<bool, Error> {
    let length = bytes.length - contents.end;
    if contents.ending != Ending::Torn || length <= HEAD_BYTES {
        return Ok(false);
    }
    let opcode = bytes.read(contents.end, 1)?[0];
    Ok(!matches!(opcode, 0 | op::MESSAGE_INDEX | op::DATA_END | op::FOOTER))
}

/// What the file lacks at its end. Where `torn` is false, indexes of the last chunk that are torn are made anew, and the end is before them.
fn tail(bytes: &Bytes, magic: &[u8], contents: &mut Contents, torn: bool) -> Result<Vec<u8>, Error> {
    let mut tail = Vec::new();
    if magic.len() < mcap::MAGIC.len() {
        contents.end = 0;
        tail.extend_from_slice(mcap::MAGIC);
    }
    if !contents.header {
        let library = concat!("tapedeck ", env!("CARGO_PKG_VERSION")).to_owned();
        put(&mut tail, op::HEADER, &Header { profile: String::new(), library });
    }
    let mut chunks = Vec::new();
    let last = contents.parts.iter().rposition(|part| part.layout == Layout::Chunk);
    let last = last.filter(|_| contents.ending == Ending::Torn && !torn);
    for (number, part) in contents.parts.iter().enumerate() {
        match part.layout {
            Layout::Run => continue,
            Layout::Torn => {
                chunks.push(rewritten(bytes, part, contents.end, &mut tail)?);
                continue;
            }
            Layout::Chunk => {}
        }
        let Some(mut index) = chunk_index(bytes, part)? else { continue };
        if Some(number) == last && is_last(contents, part, &index) {
            // The indexes of the last chunk may be torn: they are made anew.
            contents.end = part.at + part.length;
            // A chunk that can't be read has no messages that could be found.
            let records = records(bytes, part).unwrap_or_default();
            message_indexes(&records, &mut index, &mut tail);
        }
        chunks.push(index);
    }
    end(contents, &chunks, &mut tail);
    Ok(tail)
}

/// Whether nothing follows a chunk but its own indexes.
fn is_last(contents: &Contents, part: &Part, index: &ChunkIndex) -> bool {
    part.at + part.length + index.message_index_length >= contents.end
}

fn frames(part: &Part) -> u64 {
    let count = |&(_, count): &(u16, Count)| match count {
        Count::Known(count) | Count::Indexed(count, _) => count,
        Count::IndexAt(_) => 0,
    };
    part.channels.iter().flatten().map(count).sum()
}

/// What the summary says of a chunk. `None` if its header makes no sense.
fn chunk_index(bytes: &Bytes, part: &Part) -> Result<Option<ChunkIndex>, Error> {
    let head = bytes.read(part.at + HEAD_BYTES, (part.length - HEAD_BYTES).min(CHUNK_HEADER_BYTES))?;
    let Ok(header) = binrw::BinReaderExt::read_le::<ChunkHeader>(&mut Cursor::new(&head)) else {
        return Ok(None);
    };
    let begin = part.at + part.length;
    let mut message_index_offsets = BTreeMap::new();
    let mut at = begin;
    while let Some((channel, end)) = message_index(bytes, at)? {
        message_index_offsets.insert(channel, at);
        at = end;
    }
    Ok(Some(ChunkIndex {
        message_start_time: header.message_start_time,
        message_end_time: header.message_end_time,
        chunk_start_offset: part.at,
        chunk_length: part.length,
        message_index_offsets,
        message_index_length: at - begin,
        compression: header.compression,
        compressed_size: header.compressed_size,
        uncompressed_size: header.uncompressed_size,
    }))
}

/// The channel of a whole message index at a place, and where it ends.
fn message_index(bytes: &Bytes, at: u64) -> Result<Option<(u16, u64)>, Error> {
    if at + HEAD_BYTES + 2 > bytes.length {
        return Ok(None);
    }
    let head = bytes.read(at, HEAD_BYTES + 2)?;
    let length = head[1..].split_first_chunk().map_or(0, |(length, _)| u64::from_le_bytes(*length));
    let channel = head[9..].split_first_chunk().map_or(0, |(channel, _)| u16::from_le_bytes(*channel));
    let end = (at + HEAD_BYTES).checked_add(length).filter(|&end| end <= bytes.length);
    Ok(end
        .filter(|_| head[0] == op::MESSAGE_INDEX && length <= RECORD_BYTES_MAX * 4)
        .map(|end| (channel, end)))
}

/// Makes the message indexes of a chunk, which are to stand right behind it.
fn message_indexes(records: &[u8], index: &mut ChunkIndex, tail: &mut Vec<u8>) {
    index.message_index_offsets.clear();
    let mut indexes: BTreeMap<u16, Vec<MessageIndexEntry>> = BTreeMap::new();
    for (opcode, at, content) in Records::new(records).map_while(Result::ok) {
        if let (op::MESSAGE, Some(header)) = (opcode, message_header(content)) {
            let offset = at as u64 - HEAD_BYTES;
            let entry = MessageIndexEntry { log_time: header.log_time, offset };
            indexes.entry(header.channel_id).or_default().push(entry);
        }
    }
    let begin = tail.len();
    for (channel_id, records) in indexes {
        let at = index.chunk_start_offset + index.chunk_length + (tail.len() - begin) as u64;
        index.message_index_offsets.insert(channel_id, at);
        put(tail, op::MESSAGE_INDEX, &MessageIndex { channel_id, records });
    }
    index.message_index_length = (tail.len() - begin) as u64;
}

/// Writes what there is of a torn chunk as a chunk of its own. `end` is where the tail will stand.
fn rewritten(bytes: &Bytes, part: &Part, end: u64, tail: &mut Vec<u8>) -> Result<ChunkIndex, Error> {
    let records = records(bytes, part)?;
    let time = |time: i64| u64::try_from(time).unwrap_or(0);
    let size = records.len() as u64;
    let header = ChunkHeader {
        message_start_time: time(part.start),
        message_end_time: time(part.end),
        uncompressed_size: size,
        uncompressed_crc: crc32fast::hash(&records),
        compression: String::new(),
        compressed_size: size,
    };
    let mut content = Cursor::new(Vec::new());
    header.write_le(&mut content).expect("a record can be written into memory");
    let mut content = content.into_inner();
    content.extend_from_slice(&records);
    let chunk_start_offset = end + tail.len() as u64;
    put_content(tail, op::CHUNK, &content);
    let mut index = ChunkIndex {
        message_start_time: header.message_start_time,
        message_end_time: header.message_end_time,
        chunk_start_offset,
        chunk_length: HEAD_BYTES + content.len() as u64,
        message_index_offsets: BTreeMap::new(),
        message_index_length: 0,
        compression: String::new(),
        compressed_size: size,
        uncompressed_size: size,
    };
    message_indexes(&records, &mut index, tail);
    Ok(index)
}

/// Adds the end of the data section, the summary and the footer. `tail` begins where the file's records end.
fn end(contents: &Contents, chunks: &[ChunkIndex], tail: &mut Vec<u8>) {
    // 0 means none: the checksum is one of the whole file, which is not read here.
    put(tail, op::DATA_END, &DataEnd { data_section_crc: 0 });
    let begin = tail.len();
    let mut offsets = Vec::new();
    let position = |tail: &Vec<u8>| contents.end + tail.len() as u64;
    let mut group = |tail: &mut Vec<u8>, opcode: u8, add: &dyn Fn(&mut Vec<u8>)| {
        let group_start = position(tail);
        add(tail);
        let group_length = position(tail) - group_start;
        if group_length > 0 {
            offsets.push(SummaryOffset { group_opcode: opcode, group_start, group_length });
        }
    };
    group(tail, op::SCHEMA, &|tail| {
        contents.schemas.iter().for_each(|(&id, schema)| put_schema(tail, id, schema))
    });
    group(tail, op::CHANNEL, &|tail| {
        contents.channels.values().for_each(|channel| put(tail, op::CHANNEL, channel))
    });
    group(tail, op::STATISTICS, &|tail| put(tail, op::STATISTICS, &statistics(contents, chunks)));
    group(tail, op::CHUNK_INDEX, &|tail| chunks.iter().for_each(|chunk| put(tail, op::CHUNK_INDEX, chunk)));
    group(tail, op::ATTACHMENT_INDEX, &|tail| {
        contents.attachments.iter().for_each(|index| put(tail, op::ATTACHMENT_INDEX, index));
    });
    group(tail, op::METADATA_INDEX, &|tail| {
        contents.metadata.iter().for_each(|index| put(tail, op::METADATA_INDEX, index));
    });
    let footer = Footer {
        summary_start: contents.end + begin as u64,
        summary_offset_start: position(tail),
        summary_crc: 0,
    };
    offsets.iter().for_each(|offset| put(tail, op::SUMMARY_OFFSET, offset));
    put(tail, op::FOOTER, &footer);
    // The checksum covers the footer but for itself.
    let end = tail.len() - 4;
    let checksum = crc32fast::hash(&tail[begin..end]);
    tail[end..].copy_from_slice(&checksum.to_le_bytes());
    tail.extend_from_slice(mcap::MAGIC);
}

fn statistics(contents: &Contents, chunks: &[ChunkIndex]) -> Statistics {
    let mut channel_message_counts = BTreeMap::new();
    let filled: Vec<&Part> = contents.parts.iter().filter(|part| frames(part) > 0).collect();
    for (channel, count) in filled.iter().flat_map(|part| part.channels.iter().flatten()) {
        if let Count::Known(count) = count {
            *channel_message_counts.entry(*channel).or_insert(0) += count;
        }
    }
    let time = |time: Option<i64>| time.and_then(|time| u64::try_from(time).ok()).unwrap_or(0);
    let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    Statistics {
        message_count: channel_message_counts.values().sum(),
        schema_count: u16::try_from(contents.schemas.len()).unwrap_or(u16::MAX),
        channel_count: number(contents.channels.len()),
        attachment_count: number(contents.attachments.len()),
        metadata_count: number(contents.metadata.len()),
        chunk_count: number(chunks.len()),
        message_start_time: time(filled.iter().map(|part| part.start).min()),
        message_end_time: time(filled.iter().map(|part| part.end).max()),
        channel_message_counts,
    }
}

/// Adds a record.
fn put<T>(out: &mut Vec<u8>, opcode: u8, record: &T)
where
    for<'a> T: BinWrite<Args<'a> = ()>,
{
    let mut content = Cursor::new(Vec::new());
    record.write_le(&mut content).expect("a record can be written into memory");
    put_content(out, opcode, content.get_ref());
}

fn put_content(out: &mut Vec<u8>, opcode: u8, content: &[u8]) {
    out.push(opcode);
    out.extend_from_slice(&(content.len() as u64).to_le_bytes());
    out.extend_from_slice(content);
}

fn put_schema(out: &mut Vec<u8>, id: u16, schema: &crate::index::Schema) {
    let mut content = id.to_le_bytes().to_vec();
    for part in [schema.name.as_bytes(), schema.encoding.as_bytes(), &schema.data] {
        // Each was read from a record with such a length.
        content.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        content.extend_from_slice(part);
    }
    put_content(out, op::SCHEMA, &content);
}

/// An opcode for applications: readers skip the record (MCAP, "Opcodes").
const SKIPPED_OPCODE: u8 = 0xFF;

/// Writes the file's new end, and only then puts the head of a record that is skipped before what can't be read.
fn write(bytes: &Bytes, end: u64, tail: &[u8], skipped: &[(u64, u64)]) -> Result<(), Error> {
    let mend = || {
        let file = OpenOptions::new().write(true).open(&bytes.path)?;
        file.set_len(end)?;
        file.write_all_at(tail, end)?;
        file.sync_data()?;
        for &(from, to) in skipped {
            let mut head = [SKIPPED_OPCODE; 9];
            head[1..].copy_from_slice(&(to - from - HEAD_BYTES).to_le_bytes());
            file.write_all_at(&head, from)?;
        }
        file.sync_data()
    };
    mend().map_err(|error| {
        // A part of the new end is useless; the recording can be read without it.
        drop(OpenOptions::new().write(true).open(&bytes.path).and_then(|file| file.set_len(end)));
        Error::io("mend the recording", &bytes.path, &error)
    })
}

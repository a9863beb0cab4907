//! Goes through a file record by record: for files, or places in files, of which no summary tells. Decompresses a chunk only where nothing
//! else says what is in it.

use mcap::records::{AttachmentIndex, MetadataIndex, Record, op};
use tapedeck_sdk::Error;

use crate::chunk::{Records, message_header, records};
use crate::form::STREAMS_RECORD;
use crate::index::{
    Bytes, Contents, Count, Ending, HEAD_BYTES, Layout, Part, RECORD_BYTES_MAX, Schema, time,
};
use crate::resync::{TELLING_BYTES, chunk_length, next_chunk};

/// About how many bytes of messages outside of chunks are read at once.
const RUN_BYTES: u64 = 1 << 20;
/// How much is read at once.
const WINDOW_BYTES: u64 = 256 << 10;
/// A record that claims more than this is not one that was torn.
const TORN_BYTES_MAX: u64 = 1 << 32;
/// A chunk of a writer that fills in its length when the chunk ends.
const LENGTH_UNSET: u64 = u64::MAX;

/// Reads small pieces, rising from place to place, with few system calls.
struct Window<'a> {
    bytes: &'a Bytes,
    at: u64,
    held: Vec<u8>,
}

impl Window<'_> {
    /// Up to `length` bytes from `at`, fewer at the end of the file.
    fn peek(&mut self, at: u64, length: u64) -> Result<&[u8], Error> {
        let length = length.min(self.bytes.length.saturating_sub(at));
        let end = self.at + self.held.len() as u64;
        if at < self.at || at + length > end {
            let wanted = length.max(WINDOW_BYTES).min(self.bytes.length - at);
            (self.held, self.at) = (self.bytes.read(at, wanted)?, at);
        }
        let [begin, length] =
            [at - self.at, length].map(|place| usize::try_from(place).unwrap_or(usize::MAX));
        Ok(self.held.get(begin..begin + length).unwrap_or_default())
    }
}

/// A record's opcode, and where its content is.
#[derive(Clone, Copy)]
struct Head {
    opcode: u8,
    at: u64,
    content: u64,
    length: u64,
}

impl Head {
    fn end(self) -> u64 {
        self.content + self.length
    }
}

/// What a place in the file has.
enum Found {
    Record(Head),
    End(Ending),
}

/// Collects what is found.
pub(crate) struct Scan<'a> {
    bytes: &'a Bytes,
    window: Window<'a>,
    pub(crate) contents: Contents,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(bytes: &'a Bytes, contents: Contents) -> Self {
        Self { bytes, window: Window { bytes, at: 0, held: Vec::new() }, contents }
    }

    /// Goes through the records from one place to another, or to where the data section ends. Looks for channels that are not known.
    pub(crate) fn walk(&mut self, from: u64, to: u64) -> Result<(), Error> {
        self.walk_gap(from, to)?;
        self.find_channels();
        Ok(())
    }

    /// Goes through the records between two places of which the rest is known.
    pub(crate) fn walk_gap(&mut self, from: u64, to: u64) -> Result<(), Error> {
        let mut at = from;
        let mut run = None;
        // Chunks whose channels are not told by what follows them.
        let mut chunk = None;
        let mut torn = None;
        self.contents.ending = Ending::Marked;
        while at < to {
            let head = match self.head(at, to)? {
                Found::Record(head) => head,
                Found::End(ending) => {
                    if let Some(next) = next_chunk(self.bytes, at + HEAD_BYTES, to)? {
                        self.contents.gaps.push((at, next));
                        (at, run) = (next, None);
                        continue;
                    }
                    if ending == Ending::Torn {
                        torn = self.torn_chunk(at, to)?;
                    }
                    self.contents.ending = ending;
                    break;
                }
            };
            if head.opcode != op::MESSAGE {
                run = None;
            }
            if head.opcode != op::MESSAGE_INDEX {
                self.know(chunk.take(), false);
            }
            match head.opcode {
                op::DATA_END | op::FOOTER => break,
                op::MESSAGE => self.message(head, &mut run)?,
                op::CHUNK => chunk = self.chunk(head)?,
                op::MESSAGE_INDEX => self.message_index(head, chunk)?,
                _ => self.other(head)?,
            }
            at = head.end();
        }
        if at >= self.bytes.length {
            self.contents.ending = Ending::Torn;
        }
        // At a torn end indexes may be missing.
        self.know(chunk, self.contents.ending != Ending::Marked);
        self.contents.end = at;
        self.add_torn(torn);
        Ok(())
    }

    /// What begins at a place.
    fn head(&mut self, at: u64, to: u64) -> Result<Found, Error> {
        let head = self.window.peek(at, HEAD_BYTES)?;
        let Some((&[opcode], rest)) = head.split_first_chunk() else { return Ok(Found::End(Ending::Torn)) };
        let Some((length, _)) = rest.split_first_chunk() else { return Ok(Found::End(Ending::Torn)) };
        let length = u64::from_le_bytes(*length);
        let content = at + HEAD_BYTES;
        if opcode == 0 {
            let zeros = self.window.peek(at, WINDOW_BYTES)?.iter().all(|&byte| byte == 0);
            let ending =
                if zeros { Ending::Torn } else { Ending::Damaged("there should be a record".to_owned()) };
            return Ok(Found::End(ending));
        }
        if length <= to - content.min(to) {
            if opcode == op::CHUNK && chunk_length(self.window.peek(at, TELLING_BYTES)?).is_none() {
                return Ok(Found::End(Ending::Damaged("the lengths of a chunk do not agree".to_owned())));
            }
            return Ok(Found::Record(Head { opcode, at, content, length }));
        }
        let unset = opcode == op::CHUNK && length == LENGTH_UNSET;
        if length <= TORN_BYTES_MAX || unset {
            return Ok(Found::End(Ending::Torn));
        }
        Ok(Found::End(Ending::Damaged(format!("a record claims {length} bytes"))))
    }

    fn message(&mut self, head: Head, run: &mut Option<usize>) -> Result<(), Error> {
        let Some(header) = message_header(self.window.peek(head.content, head.length.min(22))?) else {
            return Err(self.bytes.damaged(head.at, "a message has half a header"));
        };
        let parts = &mut self.contents.parts;
        let full = |part: &Part| part.length + HEAD_BYTES + head.length > RUN_BYTES;
        let number = match *run {
            Some(number) if !full(&parts[number]) => number,
            _ => {
                let time = time(header.log_time);
                parts.push(Part {
                    layout: Layout::Run,
                    file: 0,
                    at: head.at,
                    length: 0,
                    start: time,
                    end: time,
                    channels: Some(Vec::new()),
                });
                parts.len() - 1
            }
        };
        parts[number].length = head.end() - parts[number].at;
        parts[number].count(header.channel_id, time(header.log_time));
        *run = Some(number);
        Ok(())
    }

    /// Adds a chunk. Returns its number.
    fn chunk(&mut self, head: Head) -> Result<Option<usize>, Error> {
        let Some((start, rest)) = self.window.peek(head.content, head.length.min(16))?.split_first_chunk()
        else {
            return Err(self.bytes.damaged(head.at, "a chunk has half a header"));
        };
        let Some((end, _)) = rest.split_first_chunk() else {
            return Err(self.bytes.damaged(head.at, "a chunk has half a header"));
        };
        self.contents.parts.push(Part {
            layout: Layout::Chunk,
            file: 0,
            at: head.at,
            length: head.end() - head.at,
            start: time(u64::from_le_bytes(*start)),
            end: time(u64::from_le_bytes(*end)),
            channels: None,
        });
        Ok(Some(self.contents.parts.len() - 1))
    }

    /// What there is of a chunk that the file ends in.
    fn torn_chunk(&mut self, at: u64, to: u64) -> Result<Option<Part>, Error> {
        let begins = self.window.peek(at, HEAD_BYTES)?.first() == Some(&op::CHUNK);
        Ok(begins.then(|| Part {
            layout: Layout::Torn,
            file: 0,
            at,
            length: to - at,
            start: i64::MAX,
            end: i64::MIN,
            channels: None,
        }))
    }

    /// Adds a torn chunk if a message can be read of it.
    fn add_torn(&mut self, torn: Option<Part>) {
        let Some(mut part) = torn else { return };
        let Ok(records) = records(self.bytes, &part) else { return };
        for (opcode, _, content) in Records::new(&records).map_while(Result::ok) {
            match message_header(content) {
                Some(header) if opcode == op::MESSAGE => part.count(header.channel_id, time(header.log_time)),
                _ => describe(&mut self.contents, opcode, content),
            }
        }
        self.contents.parts.extend(Some(part).filter(|part| part.channels.is_some()));
    }

    /// Records how many messages of a channel a chunk has.
    fn message_index(&mut self, head: Head, chunk: Option<usize>) -> Result<(), Error> {
        let Some((channel, _)) = self.window.peek(head.content, head.length.min(6))?.split_first_chunk()
        else {
            return Err(self.bytes.damaged(head.at, "a message index has half a header"));
        };
        let channel = u16::from_le_bytes(*channel);
        let count = head.length.saturating_sub(6) / 16;
        if let Some(part) = chunk.and_then(|chunk| self.contents.parts.get_mut(chunk)) {
            part.channels.get_or_insert_default().push((channel, Count::Known(count)));
        }
        Ok(())
    }

    fn knows(&self, part: &Part) -> bool {
        let known = |&(channel, _): &(u16, Count)| self.contents.channels.contains_key(&channel);
        part.channels.as_ref().is_some_and(|channels| channels.iter().all(known))
    }

    /// Looks into a chunk where what follows it does not tell everything.
    fn know(&mut self, chunk: Option<usize>, doubtful: bool) {
        let Some(part) = chunk.and_then(|chunk| self.contents.parts.get(chunk)) else { return };
        if self.knows(part) && !doubtful {
            return;
        }
        // One that is damaged is told of when it is read.
        let Ok(records) = records(self.bytes, part) else { return };
        let mut counts: Vec<(u16, Count)> = Vec::new();
        for record in Records::new(&records) {
            let Ok((opcode, _, content)) = record else { break };
            if opcode != op::MESSAGE {
                describe(&mut self.contents, opcode, content);
                continue;
            }
            let Some(header) = message_header(content) else { break };
            match counts.iter_mut().find(|(channel, _)| *channel == header.channel_id) {
                Some((_, Count::Known(count))) => *count += 1,
                _ => counts.push((header.channel_id, Count::Known(1))),
            }
        }
        if let Some(part) = chunk.and_then(|chunk| self.contents.parts.get_mut(chunk)) {
            part.channels = Some(counts);
        }
    }

    /// Looks for channels in all chunks if some are not known: a channel may be in another chunk than its first message.
    fn find_channels(&mut self) {
        if self.contents.parts.iter().all(|part| part.channels.is_none() || self.knows(part)) {
            return;
        }
        let parts = std::mem::take(&mut self.contents.parts);
        for part in parts.iter().filter(|part| part.layout != Layout::Run) {
            let Ok(records) = records(self.bytes, part) else { continue };
            for (opcode, _, content) in Records::new(&records).map_while(Result::ok) {
                describe(&mut self.contents, opcode, content);
            }
        }
        self.contents.parts = parts;
    }

    fn other(&mut self, head: Head) -> Result<(), Error> {
        match head.opcode {
            op::HEADER => self.contents.header = true,
            op::SCHEMA | op::CHANNEL | op::METADATA if head.length <= RECORD_BYTES_MAX => {
                let content = self.bytes.read(head.content, head.length)?;
                if head.opcode == op::METADATA {
                    metadata(&mut self.contents, (head.at, head.end() - head.at), &content);
                }
                describe(&mut self.contents, head.opcode, &content);
            }
            op::ATTACHMENT => {
                let content = self.window.peek(head.content, head.length.min(4096))?;
                let found = attachment(content, (head.at, head.end() - head.at));
                self.contents.attachments.extend(found);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Records a schema or a channel. The first of an id counts.
pub(crate) fn describe(contents: &mut Contents, opcode: u8, content: &[u8]) {
    if !matches!(opcode, op::SCHEMA | op::CHANNEL) {
        return;
    }
    match mcap::parse_record(opcode, content) {
        Ok(Record::Schema { header, data }) => {
            let schema = Schema { name: header.name, encoding: header.encoding, data: data.into_owned() };
            contents.schemas.entry(header.id).or_insert(schema);
        }
        Ok(Record::Channel(channel)) => _ = contents.channels.entry(channel.id).or_insert(channel),
        // A channel that can't be read has no messages.
        Ok(_) | Err(_) => {}
    }
}

/// Records a metadata record.
pub(crate) fn metadata(contents: &mut Contents, (offset, length): (u64, u64), content: &[u8]) {
    let Ok(Record::Metadata(found)) = mcap::parse_record(op::METADATA, content) else { return };
    contents.metadata.push(MetadataIndex { offset, length, name: found.name.clone() });
    if found.name == STREAMS_RECORD && contents.streams.is_empty() {
        contents.streams = found.metadata;
    }
}

/// What the summary says of an attachment.
fn attachment(content: &[u8], (offset, length): (u64, u64)) -> Option<AttachmentIndex> {
    let (log_time, rest) = content.split_first_chunk()?;
    let (create_time, rest) = rest.split_first_chunk()?;
    let (name, rest) = text(rest)?;
    let (media_type, rest) = text(rest)?;
    let (data_size, _) = rest.split_first_chunk()?;
    Some(AttachmentIndex {
        offset,
        length,
        log_time: u64::from_le_bytes(*log_time),
        create_time: u64::from_le_bytes(*create_time),
        data_size: u64::from_le_bytes(*data_size),
        name,
        media_type,
    })
}

/// A text with its length before it.
fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    Some((String::from_utf8(text.to_vec()).ok()?, rest))
}

//! Walks the messages of an Arrow IPC stream without reading their bodies: where the last whole one ends, and whether what
//! stands there can be believed. Knows nothing of columns and types.

use std::io::{self, Read, Seek, SeekFrom};

use arrow_ipc::{Message, MessageHeader, RecordBatch, root_as_message};

use crate::message::CONTINUATION;

/// How a stream ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With its end mark.
    Marked,
    /// Without one, or in the middle of a message: the writer was killed.
    Torn,
    /// In something that no writer leaves behind.
    Damaged(String),
}

/// Where a record batch lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Where its message begins, in bytes from the start of the file.
    pub(crate) at: u64,
    /// Bytes before the body: marker, length and metadata.
    pub(crate) head_bytes: u64,
    /// Bytes of the body.
    pub(crate) body_bytes: u64,
    /// Rows.
    pub(crate) rows: u64,
}

/// What a walk found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Where the last whole message ends, in bytes from the start. The end mark is not counted.
    pub(crate) end: u64,
    /// Whole messages; the schema is the first.
    pub(crate) messages: u64,
    /// Rows in them.
    pub(crate) rows: u64,
    /// Those that have rows.
    pub(crate) batches: Vec<Placed>,
    /// Bytes of the file.
    pub(crate) length: u64,
    /// What comes at `end`.
    pub(crate) ending: Ending,
}

/// Whether a file that begins so begins with a message that has a schema. Of a long one there may be only the beginning, where the
/// root of its metadata lies: tables are written from the last to the first.
pub(crate) fn begins_stream(head: &[u8]) -> bool {
    let header_type = || {
        let (marker, rest) = head.split_first_chunk::<4>()?;
        let (length, metadata) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(i32::from_le_bytes(*length)).ok().filter(|&length| length > 0)?;
        let metadata = &metadata[..metadata.len().min(length)];
        let bytes = |at: usize| metadata.get(at..)?.first_chunk::<4>().copied();
        let root = usize::try_from(u32::from_le_bytes(bytes(0)?)).ok()?;
        let table = i64::try_from(root).ok()?.checked_sub(i32::from_le_bytes(bytes(root)?).into())?;
        let field = usize::try_from(table).ok()?.checked_add(usize::from(Message::VT_HEADER_TYPE))?;
        let [low, high, ..] = bytes(field)?;
        let place = root.checked_add(usize::from(u16::from_le_bytes([low, high])))?;
        (*marker == CONTINUATION && place > root).then(|| metadata.get(place).copied())?
    };
    header_type() == Some(MessageHeader::Schema.0)
}

/// What stands at one place of a stream.
enum Step {
    Message { head_bytes: u64, body_bytes: u64, rows: u64 },
    End(Ending),
}

/// Walks a stream from its start.
pub(crate) fn scan<R: Read + Seek>(file: &mut R) -> io::Result<Scan> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut found = Scan { end: 0, messages: 0, rows: 0, batches: Vec::new(), length, ending: Ending::Torn };
    let mut metadata = Vec::new();
    loop {
        file.seek(SeekFrom::Start(found.end))?;
        match step(file, length - found.end, found.messages == 0, &mut metadata)? {
            Step::Message { head_bytes, body_bytes, rows } => {
                if rows > 0 {
                    found.batches.push(Placed { at: found.end, head_bytes, body_bytes, rows });
                }
                found.end += head_bytes + body_bytes;
                found.messages += 1;
                found.rows += rows;
            }
            Step::End(ending) => return Ok(Scan { ending, ..found }),
        }
    }
}

fn step<R: Read>(file: &mut R, left: u64, first: bool, metadata: &mut Vec<u8>) -> io::Result<Step> {
    if left < 8 {
        return Ok(Step::End(Ending::Torn));
    }
    let mut head = [0; 8];
    file.read_exact(&mut head)?;
    let bytes = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
    if head[..4] != CONTINUATION {
        // A file system may leave zeros where a write was cut off by a crash.
        let zeros = !first && head == [0; 8] && only_zeros(file)?;
        return Ok(Step::End(if zeros {
            Ending::Torn
        } else {
            Ending::Damaged("no message begins there".to_owned())
        }));
    }
    if bytes == 0 {
        return Ok(Step::End(Ending::Marked));
    }
    if bytes > left - 8 {
        return Ok(Step::End(Ending::Torn));
    }
    metadata.clear();
    file.by_ref().take(bytes).read_to_end(metadata)?;
    Ok(match root_as_message(metadata) {
        Ok(message) => judge(&message, first, 8 + bytes, left),
        Err(error) => Step::End(Ending::Damaged(format!("the message there is not Arrow's: {error}"))),
    })
}

fn judge(message: &Message<'_>, first: bool, head_bytes: u64, left: u64) -> Step {
    let damaged = |what: &str| Step::End(Ending::Damaged(what.to_owned()));
    let Ok(body_bytes) = u64::try_from(message.bodyLength()) else {
        return damaged("the message there has no sensible length");
    };
    let rows = match (first, message.header_as_record_batch()) {
        (true, _) if message.header_type() == MessageHeader::Schema => 0,
        (true, _) => return damaged("the message there is not a schema"),
        (false, Some(batch)) => match believable(&batch, message.bodyLength()) {
            Some(rows) => rows,
            None => return damaged("the message there points out of itself"),
        },
        (false, None) => return damaged("the message there is no record batch"),
    };
    if body_bytes > left - head_bytes {
        return Step::End(Ending::Torn);
    }
    Step::Message { head_bytes, body_bytes, rows }
}

/// The number of rows, if every buffer lies inside the body and every column has that many rows.
fn believable(batch: &RecordBatch<'_>, body_bytes: i64) -> Option<u64> {
    let rows = batch.length();
    let inside = |offset: i64, length: i64| {
        offset >= 0 && length >= 0 && offset.checked_add(length).is_some_and(|end| end <= body_bytes)
    };
    let buffers = batch.buffers()?.iter().all(|buffer| inside(buffer.offset(), buffer.length()));
    let nodes =
        batch.nodes()?.iter().all(|node| node.length() == rows && (0..=rows).contains(&node.null_count()));
    // A row takes at least the 16 bytes of `seq` and `timestamp` in our files, and at least one bit in anybody's.
    let room = rows <= body_bytes.saturating_mul(8);
    if buffers && nodes && room { u64::try_from(rows).ok() } else { None }
}

fn only_zeros<R: Read>(file: &mut R) -> io::Result<bool> {
    let mut block = [0; 8192];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(true),
            read if block[..read].iter().any(|&byte| byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

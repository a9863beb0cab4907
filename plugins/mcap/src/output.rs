//! A file that grows chunk by chunk, and is whole after `finish` whatever the disk did. Knows nothing of what the messages are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use mcap::records::{MessageHeader, Metadata};
use mcap::{Attachment, McapError, WriteOptions, Writer};
use tapedeck_sdk::prelude::*;

use crate::options::{Compression, McapOptions};
use crate::{names, repair};

/// What a write is gathered into.
const WRITE_BYTES: usize = 32 << 10;
/// A chunk that ends with a large message has at most this many bytes, or `chunk_bytes` if that is more.
const LARGE_CHUNK_BYTES: u64 = 8 << 20;
/// Bytes of a message record besides its data.
const MESSAGE_HEAD_BYTES: u64 = 31;

/// The last id that the library can give out: it counts one further.
const ID_MAX: u16 = u16::MAX - 1;

/// The highest ids so far.
#[derive(Debug, Clone, Copy, Default)]
struct Ids {
    schema: u16,
    channel: u16,
}

/// A file that is being written.
pub(crate) struct Output {
    /// There is one until the file is finished or has failed.
    writer: Option<Writer<BufWriter<File>>>,
    path: PathBuf,
    chunk_bytes: u64,
    /// In nanoseconds.
    chunk_time: u64,
    /// Of the chunk in hand: its bytes, and the time of its first message.
    bytes: u64,
    begin: Option<i64>,
    newest: Ids,
}

impl Output {
    pub(crate) fn create(path: PathBuf, options: &McapOptions) -> Result<Self, Error> {
        let file = File::create(&path).map_err(|error| Error::io("make the file", &path, &error))?;
        let compression = match options.compression {
            Compression::Zstd => Some(mcap::Compression::Zstd),
            Compression::Lz4 => Some(mcap::Compression::Lz4),
            Compression::None => None,
        };
        let made = WriteOptions::new()
            .compression(compression)
            .compression_level(options.level)
            .compression_threads(0)
            .profile(names::header_profile(options.profile))
            .library(concat!("tapedeck ", env!("CARGO_PKG_VERSION")))
            // Chunks end here, by size and by time. A chunk's header is filled in when it ends: what a kill leaves of one can be read.
            .chunk_size(None)
            .create(BufWriter::with_capacity(WRITE_BYTES, file));
        let writer = made.map_err(|error| failed_to("write the header", &path, &error))?;
        Ok(Self {
            writer: Some(writer),
            path,
            chunk_bytes: options.chunk_bytes.0,
            chunk_time: u64::try_from(options.chunk_time.0.as_nanos()).unwrap_or(u64::MAX),
            bytes: 0,
            begin: None,
            newest: Ids::default(),
        })
    }

    /// Whether something could not be written: nothing more is.
    pub(crate) fn has_failed(&self) -> bool {
        self.writer.is_none()
    }

    pub(crate) fn metadata(&mut self, name: &str, pairs: BTreeMap<String, String>) -> Result<(), Error> {
        let record = Metadata { name: name.to_owned(), metadata: pairs };
        self.end_chunk();
        self.writer("write metadata", |writer| writer.write_metadata(&record))
    }

    pub(crate) fn attach(
        &mut self,
        name: &str,
        media_type: &str,
        time: u64,
        data: &[u8],
    ) -> Result<(), Error> {
        let attachment = Attachment {
            log_time: time,
            create_time: time,
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            data: data.into(),
        };
        self.end_chunk();
        self.writer("write an attachment", |writer| writer.attach(&attachment))
    }

    /// Adds a channel and its schema. `None` if the file has as many of either as the format allows.
    pub(crate) fn channel(
        &mut self,
        (name, encoding, data): (&str, &str, &[u8]),
        (topic, message_encoding): (&str, &str),
        metadata: &BTreeMap<String, String>,
    ) -> Result<Option<u16>, Error> {
        let has_schema = !(name.is_empty() && data.is_empty());
        if self.newest.channel == ID_MAX || (has_schema && self.newest.schema == ID_MAX) {
            return Ok(None);
        }
        let (schema, channel) = self.writer("write a channel", |writer| {
            // Id 0 says that a channel has no schema.
            let schema = if has_schema { writer.add_schema(name, encoding, data)? } else { 0 };
            Ok((schema, writer.add_channel(schema, topic, message_encoding, metadata)?))
        })?;
        self.newest =
            Ids { schema: self.newest.schema.max(schema), channel: self.newest.channel.max(channel) };
        Ok(Some(channel))
    }

    pub(crate) fn message(&mut self, header: &MessageHeader, time: i64, data: &[u8]) -> Result<(), Error> {
        let over = |begin: i64| time.abs_diff(begin) >= self.chunk_time;
        let bytes = MESSAGE_HEAD_BYTES + data.len() as u64;
        // A large message has a chunk of its own: readers hold a whole one.
        let fits = self.bytes == 0 || self.bytes + bytes <= LARGE_CHUNK_BYTES.max(self.chunk_bytes);
        if self.bytes >= self.chunk_bytes || !fits || self.begin.is_some_and(over) {
            self.flush()?;
        }
        self.begin.get_or_insert(time);
        self.bytes += bytes;
        let Some(writer) = &mut self.writer else { return Err(closed(&self.path)) };
        let written = writer.write_to_known_channel(header, data);
        written.map_err(|error| self.failed("write frames", &error))
    }

    /// Ends the chunk in hand and hands it to the kernel.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.end_chunk();
        self.writer("write frames", Writer::flush)
    }

    /// Writes the summary. A file that failed is cut behind its last whole chunk and gets one for what is before.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        if self.writer.is_none() {
            return repair::repair(&self.path).map(drop).map_err(mended_later);
        }
        let finished = self.writer("write the summary", |writer| writer.finish().map(drop));
        let finished = finished.and_then(|()| self.close());
        // Frames that did not reach the file are lost, whatever can be mended.
        finished.inspect_err(|_lost| drop(repair::repair(&self.path)))
    }

    fn close(&mut self) -> Result<(), Error> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let Err(error) = writer.into_inner().into_inner() else { return Ok(()) };
        let (error, file) = error.into_parts();
        drop(file.into_parts());
        Err(Error::io("write the summary", &self.path, &error))
    }

    fn end_chunk(&mut self) {
        (self.bytes, self.begin) = (0, None);
    }

    fn writer<T>(
        &mut self,
        doing: &str,
        call: impl FnOnce(&mut Writer<BufWriter<File>>) -> Result<T, McapError>,
    ) -> Result<T, Error> {
        let Some(writer) = &mut self.writer else { return Err(closed(&self.path)) };
        call(writer).map_err(|error| self.failed(doing, &error))
    }

    /// Lets go of the file: what the library still holds of a chunk that could not be written must not follow it.
    fn failed(&mut self, doing: &str, error: &McapError) -> Error {
        if let Some(writer) = self.writer.take() {
            drop(writer.into_inner().into_parts());
        }
        let error = failed_to(doing, &self.path, error);
        error.with_hint("chunks that were complete before can be read")
    }
}

/// Of a file without its summary, for which there was no room.
fn mended_later(error: Error) -> Error {
    error.with_hint("the frames before can be read; `tapedeck recover` adds the summary when there is room")
}

fn closed(path: &std::path::Path) -> Error {
    Error::new(ErrorKind::Io, format!("can't write frames: the file has failed before: {}", path.display()))
}

fn failed_to(doing: &str, path: &std::path::Path, error: &McapError) -> Error {
    match error {
        McapError::Io(error) => Error::io(doing, path, error),
        error => Error::new(ErrorKind::Io, format!("can't {doing}: {error}: {}", path.display())),
    }
}

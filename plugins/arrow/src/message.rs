//! Batches as messages of the Arrow IPC stream format (columnar format 1.5, metadata version 5). Pure: makes bytes, writes none.
//!
//! `arrow-ipc` encodes the schema, once. Record batch messages are put together here, because a slab's buffers are Arrow's
//! already: only the metadata is new, and the kernel gathers the rest from where it lies.

use std::io::IoSlice;
use std::ops::Range;

use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions, write_message};
use arrow_ipc::{Buffer, FieldNode, MessageBuilder, MessageHeader, MetadataVersion, RecordBatchBuilder};
use arrow_schema::{ArrowError, Schema};
use flatbuffers::FlatBufferBuilder;
use tapedeck_sdk::{Batch, Column, DataType};

/// What each message begins with.
pub(crate) const CONTINUATION: [u8; 4] = [0xff; 4];
/// What ends a stream.
pub(crate) const END_OF_STREAM: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
/// Buffers up to this many bytes are copied into one run: cheaper than a place of their own in the vector that the kernel gathers.
/// Measured with 66 columns × 1,024 rows (8 KiB each): 133 ns a row copied, 336 ns gathered.
const COPY_BYTES_MAX: usize = 64 << 10;

/// The first message of a stream.
pub(crate) fn schema_message(schema: &Schema) -> Result<Vec<u8>, ArrowError> {
    let options = IpcWriteOptions::default();
    let encoded = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(
        schema,
        &mut DictionaryTracker::new(true),
        &options,
    );
    let mut bytes = Vec::new();
    write_message(&mut bytes, encoded, &options)?;
    Ok(bytes)
}

/// A stretch of a message's bytes.
enum Piece {
    /// In the encoder's own memory.
    Copied(Range<usize>),
    /// In the batch's slab.
    Shared(Range<usize>),
}

/// Makes record batch messages. Its memory is used again for each.
pub(crate) struct Encoder {
    metadata: FlatBufferBuilder<'static>,
    nodes: Vec<FieldNode>,
    buffers: Vec<Buffer>,
    copied: Vec<u8>,
    pieces: Vec<Piece>,
    body_bytes: usize,
}

impl Encoder {
    pub(crate) fn new() -> Self {
        Self {
            metadata: FlatBufferBuilder::new(),
            nodes: Vec::new(),
            buffers: Vec::new(),
            copied: Vec::new(),
            pieces: Vec::new(),
            body_bytes: 0,
        }
    }

    /// The message of one batch, as the stretches of memory it consists of, in order.
    pub(crate) fn encode<'a>(&'a mut self, batch: &'a Batch) -> Vec<IoSlice<'a>> {
        self.nodes.clear();
        self.buffers.clear();
        self.copied.clear();
        self.pieces.clear();
        self.body_bytes = 0;
        for index in 0..batch.schema().fields().len() {
            self.column(batch, batch.any_column(index));
        }
        let head = self.head(batch.rows());
        let slab = batch.as_bytes();
        let mut slices = Vec::with_capacity(self.pieces.len() + 1);
        slices.push(IoSlice::new(&self.copied[head]));
        slices.extend(self.pieces.iter().map(|piece| match piece {
            Piece::Copied(range) => IoSlice::new(&self.copied[range.clone()]),
            Piece::Shared(range) => IoSlice::new(&slab[range.clone()]),
        }));
        slices
    }

    fn column(&mut self, batch: &Batch, column: Column<'_>) {
        let rows = batch.rows();
        let nulls = column.validity().map_or(0, |bits| rows - ones(bits, rows));
        self.nodes.push(FieldNode::new(signed(rows), signed(nulls)));
        match column.validity().filter(|_| nulls > 0) {
            Some(bits) => self.bits(batch, bits, rows),
            None => self.buffer(batch, &[], None),
        }
        if column.data_type() == DataType::Bool {
            return self.bits(batch, column.value_bytes(), rows);
        }
        if column.data_type().is_variable() {
            // Offsets are four bytes each, whatever the machine: the slab's layout says so.
            let begin = place(batch, column.offsets().as_ptr().addr());
            self.buffer(batch, &batch.as_bytes()[begin..begin + (rows + 1) * 4], None);
        }
        self.buffer(batch, column.value_bytes(), None);
    }

    /// A bitmap of `rows` bits; those behind the last are zero, so that the same rows give the same bytes.
    fn bits(&mut self, batch: &Batch, bits: &[u8], rows: usize) {
        match bits.split_last() {
            Some((last, before)) if !rows.is_multiple_of(8) => {
                self.buffer(batch, before, Some(last & ((1 << (rows % 8)) - 1)))
            }
            _ => self.buffer(batch, bits, None),
        }
    }

    /// One buffer of the body: bytes of the slab, perhaps one more, and zeros up to a multiple of 8.
    fn buffer(&mut self, batch: &Batch, bytes: &[u8], last: Option<u8>) {
        let length = bytes.len() + usize::from(last.is_some());
        self.buffers.push(Buffer::new(signed(self.body_bytes), signed(length)));
        let begin = self.copied.len();
        if bytes.len() > COPY_BYTES_MAX {
            let from = place(batch, bytes.as_ptr().addr());
            self.pieces.push(Piece::Shared(from..from + bytes.len()));
        } else {
            self.copied.extend_from_slice(bytes);
        }
        self.copied.extend(last);
        self.copied.extend_from_slice(&[0; 8][..length.next_multiple_of(8) - length]);
        self.body_bytes += length.next_multiple_of(8);
        match self.pieces.last_mut() {
            Some(Piece::Copied(range)) => range.end = self.copied.len(),
            _ if self.copied.len() > begin => self.pieces.push(Piece::Copied(begin..self.copied.len())),
            _ => {}
        }
    }

    /// Everything before the body: marker, length of the metadata, metadata, zeros up to a multiple of 8.
    fn head(&mut self, rows: usize) -> Range<usize> {
        let flat = &mut self.metadata;
        flat.reset();
        let buffers = flat.create_vector(&self.buffers);
        let nodes = flat.create_vector(&self.nodes);
        let mut batch = RecordBatchBuilder::new(flat);
        batch.add_length(signed(rows));
        batch.add_nodes(nodes);
        batch.add_buffers(buffers);
        let header = batch.finish().as_union_value();
        let mut message = MessageBuilder::new(flat);
        message.add_version(MetadataVersion::V5);
        message.add_header_type(MessageHeader::RecordBatch);
        message.add_bodyLength(signed(self.body_bytes));
        message.add_header(header);
        let root = message.finish();
        flat.finish(root, None);
        let metadata = flat.finished_data();
        let begin = self.copied.len();
        let padded = metadata.len().next_multiple_of(8);
        self.copied.extend_from_slice(&CONTINUATION);
        self.copied.extend_from_slice(&u32::try_from(padded).unwrap_or(u32::MAX).to_le_bytes());
        self.copied.extend_from_slice(metadata);
        self.copied.resize(begin + 8 + padded, 0);
        begin..self.copied.len()
    }
}

/// Where in the slab an address lies.
fn place(batch: &Batch, address: usize) -> usize {
    address - batch.as_bytes().as_ptr().addr()
}

/// How many of the first `rows` bits are set.
fn ones(bits: &[u8], rows: usize) -> usize {
    let whole: u32 = bits[..rows / 8].iter().map(|byte| byte.count_ones()).sum();
    let rest =
        if rows.is_multiple_of(8) { 0 } else { (bits[rows / 8] & ((1 << (rows % 8)) - 1)).count_ones() };
    (whole + rest) as usize
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).expect("a slab is at most 1 GiB long")
}

//! Reads single messages of a stream, whose places are known from a walk: all columns of one, some of them, or the eight-byte values of
//! one alone. Knows nothing of streams of frames.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_buffer::MutableBuffer;
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_ipc::{Buffer, Message, RecordBatch as RecordBatchHeader, root_as_message};
use arrow_schema::{DataType as ArrowType, Field, SchemaRef};
use tapedeck_sdk::batch::BatchBuilder;
use tapedeck_sdk::{Error, StreamSchema};

use crate::scan::Placed;

/// Bytes before the metadata of a message: marker and length.
const PREFIX_BYTES: u64 = 8;

/// Bytes that nobody wants are read along where they are so few that a system call costs more.
const GAP_BYTES_MAX: usize = 32 << 10;

/// A file of messages.
pub(crate) struct Messages {
    file: File,
    path: PathBuf,
    /// All columns of the file.
    schema: SchemaRef,
    /// How many buffers a message has for each column and all before it.
    buffers: Vec<usize>,
    /// The columns that are read, by rising index; `None` is all.
    pub(crate) columns: Option<Vec<usize>>,
}

impl Messages {
    /// A file with these columns.
    pub(crate) fn new(file: File, path: PathBuf, schema: SchemaRef) -> Self {
        let count = |field: &Arc<Field>| match field.data_type() {
            ArrowType::Utf8 | ArrowType::Binary => 3,
            _ => 2,
        };
        let counts = schema.fields().iter().map(count);
        let buffers = counts.scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        Self { buffers: buffers.collect(), file, path, schema, columns: None }
    }

    /// The record batch of a message.
    pub(crate) fn record(&self, message: Placed) -> Result<RecordBatch, Error> {
        self.decode(message, self.columns.as_deref())
    }

    /// The values of some rows of a column whose values have eight bytes, nulls regarded as values.
    pub(crate) fn words(
        &self,
        message: Placed,
        column: usize,
        rows: Range<usize>,
    ) -> Result<Vec<[u8; 8]>, Error> {
        let metadata = self.metadata(message)?;
        let batch = self.parse(&metadata)?.header_as_record_batch();
        let batch = batch.ok_or_else(|| self.damaged(&"a message is no record batch any more"))?;
        if batch.compression().is_some() {
            let record = self.decode(message, Some(&[column]))?;
            let data = record.column(0).slice(rows.start, rows.len()).to_data();
            let values = data.buffers().first().map_or(&[][..], |buffer| buffer.as_slice());
            let (values, from) = (values.as_chunks::<8>().0, data.offset());
            return Ok(values.get(from..from + rows.len()).unwrap_or_default().to_vec());
        }
        let values = self.buffers_of(column).start + 1;
        let [begin, length] = batch
            .buffers()
            .filter(|buffers| buffers.len() > values)
            .map(|buffers| [buffers.get(values).offset(), buffers.get(values).length()])
            .and_then(|[offset, length]| Some([u64::try_from(offset).ok()?, u64::try_from(length).ok()?]))
            .ok_or_else(|| self.damaged(&"a message has fewer columns than its stream"))?;
        if length / 8 < rows.end as u64 {
            return Err(self.damaged(&"a column has fewer values than there are rows"));
        }
        let mut values = vec![[0; 8]; rows.len()];
        let at = message.at + message.head_bytes + begin + rows.start as u64 * 8;
        self.read(values.as_flattened_mut(), at)?;
        Ok(values)
    }

    /// Reads some rows of all columns into the rows of a batch, which has so many. False where they do not stand there as they are to be: a
    /// message is compressed, or a value is null.
    pub(crate) fn read_into(
        &self,
        message: Placed,
        widths: &[usize],
        rows: Range<usize>,
        builder: &mut BatchBuilder<'_>,
    ) -> Result<bool, Error> {
        let metadata = self.metadata(message)?;
        let batch = self.parse(&metadata)?.header_as_record_batch();
        let batch = batch.ok_or_else(|| self.damaged(&"a message is no record batch any more"))?;
        let (Some(nodes), Some(buffers)) = (batch.nodes(), batch.buffers()) else { return Ok(false) };
        let complete = nodes.len() == widths.len() && buffers.len() == widths.len() * 2;
        if batch.compression().is_some() || !complete || nodes.iter().any(|node| node.null_count() != 0) {
            return Ok(false);
        }
        let body = message.at + message.head_bytes;
        for (column, &width) in widths.iter().enumerate() {
            let buffer = buffers.get(column * 2 + 1);
            let [Ok(offset), Ok(length)] = [buffer.offset(), buffer.length()].map(u64::try_from) else {
                return Err(self.damaged(&"a message points out of itself"));
            };
            let (begin, wanted) = ((rows.start * width) as u64, (rows.len() * width) as u64);
            let inside = offset.checked_add(length).is_some_and(|end| end <= message.body_bytes);
            if !inside || begin + wanted > length {
                return Err(self.damaged(&"a column has fewer values than there are rows"));
            }
            let place = match column {
                0 => bytemuck::cast_slice_mut(builder.seq_mut()),
                1 => bytemuck::cast_slice_mut(builder.timestamps_mut()),
                _ => {
                    let place = builder.slot(column - StreamSchema::LEAD, 0).start;
                    &mut builder.slab_mut()[place..place + rows.len() * width]
                }
            };
            self.read(place, body + offset + begin)?;
        }
        Ok(true)
    }

    fn decode(&self, message: Placed, columns: Option<&[usize]>) -> Result<RecordBatch, Error> {
        let metadata = self.metadata(message)?;
        let header = self.parse(&metadata)?;
        let batch = header.header_as_record_batch();
        let batch = batch.ok_or_else(|| self.damaged(&"a message is no record batch any more"))?;
        let length = usize::try_from(message.body_bytes).map_err(|error| self.damaged(&error))?;
        let mut body = MutableBuffer::try_from_len_zeroed(length).map_err(|error| self.damaged(&error))?;
        let whole = || std::iter::once(0..length).collect();
        for range in columns.map_or_else(whole, |columns| self.stretches(&batch, columns)) {
            let at = message.at + message.head_bytes + range.start as u64;
            let part = body.as_slice_mut().get_mut(range);
            self.read(part.ok_or_else(|| self.damaged(&"a message points out of itself"))?, at)?;
        }
        let (body, dictionaries) = (body.into(), HashMap::new());
        RecordBatchDecoder::try_new(&body, batch, self.schema.clone(), &dictionaries, &header.version())
            .and_then(|decoder| decoder.with_projection(columns).read_record_batch())
            .map_err(|error| self.damaged(&error))
    }

    fn metadata(&self, message: Placed) -> Result<Vec<u8>, Error> {
        let length = message.head_bytes.saturating_sub(PREFIX_BYTES);
        let mut metadata = vec![0; usize::try_from(length).map_err(|error| self.damaged(&error))?];
        self.read(&mut metadata, message.at + PREFIX_BYTES)?;
        Ok(metadata)
    }

    fn parse<'bytes>(&self, metadata: &'bytes [u8]) -> Result<Message<'bytes>, Error> {
        root_as_message(metadata).map_err(|error| self.damaged(&error))
    }

    /// Where in the body of a message the buffers of these columns lie.
    fn stretches(&self, batch: &RecordBatchHeader<'_>, columns: &[usize]) -> Vec<Range<usize>> {
        let buffers = batch.buffers();
        let wanted = columns.iter().flat_map(|&column| self.buffers_of(column));
        let buffer = |index: usize| buffers.filter(|all| index < all.len()).map(|all| *all.get(index));
        let range = |buffer: Buffer| {
            let [begin, length] = [buffer.offset(), buffer.length()].map(usize::try_from);
            let begin = begin.ok()?;
            Some(begin..begin.checked_add(length.ok()?)?)
        };
        let mut ranges: Vec<_> =
            wanted.filter_map(buffer).filter_map(range).filter(|range| !range.is_empty()).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        ranges.into_iter().fold(Vec::new(), |mut stretches: Vec<Range<usize>>, range| {
            match stretches.last_mut() {
                Some(last) if range.start <= last.end + GAP_BYTES_MAX => last.end = last.end.max(range.end),
                _ => stretches.push(range),
            }
            stretches
        })
    }

    /// Which buffers of a message a column has: validity first, values last.
    fn buffers_of(&self, column: usize) -> Range<usize> {
        let behind = |columns: usize| self.buffers.get(columns).copied().unwrap_or(usize::MAX);
        column.checked_sub(1).map_or(0, behind)..behind(column)
    }

    fn read(&self, bytes: &mut [u8], at: u64) -> Result<(), Error> {
        read_exact_at(&self.file, bytes, at)
            .map_err(|error| Error::io("read the recording", &self.path, &error))
    }

    /// The error of a file that is not what its messages say.
    pub(crate) fn damaged(&self, what: &dyn std::fmt::Display) -> Error {
        Error::data(format!("the recording is damaged: {what}: {}", self.path.display()))
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

/// A component has one thread: nobody else moves the file's place.
#[cfg(not(unix))]
fn read_exact_at(mut file: &File, bytes: &mut [u8], at: u64) -> std::io::Result<()> {
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(at))?;
    std::io::Read::read_exact(&mut file, bytes)
}

//! Reads single messages of a stream, whose places are known from a walk: all columns of one, some of them, or the eight-byte values of
//! one alone. Knows nothing of streams of frames.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use arrow_array::{Array, RecordBatch};
use arrow_buffer::{Buffer, MutableBuffer};
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_ipc::{Message, root_as_message};
use arrow_schema::{DataType as ArrowType, SchemaRef};
use tapedeck_sdk::Error;

use crate::scan::Placed;

/// Bytes before the metadata of a message: marker and length.
const PREFIX_BYTES: u64 = 8;

/// A file of messages.
pub(crate) struct Messages {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    /// All columns of the file.
    pub(crate) schema: SchemaRef,
    /// Those that are read, by rising index; `None` is all.
    pub(crate) columns: Option<Vec<usize>>,
}

impl Messages {
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
        let buffers = batch.buffers().filter(|buffers| buffers.len() > self.values_of(column));
        let buffer = buffers.map(|buffers| *buffers.get(self.values_of(column)));
        let [begin, length] = buffer
            .map(|buffer| [buffer.offset(), buffer.length()])
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

    fn decode(&self, message: Placed, columns: Option<&[usize]>) -> Result<RecordBatch, Error> {
        let metadata = self.metadata(message)?;
        let header = self.parse(&metadata)?;
        let batch = header.header_as_record_batch();
        let batch = batch.ok_or_else(|| self.damaged(&"a message is no record batch any more"))?;
        let length = usize::try_from(message.body_bytes).map_err(|error| self.damaged(&error))?;
        let mut body = MutableBuffer::try_from_len_zeroed(length).map_err(|error| self.damaged(&error))?;
        self.read(body.as_slice_mut(), message.at + message.head_bytes)?;
        let (body, dictionaries): (Buffer, _) = (body.into(), HashMap::new());
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

    /// Which buffer of a message has the values of a column: behind those of the columns before it, and its validity.
    fn values_of(&self, column: usize) -> usize {
        let buffers = |data_type: &ArrowType| match data_type {
            ArrowType::Utf8 | ArrowType::Binary => 3,
            _ => 2,
        };
        let before = self.schema.fields().iter().take(column);
        before.map(|field| buffers(field.data_type())).sum::<usize>() + 1
    }

    fn read(&self, bytes: &mut [u8], at: u64) -> Result<(), Error> {
        let read = self.file.read_exact_at(bytes, at);
        read.map_err(|error| Error::io("read the recording", &self.path, &error))
    }

    /// The error of a file that is not what its messages say.
    pub(crate) fn damaged(&self, what: &dyn std::fmt::Display) -> Error {
        Error::data(format!("the recording is damaged: {what}: {}", self.path.display()))
    }
}

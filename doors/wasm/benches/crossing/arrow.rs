//! A batch as Arrow IPC and back. The schema is written once, as in a stream; each call is one message. Knows nothing of components.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::Schema;
use tapedeck_sdk::Batch;
use tapedeck_sdk::batch::arrow_schema as schema_of;

/// Both ends of a stream.
pub(crate) struct Ipc {
    schema: Arc<Schema>,
    writer: StreamWriter<Vec<u8>>,
    decoder: StreamDecoder,
}

impl Ipc {
    pub(crate) fn new(batch: &Batch) -> Self {
        let schema = Arc::new(schema_of(batch.schema()));
        let mut writer = StreamWriter::try_new(Vec::new(), &schema).expect("Arrow takes the schema");
        let head = std::mem::take(writer.get_mut());
        let mut decoder = StreamDecoder::new();
        decoder.decode(&mut Buffer::from_vec(head)).expect("it is a schema");
        Self { schema, writer, decoder }
    }

    /// The message that a batch becomes.
    pub(crate) fn message(&mut self, batch: &Batch) -> Vec<u8> {
        let record = batch.to_arrow(&self.schema).expect("it is the schema");
        self.encoded(&record)
    }

    pub(crate) fn encoded(&mut self, record: &RecordBatch) -> Vec<u8> {
        self.writer.write(record).expect("memory takes everything");
        std::mem::take(self.writer.get_mut())
    }

    pub(crate) fn decoded(&mut self, message: &[u8]) -> RecordBatch {
        let mut bytes = Buffer::from(message);
        self.decoder.decode(&mut bytes).expect("it is a message").expect("it is a batch")
    }
}

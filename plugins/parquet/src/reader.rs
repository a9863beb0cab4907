//! Reads Parquet files back, ours and other programs'. Knows nothing of how ours are laid out, beyond the format.

use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ParquetMetaDataReader;
use tapedeck_sdk::batch::ArrowImport;
use tapedeck_sdk::prelude::*;

use crate::recording::{LOSS_KEY, SCHEMA_KEY};

/// The most rows, and about the most values, that are read at once.
const READ_ROWS_MAX: usize = 8192;
const READ_VALUES_MAX: usize = 1 << 20;

/// Calls the format's library, which panics on some files that are damaged (parquet 60: a run of levels that is too long).
fn guarded<T>(call: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    // What the call leaves behind is not used again: an error ends the reading.
    std::panic::catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err("its pages make no sense".to_owned()))
}

/// Parquet files.
pub struct ParquetFormat;

impl Format for ParquetFormat {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["parquet"]
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Recording>, Error> {
        let file = File::open(path).map_err(|error| Error::io("open the recording", path, &error))?;
        let refuse = |error: String| {
            let error = Error::data(format!("not a whole Parquet file: {error}: {}", path.display()));
            error.with_hint(
                "If its writer was killed, \"tapedeck recover\" makes it again from the session's journal.",
            )
        };
        let builder =
            guarded(|| ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string()));
        let builder = builder.map_err(refuse)?;
        let columns = builder.schema().fields().len();
        let rows = (READ_VALUES_MAX / columns.max(1)).clamp(1, READ_ROWS_MAX);
        let mut metadata = builder.schema().metadata().clone();
        // The schema in the file is this stream's own, and what was lost is the file's: neither is the stream's metadata.
        metadata.retain(|key, _| {
            key != SCHEMA_KEY && key != LOSS_KEY && !key.starts_with("ARROW:") && key != "pandas"
        });
        let schema = Schema::new_with_metadata(builder.schema().fields().clone(), metadata);
        let name =
            path.file_stem().map_or_else(|| "stream".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let import = ArrowImport::new(&schema, &name)?;
        let reader = guarded(|| builder.with_batch_size(rows).build().map_err(|error| error.to_string()))
            .map_err(refuse)?;
        let streams = vec![import.schema().clone()];
        Ok(Box::new(ParquetSource { reader, import, streams, rest: None, path: path.to_owned() }))
    }

    fn repair(&self, path: &Path) -> Result<Repair, Error> {
        let file = File::open(path).map_err(|error| Error::io("open the recording", path, &error))?;
        match guarded(|| {
            ParquetMetaDataReader::new().parse_and_finish(&file).map_err(|error| error.to_string())
        }) {
            Ok(_) => Ok(Repair::Intact),
            Err(error) => Ok(Repair::Unreadable(format!("it has no footer, which comes last: {error}"))),
        }
    }
}

/// A recording that is read back.
struct ParquetSource {
    reader: ParquetRecordBatchReader,
    import: ArrowImport,
    streams: Vec<Arc<StreamSchema>>,
    /// What is left of a record batch that is larger than a batch should be.
    rest: Option<RecordBatch>,
    path: PathBuf,
}

impl Recording for ParquetSource {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn next(&mut self) -> Result<Option<(usize, Batch)>, Error> {
        let damaged = |path: &Path, what: &dyn std::fmt::Display| {
            Error::data(format!("the recording is damaged: {what}: {}", path.display()))
        };
        let mut record = match self.rest.take() {
            Some(rest) => rest,
            None => match guarded(|| self.reader.next().transpose().map_err(|error| error.to_string())) {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(None),
                Err(error) => return Err(damaged(&self.path, &error)),
            },
        };
        let rows = ArrowImport::rows_max(&record);
        if rows < record.num_rows() {
            self.rest = Some(record.slice(rows, record.num_rows() - rows));
            record = record.slice(0, rows);
        }
        let batch = self.import.batch(&record).map_err(|error| damaged(&self.path, &error))?;
        Ok(Some((0, batch)))
    }
}

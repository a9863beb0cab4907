//! Reads Parquet files back, ours and other programs'. Knows nothing of how ours are laid out, beyond the format.

use std::fs::File;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader};
use parquet::file::metadata::ParquetMetaDataReader;
use tapedeck_kit::blocks::{BlockCache, Blocks};
use tapedeck_sdk::batch::ArrowImport;
use tapedeck_sdk::prelude::*;

use crate::groups::{Groups, guarded};
use crate::recording::{LOSS_KEY, SCHEMA_KEY};

/// What a Parquet file begins with.
const MAGIC: &[u8] = b"PAR1";

/// Parquet files.
pub struct ParquetFormat;

impl Format for ParquetFormat {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["parquet"]
    }

    fn matches(&self, head: &[u8], _path: &Path) -> bool {
        head.starts_with(MAGIC)
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Recording>, Error> {
        let file = File::open(path).map_err(|error| Error::io("open the recording", path, &error))?;
        let refuse = |error: String| {
            let error = Error::data(format!("not a whole Parquet file: {error}: {}", path.display()));
            error.with_hint(
                "If its writer was killed, \"tapedeck recover\" makes it again from the session's journal.",
            )
        };
        let load = || ArrowReaderMetadata::load(&file, ArrowReaderOptions::new());
        let footer = guarded(|| load().map_err(|error| error.to_string())).map_err(refuse)?;
        let mut metadata = footer.schema().metadata().clone();
        // The schema in the file is this stream's own, and what was lost is the file's: neither is the stream's metadata.
        metadata.retain(|key, _| {
            key != SCHEMA_KEY && key != LOSS_KEY && !key.starts_with("ARROW:") && key != "pandas"
        });
        let schema = Schema::new_with_metadata(footer.schema().fields().clone(), metadata);
        let name =
            path.file_stem().map_or_else(|| "stream".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let import = ArrowImport::new(&schema, &name)?;
        let groups = guarded(|| Groups::new(file, path.to_owned(), footer, import.lead())).map_err(refuse)?;
        Ok(Box::new(ParquetSource {
            groups,
            streams: vec![import.schema().clone()],
            import,
            wanted: true,
            at: 0,
            reader: None,
            rest: None,
            failed: false,
            cache: BlockCache::default(),
            read: None,
        }))
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
    groups: Groups,
    import: ArrowImport,
    streams: Vec<Arc<StreamSchema>>,
    wanted: bool,
    /// The row of the file that comes next.
    at: u64,
    /// What reads on from there, once something was read.
    reader: Option<ParquetRecordBatchReader>,
    /// What is left of a record batch that is larger than a batch should be.
    rest: Option<RecordBatch>,
    failed: bool,
    cache: BlockCache,
    /// The row group of which a block was read last.
    read: Option<usize>,
}

impl ParquetSource {
    /// Reads on from the row that comes next.
    fn advance(&mut self) -> Result<Option<Batch>, Error> {
        let mut record = match self.rest.take() {
            Some(rest) => rest,
            None => {
                let reader = match &mut self.reader {
                    Some(reader) => reader,
                    none => none.insert(self.groups.read_from(self.at)?),
                };
                match self.groups.checked(|| reader.next().transpose().map_err(|error| error.to_string()))? {
                    Some(record) => record,
                    None => return Ok(None),
                }
            }
        };
        let rows = ArrowImport::rows_max(&record);
        if rows < record.num_rows() {
            self.rest = Some(record.slice(rows, record.num_rows() - rows));
            record = record.slice(0, rows);
        }
        let batch = self.import.batch(&record, self.at).map_err(|error| self.groups.damaged(&error))?;
        self.at += record.num_rows() as u64;
        Ok(Some(batch))
    }

    /// Keeps all blocks of a row group, if there is room for so many: a page often has the rows of many blocks, and would be
    /// unpacked again for each of them.
    fn keep_group(&mut self, group: usize) -> Result<(), Error> {
        let (blocks, mut reader) = self.groups.read_group(group)?;
        for block in blocks {
            let next = || reader.next().transpose().map_err(|error| error.to_string());
            let place = self.groups.place(block);
            let record = self.groups.checked(next)?.filter(|record| record.num_rows() == place.rows);
            let Some(record) = record else { break };
            if self.cache.get(block).is_none() {
                let batch = self.import.batch(&record, place.first_row);
                self.cache.put(block, &batch.map_err(|error| self.groups.damaged(&error))?);
            }
        }
        Ok(())
    }

    fn go_to(&mut self, row: u64) {
        (self.at, self.reader, self.rest) = (row, None, None);
    }
}

impl Blocks for ParquetSource {
    fn blocks(&self) -> usize {
        self.groups.blocks()
    }

    fn rows(&self, block: usize) -> usize {
        self.groups.place(block).rows
    }

    fn is_sorted(&self) -> bool {
        // The footer says how far the times of a group go, not in which order.
        false
    }

    fn first_block(&mut self, to: Timestamp) -> Result<Option<usize>, Error> {
        self.groups.first_block(to)
    }

    fn batch(&mut self, block: usize) -> Result<Batch, Error> {
        if let Some(batch) = self.cache.get(block) {
            return Ok(batch.clone());
        }
        let place = self.groups.place(block);
        if self.read.replace(place.group) == Some(place.group) {
            // What can't be read of the others does not matter here; a damaged block is read again below, and is an error then.
            drop(self.keep_group(place.group));
            if let Some(batch) = self.cache.get(block) {
                return Ok(batch.clone());
            }
        }
        let record = self.groups.read_block(place)?;
        let batch =
            self.import.batch(&record, place.first_row).map_err(|error| self.groups.damaged(&error))?;
        self.cache.put(block, &batch);
        Ok(batch)
    }

    fn times(&mut self, block: usize) -> Result<Vec<i64>, Error> {
        self.groups.times_of(self.groups.place(block))
    }
}

impl Recording for ParquetSource {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn extent(&self, stream: usize) -> Option<Extent> {
        (stream == 0).then(|| self.groups.extent())
    }

    fn select(&mut self, wanted: &[Wanted]) -> Result<(), Error> {
        let streams = Wanted::of_streams(wanted, &self.streams)?;
        if let [Wanted::Columns(columns)] = wanted {
            let (import, from) = self.import.projected(columns)?;
            self.groups.select(from);
            self.import = import;
        }
        self.wanted = wanted != [Wanted::Nothing];
        self.streams = streams;
        Ok(())
    }

    fn seek(&mut self, to: Timestamp) -> Result<(), Error> {
        let found = self.find(to);
        self.failed = found.is_err();
        let place = found?.map(|(block, row)| self.groups.place(block).first_row + row as u64);
        self.go_to(place.unwrap_or(self.groups.rows()));
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(usize, Batch)>, Error> {
        if self.failed || !self.wanted {
            return Ok(None);
        }
        let next = self.advance();
        self.failed = next.is_err();
        Ok(next?.map(|batch| (0, batch)))
    }

    fn closest(&mut self, stream: usize, to: Timestamp) -> Result<Option<(Batch, usize)>, Error> {
        if stream != 0 || !self.wanted {
            return Ok(None);
        }
        let found = self.nearest(to);
        self.failed |= found.is_err();
        found
    }
}

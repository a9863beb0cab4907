//! The row groups of a file, cut into blocks of rows: what the footer says of them, and how they are read. Knows nothing of streams of
//! frames.

use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;

use arrow_array::{Array, RecordBatch, TimestampNanosecondArray, UInt64Array};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use tapedeck_kit::blocks::TimeIndex;
use tapedeck_sdk::panics::caught;
use tapedeck_sdk::{Error, Extent, StreamSchema, Timestamp};

/// The most rows, and about the most bytes and values, that are read at once.
const READ_ROWS_MAX: u64 = 8192;
const READ_BYTES_MAX: u64 = 8 << 20;
const READ_VALUES_MAX: u64 = 1 << 20;
/// About the most bytes of a row group that is read whole.
const GROUP_BYTES_MAX: u64 = 48 << 20;

/// Calls the format's library, which panics on some files that are damaged (parquet 60: a run of levels that is too long).
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    // What the call leaves behind is not used again: an error ends the reading.
    let panicked = |panic: Error| Err(format!("its pages make no sense ({})", panic.message));
    caught(|| Ok(call())).unwrap_or_else(panicked)
}

/// Rows of a group that are read at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) group: usize,
    /// The first row, in the group.
    from: usize,
    /// The first row, in the file.
    pub(crate) first_row: u64,
    pub(crate) rows: usize,
}

/// A row group.
struct Group {
    rows: u64,
    /// Rows of the file before it.
    first_row: u64,
    /// Blocks of the file before it.
    first_block: usize,
    /// About how many bytes the columns that are read have in a row.
    row_bytes: u64,
    /// The earliest and the latest time, where the footer says.
    times: Option<(i64, i64)>,
    seq: Option<(u64, u64)>,
    /// The times of its blocks, once they were read.
    index: Option<TimeIndex>,
}

/// The row groups of a file.
pub(crate) struct Groups {
    file: File,
    path: PathBuf,
    footer: ArrowReaderMetadata,
    /// Where `seq` and `timestamp` stand among the columns of the file.
    lead: [Option<usize>; StreamSchema::LEAD],
    /// The columns that are read, by rising index; `None` is all.
    columns: Option<Vec<usize>>,
    groups: Vec<Group>,
    block_rows: u64,
    /// The times of the groups. Made when it is first needed: groups of which the footer says nothing are read then.
    index: Option<TimeIndex>,
}

impl Groups {
    /// What the footer says of the groups.
    pub(crate) fn new(
        file: File,
        path: PathBuf,
        footer: ArrowReaderMetadata,
        lead: [Option<usize>; StreamSchema::LEAD],
    ) -> Result<Self, String> {
        let (mut groups, mut first_row) = (Vec::new(), 0);
        for group in footer.metadata().row_groups() {
            let rows = u64::try_from(group.num_rows()).map_err(|error| error.to_string())?;
            groups.push(Group {
                rows,
                first_row,
                first_block: 0,
                row_bytes: 0,
                times: None,
                seq: None,
                index: None,
            });
            first_row = rows.checked_add(first_row).ok_or("its row groups have too many rows")?;
        }
        let mut made = Self { file, path, footer, lead, columns: None, groups, block_rows: 1, index: None };
        made.read_statistics();
        made.cut();
        Ok(made)
    }

    /// Only these columns are read from here on.
    pub(crate) fn select(&mut self, columns: Vec<usize>) {
        self.columns = Some(columns);
        self.cut();
    }

    /// The rows of all groups.
    pub(crate) fn rows(&self) -> u64 {
        self.groups.last().map_or(0, |group| group.first_row + group.rows)
    }

    /// The blocks of all groups.
    pub(crate) fn blocks(&self) -> usize {
        self.groups.last().map_or(0, |group| group.first_block + self.blocks_of(group))
    }

    fn blocks_of(&self, group: &Group) -> usize {
        usize::try_from(group.rows.div_ceil(self.block_rows)).unwrap_or(0)
    }

    /// Where a block is.
    pub(crate) fn place(&self, block: usize) -> Placed {
        let number = self.groups.partition_point(|group| group.first_block <= block) - 1;
        let group = &self.groups[number];
        let from = (block - group.first_block) as u64 * self.block_rows;
        let rows = (group.rows - from).min(self.block_rows);
        let [from_here, rows] = [from, rows].map(|rows| usize::try_from(rows).unwrap_or(usize::MAX));
        Placed { group: number, from: from_here, first_row: group.first_row + from, rows }
    }

    /// What is known without reading rows.
    pub(crate) fn extent(&self) -> Extent {
        let filled: Vec<&Group> = self.groups.iter().filter(|group| group.rows > 0).collect();
        let times: Option<Vec<_>> = filled.iter().map(|group| group.times).collect();
        let times = times.unwrap_or_default();
        let seq: Option<Vec<_>> = filled.iter().map(|group| group.seq).collect();
        // Where numbers go back, the first one is not the least.
        let seq = seq.unwrap_or_default();
        let rises = seq.iter().zip(seq.iter().skip(1)).all(|(before, after)| before.1 < after.0);
        let ends = seq.first().zip(seq.last()).filter(|_| rises).map(|(first, last)| (first.0, last.1));
        let numbered = self.rows().checked_sub(1).map(|last| (0, last));
        Extent {
            frames: self.rows(),
            seq: if self.lead[0].is_some() { ends } else { numbered },
            timestamps: times.iter().map(|times| times.0).min().zip(times.iter().map(|times| times.1).max()),
        }
    }

    /// A reader of everything from a row of the file on.
    pub(crate) fn read_from(&self, row: u64) -> Result<ParquetRecordBatchReader, Error> {
        let group = self.groups.partition_point(|group| group.first_row + group.rows <= row);
        let offset = self.groups.get(group).map_or(0, |group| row - group.first_row);
        self.reader((group..self.groups.len()).collect(), usize::try_from(offset).unwrap_or(usize::MAX), None)
    }

    /// The rows of a block.
    pub(crate) fn read_block(&self, place: Placed) -> Result<RecordBatch, Error> {
        let mut reader = self.reader(vec![place.group], place.from, Some(place.rows))?;
        let record = self.checked(|| reader.next().transpose().map_err(|error| error.to_string()))?;
        record
            .filter(|record| record.num_rows() == place.rows)
            .ok_or_else(|| self.damaged(&"a row group has fewer rows than it says"))
    }

    /// The blocks of a group and a reader whose record batches they are; no blocks if their rows are too many to be kept.
    pub(crate) fn read_group(
        &self,
        number: usize,
    ) -> Result<(Range<usize>, ParquetRecordBatchReader), Error> {
        let group = &self.groups[number];
        let is_small = group.rows.saturating_mul(group.row_bytes) <= GROUP_BYTES_MAX;
        let count = if is_small { self.blocks_of(group) } else { 0 };
        Ok((group.first_block..group.first_block + count, self.reader(vec![number], 0, None)?))
    }

    /// The first block with a time at or after a moment.
    pub(crate) fn first_block(&mut self, to: Timestamp) -> Result<Option<usize>, Error> {
        if self.lead[1].is_none() {
            // All rows have the time 0.
            return Ok((to.0 <= 0 && self.rows() > 0).then_some(0));
        }
        let Some(first) = self.group_index()?.first_block(to) else { return Ok(None) };
        for number in first..self.groups.len() {
            let block = self.block_index(number)?.first_block(to);
            if let Some(block) = block {
                return Ok(Some(self.groups[number].first_block + block));
            }
        }
        Ok(None)
    }

    fn group_index(&mut self) -> Result<&TimeIndex, Error> {
        let index = match self.index.take() {
            Some(index) => index,
            None => {
                let mut index = TimeIndex::default();
                for number in 0..self.groups.len() {
                    let range = match self.groups[number].times {
                        Some(times) => Some(times),
                        None => self.block_index(number)?.range(),
                    };
                    let (earliest, latest) = range.unwrap_or((i64::MAX, i64::MIN));
                    index.push_range(earliest, latest);
                }
                index
            }
        };
        Ok(self.index.insert(index))
    }

    /// The times of a group's blocks. Reads the times of all its rows, once, and nothing else.
    fn block_index(&mut self, number: usize) -> Result<&TimeIndex, Error> {
        let index = match self.groups[number].index.take() {
            Some(index) => index,
            None => self.read_times(number)?,
        };
        Ok(self.groups[number].index.insert(index))
    }

    fn read_times(&self, number: usize) -> Result<TimeIndex, Error> {
        let mut index = TimeIndex::default();
        let Some(column) = self.lead[1] else { return Ok(index) };
        let mut reader = self.reader_of(&[column], vec![number], 0, None)?;
        // A reader's record batches are blocks: only the last one of a group has fewer rows.
        while let Some(times) = self.next_times(&mut reader)? {
            index.push(&times);
        }
        Ok(index)
    }

    /// The times of a block. Reads no other column.
    pub(crate) fn times_of(&self, place: Placed) -> Result<Vec<i64>, Error> {
        let Some(column) = self.lead[1] else { return Ok(vec![0; place.rows]) };
        let mut reader = self.reader_of(&[column], vec![place.group], place.from, Some(place.rows))?;
        Ok(self.next_times(&mut reader)?.unwrap_or_default())
    }

    fn next_times(&self, reader: &mut ParquetRecordBatchReader) -> Result<Option<Vec<i64>>, Error> {
        let record = self.checked(|| reader.next().transpose().map_err(|error| error.to_string()))?;
        let Some(record) = record else { return Ok(None) };
        let times = record.column(0).as_any().downcast_ref::<TimestampNanosecondArray>();
        let times = times.ok_or_else(|| self.damaged(&"its times are of another type"))?;
        Ok(Some(times.values().to_vec()))
    }

    /// How many rows are read at once follows from the columns that are read.
    fn cut(&mut self) {
        let metadata = self.footer.metadata();
        let all = self.footer.schema().fields().len();
        let columns = self.columns.clone().unwrap_or_else(|| (0..all).collect());
        for (known, group) in self.groups.iter_mut().zip(metadata.row_groups()) {
            let column =
                |&index: &usize| group.columns().get(index).map_or(0, |column| column.uncompressed_size());
            let bytes = columns.iter().map(column).fold(0, i64::saturating_add);
            known.row_bytes = bytes.max(0).unsigned_abs() / known.rows.max(1);
        }
        let row_bytes = self.groups.iter().map(|group| group.row_bytes).max().unwrap_or(0).max(1);
        let rows = (READ_BYTES_MAX / row_bytes).min(READ_VALUES_MAX / (columns.len() as u64).max(1));
        self.block_rows = rows.clamp(1, READ_ROWS_MAX);
        let mut first_block = 0_usize;
        for group in 0..self.groups.len() {
            let blocks = self.blocks_of(&self.groups[group]);
            (self.groups[group].first_block, self.groups[group].index) = (first_block, None);
            first_block = first_block.saturating_add(blocks);
        }
    }

    /// What the footer says of the times and numbers of each group.
    fn read_statistics(&mut self) {
        let (schema, metadata) = (self.footer.schema(), self.footer.metadata());
        let file_schema = self.footer.parquet_schema();
        let range = |column: Option<usize>| {
            let converter =
                StatisticsConverter::try_new(schema.field(column?).name(), schema, file_schema).ok()?;
            let least = converter.row_group_mins(metadata.row_groups()).ok()?;
            let most = converter.row_group_maxes(metadata.row_groups()).ok()?;
            Some((least, most))
        };
        let times = range(self.lead[1]).and_then(|(least, most)| {
            let [least, most] =
                [least, most].map(|array| array.as_any().downcast_ref::<TimestampNanosecondArray>().cloned());
            least.zip(most)
        });
        let seq = range(self.lead[0]).and_then(|(least, most)| {
            let [least, most] =
                [least, most].map(|array| array.as_any().downcast_ref::<UInt64Array>().cloned());
            least.zip(most)
        });
        let no_times = self.lead[1].is_none();
        for (row, group) in self.groups.iter_mut().enumerate() {
            let times = times.as_ref().filter(|(least, most)| least.is_valid(row) && most.is_valid(row));
            group.times = times.map(|(least, most)| (least.value(row), most.value(row)));
            group.times = group.times.or(no_times.then_some((0, 0)));
            let seq = seq.as_ref().filter(|(least, most)| least.is_valid(row) && most.is_valid(row));
            group.seq = seq.map(|(least, most)| (least.value(row), most.value(row)));
        }
    }

    fn reader(
        &self,
        groups: Vec<usize>,
        offset: usize,
        limit: Option<usize>,
    ) -> Result<ParquetRecordBatchReader, Error> {
        let all = || (0..self.footer.schema().fields().len()).collect();
        self.reader_of(&self.columns.clone().unwrap_or_else(all), groups, offset, limit)
    }

    fn reader_of(
        &self,
        columns: &[usize],
        groups: Vec<usize>,
        offset: usize,
        limit: Option<usize>,
    ) -> Result<ParquetRecordBatchReader, Error> {
        let file =
            self.file.try_clone().map_err(|error| Error::io("read the recording", &self.path, &error))?;
        self.checked(|| {
            let mask = ProjectionMask::roots(self.footer.parquet_schema(), columns.iter().copied());
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.footer.clone());
            let rows = usize::try_from(self.block_rows).unwrap_or(usize::MAX);
            let mut builder = builder.with_projection(mask).with_row_groups(groups).with_batch_size(rows);
            if offset > 0 {
                builder = builder.with_offset(offset);
            }
            if let Some(limit) = limit {
                builder = builder.with_limit(limit);
            }
            builder.build().map_err(|error| error.to_string())
        })
    }

    /// Calls the format's library on the file.
    pub(crate) fn checked<T>(&self, call: impl FnOnce() -> Result<T, String>) -> Result<T, Error> {
        guarded(call).map_err(|error| self.damaged(&error))
    }

    /// The error of a file that is not what its footer says.
    pub(crate) fn damaged(&self, what: &dyn std::fmt::Display) -> Error {
        Error::data(format!("the recording is damaged: {what}: {}", self.path.display()))
    }
}

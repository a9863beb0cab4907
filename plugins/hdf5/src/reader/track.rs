//! One stream of a file: which datasets its columns come from, and which of their rows are read. How rows become a batch is
//! `block`'s.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;

use tapedeck_kit::blocks::{BlockCache, TimeIndex};
use tapedeck_sdk::{Batch, BatchPool, Error, Extent, Field, StreamSchema};

use super::block::Block;
use crate::raw::{Dataset, Element, Failure};

/// Bytes that are read at a time, at the most, unless one row has more.
const BLOCK_BYTES: usize = 4 << 20;
/// Rows that are read at a time, at the most.
const BLOCK_ROWS: usize = 8192;
/// The most bytes of a row.
const ROW_BYTES_MAX: usize = 256 << 20;
/// Times that are read at a time: a multiple of any block's.
const TIMES_ROWS: u64 = 8 * BLOCK_ROWS as u64;
/// The column of pictures that has their points.
pub(super) const PIXELS: usize = 3;

/// What times are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// An integer of so many nanoseconds.
    Integer { nanoseconds: i64 },
    /// A floating-point number of seconds.
    Seconds,
}

impl Clock {
    /// A value of the dataset of times, in nanoseconds.
    pub(super) fn nanoseconds(self, word: [u8; 8]) -> i64 {
        match self {
            Self::Integer { nanoseconds } => i64::from_le_bytes(word).saturating_mul(nanoseconds),
            Self::Seconds => nanoseconds(f64::from_le_bytes(word)),
        }
    }
}

/// How a dataset's elements become columns. Columns are payload columns.
pub(super) enum Part {
    /// The bytes of a column of fixed width.
    Fixed { column: usize },
    /// A byte of 0 or not 0.
    Bool { column: usize },
    /// Bytes filled up with NULs; the true length is in that place of `lengths`, or where the NULs begin.
    Padded { column: usize, length: Option<usize> },
    /// `f32` columns side by side, from this one on.
    Matrix { first: usize },
    /// Bytes side by side, `bool` columns from this one on.
    Flags { first: usize },
    /// BGRA pictures, of which this is column [`PIXELS`] behind `width`, `height` and `format`.
    Pixels,
}

/// The datasets of a stream, before anything was checked.
pub(super) struct Datasets {
    pub(super) schema: Arc<StreamSchema>,
    pub(super) parts: Vec<(Dataset, Part)>,
    /// Width and height of pictures.
    pub(super) size: Option<[u32; 2]>,
    pub(super) seq: Option<Dataset>,
    pub(super) times: (Dataset, Clock),
    pub(super) validity: Option<Dataset>,
    pub(super) lengths: Option<Dataset>,
}

/// One stream being read.
pub(super) struct Track {
    datasets: Datasets,
    /// The columns that are wanted.
    schema: Arc<StreamSchema>,
    /// Which of them each column of the datasets' schema is.
    places: Vec<Option<usize>>,
    pool: BatchPool,
    /// The bytes of the block in hand of each part, of `seq`, the times, `validity` and `lengths`.
    blocks: Vec<Vec<u8>>,
    rows: u64,
    at: u64,
    block_rows: usize,
    time: i64,
    wanted: bool,
    /// Made when it is first asked for: that reads all times.
    index: OnceCell<TimeIndex>,
    cache: BlockCache,
}

impl Datasets {
    fn all(&self) -> impl Iterator<Item = &Dataset> {
        let parts = self.parts.iter().map(|(dataset, _)| dataset);
        parts.chain(self.seq.as_ref()).chain([&self.times.0]).chain(&self.validity).chain(&self.lengths)
    }
}

impl Track {
    /// Checks that the datasets are what they are taken for. The stream has as many rows as the shortest of them.
    pub(super) fn new(datasets: Datasets) -> Result<Self, Failure> {
        let schema = datasets.schema.clone();
        let wrong = |what: &str| Failure::new(format!("stream \"{}\": {what}", schema.name()));
        for (dataset, part) in &datasets.parts {
            if !fits(dataset, part, &datasets) {
                return Err(wrong("a dataset is not of its column's type"));
            }
        }
        let is_number =
            |dataset: &Dataset| matches!(dataset.element(), Some(Element::Unsigned(8) | Element::Signed(8)));
        if datasets.seq.as_ref().is_some_and(|seq| !is_number(seq) || seq.row_bytes() != Some(8)) {
            return Err(wrong("\"seq\" is not a list of 64-bit integers"));
        }
        let (times, clock) = &datasets.times;
        let is_time = if *clock == Clock::Seconds {
            times.element() == Some(Element::Float(8))
        } else {
            is_number(times)
        };
        if !is_time || times.row_bytes() != Some(8) {
            return Err(wrong("the times are not a list of 64-bit numbers"));
        }
        let bits = schema.payload().len().div_ceil(8);
        if datasets.validity.as_ref().is_some_and(|validity| validity.row_bytes() != Some(bits)) {
            return Err(wrong("\"validity\" has not a bit for each column"));
        }
        if datasets.lengths.as_ref().is_some_and(|lengths| lengths.element() != Some(Element::Unsigned(4))) {
            return Err(wrong("\"lengths\" is not of 32-bit numbers"));
        }
        let row_bytes =
            datasets.all().try_fold(0_usize, |sum, dataset| sum.checked_add(dataset.row_bytes()?));
        let row_bytes = row_bytes
            .filter(|&bytes| bytes <= ROW_BYTES_MAX)
            .ok_or_else(|| wrong("its rows are too large"))?;
        let rows = datasets.all().map(Dataset::rows).min().unwrap_or(0);
        let block_rows = block_rows(row_bytes);
        Ok(Self {
            places: (0..schema.payload().len()).map(Some).collect(),
            pool: BatchPool::new(schema.clone()),
            blocks: datasets.all().map(|_| Vec::new()).collect(),
            datasets,
            schema,
            rows,
            at: 0,
            block_rows,
            time: i64::MIN,
            wanted: true,
            index: OnceCell::new(),
            cache: BlockCache::default(),
        })
    }

    pub(super) fn schema(&self) -> &Arc<StreamSchema> {
        &self.schema
    }

    /// Only these columns are read from here on.
    pub(super) fn select(&mut self, columns: &[usize]) -> Result<(), Error> {
        let schema = self.schema.projected(columns)?;
        self.places = self.places.iter().map(|place| columns.binary_search(&(*place)?).ok()).collect();
        let Datasets { parts, validity, lengths, schema: all, .. } = &mut self.datasets;
        let is_wanted = |columns: Range<usize>| self.places[columns].iter().any(Option::is_some);
        parts.retain(|(dataset, part)| is_wanted(part.columns(dataset)));
        let nullable =
            all.payload().iter().zip(&self.places).any(|(field, to)| field.nullable && to.is_some());
        let measured = parts.iter().any(|(_, part)| matches!(part, Part::Padded { length: Some(_), .. }));
        validity.take_if(|_| !nullable);
        lengths.take_if(|_| !measured);
        self.blocks = self.datasets.all().map(|_| Vec::new()).collect();
        self.block_rows = block_rows(self.datasets.all().filter_map(Dataset::row_bytes).sum());
        (self.index, self.cache) = (OnceCell::new(), BlockCache::default());
        self.pool = BatchPool::new(schema.clone());
        self.schema = schema;
        Ok(())
    }

    /// No frame is read from here on.
    pub(super) fn leave_out(&mut self) {
        self.wanted = false;
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted
    }

    pub(super) fn is_read(&self) -> bool {
        !self.wanted || self.at >= self.rows
    }

    /// The time of the last row that was read, or of the one that a seek has found.
    pub(super) fn time(&self) -> i64 {
        self.time
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn block_rows(&self) -> usize {
        self.block_rows
    }

    /// Reads on from a row, which is of that time.
    pub(super) fn go_to(&mut self, row: u64, time: i64) {
        (self.at, self.time) = (row, time);
    }

    /// Ends the stream where the file does.
    pub(super) fn cut(&mut self, end: u64) -> Result<(), Failure> {
        for dataset in self.datasets.all() {
            self.rows = self.rows.min(dataset.rows_before(end)?);
        }
        Ok(())
    }

    /// What the stream holds. Reads all times, once.
    pub(super) fn extent(&self) -> Extent {
        let timestamps = self.index().ok().and_then(TimeIndex::range);
        Extent { frames: self.rows, seq: self.seq_range(), timestamps }
    }

    fn seq_range(&self) -> Option<(u64, u64)> {
        let last = self.rows.checked_sub(1)?;
        let seq = |row: u64| {
            let Some(dataset) = &self.datasets.seq else { return Some(row) };
            let mut word = [0; 8];
            dataset.read_rows(row, &mut word).ok().map(|()| u64::from_le_bytes(word))
        };
        Some((seq(0)?, seq(last)?))
    }

    /// The times of rows.
    pub(super) fn times(&self, rows: Range<u64>) -> Result<Vec<i64>, Failure> {
        let count = usize::try_from(rows.end - rows.start).unwrap_or(usize::MAX);
        let mut words = vec![[0; 8]; count];
        let (times, clock) = &self.datasets.times;
        times.read_rows(rows.start, words.as_flattened_mut())?;
        Ok(words.into_iter().map(|word| clock.nanoseconds(word)).collect())
    }

    /// The times of all blocks.
    pub(super) fn index(&self) -> Result<&TimeIndex, Failure> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let (mut index, mut row) = (TimeIndex::default(), 0);
        while row < self.rows {
            let end = self.rows.min(row + TIMES_ROWS);
            self.times(row..end)?.chunks(self.block_rows).for_each(|times| index.push(times));
            row = end;
        }
        Ok(self.index.get_or_init(|| index))
    }

    /// Whether times are known never to go back.
    pub(super) fn is_sorted(&self) -> bool {
        self.index.get().is_some_and(TimeIndex::is_sorted)
    }

    /// The rows of a block.
    pub(super) fn block(&mut self, block: usize) -> Result<Batch, Failure> {
        if let Some(batch) = self.cache.get(block) {
            return Ok(batch.clone());
        }
        let batch = self.read_to_block_end((block * self.block_rows) as u64)?;
        self.cache.put(block, &batch);
        Ok(batch)
    }

    /// The next rows. There are some.
    pub(super) fn read(&mut self) -> Result<Batch, Failure> {
        let block = usize::try_from(self.at / self.block_rows as u64).ok();
        let begins = self.at.is_multiple_of(self.block_rows as u64);
        let batch = match block.and_then(|block| self.cache.get(block)).filter(|_| begins) {
            Some(batch) => batch.clone(),
            None => self.read_to_block_end(self.at)?,
        };
        self.at += batch.rows() as u64;
        self.time = batch.timestamps().last().copied().unwrap_or(self.time);
        Ok(batch)
    }

    /// The rows from one on that are in its block.
    fn read_to_block_end(&mut self, row: u64) -> Result<Batch, Failure> {
        let block_rows = self.block_rows as u64;
        let rows = (self.rows - row).min(block_rows - row % block_rows);
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        for (dataset, block) in self.datasets.all().zip(&mut self.blocks) {
            block.resize(dataset.row_bytes().unwrap_or(0) * rows, 0);
            dataset.read_rows(row, block)?;
        }
        let (datasets, places) = (&self.datasets, &self.places);
        let mut builder = self.pool.builder(rows);
        Block { datasets, places, blocks: &self.blocks, first_row: row, rows }.fill(&mut builder)?;
        Ok(builder.finish())
    }
}

impl Part {
    /// The columns that come from the dataset.
    fn columns(&self, dataset: &Dataset) -> Range<usize> {
        let width = dataset.row_bytes().unwrap_or(0);
        match *self {
            Self::Fixed { column } | Self::Bool { column } | Self::Padded { column, .. } => {
                column..column + 1
            }
            Self::Matrix { first } => first..first + width / 4,
            Self::Flags { first } => first..first + width,
            Self::Pixels => PIXELS..PIXELS + 1,
        }
    }
}

/// Rows that are read at a time: a power of two.
fn block_rows(row_bytes: usize) -> usize {
    let rows = (BLOCK_BYTES / row_bytes.max(1)).clamp(1, BLOCK_ROWS);
    if rows.is_power_of_two() { rows } else { rows.next_power_of_two() / 2 }
}

/// Whether a dataset can be what it is taken for.
fn fits(dataset: &Dataset, part: &Part, datasets: &Datasets) -> bool {
    let payload = datasets.schema.payload();
    let (Some(row_bytes), Some(element)) = (dataset.row_bytes(), dataset.element()) else { return false };
    let column = |index: usize| payload.get(index).map(|field: &Field| field.data_type);
    let within = |first: usize, count: usize| first + count <= payload.len();
    dataset.is_readable()
        && row_bytes > 0
        && match part {
            Part::Fixed { column: index } => {
                column(*index).and_then(tapedeck_sdk::DataType::width) == Some(row_bytes)
            }
            Part::Bool { column: index } => row_bytes == 1 && column(*index).is_some(),
            Part::Padded { column: index, length } => {
                let places = datasets.lengths.as_ref().and_then(Dataset::row_bytes).unwrap_or(0) / 4;
                column(*index).is_some_and(tapedeck_sdk::DataType::is_variable)
                    && length.is_none_or(|place| place < places)
            }
            Part::Matrix { first } => element == Element::Float(4) && within(*first, row_bytes / 4),
            Part::Flags { first } => element == Element::Unsigned(1) && within(*first, row_bytes),
            Part::Pixels => datasets
                .size
                .is_some_and(|[width, height]| row_bytes as u64 == u64::from(width) * u64::from(height) * 4),
        }
}

#[expect(clippy::cast_possible_truncation, reason = "what is out of range is saturated")]
fn nanoseconds(seconds: f64) -> i64 {
    (seconds * 1e9).round() as i64
}

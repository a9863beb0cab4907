//! One stream of a file: which datasets its columns come from, and how their rows become a batch.

use std::sync::Arc;

use tapedeck_sdk::{Batch, BatchBuilder, BatchPool, Field, StreamSchema, Timestamp};

use crate::raw::{Dataset, Element, Failure};

/// Bytes that are read at a time, at the most, unless one row has more.
const BLOCK_BYTES: usize = 4 << 20;
/// Rows that are read at a time, at the most.
const BLOCK_ROWS: usize = 8192;
/// The most bytes of a row.
const ROW_BYTES_MAX: usize = 256 << 20;

/// What times are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// An integer of so many nanoseconds.
    Integer { nanoseconds: i64 },
    /// A floating-point number of seconds.
    Seconds,
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
    /// BGRA pictures; columns `width`, `height`, `format` and `pixels`, in this order.
    Picture { width: u32, height: u32 },
}

/// The datasets of a stream, before anything was checked.
pub(super) struct Datasets {
    pub(super) schema: Arc<StreamSchema>,
    pub(super) parts: Vec<(Dataset, Part)>,
    pub(super) seq: Option<Dataset>,
    pub(super) times: (Dataset, Clock),
    pub(super) validity: Option<Dataset>,
    pub(super) lengths: Option<Dataset>,
}

/// One stream being read.
pub(super) struct Track {
    datasets: Datasets,
    pool: BatchPool,
    /// The bytes of the block in hand of each part, of `seq`, the times, `validity` and `lengths`.
    blocks: Vec<Vec<u8>>,
    rows: u64,
    at: u64,
    block_rows: usize,
    time: i64,
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
        let block_rows = (BLOCK_BYTES / row_bytes.max(1)).clamp(1, BLOCK_ROWS);
        let block_rows =
            if block_rows.is_power_of_two() { block_rows } else { block_rows.next_power_of_two() / 2 };
        let blocks = datasets.all().map(|_| Vec::new()).collect();
        Ok(Self { pool: BatchPool::new(schema), datasets, blocks, rows, at: 0, block_rows, time: i64::MIN })
    }

    pub(super) fn schema(&self) -> &Arc<StreamSchema> {
        &self.datasets.schema
    }

    pub(super) fn is_read(&self) -> bool {
        self.at >= self.rows
    }

    /// The time of the last row that was read.
    pub(super) fn time(&self) -> i64 {
        self.time
    }

    /// Ends the stream where the file does.
    pub(super) fn cut(&mut self, end: u64) -> Result<(), Failure> {
        for dataset in self.datasets.all() {
            self.rows = self.rows.min(dataset.rows_before(end)?);
        }
        Ok(())
    }

    /// The next rows. There are some.
    pub(super) fn read(&mut self) -> Result<Batch, Failure> {
        let rows = usize::try_from(self.rows - self.at).unwrap_or(usize::MAX).min(self.block_rows);
        for (dataset, block) in self.datasets.all().zip(&mut self.blocks) {
            block.resize(dataset.row_bytes().unwrap_or(0) * rows, 0);
            dataset.read_rows(self.at, block)?;
        }
        let view = Block { datasets: &self.datasets, blocks: &self.blocks, first_row: self.at, rows };
        let mut builder = self.pool.builder(rows);
        if self.datasets.schema.fields().iter().any(|field| field.data_type.is_variable()) {
            view.fill_rows(&mut builder)?;
        } else {
            view.fill_columns(&mut builder);
        }
        view.fill_lead(&mut builder);
        let batch = builder.finish();
        self.at += rows as u64;
        self.time = batch.timestamps().last().copied().unwrap_or(self.time);
        Ok(batch)
    }
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
            Part::Picture { width, height } => row_bytes as u64 == u64::from(*width) * u64::from(*height) * 4,
        }
}

/// The bytes of some rows of every dataset.
struct Block<'track> {
    datasets: &'track Datasets,
    blocks: &'track [Vec<u8>],
    first_row: u64,
    rows: usize,
}

impl Block<'_> {
    fn parts(&self) -> impl Iterator<Item = (&Part, &[u8], usize)> {
        let parts = self.datasets.parts.iter().zip(self.blocks);
        parts.map(|((_, part), block)| (part, block.as_slice(), block.len() / self.rows))
    }

    /// The blocks of `seq`, the times, `validity` and `lengths`.
    fn others(&self) -> [Option<&[u8]>; 4] {
        let mut rest = self.blocks[self.datasets.parts.len()..].iter();
        let mut take = |there: bool| if there { rest.next().map(Vec::as_slice) } else { None };
        let seq = take(self.datasets.seq.is_some());
        let times = take(true);
        [seq, times, take(self.datasets.validity.is_some()), take(self.datasets.lengths.is_some())]
    }

    fn is_null(&self, validity: Option<&[u8]>, column: usize, row: usize) -> bool {
        let bits = self.datasets.schema.payload().len().div_ceil(8);
        self.datasets.schema.payload()[column].nullable
            && validity.is_some_and(|block| block[row * bits + column / 8] & (1 << (column % 8)) == 0)
    }

    fn fill_lead(&self, builder: &mut BatchBuilder<'_>) {
        let [seq, times, ..] = self.others();
        let words = |block: Option<&[u8]>| block.map_or(&[][..], |block| block.as_chunks::<8>().0).to_vec();
        for (row, slot) in (0..).zip(builder.seq_mut()) {
            *slot = self.first_row + row;
        }
        for (slot, word) in builder.seq_mut().iter_mut().zip(words(seq)) {
            *slot = u64::from_le_bytes(word);
        }
        for (slot, word) in builder.timestamps_mut().iter_mut().zip(words(times)) {
            *slot = match self.datasets.times.1 {
                Clock::Integer { nanoseconds } => i64::from_le_bytes(word).saturating_mul(nanoseconds),
                Clock::Seconds => nanoseconds(f64::from_le_bytes(word)),
            };
        }
    }

    /// All columns have a fixed width: column by column.
    fn fill_columns(&self, builder: &mut BatchBuilder<'_>) {
        builder.push_rows(self.rows);
        for (part, block, width) in self.parts() {
            match part {
                Part::Fixed { column } => {
                    let begin = builder.slot(*column, 0).start;
                    builder.slab_mut()[begin..begin + block.len()].copy_from_slice(block);
                }
                Part::Bool { column } => {
                    block.iter().zip(0..).for_each(|(&byte, row)| builder.set_bool(*column, row, byte != 0))
                }
                Part::Matrix { first } => {
                    for (place, word) in block.as_chunks::<4>().0.iter().enumerate() {
                        let (row, column) = (place / (width / 4), place % (width / 4));
                        builder.set(first + column, row, f32::from_le_bytes(*word));
                    }
                }
                Part::Flags { first } => {
                    for (place, &byte) in block.iter().enumerate() {
                        builder.set_bool(first + place % width, place / width, byte != 0);
                    }
                }
                Part::Padded { .. } | Part::Picture { .. } => {}
            }
        }
        let [_, _, validity, _] = self.others();
        for column in (0..self.datasets.schema.payload().len()).filter(|_| validity.is_some()) {
            let nulls = (0..self.rows).filter(|&row| self.is_null(validity, column, row));
            nulls.for_each(|row| builder.set_null(column, row));
        }
    }

    /// Some column varies in length: row by row.
    fn fill_rows(&self, builder: &mut BatchBuilder<'_>) -> Result<(), Failure> {
        let [_, _, validity, lengths] = self.others();
        for row in 0..self.rows {
            let mut writer = builder.push_row(Timestamp(0));
            for (part, block, width) in self.parts() {
                let bytes = &block[row * width..(row + 1) * width];
                match part {
                    Part::Fixed { column } | Part::Bool { column } | Part::Padded { column, .. }
                        if self.is_null(validity, *column, row) =>
                    {
                        writer.set_null(*column);
                    }
                    Part::Fixed { column } => set_fixed(
                        &mut writer,
                        *column,
                        bytes,
                        self.datasets.schema.payload()[*column].data_type,
                    ),
                    Part::Bool { column } => drop(writer.set_bool(*column, bytes[0] != 0)),
                    Part::Padded { column, length } => {
                        let places = lengths.map_or(0, |block| block.len() / self.rows / 4);
                        let known = length.zip(lengths).map(|(place, block)| {
                            let word = block[(row * places + place) * 4..]
                                .first_chunk()
                                .map_or(0, |word| u32::from_le_bytes(*word));
                            usize::try_from(word).unwrap_or(usize::MAX)
                        });
                        let end = || bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                        let value = &bytes[..known.unwrap_or_else(end).min(width)];
                        set_variable(
                            &mut writer,
                            *column,
                            value,
                            self.datasets.schema.payload()[*column].data_type,
                        )?;
                    }
                    Part::Matrix { first } => {
                        for (place, word) in bytes.as_chunks::<4>().0.iter().enumerate() {
                            writer.set(first + place, f32::from_le_bytes(*word));
                        }
                    }
                    Part::Flags { first } => {
                        bytes.iter().enumerate().for_each(|(place, &byte)| {
                            writer.set_bool(first + place, byte != 0);
                        });
                    }
                    Part::Picture { width, height } => {
                        writer.set(0, *width).set(1, *height).set_str(2, "bgra8").set_bytes(3, bytes);
                    }
                }
            }
        }
        Ok(())
    }
}

type RowWriter<'builder, 'pool> = tapedeck_sdk::RowWriter<'builder, 'pool>;

fn set_fixed(writer: &mut RowWriter<'_, '_>, column: usize, bytes: &[u8], data_type: tapedeck_sdk::DataType) {
    use tapedeck_sdk::DataType;
    macro_rules! number {
        ($type:ty) => {
            bytes.first_chunk().map(|bytes| writer.set(column, <$type>::from_le_bytes(*bytes))).is_some()
        };
    }
    let set = match data_type {
        DataType::Int8 => number!(i8),
        DataType::Int16 => number!(i16),
        DataType::Int32 => number!(i32),
        DataType::Int64 | DataType::TimestampNs => number!(i64),
        DataType::UInt8 => number!(u8),
        DataType::UInt16 => number!(u16),
        DataType::UInt32 => number!(u32),
        DataType::UInt64 => number!(u64),
        DataType::Float32 => number!(f32),
        DataType::Float64 => number!(f64),
        DataType::FixedBinary(_) => {
            writer.set_bytes(column, bytes);
            true
        }
        DataType::Bool | DataType::Utf8 | DataType::Binary => false,
    };
    debug_assert!(set, "`fits` lets no other type through");
}

fn set_variable(
    writer: &mut RowWriter<'_, '_>,
    column: usize,
    value: &[u8],
    data_type: tapedeck_sdk::DataType,
) -> Result<(), Failure> {
    if data_type == tapedeck_sdk::DataType::Utf8 {
        let text = std::str::from_utf8(value)
            .map_err(|error| Failure::new(format!("a text is not UTF-8: {error}")))?;
        writer.set_str(column, text);
    } else {
        writer.set_bytes(column, value);
    }
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "what is out of range is saturated")]
fn nanoseconds(seconds: f64) -> i64 {
    (seconds * 1e9).round() as i64
}

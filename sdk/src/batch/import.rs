//! Takes Arrow record batches that come from a file, ours or another program's, as batches of a stream. Knows no file format.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, TimestampNanosecondArray, UInt64Array};
use arrow_schema::{DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema, TimeUnit};

use super::{Batch, BatchPool, stream_schema};
use crate::{Error, StreamSchema};

/// The most bytes that one batch is made of; record batches that are larger are split.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// How the record batches of one file become batches.
///
/// `seq` and `timestamp` are taken wherever they stand. A file without `seq` gets row numbers from 0, one without `timestamp` gets
/// 0 (1970-01-01) in every row.
pub struct ArrowImport {
    schema: Arc<StreamSchema>,
    arrow: Arc<ArrowSchema>,
    pool: BatchPool,
    /// Where the columns of a stream come from: `seq`, `timestamp`, then the payload.
    columns: Vec<Option<usize>>,
}

impl ArrowImport {
    /// Looks at a file's schema. A file that doesn't name its stream is called `fallback`.
    ///
    /// # Errors
    /// A column of a type that a stream can't have; `seq` or `timestamp` of another type than theirs.
    pub fn new(schema: &ArrowSchema, fallback: &str) -> Result<Self, Error> {
        let time = ArrowType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
        let lead = [
            lead_column(schema, "seq", |found| *found == ArrowType::UInt64)?,
            lead_column(schema, "timestamp", is_nanos)?,
        ];
        let payload = (0..schema.fields().len()).filter(|&index| !lead.contains(&Some(index)));
        let columns: Vec<_> = lead.into_iter().chain(payload.map(Some)).collect();
        let mut fields =
            vec![ArrowField::new("seq", ArrowType::UInt64, false), ArrowField::new("timestamp", time, false)];
        fields
            .extend(columns[StreamSchema::LEAD..].iter().flatten().map(|&index| schema.field(index).clone()));
        let arrow = ArrowSchema::new_with_metadata(fields, schema.metadata().clone());
        let schema = stream_schema(&arrow, fallback)?;
        // Other programs call every column nullable; the first two never are. What is null in them is refused batch by batch.
        let relaxed: Vec<_> =
            arrow.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        Ok(Self {
            pool: BatchPool::new(schema.clone()),
            arrow: Arc::new(ArrowSchema::new(relaxed)),
            schema,
            columns,
        })
    }

    /// The same for record batches that have only the columns of the file that are returned, in this order: those that these payload
    /// columns of the stream, `seq` and `timestamp` come from.
    ///
    /// # Errors
    /// A column that is not there, or indices that do not rise.
    pub fn projected(&self, payload: &[usize]) -> Result<(Self, Vec<usize>), Error> {
        let schema = self.schema.projected(payload)?;
        let taken: Vec<usize> = (0..StreamSchema::LEAD)
            .chain(payload.iter().map(|&column| column + StreamSchema::LEAD))
            .collect();
        let mut from: Vec<usize> = taken.iter().filter_map(|&column| self.columns[column]).collect();
        from.sort_unstable();
        let place = |column: &usize| from.binary_search(&self.columns[*column]?).ok();
        let columns = taken.iter().map(place).collect();
        let fields: Vec<_> = taken.iter().map(|&column| self.arrow.fields()[column].clone()).collect();
        let arrow = Arc::new(ArrowSchema::new(fields));
        Ok((Self { pool: BatchPool::new(schema.clone()), schema, arrow, columns }, from))
    }

    /// Where `seq` and `timestamp` stand among the columns of the file.
    #[must_use]
    pub fn lead(&self) -> [Option<usize>; StreamSchema::LEAD] {
        [self.columns[0], self.columns[1]]
    }

    /// The stream that the file is.
    #[must_use]
    pub fn schema(&self) -> &Arc<StreamSchema> {
        &self.schema
    }

    /// How many rows from the start of `record` fit into one batch of a sensible size.
    #[must_use]
    pub fn rows_max(record: &RecordBatch) -> usize {
        let bytes = record.columns().iter().map(slice_bytes).fold(0, usize::saturating_add);
        let row = bytes.div_ceil(record.num_rows().max(1)).max(1);
        (BATCH_BYTES_MAX / row).max(1)
    }

    /// Copies a record batch of the file, or a part of one (see [`rows_max`](Self::rows_max)). `first_row` is the number of its first
    /// row in the file.
    ///
    /// # Errors
    /// Nulls in `seq` or `timestamp`, or in a column that is said to have none; a row that is larger than a batch may be.
    pub fn batch(&mut self, record: &RecordBatch, first_row: u64) -> Result<Batch, Error> {
        let rows = record.num_rows();
        let count = u64::try_from(rows).unwrap_or(u64::MAX);
        let bytes = record.columns().iter().map(slice_bytes).fold(0, usize::saturating_add);
        if bytes > super::SLAB_BYTES_MAX / 2 {
            return Err(Error::data(format!(
                "{rows} rows of stream \"{}\" take {bytes} bytes, more than a batch has",
                self.schema.name()
            )));
        }
        let made = |index: usize| -> ArrayRef {
            match index {
                0 => Arc::new(UInt64Array::from_iter_values(first_row..first_row.saturating_add(count))),
                _ => Arc::new(TimestampNanosecondArray::from(vec![0; rows]).with_timezone("UTC")),
            }
        };
        let column = |(index, &from): (usize, &Option<usize>)| match from {
            None => made(index),
            Some(from) if index == 1 => utc(record.column(from)),
            Some(from) => record.column(from).clone(),
        };
        let columns = self.columns.iter().enumerate().map(column).collect();
        let ordered = RecordBatch::try_new(self.arrow.clone(), columns);
        let ordered =
            ordered.map_err(|error| Error::data(format!("stream \"{}\": {error}", self.schema.name())))?;
        Batch::from_arrow(&mut self.pool, &ordered)
    }
}

/// Where `seq` or `timestamp` stands.
fn lead_column(
    schema: &ArrowSchema,
    name: &str,
    fits: impl Fn(&ArrowType) -> bool,
) -> Result<Option<usize>, Error> {
    let Some((index, field)) = schema.column_with_name(name) else { return Ok(None) };
    if fits(field.data_type()) {
        return Ok(Some(index));
    }
    let (found, expected) = (field.data_type(), if name == "seq" { "UInt64" } else { "Timestamp(ns)" });
    let error =
        Error::data(format!("column \"{name}\" is of the Arrow type {found}, a stream's is {expected}"));
    Err(error.with_hint("Give the column that type, or another name, in the program that wrote the file."))
}

fn is_nanos(found: &ArrowType) -> bool {
    matches!(found, ArrowType::Timestamp(TimeUnit::Nanosecond, _))
}

/// The same times, called UTC: that is what they count from, whatever zone they are shown in.
fn utc(column: &ArrayRef) -> ArrayRef {
    let times = column.as_any().downcast_ref::<TimestampNanosecondArray>();
    times.map_or_else(|| column.clone(), |times| Arc::new(times.clone().with_timezone("UTC")))
}

/// About how many bytes the values of an array take, its slice considered.
fn slice_bytes(column: &ArrayRef) -> usize {
    column.to_data().get_slice_memory_size().unwrap_or(usize::MAX / 65_536)
}

//! The `undelta` transform: puts back the values that `delta` left out. It makes up nothing: what was lost stays lost.

use std::ops::Range;

use tapedeck_sdk::prelude::*;

use crate::options::UndeltaOptions;
use crate::{NULLABLE_KEY, NULLS_COLUMN, STEP_COLUMN, VERSION_KEY};

/// One input, as far as it came.
struct Stream {
    pool: BatchPool,
    step_column: usize,
    nulls_column: Option<usize>,
    /// For each column of the original, its bit in the column of nulls.
    null_bits: Vec<Option<usize>>,
    /// The restored batch before, and the `seq` of its last row: what the next row builds on.
    before: Option<Batch>,
    /// Rows of the batch in hand that can be restored.
    runs: Vec<Range<usize>>,
}

/// A transform that puts back the values that [`Delta`](crate::Delta) left out.
pub struct Undelta {
    context: Context,
    streams: Vec<Stream>,
}

impl Stream {
    fn new(input: &StreamSchema, name: &str) -> Result<Self, Error> {
        let refuse = |what: &str| {
            let error = Error::data(format!("stream \"{}\" {what}", input.name()));
            error.with_hint("Take a stream that went through the delta transform.")
        };
        match input.metadata().get(VERSION_KEY).map(String::as_str) {
            Some("1") => {}
            Some(_) => return Err(refuse("is a delta stream of a later version")),
            None => return Err(refuse("is not a delta stream")),
        }
        let typed = |name: &str, fits: &dyn Fn(DataType) -> bool| {
            input
                .payload_index(name)
                .filter(|&index| fits(input.payload()[index].data_type) && !input.payload()[index].nullable)
        };
        let step_column = typed(STEP_COLUMN, &|found| found == DataType::UInt32);
        let step_column = step_column.ok_or_else(|| refuse("has lost its column \"delta_step\""))?;
        let mut builder = StreamSchema::builder(name, input.kind());
        for (key, value) in input.metadata().iter().filter(|(key, _)| *key != VERSION_KEY) {
            builder = builder.metadata(key, value);
        }
        let (mut null_bits, mut nullable) = (Vec::new(), 0);
        for field in
            input.payload().iter().filter(|field| ![STEP_COLUMN, NULLS_COLUMN].contains(&field.name.as_str()))
        {
            let mut made = field.clone();
            made.nullable = made.metadata.remove(NULLABLE_KEY).is_some();
            null_bits.push(made.nullable.then_some(nullable));
            nullable += usize::from(made.nullable);
            builder = builder.push(made);
        }
        let width = u32::try_from(nullable.div_ceil(8)).unwrap_or(u32::MAX);
        let nulls_column = typed(NULLS_COLUMN, &|found| found == DataType::FixedBinary(width));
        if (nullable > 0) != nulls_column.is_some() || step_column != null_bits.len() {
            return Err(refuse("has other columns than delta gave it"));
        }
        let pool = BatchPool::new(builder.build()?);
        Ok(Self { pool, step_column, nulls_column, null_bits, before: None, runs: Vec::new() })
    }

    /// Finds the rows that can be restored; returns how many can't, and whether the last one can.
    fn plan(&mut self, batch: &Batch) -> (u64, bool) {
        let mut known = self.before.as_ref().and_then(|before| before.seq().last().copied());
        let mut unknown = 0;
        self.runs.clear();
        let steps = batch.column(self.step_column).values::<u32>();
        for (row, (&seq, &step)) in batch.seq().iter().zip(steps).enumerate() {
            let builds_on = known.and_then(|known| known.checked_add(step.into()));
            let restorable = if step == 0 { self.is_whole(batch, row) } else { builds_on == Some(seq) };
            if !restorable {
                // The rows that follow build on this one, which nobody knows.
                known = None;
                unknown += 1;
                continue;
            }
            match self.runs.last_mut().filter(|run| run.end == row) {
                Some(run) => run.end = row + 1,
                None => self.runs.push(row..row + 1),
            }
            known = Some(seq);
        }
        (unknown, known.is_some())
    }

    /// Whether the keyframe has every value, as keyframes do unless somebody else's hands were on them.
    fn is_whole(&self, batch: &Batch, row: usize) -> bool {
        let mut columns = self.null_bits.iter().enumerate();
        columns.all(|(column, &null_bit)| null_bit.is_some() || !batch.column(column).is_null(row))
    }

    /// The rows with all their values; none if no row can be restored.
    fn decode(&mut self, batch: &Batch) -> Option<Batch> {
        let rows: usize = self.runs.iter().map(Range::len).sum();
        if rows == 0 {
            return None;
        }
        let mut builder = self.pool.builder(rows.next_power_of_two());
        let steps = batch.column(self.step_column).values::<u32>();
        let nulls = self.nulls_column.map(|column| batch.column(column));
        for run in &self.runs {
            builder.push_rows_of(batch, run.clone());
            for (column, null_bit) in self.null_bits.iter().enumerate() {
                let values = batch.column(column);
                let null = |row: usize| {
                    null_bit
                        .zip(nulls)
                        .is_some_and(|(bit, nulls)| nulls.bytes_at(row)[bit / 8] >> (bit % 8) & 1 == 1)
                };
                // Where the value is that still holds. A run that does not begin with a keyframe goes on from the batch before.
                let mut holds = self.before.as_ref().map(|before| (before.column(column), before.rows() - 1));
                builder.gather_column(column, run.len(), |offset| {
                    let row = run.start + offset;
                    if null(row) {
                        holds = None;
                    } else if !values.is_null(row) || steps[row] == 0 {
                        holds = Some((values, row));
                    }
                    holds
                });
            }
        }
        Some(builder.finish())
    }
}

impl Transform for Undelta {
    fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
        let stream = |input: &Arc<StreamSchema>| Stream::new(input, &self.context.stream_name(input, inputs));
        self.streams = inputs.iter().map(stream).collect::<Result<_, _>>()?;
        Ok(self.streams.iter().map(|stream| stream.pool.schema().clone()).collect())
    }

    fn process(&mut self, input: usize, batch: Batch, out: &mut dyn Outputs) -> Result<(), Error> {
        let stream = &mut self.streams[input];
        let (unknown, last_is_known) = stream.plan(&batch);
        if unknown > 0 {
            self.context.host.failed(unknown);
        }
        let made = stream.decode(&batch);
        if batch.rows() > 0 {
            stream.before = made.clone().filter(|_| last_is_known);
        }
        if let Some(made) = made {
            out.push(input, made);
        }
        Ok(())
    }
}

impl OpenTransform for Undelta {
    type Options = UndeltaOptions;

    fn describe() -> Description {
        Description::transform("undelta", "Puts back the values that delta left out")
            .takes(&[Kind::Attributes])
    }

    fn open(_options: UndeltaOptions, context: Context) -> Result<Self, Error> {
        Ok(Self { context, streams: Vec::new() })
    }
}

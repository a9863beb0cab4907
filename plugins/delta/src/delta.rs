//! The `delta` transform: leaves out values that did not change. It knows nothing of how they are put back.

use tapedeck_sdk::prelude::*;

use crate::options::{self, DeltaOptions};
use crate::{NULLABLE_KEY, NULLS_COLUMN, STEP_COLUMN, VERSION_KEY};

/// One input, as far as it came.
struct Stream {
    pool: BatchPool,
    /// The columns that are nullable in the original.
    nullable: Vec<usize>,
    /// The batch before: its last row is what the next one is compared with.
    before: Option<Batch>,
    keyframe_at: Timestamp,
    rows_since_keyframe: u64,
    /// The `delta_step` of each row of the batch in hand.
    steps: Vec<u32>,
}

/// A transform that leaves out values that did not change.
pub struct Delta {
    options: DeltaOptions,
    context: Context,
    streams: Vec<Stream>,
    values: u64,
    kept: u64,
}

impl Stream {
    fn new(input: &StreamSchema, name: &str) -> Result<Self, Error> {
        let mut builder = input.to_builder().name(name).metadata(VERSION_KEY, "1");
        if let Some(taken) =
            input.payload().iter().find(|field| [STEP_COLUMN, NULLS_COLUMN].contains(&field.name.as_str()))
        {
            let error =
                Error::data(format!("stream \"{}\" has a column \"{}\" already", input.name(), taken.name));
            return Err(error.with_hint(
                "A stream can go through delta once; rename the column with a select if it is yours.",
            ));
        }
        let mut nullable = Vec::new();
        for (index, field) in input.payload().iter().enumerate() {
            let mut made = Field { nullable: true, ..field.clone() };
            if field.nullable {
                nullable.push(index);
                made.metadata.insert(NULLABLE_KEY.to_owned(), "true".to_owned());
            }
            builder = builder.push(made);
        }
        builder = builder.field(STEP_COLUMN, DataType::UInt32);
        if !nullable.is_empty() {
            let width = u32::try_from(nullable.len().div_ceil(8)).unwrap_or(u32::MAX);
            builder = builder.field(NULLS_COLUMN, DataType::FixedBinary(width));
        }
        let pool = BatchPool::new(builder.build()?);
        Ok(Self {
            pool,
            nullable,
            before: None,
            keyframe_at: Timestamp::UNSET,
            rows_since_keyframe: 0,
            steps: Vec::new(),
        })
    }

    /// Decides for each row whether it is a keyframe.
    fn plan(&mut self, batch: &Batch, options: &DeltaOptions) {
        let mut last_seq = self.before.as_ref().and_then(|before| before.seq().last().copied());
        let rows_max = options.keyframe_rows.unwrap_or(u64::MAX);
        self.steps.clear();
        for (&seq, &time) in batch.seq().iter().zip(batch.timestamps()) {
            let time = Timestamp(time);
            let distance =
                last_seq.and_then(|last| seq.checked_sub(last)).and_then(|step| u32::try_from(step).ok());
            let due = time.since(self.keyframe_at) >= options.keyframe_interval.0
                || time < self.keyframe_at
                || self.rows_since_keyframe >= rows_max;
            let step = if due { 0 } else { distance.unwrap_or(0) };
            if step == 0 {
                (self.keyframe_at, self.rows_since_keyframe) = (time, 0);
            }
            self.rows_since_keyframe += 1;
            self.steps.push(step);
            last_seq = Some(seq);
        }
    }

    /// The batch without what did not change, and how many values it has left.
    fn encode(&mut self, batch: &Batch) -> (Batch, u64) {
        let (rows, columns) = (batch.rows(), batch.schema().payload().len());
        let mut builder = self.pool.builder(rows.next_power_of_two());
        builder.push_rows_of(batch, 0..rows);
        let mut kept = 0;
        for column in 0..columns {
            let values = batch.column(column);
            let before = self.before.as_ref().map(|before| (before.column(column), before.rows() - 1));
            kept += match values.data_type().width() {
                // A comparison of so many bytes is one instruction.
                Some(8) => encode_fixed::<8>(&mut builder, column, values, before, &self.steps),
                Some(4) => encode_fixed::<4>(&mut builder, column, values, before, &self.steps),
                _ => encode_any(&mut builder, column, values, before, &self.steps),
            };
        }
        builder.column_mut::<u32>(columns).copy_from_slice(&self.steps);
        if !self.nullable.is_empty() {
            for row in 0..rows {
                let place = builder.slot(columns + 1, row);
                let bits = &mut builder.slab_mut()[place];
                bits.fill(0);
                for (bit, _) in
                    self.nullable.iter().enumerate().filter(|(_, column)| batch.column(**column).is_null(row))
                {
                    bits[bit / 8] |= 1 << (bit % 8);
                }
            }
        }
        (builder.finish(), kept)
    }
}

/// A column of values of `WIDTH` bytes. `before` is where the value of the row before is. Returns how many values are kept.
fn encode_fixed<const WIDTH: usize>(
    builder: &mut BatchBuilder<'_>,
    column: usize,
    values: Column<'_>,
    before: Option<(Column<'_>, usize)>,
    steps: &[u32],
) -> u64 {
    let at = |column: Column<'_>, row: usize| -> Option<[u8; WIDTH]> {
        if column.is_null(row) { None } else { column.value_bytes()[row * WIDTH..].first_chunk().copied() }
    };
    let mut kept = 0;
    let mut previous = before.and_then(|(before, row)| at(before, row));
    builder.gather_column(column, steps.len(), |row| {
        let value = at(values, row);
        let unchanged = steps[row] != 0 && value == previous;
        previous = value;
        let keep = value.is_some() && !unchanged;
        kept += u64::from(keep);
        keep.then_some((values, row))
    });
    kept
}

/// A column of any type.
fn encode_any(
    builder: &mut BatchBuilder<'_>,
    column: usize,
    values: Column<'_>,
    before: Option<(Column<'_>, usize)>,
    steps: &[u32],
) -> u64 {
    let same = |row: usize, (other, at): (Column<'_>, usize)| match values.data_type() {
        _ if other.is_null(at) => false,
        DataType::Bool => values.bool_at(row) == other.bool_at(at),
        _ => values.bytes_at(row) == other.bytes_at(at),
    };
    let mut kept = 0;
    builder.gather_column(column, steps.len(), |row| {
        let previous = if row == 0 { before } else { Some((values, row - 1)) };
        let unchanged = || steps[row] != 0 && previous.is_some_and(|previous| same(row, previous));
        let keep = !values.is_null(row) && !unchanged();
        kept += u64::from(keep);
        keep.then_some((values, row))
    });
    kept
}

impl Transform for Delta {
    fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
        let stream = |input: &Arc<StreamSchema>| Stream::new(input, &self.context.stream_name(input, inputs));
        self.streams = inputs.iter().map(stream).collect::<Result<_, _>>()?;
        Ok(self.streams.iter().map(|stream| stream.pool.schema().clone()).collect())
    }

    fn process(&mut self, input: usize, batch: Batch, out: &mut dyn Outputs) -> Result<(), Error> {
        if batch.rows() == 0 {
            return Ok(());
        }
        let stream = &mut self.streams[input];
        stream.plan(&batch, &self.options);
        let (made, kept) = stream.encode(&batch);
        self.kept += kept;
        let nulls: usize = stream.nullable.iter().map(|&column| batch.column(column).null_count()).sum();
        self.values += (batch.rows() * batch.schema().payload().len() - nulls) as u64;
        stream.before = Some(batch);
        out.push(input, made);
        Ok(())
    }

    fn finish(self: Box<Self>, _out: &mut dyn Outputs) -> Result<Option<String>, Error> {
        let (values, kept) = (self.values, self.kept);
        #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
        let ratio = values as f64 / kept as f64;
        let report = || format!("ratio {ratio:.1}: {} of {} values kept", grouped(kept), grouped(values));
        Ok((kept > 0).then(report))
    }
}

/// With commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let comma = |place: usize| place > 0 && (digits.len() - place).is_multiple_of(3);
    let letters = digits.chars().enumerate();
    letters.flat_map(|(place, digit)| comma(place).then_some(',').into_iter().chain([digit])).collect()
}

impl OpenTransform for Delta {
    type Options = DeltaOptions;

    fn describe() -> Description {
        Description::transform("delta", "Leaves out values that did not change since the row before")
            .takes(&[Kind::Attributes])
    }

    fn check(options: &DeltaOptions) -> Result<(), Error> {
        options::check(options)
    }

    fn open(options: DeltaOptions, context: Context) -> Result<Self, Error> {
        options::check(&options)?;
        Ok(Self { options, context, streams: Vec::new(), values: 0, kept: 0 })
    }
}

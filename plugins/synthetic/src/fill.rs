//! Fills whole columns with the values whose formula is in [`crate::value`]. Nothing here allocates.

use std::io::Write as _;

use tapedeck_sdk::batch::Primitive;
use tapedeck_sdk::{BatchBuilder, DataType};

use crate::options::ColumnPlan;
use crate::value::{self, Pattern};

/// A number type, made of what a pattern gives.
trait Number: Primitive {
    /// Of the whole number of a ramp, a constant or steps.
    fn of_whole(whole: u64) -> Self;
    /// Of 64 noisy bits.
    fn of_noise(bits: u64) -> Self;
    /// Of a sine.
    fn of_sine(sine: f64) -> Self;
}

macro_rules! integer {
    ($($name:ty),*) => { $(
        impl Number for $name {
            #[inline]
            #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "the low bits are wanted")]
            fn of_whole(whole: u64) -> Self { whole as Self }
            #[inline]
            fn of_noise(bits: u64) -> Self { Self::of_whole(bits) }
            fn of_sine(sine: f64) -> Self { Self::of_whole(value::percent(sine)) }
        }
    )* };
}
integer!(i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! float {
    ($($name:ty),*) => { $(
        impl Number for $name {
            #[inline]
            #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a float holds what it can")]
            #[allow(clippy::cast_possible_wrap, reason = "the formula says so")]
            fn of_whole(whole: u64) -> Self { whole as i64 as f64 as Self }
            #[inline]
            #[allow(clippy::cast_possible_truncation, reason = "a single holds what it can of a double")]
            fn of_noise(bits: u64) -> Self { value::unit_interval(bits) as Self }
            #[allow(clippy::cast_possible_truncation, reason = "a single holds what it can of a double")]
            fn of_sine(sine: f64) -> Self { sine as Self }
        }
    )* };
}
float!(f32, f64);

/// Fills all columns for the rows from `first` (counted from the start of the source) that the builder holds.
pub(crate) fn columns(builder: &mut BatchBuilder<'_>, plans: &[ColumnPlan], seed: u64, first: u64) {
    for (column, plan) in plans.iter().enumerate() {
        fill_column(builder, column, plan, seed, first);
        if plan.nulls > 0.0 && !plan.data_type.is_variable() {
            for row in 0..builder.rows() {
                if value::is_null(plan.nulls, seed, column as u64, first + row as u64) {
                    builder.set_null(column, row);
                }
            }
        }
    }
}

fn fill_column(builder: &mut BatchBuilder<'_>, column: usize, plan: &ColumnPlan, seed: u64, first: u64) {
    let number = column as u64;
    let whole = |row: usize| value::whole(plan.pattern, plan.period, seed, number, first + row as u64);
    let null = |row: usize| value::is_null(plan.nulls, seed, number, first + row as u64);
    let rows = builder.rows();
    match plan.data_type {
        DataType::Int8 => numbers::<i8>(builder.column_mut(column), plan, seed, number, first),
        DataType::Int16 => numbers::<i16>(builder.column_mut(column), plan, seed, number, first),
        DataType::Int32 => numbers::<i32>(builder.column_mut(column), plan, seed, number, first),
        DataType::Int64 | DataType::TimestampNs => {
            numbers::<i64>(builder.column_mut(column), plan, seed, number, first)
        }
        DataType::UInt8 => numbers::<u8>(builder.column_mut(column), plan, seed, number, first),
        DataType::UInt16 => numbers::<u16>(builder.column_mut(column), plan, seed, number, first),
        DataType::UInt32 => numbers::<u32>(builder.column_mut(column), plan, seed, number, first),
        DataType::UInt64 => numbers::<u64>(builder.column_mut(column), plan, seed, number, first),
        DataType::Float32 => numbers::<f32>(builder.column_mut(column), plan, seed, number, first),
        DataType::Float64 => numbers::<f64>(builder.column_mut(column), plan, seed, number, first),
        DataType::Bool => (0..rows).for_each(|row| builder.set_bool(column, row, whole(row) & 1 == 1)),
        DataType::FixedBinary(_) => {
            for row in 0..rows {
                let place = builder.slot(column, row);
                let bytes = whole(row).to_le_bytes();
                for part in builder.slab_mut()[place].chunks_mut(8) {
                    part.copy_from_slice(&bytes[..part.len()]);
                }
            }
        }
        DataType::Binary => builder.fill_variable(column, rows, |row, bytes| {
            !null(row) && bytes.write_all(&whole(row).to_le_bytes()).is_ok()
        }),
        DataType::Utf8 => {
            builder.fill_variable(column, rows, |row, bytes| {
                !null(row) && write!(bytes, "{}", whole(row)).is_ok()
            });
        }
    }
}

/// The hot loop: one pattern over one column.
fn numbers<T: Number>(values: &mut [T], plan: &ColumnPlan, seed: u64, column: u64, first: u64) {
    match plan.pattern {
        Pattern::Ramp => {
            let begin = column.wrapping_add(first);
            (0..).zip(values).for_each(|(row, value)| *value = T::of_whole(begin.wrapping_add(row)));
        }
        Pattern::Constant => values.fill(T::of_whole(column)),
        Pattern::Steps => {
            let mut step = column.wrapping_add(first / plan.period);
            let mut left = plan.period - first % plan.period;
            for value in values {
                *value = T::of_whole(step);
                left -= 1;
                if left == 0 {
                    (step, left) = (step.wrapping_add(1), plan.period);
                }
            }
        }
        Pattern::Random => {
            (first..)
                .zip(values)
                .for_each(|(row, value)| *value = T::of_noise(value::noise(seed, column, row)));
        }
        Pattern::Sine => {
            (first..)
                .zip(values)
                .for_each(|(row, value)| *value = T::of_sine(value::sine(plan.period, column, row)));
        }
    }
}

//! Numbers of one type as numbers of another. Knows nothing of names.

use tapedeck_sdk::batch::Primitive;
use tapedeck_sdk::{BatchBuilder, Column, DataType};

/// A number on its way from one type to another.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Whole(i128),
    Real(f64),
}

/// Whether values of the type are numbers.
pub(crate) fn possible(data_type: DataType) -> bool {
    !matches!(data_type, DataType::Utf8 | DataType::Binary | DataType::FixedBinary(_))
}

/// Whether every value of one type has a place in the other.
pub(crate) fn always_fits(from: DataType, to: DataType) -> bool {
    match (range(from), range(to)) {
        (Some(_), Some(_)) if to == DataType::Bool => true,
        (Some(from), Some(to)) => to.0 <= from.0 && from.1 <= to.1,
        // Whole numbers are rounded to the nearest float; the largest u64 is far below the largest f32.
        (Some(_), None) => true,
        (None, None) => from == DataType::Float32 || to == DataType::Float64,
        // A truth value is whether it is not zero, but what is not a number is neither.
        (None, Some(_)) => false,
    }
}

/// The least and the greatest value; `None` for floats. Everything that is not zero is true.
fn range(data_type: DataType) -> Option<(i128, i128)> {
    Some(match data_type {
        DataType::Bool => (0, 1),
        DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        DataType::Int64 | DataType::TimestampNs => (i64::MIN.into(), i64::MAX.into()),
        DataType::UInt8 => (0, u8::MAX.into()),
        DataType::UInt16 => (0, u16::MAX.into()),
        DataType::UInt32 => (0, u32::MAX.into()),
        DataType::UInt64 => (0, u64::MAX.into()),
        _ => return None,
    })
}

fn read(column: Column<'_>, row: usize) -> Number {
    match column.data_type() {
        DataType::Bool => Number::Whole(column.bool_at(row).into()),
        DataType::Int8 => Number::Whole(column.values::<i8>()[row].into()),
        DataType::Int16 => Number::Whole(column.values::<i16>()[row].into()),
        DataType::Int32 => Number::Whole(column.values::<i32>()[row].into()),
        DataType::Int64 | DataType::TimestampNs => Number::Whole(column.values::<i64>()[row].into()),
        DataType::UInt8 => Number::Whole(column.values::<u8>()[row].into()),
        DataType::UInt16 => Number::Whole(column.values::<u16>()[row].into()),
        DataType::UInt32 => Number::Whole(column.values::<u32>()[row].into()),
        DataType::UInt64 => Number::Whole(column.values::<u64>()[row].into()),
        DataType::Float32 => Number::Real(column.values::<f32>()[row].into()),
        DataType::Float64 => Number::Real(column.values::<f64>()[row]),
        DataType::Utf8 | DataType::Binary | DataType::FixedBinary(_) => {
            unreachable!("the plan refuses such columns")
        }
    }
}

impl Number {
    /// As a whole number: fractions are cut off. None when it is not finite or beyond any type's range.
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked just before")]
    fn whole(self) -> Option<i128> {
        match self {
            Self::Whole(number) => Some(number),
            Self::Real(number) => (number.abs() < 1e30).then_some(number as i128),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "the nearest float is what is asked for")]
    fn real(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }

    /// Rounded once, also from a large whole number.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "the nearest float is asked for"
    )]
    fn single(self) -> Option<f32> {
        match self {
            Self::Whole(number) => Some(number as f32),
            Self::Real(number) => {
                Some(number as f32).filter(|single| single.is_finite() || !number.is_finite())
            }
        }
    }

    fn truth(self) -> Option<bool> {
        match self {
            Self::Whole(number) => Some(number != 0),
            Self::Real(number) => (!number.is_nan()).then_some(number != 0.0),
        }
    }
}

/// Fills a column of the builder with the values of another type; a row whose value does not fit gets null and is marked in `failed`.
pub(crate) fn column(builder: &mut BatchBuilder<'_>, column: usize, from: Column<'_>, failed: &mut [bool]) {
    fn whole<T: TryFrom<i128>>(number: Number) -> Option<T> {
        number.whole().and_then(|number| T::try_from(number).ok())
    }
    let to = (column, from);
    match builder.schema().payload()[column].data_type {
        DataType::Bool => {
            for (row, failed) in failed.iter_mut().enumerate() {
                match (!from.is_null(row)).then(|| read(from, row).truth()) {
                    Some(Some(truth)) => builder.set_bool(column, row, truth),
                    gone => {
                        builder.set_null(column, row);
                        *failed |= gone.is_some();
                    }
                }
            }
        }
        DataType::Int8 => each::<i8>(builder, to, failed, whole),
        DataType::Int16 => each::<i16>(builder, to, failed, whole),
        DataType::Int32 => each::<i32>(builder, to, failed, whole),
        DataType::Int64 | DataType::TimestampNs => each::<i64>(builder, to, failed, whole),
        DataType::UInt8 => each::<u8>(builder, to, failed, whole),
        DataType::UInt16 => each::<u16>(builder, to, failed, whole),
        DataType::UInt32 => each::<u32>(builder, to, failed, whole),
        DataType::UInt64 => each::<u64>(builder, to, failed, whole),
        DataType::Float32 => each::<f32>(builder, to, failed, Number::single),
        DataType::Float64 => each::<f64>(builder, to, failed, |number| Some(number.real())),
        DataType::Utf8 | DataType::Binary | DataType::FixedBinary(_) => {
            unreachable!("the options refuse such casts")
        }
    }
}

fn each<T: Primitive>(
    builder: &mut BatchBuilder<'_>,
    (column, from): (usize, Column<'_>),
    failed: &mut [bool],
    convert: impl Fn(Number) -> Option<T>,
) {
    for (row, failed) in failed.iter_mut().enumerate() {
        match (!from.is_null(row)).then(|| convert(read(from, row))) {
            Some(Some(value)) => builder.set(column, row, value),
            gone => {
                builder.set_null(column, row);
                *failed |= gone.is_some();
            }
        }
    }
}

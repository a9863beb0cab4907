//! Frames for tests of any plugin, and the shortest way to have a sink write them and a format read them back.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::FakeHost;
use crate::{
    Batch, BatchPool, DataType, Error, Factory, Field, Format, Kind, Opener, Sink, StreamSchema, Timestamp,
};

/// A stream with a column of every type, called `all`, its columns named after their types.
///
/// # Panics
/// Never.
#[must_use]
pub fn all_types(nullable: bool) -> Arc<StreamSchema> {
    let types = [
        DataType::Bool,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float32,
        DataType::Float64,
        DataType::TimestampNs,
        DataType::Utf8,
        DataType::Binary,
        DataType::FixedBinary(3),
    ];
    let field = |data_type: DataType| Field { nullable, ..Field::new(data_type.to_string(), data_type) };
    let builder = StreamSchema::builder("all", Kind::Attributes);
    types.into_iter().map(field).fold(builder, crate::SchemaBuilder::push).build().expect("the names differ")
}

/// `rows` frames of any schema, numbered from `first_seq`, 1 ms apart: numbers of every size, signs, text that wants quoting, empty
/// values, infinities, not-a-number and, where a column allows it, nulls. The same for the same arguments.
#[must_use]
pub fn sample(schema: &Arc<StreamSchema>, first_seq: u64, rows: usize, seed: u64) -> Batch {
    const TEXTS: [&str; 10] = [
        "",
        "plain",
        "a,b",
        "say \"hi\"",
        "two\nlines",
        "cr\r\n",
        "zürich ☃",
        " space ",
        "null",
        "{\"x\": [1, 2.5]}",
    ];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> (state % 61)
    };
    let mut pool = BatchPool::new(schema.clone());
    let mut builder = pool.builder(rows.max(1));
    for row in 0..rows {
        let milliseconds = i64::try_from(first_seq).unwrap_or(0) + i64::try_from(row).unwrap_or(0);
        let mut writer = builder.push_row(Timestamp(1_700_000_000_000_000_000 + milliseconds * 1_000_000));
        for (column, field) in schema.payload().iter().enumerate() {
            let number = random();
            if field.nullable && number % 5 == 0 {
                continue;
            }
            let bytes = number.to_le_bytes();
            let first = *bytes.first_chunk().expect("eight bytes have a first four");
            let short = [bytes[0], bytes[1]];
            match field.data_type {
                DataType::Bool => _ = writer.set_bool(column, number & 2 != 0),
                DataType::Int8 => _ = writer.set(column, i8::from_le_bytes([bytes[0]])),
                DataType::Int16 => _ = writer.set(column, i16::from_le_bytes(short)),
                DataType::Int32 => _ = writer.set(column, i32::from_le_bytes(first)),
                DataType::Int64 | DataType::TimestampNs => _ = writer.set(column, i64::from_le_bytes(bytes)),
                DataType::UInt8 => _ = writer.set(column, bytes[0]),
                DataType::UInt16 => _ = writer.set(column, u16::from_le_bytes(short)),
                DataType::UInt32 => _ = writer.set(column, u32::from_le_bytes(first)),
                DataType::UInt64 => _ = writer.set(column, number),
                DataType::Float32 => {
                    _ = writer.set(column, float(number, f32::from_bits(u32::from_le_bytes(first))))
                }
                DataType::Float64 => {
                    _ = writer.set(column, float(number, f64::from_bits(number.rotate_right(9))))
                }
                DataType::Utf8 => _ = writer.set_str(column, TEXTS[usize::from(bytes[0]) % TEXTS.len()]),
                DataType::Binary => _ = writer.set_bytes(column, &bytes[..usize::from(bytes[1]) % 9]),
                DataType::FixedBinary(length) => {
                    let value: Vec<u8> = bytes.iter().copied().cycle().take(length as usize).collect();
                    writer.set_bytes(column, &value);
                }
            }
        }
    }
    let mut batch = builder.finish();
    batch.stamp(first_seq, Timestamp(0));
    batch
}

/// Special values now and then, else the number that the bits are; not-a-number has one bit pattern only.
fn float<T: From<f32> + PartialOrd + Copy>(number: u64, bits: T) -> T {
    let value = match number % 11 {
        0 => return T::from(f32::NAN),
        1 => return T::from(f32::INFINITY),
        2 => return T::from(f32::NEG_INFINITY),
        3 => return T::from(-0.0),
        4 => return T::from(0.1),
        5 => return T::from(100.0),
        _ => bits,
    };
    if value.partial_cmp(&value).is_none() { T::from(f32::NAN) } else { value }
}

/// Opens a sink in the session folder of `host`.
///
/// # Errors
/// What the sink says.
///
/// # Panics
/// The factory is not that of a sink.
pub fn open_sink(
    factory: &Factory,
    options: &Value,
    inputs: &[Arc<StreamSchema>],
    host: &Arc<FakeHost>,
    id: &str,
) -> Result<Box<dyn Sink>, Error> {
    let Opener::Sink(open) = factory.opener() else {
        panic!("\"{}\" is not a sink", factory.descriptor().name)
    };
    open(options, inputs, host.context(id))
}

/// Everything that a format reads from a file.
///
/// # Errors
/// What the format or its source says.
pub fn read_all(format: &dyn Format, path: &Path) -> Result<(Arc<StreamSchema>, Vec<Batch>), Error> {
    let mut recording = format.open(path)?;
    let schema = recording.streams()[0].clone();
    let mut batches = Vec::new();
    while let Some((_, batch)) = recording.next()? {
        batches.push(batch);
    }
    Ok((schema, batches))
}

/// Batches of one stream as one, whatever their sizes. `None` when there are no rows.
#[must_use]
pub fn joined(batches: &[Batch]) -> Option<Batch> {
    let rows = batches.iter().map(Batch::rows).sum();
    let mut gather = crate::batch::Gather::new(batches.first()?.schema().clone(), rows);
    batches.iter().for_each(|batch| gather.append(batch, 0..batch.rows()));
    gather.take()
}

//! Frames to try a plugin with: every column type, every kind, the values that formats stumble over, and a gap in `seq`.
//!
//! The same call gives the same frames, always. Text holds quotes, commas, line breaks and letters of several scripts, but no NUL;
//! floats hold NaN and the infinities.

use std::sync::Arc;

use crate::{
    Batch, BatchPool, DataType, Field, Kind, KindColumn, RowWriter, SchemaBuilder, StreamSchema, Timestamp,
};

/// When the first row of every sample happened.
pub const STARTED_AT: Timestamp = Timestamp(1_700_000_000_000_000_000);

/// Nanoseconds from row to row: 60 rows a second.
pub const INTERVAL_NS: i64 = 16_666_667;

/// After so many rows, three rows were lost: their `seq` is not there.
pub const GAP_EACH: u64 = 97;

/// The most bytes that a text or byte string in a sample has.
pub const LENGTH_MAX: usize = 64;

const TYPES: [(&str, DataType); 15] = [
    ("bool", DataType::Bool),
    ("i8", DataType::Int8),
    ("i16", DataType::Int16),
    ("i32", DataType::Int32),
    ("i64", DataType::Int64),
    ("u8", DataType::UInt8),
    ("u16", DataType::UInt16),
    ("u32", DataType::UInt32),
    ("u64", DataType::UInt64),
    ("f32", DataType::Float32),
    ("f64", DataType::Float64),
    ("time", DataType::TimestampNs),
    ("text", DataType::Utf8),
    ("bytes", DataType::Binary),
    ("array", DataType::FixedBinary(5)),
];

/// The schema of a sample stream. Attributes have a column of every type, and each once more with nulls (`i8_or_null`); the other
/// kinds have the columns of their convention.
///
/// # Panics
/// The name is empty.
#[must_use]
pub fn schema(kind: Kind, name: &str) -> Arc<StreamSchema> {
    let builder = StreamSchema::builder(name, kind);
    let builder = if kind == Kind::Attributes {
        TYPES.into_iter().fold(builder, |builder, (name, data_type)| {
            let nullable = Field { nullable: true, ..sized(&format!("{name}_or_null"), data_type) };
            builder.push(sized(name, data_type)).push(nullable)
        })
    } else {
        let field =
            |column: &KindColumn| Field { nullable: column.nullable, ..sized(column.name, column.data_type) };
        kind.columns().iter().map(field).fold(builder, SchemaBuilder::push)
    };
    builder.build().expect("the sample schemas are well formed")
}

/// Attributes of fixed width without nulls, for formats that have neither nulls nor varying lengths.
///
/// # Panics
/// The name is empty.
#[must_use]
pub fn fixed_schema(name: &str) -> Arc<StreamSchema> {
    let fixed = TYPES.into_iter().filter(|(_, data_type)| !data_type.is_variable());
    let builder = fixed.fold(StreamSchema::builder(name, Kind::Attributes), |builder, (name, data_type)| {
        builder.field(name, data_type)
    });
    builder.build().expect("the sample schemas are well formed")
}

fn sized(name: &str, data_type: DataType) -> Field {
    let mut field = Field::new(name, data_type);
    if data_type.is_variable() {
        field.metadata.insert(Field::LENGTH_MAX.to_owned(), LENGTH_MAX.to_string());
    }
    field
}

/// Frames of a schema, any schema: one batch for each of `sizes`, with so many rows. `seq` and timestamps rise from batch to
/// batch; one value in five of a nullable column is null.
#[must_use]
pub fn batches(schema: &Arc<StreamSchema>, sizes: &[usize]) -> Vec<Batch> {
    let mut pool = BatchPool::new(schema.clone());
    let mut row = 0;
    let mut make = |rows: usize| {
        let mut builder = pool.builder(rows);
        for number in row..row + rows as u64 {
            let mut writer = builder.push_row(timestamp(number));
            for (column, field) in schema.payload().iter().enumerate() {
                if !(field.nullable && noise(number * 31 + column as u64).is_multiple_of(5)) {
                    set(&mut writer, column, field, schema.kind(), number);
                }
            }
        }
        for (number, seq) in (row..).zip(builder.seq_mut()) {
            *seq = number + number / GAP_EACH * 3;
        }
        row += rows as u64;
        builder.finish()
    };
    sizes.iter().map(|&rows| make(rows)).collect()
}

/// One batch with `rows` rows that repeats the rows of `batches` as often as needed, with `seq` and timestamps that go on rising.
/// Empty if there are none.
#[must_use]
pub fn cycle(batches: &[Batch], rows: usize) -> Option<Batch> {
    let filled = batches.iter().filter(|batch| batch.rows() > 0);
    let first = filled.clone().next()?;
    let mut pool = BatchPool::new(first.schema().clone());
    let mut builder = pool.builder(rows);
    for batch in filled.cycle() {
        builder.append(batch, 0..batch.rows().min(builder.room()));
        if builder.room() == 0 {
            break;
        }
    }
    let begin = first.timestamps()[0];
    (0..)
        .zip(builder.timestamps_mut())
        .for_each(|(row, time)| *time = begin.saturating_add(row * INTERVAL_NS));
    let mut batch = builder.finish();
    batch.stamp(first.seq()[0], STARTED_AT);
    Some(batch)
}

/// The same rows in batches of `size` rows each.
///
/// # Panics
/// `size` is 0.
#[must_use]
pub fn split(batches: &[Batch], size: usize) -> Vec<Batch> {
    let part = |batch: &Batch, begin: usize| {
        let rows = begin..batch.rows().min(begin + size);
        let mut pool = BatchPool::new(batch.schema().clone());
        let mut builder = pool.builder(rows.len());
        builder.append(batch, rows);
        builder.finish()
    };
    let parts =
        |batch: &Batch| (0..batch.rows()).step_by(size).map(|begin| part(batch, begin)).collect::<Vec<_>>();
    batches.iter().flat_map(parts).collect()
}

fn timestamp(row: u64) -> Timestamp {
    Timestamp(
        STARTED_AT.nanos().saturating_add(i64::try_from(row).unwrap_or(i64::MAX).saturating_mul(INTERVAL_NS)),
    )
}

/// 64 bits without a visible order (splitmix64).
fn noise(number: u64) -> u64 {
    let z = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "the low bits are wanted")]
fn set(row: &mut RowWriter<'_, '_>, column: usize, field: &Field, kind: Kind, number: u64) {
    let bits = noise(number * 1009 + column as u64);
    // Every eighth value is one of the type's limits or zero.
    let bits = match bits % 32 {
        0 => 0,
        1 => u64::MAX,
        2 => 0x7f7f_7f7f_7f7f_7f7f | 1 << 62,
        3 => 0x8080_8080_8080_8080,
        _ => bits,
    };
    match field.data_type {
        DataType::Bool => row.set_bool(column, bits & 1 == 1),
        DataType::Int8 => row.set(column, bits as i8),
        DataType::Int16 => row.set(column, bits as i16),
        DataType::Int32 => row.set(column, bits as i32),
        DataType::Int64 => row.set(column, bits as i64),
        // Between 1970 and 2116: formats that write dates as text have their own limits.
        DataType::TimestampNs => row.set(column, (bits >> 2) as i64),
        DataType::UInt8 => row.set(column, bits as u8),
        DataType::UInt16 => row.set(column, bits as u16),
        DataType::UInt32 => row.set(column, if kind == Kind::Image { 4 } else { bits as u32 }),
        DataType::UInt64 => row.set(column, bits),
        DataType::Float32 => row.set(column, float(bits) as f32),
        DataType::Float64 => row.set(column, float(bits)),
        DataType::Utf8 => row.set_str(column, &text(kind, &field.name, number)),
        DataType::Binary if kind == Kind::Image => row.set_bytes(column, &bits.to_le_bytes().repeat(6)),
        DataType::Binary if field.name == "data" && text(kind, "code", number) == "r" => {
            row.set_bytes(column, b"80x24")
        }
        DataType::Binary => row.set_bytes(column, &bits.to_le_bytes().repeat(4)[..(bits % 33) as usize]),
        DataType::FixedBinary(length) => {
            let bytes: Vec<u8> = bits.to_le_bytes().into_iter().cycle().take(length as usize).collect();
            row.set_bytes(column, &bytes)
        }
    };
}

#[expect(clippy::cast_precision_loss, reason = "any number will do")]
fn float(bits: u64) -> f64 {
    match bits % 16 {
        0 => 0.0,
        1 => -0.0,
        2 => f64::NAN,
        3 => f64::INFINITY,
        4 => f64::NEG_INFINITY,
        5 => 1e-310,
        6 => f64::MAX,
        _ => bits as f64 / 1e15 - 9000.0,
    }
}

fn text(kind: Kind, name: &str, number: u64) -> String {
    let turn = |choices: &[&str]| {
        choices[usize::try_from(noise(number) % choices.len() as u64).unwrap_or(0)].to_owned()
    };
    match (kind, name) {
        (Kind::Terminal, "connection") => turn(&["local", "alice@10.0.0.2:50022"]),
        (Kind::Terminal, "code") => turn(&["o", "o", "o", "i", "r", "m", "x"]),
        (Kind::Event, "type") => turn(&["tick", "join", "hit \"hard\""]),
        (Kind::Event, "player_id") => turn(&["p1", "p2", ""]),
        (Kind::Event, _) => format!("{{\"row\":{number},\"note\":\"a, \\\"b\\\"\\n\"}}"),
        (Kind::Image, _) => "rgb8".to_owned(),
        (Kind::Message, "topic") => turn(&["pose/robot", "lidar", "größe"]),
        (Kind::Message, _) => turn(&["json", "lcm", "pickle"]),
        (Kind::Input, "device") => turn(&["keyboard", "mouse"]),
        (Kind::Input, _) => turn(&["KeyW", "MouseLeft", ""]),
        _ => turn(&[
            "",
            "plain",
            "två ord",
            "a, \"b\"; c",
            "line\nbreak",
            "tab\tand \\ backslash",
            "日本語",
            " space ",
            "-1.5",
            "null",
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_well_formed_and_the_same_each_time() {
        for &kind in Kind::ALL {
            let schema = schema(kind, "s");
            let made = batches(&schema, &[0, 1, 250]);
            assert_eq!(made.iter().map(Batch::rows).collect::<Vec<_>>(), [0, 1, 250]);
            assert!(made == batches(&schema, &[0, 1, 250]));
            for batch in &made {
                Batch::from_bytes(schema.clone(), batch.as_bytes()).unwrap();
                for column in batch.columns().filter(|column| column.data_type().is_variable()) {
                    assert!((0..batch.rows()).all(|row| column.bytes_at(row).len() <= LENGTH_MAX));
                }
            }
        }
    }

    #[test]
    fn samples_have_nulls_gaps_and_rising_times() {
        let made = batches(&schema(Kind::Attributes, "s"), &[200]);
        let nulls: usize = made[0].columns().map(|column| column.null_count()).sum();
        assert!((400..800).contains(&nulls), "{nulls} of 3000 nullable values");
        assert_eq!((made[0].seq()[96], made[0].seq()[97]), (96, 100));
        assert!(made[0].timestamps().is_sorted());
    }

    #[test]
    fn split_and_cycled_rows_are_the_rows() {
        let made = batches(&schema(Kind::Event, "s"), &[3, 0, 4]);
        let ones = split(&made, 1);
        assert_eq!(ones.iter().map(Batch::rows).collect::<Vec<_>>(), [1; 7]);
        assert_eq!(ones[6].column(2).str_at(0), made[2].column(2).str_at(3));
        let cycled = cycle(&made, 100).unwrap();
        assert_eq!((cycled.rows(), cycled.seq()[99]), (100, 99));
        assert_eq!(cycled.column(2).str_at(98), made[0].column(2).str_at(0));
        assert!(cycle(&made[1..2], 5).is_none());
    }
}

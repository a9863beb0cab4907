//! Tests of the slab: what is built is what is read, whatever the columns, and nothing that comes from outside is believed.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{DataType, Field, Kind, StreamSchema, Timestamp};

pub(super) fn all_types(nullable: bool) -> Arc<StreamSchema> {
    let types = [
        DataType::Bool,
        DataType::Int8,
        DataType::UInt16,
        DataType::Int32,
        DataType::UInt64,
        DataType::Float32,
        DataType::Float64,
        DataType::Utf8,
        DataType::Binary,
        DataType::FixedBinary(3),
        DataType::TimestampNs,
    ];
    let mut builder = StreamSchema::builder("s", Kind::Attributes);
    for (index, data_type) in types.into_iter().enumerate() {
        builder = builder.push(Field { nullable, ..Field::new(format!("c{index}"), data_type) });
    }
    builder.build().unwrap()
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    null: Vec<bool>,
    number: i64,
    text: String,
    bytes: Vec<u8>,
}

pub(super) fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        prop::collection::vec(any::<bool>(), 11),
        any::<i64>(),
        ".{0,12}",
        prop::collection::vec(any::<u8>(), 0..20),
    );
    prop::collection::vec(
        row.prop_map(|(null, number, text, bytes)| Row { null, number, text, bytes }),
        0..40,
    )
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "any bits will do"
)]
pub(super) fn build(pool: &mut BatchPool, rows: &[Row]) -> Batch {
    let nullable = pool.schema().payload()[0].nullable;
    let mut builder = pool.builder(rows.len());
    for row in rows {
        let mut writer = builder.push_row(Timestamp(row.number));
        let n = row.number;
        writer
            .set_bool(0, n & 1 == 1)
            .set(1, n as i8)
            .set(2, n as u16)
            .set(3, n as i32)
            .set(4, n as u64)
            .set(5, n as f32);
        writer
            .set(6, n as f64)
            .set_str(7, &row.text)
            .set_bytes(8, &row.bytes)
            .set_bytes(9, &n.to_le_bytes()[..3])
            .set(10, n);
        for column in (0..11).filter(|&column| nullable && row.null[column]) {
            // A value of varying length that was set stays in the slab under the null; reading must not care.
            writer.set_null(column);
        }
    }
    let mut batch = builder.finish();
    batch.stamp(7, Timestamp(0));
    batch
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "any bits will do"
)]
fn check(batch: &Batch, rows: &[Row]) {
    assert_eq!(batch.rows(), rows.len());
    let nullable = batch.schema().payload()[0].nullable;
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(batch.seq()[index], 7 + index as u64);
        let n = row.number;
        for column in 0..11 {
            assert_eq!(batch.column(column).is_null(index), nullable && row.null[column]);
        }
        let live = |column: usize| !batch.column(column).is_null(index);
        assert_eq!(batch.column(0).bool_at(index), live(0) && n & 1 == 1);
        assert_eq!(batch.column(1).values::<i8>()[index], if live(1) { n as i8 } else { 0 });
        assert_eq!(batch.column(4).values::<u64>()[index], if live(4) { n as u64 } else { 0 });
        assert_eq!(
            batch.column(6).values::<f64>()[index].to_bits(),
            if live(6) { n as f64 } else { 0.0 }.to_bits()
        );
        if live(7) {
            assert_eq!(batch.column(7).str_at(index), row.text);
        }
        if live(8) {
            assert_eq!(batch.column(8).bytes_at(index), row.bytes);
        }
        let expected = if live(9) { n.to_le_bytes() } else { [0; 8] };
        assert_eq!(batch.column(9).bytes_at(index), &expected[..3]);
    }
}

proptest! {
    #[test]
    fn what_is_built_is_what_is_read(rows in rows(), nullable: bool) {
        let mut pool = BatchPool::new(all_types(nullable));
        // Twice, so that the second batch lies in memory that held the first.
        for _ in 0..2 {
            let batch = build(&mut pool, &rows);
            check(&batch, &rows);
            let copy = Batch::from_bytes(batch.schema().clone(), batch.as_bytes()).unwrap();
            check(&copy, &rows);
        }
    }

    #[test]
    fn appended_rows_are_the_rows(first in rows(), second in rows(), nullable: bool) {
        let mut pool = BatchPool::new(all_types(nullable));
        let [first_batch, second_batch] = [&first, &second].map(|rows| build(&mut pool, rows));
        let mut all = BatchPool::new(all_types(nullable));
        let mut builder = all.builder(first.len() + second.len());
        builder.append(&first_batch, 0..first.len());
        for row in 0..second.len() {
            builder.append(&second_batch, row..row + 1);
        }
        let mut gathered = builder.finish();
        gathered.stamp(7, Timestamp(0));
        check(&gathered, &[first, second].concat());
    }

    #[test]
    fn gathered_rows_are_the_rows_block_after_block(first in rows(), second in rows(), nullable: bool) {
        let mut pool = BatchPool::new(all_types(nullable));
        let mut gather = Gather::new(all_types(nullable), 40);
        for rows in [first, second] {
            let batch = build(&mut pool, &rows);
            let split = rows.len() / 2;
            gather.append(&batch, 0..split);
            (split..rows.len()).for_each(|row| gather.append(&batch, row..row + 1));
            prop_assert_eq!(gather.rows(), rows.len());
            match gather.take() {
                Some(block) => check(&block, &rows),
                None => prop_assert!(rows.is_empty()),
            }
        }
    }

    #[test]
    fn a_slab_from_outside_never_panics(rows in rows(), at in 0_usize..4096, byte: u8) {
        let mut pool = BatchPool::new(all_types(true));
        let mut bytes = build(&mut pool, &rows).as_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(batch) = Batch::from_bytes(all_types(true), &bytes) {
            drop(format!("{batch:?}"));
            prop_assert!(batch == batch.clone());
        }
        drop(Batch::from_bytes(all_types(true), &bytes[..at]));
    }
}

#[test]
fn memory_is_used_again_and_old_values_do_not_shine_through() {
    let schema = StreamSchema::builder("s", Kind::Attributes)
        .nullable("a", DataType::Int64)
        .field("b", DataType::Bool)
        .build()
        .unwrap();
    let mut pool = BatchPool::new(schema);
    let mut first = pool.builder(4);
    for _ in 0..4 {
        first.push_row(Timestamp(1)).set(0, -1_i64).set_bool(1, true);
    }
    let first = first.finish();
    let place = first.as_bytes().as_ptr();
    drop(first);
    let mut second = pool.builder(4);
    second.push_row(Timestamp(2));
    let second = second.finish();
    assert_eq!(second.as_bytes().as_ptr(), place);
    assert!(second.column(0).is_null(0));
    assert_eq!((second.column(0).values::<i64>()[0], second.column(1).bool_at(0)), (0, false));
}

#[test]
fn of_many_slabs_those_that_came_back_last_are_used_first() {
    let mut pool = BatchPool::new(all_types(false));
    let mut batch = || {
        let mut builder = pool.builder(1);
        builder.push_row(Timestamp(0));
        builder.finish()
    };
    drop((0..8).map(|_| batch()).collect::<Vec<_>>());
    let used: std::collections::BTreeSet<_> = (0..20).map(|_| batch().as_bytes().as_ptr()).collect();
    assert!(used.len() <= 2, "{used:?}");
}

#[test]
fn stamping_a_shared_batch_leaves_the_other_alone() {
    let schema = StreamSchema::builder("s", Kind::Attributes).field("a", DataType::Int64).build().unwrap();
    let mut pool = BatchPool::new(schema);
    let mut builder = pool.builder(1);
    builder.push_row(Timestamp::UNSET).set(0, 5_i64);
    let before = builder.finish();
    let mut after = before.clone();
    after.stamp(9, Timestamp(3));
    assert_eq!(
        (before.seq()[0], after.seq()[0], after.timestamps()[0], after.column(0).values::<i64>()[0]),
        (0, 9, 3, 5)
    );
}

#[cfg(feature = "arrow")]
mod arrow {
    use super::*;

    proptest! {
        #[test]
        fn arrow_sees_the_same_and_comes_back_the_same(rows in rows(), nullable: bool, skip in 0_usize..5) {
            let mut pool = BatchPool::new(all_types(nullable));
            let batch = build(&mut pool, &rows);
            let schema = Arc::new(arrow_schema(batch.schema()));
            let record = batch.to_arrow(&schema).unwrap();
            record.columns().iter().for_each(|array| array.to_data().validate_full().unwrap());
            let mut back = BatchPool::new(stream_schema(&schema, "other").unwrap());
            prop_assert_eq!(&Batch::from_arrow(&mut back, &record).unwrap(), &batch);
            let skip = skip.min(rows.len());
            let sliced = record.slice(skip, rows.len() - skip);
            let mut part = BatchPool::new(batch.schema().clone());
            let mut expected = part.builder(rows.len() - skip);
            expected.append(&batch, skip..rows.len());
            let expected = expected.finish();
            prop_assert_eq!(&Batch::from_arrow(&mut back, &sliced).unwrap(), &expected);
        }
    }

    #[test]
    fn the_view_shares_memory_and_keeps_it_alive() {
        let mut pool = BatchPool::new(all_types(false));
        let batch =
            build(&mut pool, &[Row { null: vec![false; 11], number: 4, text: "x".into(), bytes: vec![1] }]);
        let record = batch.to_arrow(&Arc::new(arrow_schema(batch.schema()))).unwrap();
        let place = batch.column(6).value_bytes().as_ptr();
        assert_eq!(record.column(8).to_data().buffers()[0].as_ptr(), place);
        drop(batch);
        drop(pool);
        assert_eq!(
            record.column(8).to_data().buffers()[0].typed_data::<f64>()[0].to_bits(),
            4.0_f64.to_bits()
        );
    }
}

#[test]
fn slabs_from_strangers_are_checked_each_time() {
    let schema = crate::testing::samples::schema(crate::Kind::Attributes, "game");
    let batch = crate::testing::samples::batches(&schema, &[5]).remove(0);
    let mut intake = Intake::new(schema.clone());
    assert_eq!(intake.take(batch.as_bytes()).unwrap(), batch);
    assert_eq!(intake.take(batch.as_bytes()).unwrap(), batch);
    for at in 0..batch.byte_len().min(400) {
        let mut bytes = batch.as_bytes().to_vec();
        bytes[at] ^= 0x80;
        assert_eq!(
            intake.take(&bytes).is_ok(),
            Batch::from_bytes(schema.clone(), &bytes).is_ok(),
            "byte {at}"
        );
        assert_eq!(intake.take(batch.as_bytes()).unwrap(), batch);
    }
    assert!(intake.take(&batch.as_bytes()[..batch.byte_len() - 1]).is_err());
    assert!(intake.take(&[]).is_err());
}

//! Tests of filling a batch column by column: what is copied is what was there, over memory that held something else.

use proptest::prelude::*;

use super::tests::{all_types, build, rows};
use super::*;
use crate::{DataType, Field, Kind};

/// The pool's memory holds ones before the test writes into it.
fn dirty(schema: &Arc<StreamSchema>, rows: usize) -> BatchPool {
    let mut pool = BatchPool::new(schema.clone());
    let mut builder = pool.builder(rows);
    builder.push_rows(rows);
    builder.slab_mut()[Batch::HEADER_BYTES + schema.fields().len() * 16..].fill(0xff);
    drop(builder.finish());
    pool
}

proptest! {
    #[test]
    fn copied_columns_are_the_columns(first in rows(), second in rows(), nullable: bool, skip in 0_usize..5) {
        let mut pool = BatchPool::new(all_types(nullable));
        let [first, second] = [&first, &second].map(|rows| build(&mut pool, rows));
        let skip = skip.min(second.rows());
        let total = first.rows() + second.rows() - skip;
        let mut expected = BatchPool::new(all_types(true));
        let mut expected = expected.builder(total);
        expected.append(&first, 0..first.rows());
        expected.append(&second, skip..second.rows());
        let expected = expected.finish();

        let [mut copied, mut gathered] = [dirty(&all_types(true), total), dirty(&all_types(true), total)];
        let [mut copied, mut gathered] = [copied.builder(total), gathered.builder(total)];
        for (batch, rows) in [(&first, 0..first.rows()), (&second, skip..second.rows())] {
            copied.push_rows_of(batch, rows.clone());
            gathered.push_rows_of(batch, rows.clone());
            for column in 0..batch.schema().payload().len() {
                copied.copy_column(column, batch.column(column), rows.clone());
                gathered.gather_column(column, rows.len(), |row| Some((batch.column(column), rows.start + row)));
            }
        }
        let [copied, gathered] = [copied.finish(), gathered.finish()];
        let mut one_by_one = BatchPool::new(all_types(true));
        for row in 0..total {
            let mut single = BatchPool::new(all_types(nullable));
            let mut single = single.builder(1);
            let (batch, at) = if row < first.rows() { (&first, row) } else { (&second, skip + row - first.rows()) };
            single.append(batch, at..at + 1);
            let single = single.finish();
            let mut builder = one_by_one.builder(1);
            builder.push_rows_of(&single, 0..1);
            // The columns of varying length stand in the middle: a run before them, one with them, one behind.
            builder.copy_columns(0, &single, 0, 7, 0..1);
            builder.copy_columns(7, &single, 7, 2, 0..1);
            builder.copy_columns(9, &single, 9, 2, 0..1);
            let made = builder.finish();
            let mut expected = BatchPool::new(all_types(true));
            let mut expected = expected.builder(1);
            expected.append(&single, 0..1);
            prop_assert_eq!(&made, &expected.finish());
            prop_assert!(Batch::from_bytes(all_types(true), made.as_bytes()).is_ok());
        }
        prop_assert_eq!(&copied, &expected);
        prop_assert_eq!(&gathered, &expected);
        prop_assert!(Batch::from_bytes(all_types(true), copied.as_bytes()).is_ok());
        prop_assert!(Batch::from_bytes(all_types(true), gathered.as_bytes()).is_ok());
    }

    #[test]
    fn values_that_were_not_picked_are_null_and_the_rest_is_unchanged(rows in rows(), picked in prop::collection::vec(any::<bool>(), 40)) {
        let mut pool = BatchPool::new(all_types(false));
        let batch = build(&mut pool, &rows);
        let mut to = dirty(&all_types(true), rows.len());
        let mut builder = to.builder(rows.len());
        builder.push_rows_of(&batch, 0..rows.len());
        for column in 0..batch.schema().payload().len() {
            builder.gather_column(column, rows.len(), |row| picked[row].then(|| (batch.column(column), row)));
        }
        let made = builder.finish();
        prop_assert!(Batch::from_bytes(all_types(true), made.as_bytes()).is_ok());
        for (from, column) in batch.columns().zip(made.columns()) {
            for (row, &picked) in picked.iter().enumerate().take(rows.len()) {
                prop_assert_eq!(column.is_null(row), !picked);
                match column.data_type() {
                    DataType::Bool => prop_assert_eq!(column.bool_at(row), picked && from.bool_at(row)),
                    other if picked || other.is_variable() => {
                        prop_assert_eq!(column.bytes_at(row), if picked { from.bytes_at(row) } else { &[] });
                    }
                    _ => prop_assert!(column.bytes_at(row).iter().all(|&byte| byte == 0)),
                }
            }
        }
    }
}

fn text(nullable: bool) -> Arc<StreamSchema> {
    StreamSchema::builder("s", Kind::Message)
        .push(Field { nullable, ..Field::new("t", DataType::Utf8) })
        .build()
        .unwrap()
}

#[test]
fn a_column_of_text_is_filled_value_by_value() {
    let mut pool = BatchPool::new(text(true));
    let mut first = pool.builder(3);
    first.push_row(Timestamp(1)).set_str(0, "a");
    first.push_row(Timestamp(2)).set_str(0, "bc");
    first.push_row(Timestamp(3));
    let first = first.finish();
    let mut other = BatchPool::new(text(true));
    let mut builder = other.builder(3);
    builder.push_rows_of(&first, 0..3);
    builder.fill_variable(0, 3, |row, bytes| {
        bytes.extend_from_slice(["één", "", ""][row].as_bytes());
        row != 1
    });
    let made = builder.finish();
    assert_eq!([0, 1, 2].map(|row| made.column(0).str_at(row)), ["één", "", ""]);
    assert_eq!([0, 1, 2].map(|row| made.column(0).is_null(row)), [false, true, false]);
    assert_eq!(made.timestamps(), [1, 2, 3]);
}

#[test]
fn a_column_that_nobody_fills_is_empty_text() {
    let mut pool = BatchPool::new(text(false));
    let mut first = pool.builder(2);
    first.push_row(Timestamp(1)).set_str(0, "a");
    first.push_row(Timestamp(2)).set_str(0, "bc");
    let first = first.finish();
    let mut builder = pool.builder(2);
    builder.push_rows_of(&first, 0..2);
    let made = builder.finish();
    assert_eq!([0, 1].map(|row| made.column(0).str_at(row)), ["", ""]);
}

#[test]
fn rows_with_text_are_added_many_at_once() {
    let mut pool = BatchPool::new(text(true));
    let mut builder = pool.builder(4);
    assert_eq!(builder.push_rows(2), 0..2);
    builder.fill_variable(0, 2, |row, bytes| {
        bytes.extend_from_slice(["one", "two"][row].as_bytes());
        true
    });
    builder.push_rows(1);
    builder.push_row(Timestamp(4)).set_str(0, "four");
    let made = builder.finish();
    assert_eq!([0, 1, 2, 3].map(|row| made.column(0).str_at(row)), ["one", "two", "", "four"]);
    assert_eq!(made.timestamps(), [i64::MIN, i64::MIN, i64::MIN, 4]);
}

#[test]
#[should_panic(expected = "was filled before")]
fn a_column_of_text_is_filled_once() {
    let mut pool = BatchPool::new(text(false));
    let mut first = pool.builder(1);
    first.push_row(Timestamp(1)).set_str(0, "a");
    let first = first.finish();
    let mut builder = pool.builder(1);
    builder.push_rows_of(&first, 0..1);
    builder.copy_column(0, first.column(0), 0..1);
    builder.copy_column(0, first.column(0), 0..1);
}

#[test]
fn a_relabelled_batch_has_other_names_and_the_same_memory() {
    let mut pool = BatchPool::new(text(false));
    let mut builder = pool.builder(1);
    builder.push_row(Timestamp(1)).set_str(0, "a");
    let batch = builder.finish();
    let to = StreamSchema::builder("other", Kind::Message).nullable("word", DataType::Utf8).build().unwrap();
    let relabel = Relabel::new(text(false), to.clone()).unwrap();
    let relabelled = relabel.apply(batch.clone()).unwrap();
    assert_eq!(relabelled.as_bytes().as_ptr(), batch.as_bytes().as_ptr());
    assert_eq!((relabelled.schema(), relabelled.column(0).str_at(0)), (&to, "a"));
    assert_eq!(batch.schema().name(), "s");
    assert!(Relabel::new(to, text(false)).is_err(), "a column that may be null can't lose that");
    let number = StreamSchema::builder("n", Kind::Message).field("t", DataType::Int64).build().unwrap();
    assert!(Relabel::new(text(false), number.clone()).is_err());
    let other = BatchPool::new(number).builder(0).finish();
    assert!(relabel.apply(other).is_err());
}

//! What the source gives: the values of the formula, the rows and times it promises, and clear refusals.

use crate::value::{Value, noise, value};
use crate::{Pattern, factory};
use serde_json::{Value as Json, json};
use tapedeck_sdk::prelude::*;
use tapedeck_sdk::testing::{FakeHost, conformance};
use tapedeck_sdk::{Opener, PluginKind};

fn open(options: &Json, rate_hz: Option<f64>) -> Result<Box<dyn Source>, Error> {
    let directory = tempfile::tempdir().unwrap();
    let host = FakeHost::new(directory.path());
    let context = Context { rate_hz, ..host.context("s") };
    let factory = factory();
    let Opener::Source(open) = factory.opener() else { panic!("a source") };
    open(options, context)
}

fn take(source: &mut dyn Source) -> Option<Batch> {
    match source.next(Timestamp(i64::MAX)).unwrap() {
        Next::Batch { output: 0, batch } => Some(batch),
        Next::End => None,
        other => panic!("{other:?}"),
    }
}

fn read(batch: &Batch, column: usize, row: usize) -> Value {
    let values = batch.column(column);
    if values.is_null(row) {
        return Value::Null;
    }
    match values.data_type() {
        DataType::Bool => Value::Bool(values.bool_at(row)),
        DataType::Int8 => Value::Integer(values.values::<i8>()[row].into()),
        DataType::Int16 => Value::Integer(values.values::<i16>()[row].into()),
        DataType::Int32 => Value::Integer(values.values::<i32>()[row].into()),
        DataType::Int64 | DataType::TimestampNs => Value::Integer(values.values::<i64>()[row].into()),
        DataType::UInt8 => Value::Integer(values.values::<u8>()[row].into()),
        DataType::UInt16 => Value::Integer(values.values::<u16>()[row].into()),
        DataType::UInt32 => Value::Integer(values.values::<u32>()[row].into()),
        DataType::UInt64 => Value::Integer(values.values::<u64>()[row].into()),
        DataType::Float32 => Value::Float(values.values::<f32>()[row].into()),
        DataType::Float64 => Value::Float(values.values::<f64>()[row]),
        DataType::Utf8 => Value::Text(values.str_at(row).to_owned()),
        DataType::Binary | DataType::FixedBinary(_) => Value::Bytes(values.bytes_at(row).to_vec()),
    }
}

const TYPES: [&str; 14] = [
    "bool",
    "i8",
    "i16",
    "i32",
    "i64",
    "u8",
    "u16",
    "u32",
    "u64",
    "f32",
    "f64",
    "timestamp_ns",
    "utf8",
    "binary",
];

#[test]
fn every_value_is_what_the_formula_says_for_every_type_and_pattern() {
    let patterns = [Pattern::Ramp, Pattern::Sine, Pattern::Random, Pattern::Constant, Pattern::Steps];
    let mut fields = serde_json::Map::new();
    let mut plans = Vec::new();
    for name in TYPES.into_iter().chain(["fixed_binary[11]"]) {
        for pattern in patterns {
            for nulls in [0.0, 0.3] {
                let key = format!("{name} {pattern:?} {nulls}");
                fields.insert(key, json!({ "type": name, "pattern": pattern, "nulls": nulls, "period": 7 }));
                plans.push((name.parse().unwrap(), pattern, nulls));
            }
        }
    }
    let mut source =
        open(&json!({ "fields": fields, "seed": 42, "batch_rows": 33, "count": 100 }), None).unwrap();
    let mut first = 0;
    while let Some(batch) = take(source.as_mut()) {
        for (column, &(data_type, pattern, nulls)) in plans.iter().enumerate() {
            for row in 0..batch.rows() {
                let expected = value(data_type, pattern, 7, nulls, 42, column as u64, first + row as u64);
                assert_eq!(read(&batch, column, row), expected, "{data_type} {pattern:?} {nulls}, row {row}");
            }
        }
        Batch::from_bytes(batch.schema().clone(), batch.as_bytes()).unwrap();
        first += batch.rows() as u64;
    }
    assert_eq!(first, 100);
}

#[test]
fn the_formula_gives_the_numbers_it_gave_when_it_was_written_down() {
    // The first is splitmix64's own published first output for the seed 0.
    assert_eq!(noise(0, 0, 0), 0xE220_A839_7B1D_CDAF);
    assert_eq!(noise(0, 0, 1), 0x6E78_9E6A_A1B9_65F4);
    assert_eq!(value(DataType::Float64, Pattern::Ramp, 60, 0.0, 9, 3, 1000), Value::Float(1003.0));
    assert_eq!(value(DataType::UInt8, Pattern::Sine, 60, 0.0, 9, 0, 15), Value::Integer(100));
    assert_eq!(value(DataType::Utf8, Pattern::Steps, 10, 0.0, 9, 1, 99), Value::Text("10".to_owned()));
}

#[test]
fn the_share_of_nulls_is_about_what_was_asked_for() {
    let options = json!({ "fields": { "a": { "nulls": 0.25 } }, "batch_rows": 10_000, "count": 10_000 });
    let batch = take(open(&options, None).unwrap().as_mut()).unwrap();
    assert!((2_200..2_800).contains(&batch.column(0).null_count()), "{}", batch.column(0).null_count());
}

#[test]
fn a_paced_source_gives_one_row_that_the_engine_stamps() {
    let mut source = open(&json!({ "columns": 3 }), Some(60.0)).unwrap();
    let batch = take(source.as_mut()).unwrap();
    assert_eq!((batch.rows(), batch.timestamps()[0]), (1, Timestamp::UNSET.nanos()));
    assert_eq!(batch.schema().payload().len(), 3);
}

#[test]
fn an_unpaced_source_gives_many_rows_with_the_session_time() {
    let mut source = open(&json!({}), None).unwrap();
    let batch = take(source.as_mut()).unwrap();
    assert_eq!(batch.rows(), 1024);
    assert!(batch.timestamps().iter().all(|&time| time == 1_700_000_000_000_000_000));
    let wide = take(open(&json!({ "columns": 1000 }), None).unwrap().as_mut()).unwrap();
    assert!((1..1024).contains(&wide.rows()), "{} rows of 8 kB", wide.rows());
}

#[test]
fn the_source_ends_after_count_rows_and_starts_again_the_same() {
    let options = json!({ "type": "u64", "pattern": "random", "count": 2500, "seed": 1 });
    let run = || {
        let mut source = open(&options, None).unwrap();
        let mut values = Vec::new();
        while let Some(batch) = take(source.as_mut()) {
            values.extend_from_slice(batch.column(0).values::<u64>());
        }
        values
    };
    let values = run();
    assert_eq!(values.len(), 2500);
    assert_eq!(values, run());
}

#[test]
fn each_kind_keeps_its_convention() {
    for kind in Kind::ALL {
        let batch = take(open(&json!({ "kind": kind, "batch_rows": 25 }), None).unwrap().as_mut()).unwrap();
        assert_eq!((batch.schema().kind(), batch.rows()), (*kind, 25));
        Batch::from_bytes(batch.schema().clone(), batch.as_bytes()).unwrap();
    }
    let event = take(open(&json!({ "kind": "event" }), Some(1.0)).unwrap().as_mut()).unwrap();
    let texts: Vec<_> = event.columns().map(|column| column.str_at(0)).collect();
    assert_eq!(texts, ["tick", "player0", "{\"row\":0}", "{\"score\":0}"]);
}

#[test]
fn options_that_make_no_sense_are_refused_with_the_key_to_blame() {
    for (options, option) in [
        (json!({ "columns": 70_000 }), vec!["columns"]),
        (json!({ "kind": "image", "columns": 2 }), vec!["columns"]),
        (json!({ "batch_rows": 0 }), vec!["batch_rows"]),
        (json!({ "batch_rows": 60_000, "type": "fixed_binary[1000000]" }), vec!["batch_rows"]),
        (json!({ "fields": { "a": { "nulls": 1.5 } } }), vec!["fields", "a", "nulls"]),
        (json!({ "fields": { "a": { "period": 0 } } }), vec!["fields", "a", "period"]),
        (json!({ "colums": 2 }), vec![]),
        (json!({ "type": "double" }), vec![]),
    ] {
        let error = factory().check(&options).unwrap_err();
        assert_eq!(
            (error.kind, error.option),
            (ErrorKind::Options, option.into_iter().map(str::to_owned).collect()),
            "{options}"
        );
    }
    assert_eq!(factory().descriptor().kind, PluginKind::Source);
}

#[test]
fn the_contract_is_kept() {
    for kind in Kind::ALL {
        conformance::source(&factory(), &json!({ "kind": kind, "count": 100 })).unwrap();
    }
    let fields =
        json!({ "a": { "nulls": 0.5 }, "b": { "type": "utf8", "nulls": 0.5 }, "c": { "type": "bool" } });
    conformance::source(&factory(), &json!({ "columns": 3, "fields": fields, "pattern": "random" })).unwrap();
}

//! What comes out: the columns that were asked for, values that fit, and clear refusals.

use crate::factory;
use serde_json::{Value, json};
use tapedeck_sdk::Opener;
use tapedeck_sdk::prelude::*;
use tapedeck_sdk::testing::{FakeHost, conformance, samples};

struct Collected(Vec<Batch>);

impl Outputs for Collected {
    fn push(&mut self, _output: usize, batch: Batch) {
        self.0.push(batch);
    }
}

struct Run {
    streams: Vec<Arc<StreamSchema>>,
    batches: Vec<Batch>,
    partial: u64,
}

fn run(options: &Value, batches: &[Batch]) -> Result<Run, Error> {
    let directory = tempfile::tempdir().unwrap();
    let host = FakeHost::new(directory.path());
    let factory = factory();
    factory.check(options)?;
    let Opener::Transform(open) = factory.opener() else { panic!("a transform") };
    let mut transform = open(options, host.context("t"))?;
    let streams = transform.streams(&[batches[0].schema().clone()])?;
    let mut out = Collected(Vec::new());
    for batch in batches {
        transform.process(0, batch.clone(), &mut out)?;
    }
    transform.finish(&mut out)?;
    Ok(Run { streams, batches: out.0, partial: host.partial_frames() })
}

fn names(schema: &StreamSchema) -> Vec<&str> {
    schema.payload().iter().map(|field| field.name.as_str()).collect()
}

fn sample() -> Vec<Batch> {
    samples::batches(&samples::schema(Kind::Attributes, "game"), &[3, 40, 1])
}

fn doubles(values: &[f64]) -> Vec<Batch> {
    let schema =
        StreamSchema::builder("game", Kind::Attributes).field("a", DataType::Float64).build().unwrap();
    let mut pool = BatchPool::new(schema);
    let mut builder = pool.builder(values.len());
    values.iter().for_each(|&value| _ = builder.push_row(Timestamp(1)).set(0, value));
    vec![builder.finish()]
}

#[test]
fn the_contract_is_kept() {
    for options in [
        json!({}),
        json!({ "keep": ["f*", "text", "bytes_or_null"], "drop": ["f32"] }),
        json!({ "rename": { "u8": "health" }, "cast": { "u8": "f32", "f64": "i16", "f64_or_null": "bool", "time": "f64" } }),
    ] {
        let one = [sample()];
        conformance::transform(&factory(), &options, &one).unwrap();
        let other = samples::batches(&samples::schema(Kind::Attributes, "other"), &[7, 2]);
        conformance::transform(&factory(), &options, &[sample(), other]).unwrap();
    }
}

#[test]
fn kept_columns_come_in_the_order_of_the_option_with_their_values() {
    let made = run(
        &json!({ "keep": ["text", "u*", "i8"], "drop": ["u*_or_null", "u16"], "rename": { "i8": "tiny" } }),
        &sample(),
    )
    .unwrap();
    assert_eq!(names(&made.streams[0]), ["text", "u8", "u32", "u64", "tiny"]);
    assert_eq!(made.streams[0].name(), "t");
    for (from, made) in sample().iter().zip(&made.batches) {
        let source = from.schema().clone();
        for (column, name) in ["text", "u8", "u32", "u64", "i8"].iter().enumerate() {
            assert!(made.column(column) == from.column(source.payload_index(name).unwrap()), "{name}");
        }
        assert_eq!((made.seq(), made.timestamps()), (from.seq(), from.timestamps()));
    }
}

#[test]
fn new_names_alone_cost_no_copy() {
    let from = sample();
    let made = run(&json!({ "rename": { "f64": "speed" } }), &from).unwrap();
    assert!(names(&made.streams[0]).contains(&"speed"));
    for (from, made) in from.iter().zip(&made.batches) {
        assert_eq!(made.as_bytes().as_ptr(), from.as_bytes().as_ptr());
        assert_eq!(made.schema(), &made.schema().clone());
    }
}

#[test]
fn values_that_do_not_fit_become_null_and_count_their_frame_once() {
    let values = [1.9, -1.9, 127.99, 128.0, -129.0, f64::NAN, f64::INFINITY, -0.0];
    let made = run(&json!({ "cast": { "a": "i8" } }), &doubles(&values)).unwrap();
    let column = made.batches[0].column(0);
    let read: Vec<Option<i8>> =
        (0..8).map(|row| (!column.is_null(row)).then(|| column.values::<i8>()[row])).collect();
    assert_eq!(read, [Some(1), Some(-1), Some(127), None, None, None, None, Some(0)]);
    assert_eq!(made.partial, 4);
    assert!(made.streams[0].payload()[0].nullable);
}

#[test]
fn singles_keep_what_is_not_finite_and_refuse_what_is_too_large() {
    let made =
        run(&json!({ "cast": { "a": "f32" } }), &doubles(&[0.1, 1e300, f64::INFINITY, f64::NAN, -0.0]))
            .unwrap();
    let column = made.batches[0].column(0);
    let bits: Vec<u32> = column.values::<f32>().iter().map(|value| value.to_bits()).collect();
    assert_eq!(
        (bits[0], bits[2], bits[4]),
        (0.1_f32.to_bits(), f32::INFINITY.to_bits(), (-0.0_f32).to_bits())
    );
    assert!(column.is_null(1) && column.values::<f32>()[3].is_nan());
    assert_eq!(made.partial, 1);
}

#[test]
fn casts_that_always_fit_add_no_nulls() {
    let made = run(
        &json!({ "keep": ["u8", "u32", "bool", "i64"], "cast": { "u8": "i16", "u32": "f64", "bool": "u8", "i64": "timestamp_ns" } }),
        &sample(),
    );
    let made = made.unwrap();
    assert!(made.streams[0].payload().iter().all(|field| !field.nullable));
    assert_eq!(made.partial, 0);
    for (from, made) in sample().iter().zip(&made.batches) {
        let source = |name: &str| from.column(from.schema().payload_index(name).unwrap());
        for row in 0..from.rows() {
            assert_eq!(made.column(0).values::<i16>()[row], i16::from(source("u8").values::<u8>()[row]));
            assert_eq!(
                made.column(1).values::<f64>()[row].to_bits(),
                f64::from(source("u32").values::<u32>()[row]).to_bits()
            );
            assert_eq!(made.column(2).values::<u8>()[row], u8::from(source("bool").bool_at(row)));
            assert_eq!(made.column(3).values::<i64>()[row], source("i64").values::<i64>()[row]);
        }
    }
}

#[test]
fn what_does_not_exist_is_refused_with_a_suggestion() {
    let refused = |options: Value| run(&options, &sample()).err().unwrap();
    let error = refused(json!({ "keep": ["f64", "txet"] }));
    assert_eq!(error.message, "no column of stream \"game\" is called \"txet\"");
    assert_eq!(
        (error.hint.as_deref(), error.option.as_slice()),
        (Some("did you mean \"text\"?"), &["keep".to_owned()][..])
    );
    let error = refused(json!({ "drop": ["x*"] }));
    assert_eq!(error.message, "no column of stream \"game\" fits \"x*\"");
    assert_eq!(refused(json!({ "rename": { "f6": "a" } })).option, ["rename", "f6"]);
    assert_eq!(
        refused(json!({ "keep": ["i8"], "cast": { "u8": "i8" } })).message,
        "column \"u8\" is not kept"
    );
    assert_eq!(refused(json!({ "rename": { "i8": "u8" } })).option, ["rename"]);
    assert_eq!(refused(json!({ "drop": ["*"] })).message, "no column is left of stream \"game\"");
    assert_eq!(refused(json!({ "cast": { "text": "f64" } })).option, ["cast", "text"]);
    assert_eq!(refused(json!({ "cast": { "i8": "utf8" } })).option, ["cast", "i8"]);
}

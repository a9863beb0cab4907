//! What comes out of the bytes, and what happens to bytes that are not there.

use proptest::prelude::*;
use serde_json::{Value, json};
use tapedeck_sdk::Opener;
use tapedeck_sdk::testing::{FakeHost, conformance, samples};

use super::*;

struct Collected(Vec<Batch>);

impl Outputs for Collected {
    fn push(&mut self, _output: usize, batch: Batch) {
        self.0.push(batch);
    }
}

fn run(options: &Value, batch: &Batch) -> Result<(Batch, u64), Error> {
    let host = FakeHost::new(&std::env::temp_dir());
    let factory = factory();
    factory.check(options)?;
    let Opener::Transform(open) = factory.opener() else { panic!("a transform") };
    let mut transform = open(options, host.context("t"))?;
    transform.streams(&[batch.schema().clone()])?;
    let mut out = Collected(Vec::new());
    transform.process(0, batch.clone(), &mut out)?;
    Ok((out.0.remove(0), host.partial_frames()))
}

fn messages(values: &[Option<&[u8]>]) -> Batch {
    let schema = StreamSchema::builder("lcm", Kind::Message)
        .field("topic", DataType::Utf8)
        .nullable("data", DataType::Binary);
    let mut pool = BatchPool::new(schema.build().unwrap());
    let mut builder = pool.builder(values.len());
    for value in values {
        let mut row = builder.push_row(Timestamp(5));
        row.set_str(0, "pose");
        if let Some(value) = value {
            row.set_bytes(1, value);
        }
    }
    let mut batch = builder.finish();
    batch.stamp(70, Timestamp(0));
    batch
}

fn fixed(value: &[u8]) -> Batch {
    let width = DataType::FixedBinary(u32::try_from(value.len()).unwrap());
    let mut pool =
        BatchPool::new(StreamSchema::builder("s", Kind::Attributes).field("raw", width).build().unwrap());
    let mut builder = pool.builder(1);
    builder.push_row(Timestamp(5)).set_bytes(0, value);
    builder.finish()
}

#[test]
fn every_type_is_read_in_both_byte_orders() {
    let bytes = [0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0x17, 0x40, 0x00];
    for endian in ["little", "big"] {
        let field = |name: &str| json!({ "offset": 0, "type": name, "endian": endian });
        let names = ["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64", "bool"];
        let fields: serde_json::Map<_, _> =
            names.iter().map(|name| ((*name).to_owned(), field(name))).collect();
        let (made, partial) = run(&json!({ "fields": fields }), &fixed(&bytes)).unwrap();
        assert_eq!(partial, 0);
        assert!(made.schema().payload().iter().all(|field| !field.nullable), "nothing can be missing");
        let of = |width: usize| {
            let mut part = bytes[..width].to_vec();
            if endian == "big" {
                part.reverse();
            }
            part
        };
        for (column, width) in [1, 2, 4, 8, 1, 2, 4, 8, 4, 8].into_iter().enumerate() {
            assert_eq!(made.column(column).bytes_at(0), of(width), "{} {endian}", names[column]);
        }
        assert!(made.column(10).bool_at(0));
    }
}

#[test]
fn numbers_are_scaled_masked_and_cut_into_bits() {
    let fields = json!({
        "temperature": { "offset": 0, "type": "i16", "endian": "big", "scale": 0.01, "unit": "°C" },
        "shifted": { "offset": 0, "type": "u8", "bias": -40.0 },
        "high": { "offset": 2, "type": "u8", "mask": 0xF0 },
        "twelve": { "offset": 1, "type": "u16", "mask": 0x0FFF, "scale": 2.0 },
        "flag": { "offset": 2, "type": "u8", "bit": 6 },
        "sign": { "offset": 2, "type": "i8", "bit": 7 },
    });
    let (made, _) = run(&json!({ "fields": fields }), &fixed(&[0xFF, 0x38, 0x57])).unwrap();
    assert!((made.column(0).values::<f64>()[0] + 2.0).abs() < 1e-12);
    assert_eq!(made.schema().payload()[0].metadata[Field::UNIT], "°C");
    assert_eq!(made.column(1).values::<f64>(), [215.0]);
    assert_eq!(made.column(2).values::<u8>(), [5]);
    assert_eq!(made.column(3).values::<f64>(), [f64::from(0x0738) * 2.0]);
    assert_eq!((made.column(4).bool_at(0), made.column(5).bool_at(0)), (true, false));
}

#[test]
fn values_that_are_too_short_give_null_and_count_their_frame_once() {
    let fields = json!({
        "id": { "offset": 0, "type": "u8" },
        "x": { "offset": 1, "type": "f32" },
        "y": { "offset": 5, "type": "f32" },
        "tag": { "offset": 1, "type": "bytes", "length": 2 },
        "rest": { "offset": 3, "type": "bytes" },
    });
    let batch = messages(&[Some(&[7, 1, 2, 3, 4, 5, 6, 7, 8, 9]), Some(&[8, 1, 2]), None, Some(&[])]);
    let (made, partial) = run(&json!({ "fields": fields }), &batch).unwrap();
    assert_eq!(partial, 2);
    let null: Vec<Vec<bool>> =
        made.columns().map(|column| (0..4).map(|row| column.is_null(row)).collect()).collect();
    assert_eq!(null[0], [false; 4], "the topic goes on");
    assert_eq!(null[1], [false, false, true, true]);
    assert_eq!((&null[2], &null[3]), (&vec![false, true, true, true], &vec![false, true, true, true]));
    assert_eq!(null[4], [false, false, true, true]);
    assert_eq!(null[5], [false, false, true, true]);
    assert_eq!(
        (made.column(5).bytes_at(0), made.column(5).bytes_at(1)),
        (&[3, 4, 5, 6, 7, 8, 9][..], &[][..])
    );
    assert_eq!(made.seq(), [70, 71, 72, 73]);
    assert_eq!(made.schema().kind(), Kind::Attributes);
}

#[test]
fn text_ends_at_a_zero_and_must_be_text() {
    let fields = json!({ "name": { "offset": 0, "type": "utf8", "length": 4 }, "all": { "offset": 0, "type": "utf8" } });
    let batch = messages(&[Some(b"ab\0d!"), Some("åå\0".as_bytes()), Some(&[0xFF, 0, 0, 0])]);
    let (made, partial) = run(&json!({ "fields": fields, "keep": false }), &batch).unwrap();
    assert_eq!(partial, 1);
    assert_eq!((made.column(0).str_at(0), made.column(0).str_at(1)), ("ab", "åå"));
    assert_eq!((made.column(1).str_at(0), made.column(1).str_at(1)), ("ab", "åå"));
    assert!(made.column(0).is_null(2) && made.column(1).is_null(2));
    assert_eq!(made.schema().payload()[0].length_max(), Some(4));
    assert_eq!(made.schema().payload().len(), 2);
}

proptest! {
    #[test]
    fn bytes_of_any_length_never_panic(values in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..12)), 0..20), offset in 0_u32..10, length in 1_u32..10) {
        let values: Vec<Option<&[u8]>> = values.iter().map(Option::as_deref).collect();
        let mut fields = serde_json::Map::new();
        for name in ["i8", "u16", "f32", "i64", "f64", "bool", "bytes", "utf8"] {
            fields.insert(name.to_owned(), json!({ "offset": offset, "type": name, "endian": "big" }));
        }
        fields.insert("text".to_owned(), json!({ "offset": offset, "type": "utf8", "length": length }));
        fields.insert("tag".to_owned(), json!({ "offset": offset, "type": "bytes", "length": length }));
        fields.insert("bit".to_owned(), json!({ "offset": offset, "type": "u64", "bit": 63 }));
        fields.insert("scaled".to_owned(), json!({ "offset": offset, "type": "u32", "mask": 0xFF00, "scale": 3 }));
        let (made, _) = run(&json!({ "fields": fields }), &messages(&values)).unwrap();
        prop_assert!(Batch::from_bytes(made.schema().clone(), made.as_bytes()).is_ok());
    }
}

#[test]
fn the_contract_is_kept() {
    let message = samples::batches(&samples::schema(Kind::Message, "m"), &[3, 30, 1]);
    let fields =
        json!({ "a": { "offset": 2, "type": "i32" }, "b": { "offset": 0, "type": "utf8", "length": 3 } });
    conformance::transform(&factory(), &json!({ "fields": fields }), &[message]).unwrap();
    let attributes = samples::batches(&samples::schema(Kind::Attributes, "a"), &[3, 30, 1]);
    conformance::transform(
        &factory(),
        &json!({ "column": "array_or_null", "fields": { "x": { "offset": 1, "type": "f32" } } }),
        &[attributes],
    )
    .unwrap();
}

#[test]
fn layouts_that_make_no_sense_are_refused_with_the_key_to_blame() {
    let refused = |options: Value| run(&options, &fixed(&[0; 4])).err().unwrap();
    for (field, key) in [
        (json!({ "offset": 0, "type": "u8", "length": 2 }), "length"),
        (json!({ "offset": 0, "type": "bytes", "length": 0 }), "length"),
        (json!({ "offset": 0, "type": "bytes", "scale": 2 }), "scale"),
        (json!({ "offset": 0, "type": "bool", "bias": 2 }), "bias"),
        (json!({ "offset": 0, "type": "i8", "mask": 1 }), "mask"),
        (json!({ "offset": 0, "type": "u8", "mask": 256 }), "mask"),
        (json!({ "offset": 0, "type": "u8", "bit": 8 }), "bit"),
        (json!({ "offset": 0, "type": "u8", "bit": 1, "mask": 2 }), "bit"),
        (json!({ "offset": 0, "type": "f32", "bit": 1 }), "bit"),
        (json!({ "offset": 1, "type": "f32" }), "offset"),
    ] {
        let error = refused(json!({ "fields": { "a": field } }));
        assert_eq!(error.option, ["fields", "a", key], "{error}");
    }
    assert_eq!(refused(json!({ "fields": {} })).option, ["fields"]);
    let a = json!({ "a": { "offset": 0, "type": "u8" } });
    let error = refused(json!({ "column": "raww", "fields": a }));
    assert_eq!(
        (error.option, error.hint),
        (vec!["column".to_owned()], Some("did you mean \"raw\"?".to_owned()))
    );
    let topic = run(&json!({ "column": "topic", "fields": a }), &messages(&[])).err().unwrap();
    assert_eq!(topic.message, "column \"topic\" of stream \"lcm\" is of type utf8, not binary");
    let twice =
        run(&json!({ "fields": { "topic": { "offset": 0, "type": "u8" } } }), &messages(&[])).err().unwrap();
    assert_eq!(twice.option, ["fields"]);
}

//! What went through both is what it was, however it was cut up; and what was lost in between is not made up.

use proptest::prelude::*;
use serde_json::{Value, json};
use tapedeck_sdk::Opener;
use tapedeck_sdk::testing::{FakeHost, conformance, joined, samples};

use super::*;

struct Run {
    streams: Vec<Arc<StreamSchema>>,
    batches: Vec<Batch>,
    failed: u64,
    report: Option<String>,
}

struct Collected(Vec<Batch>);

impl Outputs for Collected {
    fn push(&mut self, output: usize, batch: Batch) {
        assert_eq!(output, 0);
        self.0.push(batch);
    }
}

fn run(
    factory: &Factory,
    options: &Value,
    schema: &Arc<StreamSchema>,
    batches: &[Batch],
) -> Result<Run, Error> {
    let host = FakeHost::new(&std::env::temp_dir());
    let Opener::Transform(open) = factory.opener() else { panic!("a transform") };
    let mut transform = open(options, host.context(schema.name()))?;
    let streams = transform.streams(std::slice::from_ref(schema))?;
    let mut out = Collected(Vec::new());
    for batch in batches {
        transform.process(0, batch.clone(), &mut out)?;
    }
    let report = transform.finish(&mut out)?;
    Ok(Run { streams, batches: out.0, failed: host.failed_frames(), report })
}

/// Frames of every type whose values often stay the same: each row repeats a row of a small sample or the row before. `jumps` are what
/// is missing in `seq`.
fn frames(choices: &[(u8, u8)], sizes: &[usize]) -> Vec<Batch> {
    let sample = &samples::batches(&samples::schema(Kind::Attributes, "game"), &[6])[0];
    let mut seq = 0;
    let mut rows = choices.iter().enumerate();
    let mut pool = BatchPool::new(sample.schema().clone());
    let mut batches = Vec::new();
    for &size in sizes.iter().cycle() {
        let rows: Vec<_> = rows.by_ref().take(size).collect();
        if rows.is_empty() && size > 0 {
            return batches;
        }
        let mut builder = pool.builder(rows.len());
        for &(_, &(row, _)) in &rows {
            let row = usize::from(row % 6);
            builder.append(sample, row..row + 1);
        }
        for (place, &(number, &(_, jump))) in rows.iter().enumerate() {
            seq += u64::from(jump.saturating_sub(240)) + 1;
            builder.seq_mut()[place] = seq;
            builder.timestamps_mut()[place] = i64::try_from(number).unwrap() * 10_000_000;
        }
        batches.push(builder.finish());
    }
    batches
}

fn choices() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec((0..3_u8, any::<u8>()), 1..60)
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..9_usize, 1..6).prop_map(|mut sizes| {
        sizes.push(1);
        sizes
    })
}

proptest! {
    #[test]
    fn what_went_through_both_is_what_it_was(choices in choices(), sizes in sizes(), keyframe_rows in 1..30_u64) {
        let batches = frames(&choices, &sizes);
        let schema = batches[0].schema();
        let options = json!({ "keyframe_interval": "150ms", "keyframe_rows": keyframe_rows });
        let coded = run(&factory(), &options, schema, &batches).unwrap();
        let back = run(&undelta_factory(), &json!({}), &coded.streams[0], &coded.batches).unwrap();
        prop_assert_eq!(&back.streams[0], schema);
        prop_assert!(joined(&back.batches) == joined(&batches));
        prop_assert_eq!(back.failed, 0);
    }

    #[test]
    fn what_was_lost_in_between_is_not_made_up(choices in choices(), sizes in sizes(), lost in prop::collection::vec(any::<bool>(), 60)) {
        let batches = frames(&choices, &sizes);
        let schema = batches[0].schema();
        let coded = run(&factory(), &json!({ "keyframe_rows": 5 }), schema, &batches).unwrap();
        let single = samples::split(&coded.batches, 1);
        let arrived: Vec<Batch> = single.iter().zip(&lost).filter(|(_, lost)| !**lost).map(|(batch, _)| batch.clone()).collect();
        let back = run(&undelta_factory(), &json!({}), &coded.streams[0], &arrived).unwrap();

        // A row is known when the keyframe before it and all rows since then arrived.
        let mut expected = Vec::new();
        let mut known = false;
        for ((batch, original), &lost) in single.iter().zip(samples::split(&batches, 1)).zip(&lost) {
            let keyframe = batch.column(schema.payload().len()).values::<u32>()[0] == 0;
            known = !lost && (known || keyframe);
            if known {
                expected.push(original);
            }
        }
        prop_assert_eq!(usize::try_from(back.failed).unwrap(), arrived.len() - expected.len());
        prop_assert!(joined(&back.batches) == joined(&expected));
    }
}

fn numbers(values: &[Option<f64>]) -> (Arc<StreamSchema>, Batch) {
    let schema =
        StreamSchema::builder("game", Kind::Attributes).nullable("a", DataType::Float64).build().unwrap();
    let mut pool = BatchPool::new(schema.clone());
    let mut builder = pool.builder(values.len());
    for (time, value) in (0..).zip(values) {
        let mut row = builder.push_row(Timestamp(time * 400_000_000));
        if let Some(value) = value {
            row.set(0, *value);
        }
    }
    let mut batch = builder.finish();
    batch.stamp(10, Timestamp(0));
    (schema, batch)
}

#[test]
fn the_form_is_the_one_that_is_written_down() {
    let values = [
        Some(1.0),
        Some(1.0),
        Some(1.0),
        Some(1.0),
        None,
        None,
        Some(f64::NAN),
        Some(f64::NAN),
        Some(-0.0),
        Some(0.0),
    ];
    let (schema, batch) = numbers(&values);
    let coded = run(&factory(), &json!({}), &schema, &[batch]).unwrap();
    let made = &coded.batches[0];
    let names: Vec<_> =
        made.schema().payload().iter().map(|field| (field.name.as_str(), field.data_type)).collect();
    assert_eq!(
        names,
        [
            ("a", DataType::Float64),
            ("delta_step", DataType::UInt32),
            ("delta_nulls", DataType::FixedBinary(1))
        ]
    );
    // Every third row is 1.2 s after the keyframe before it, and so a keyframe.
    assert_eq!(made.column(1).values::<u32>(), [0, 1, 1, 0, 1, 1, 0, 1, 1, 0]);
    let there: Vec<bool> = (0..10).map(|row| !made.column(0).is_null(row)).collect();
    assert_eq!(there, [true, false, false, true, false, false, true, false, true, true]);
    let nulls: Vec<u8> = (0..10).map(|row| made.column(2).bytes_at(row)[0]).collect();
    assert_eq!(nulls, [0, 0, 0, 0, 1, 1, 0, 0, 0, 0]);
    assert_eq!(made.schema().metadata()[VERSION_KEY], "1");
}

#[test]
fn the_ratio_is_that_of_the_values() {
    let values: Vec<_> = (0..4000).map(|row| (row % 100 != 0).then_some(f64::from(row / 7))).collect();
    let (schema, batch) = numbers(&values);
    let coded = run(&factory(), &json!({ "keyframe_interval": "1h" }), &schema, &samples::split(&[batch], 7))
        .unwrap();
    let kept: usize = coded.batches.iter().map(|batch| batch.rows() - batch.column(0).null_count()).sum();
    let ratio = 3960.0 / f64::from(u32::try_from(kept).unwrap());
    assert_eq!(coded.report.unwrap(), format!("ratio {ratio:.1}: {kept} of 3,960 values kept"));
    assert!((571..620).contains(&kept), "{kept}: 572 runs of values, some cut in two by a null");
}

#[test]
fn the_contract_is_kept() {
    let input = [samples::batches(&samples::schema(Kind::Attributes, "game"), &[3, 60, 1])];
    conformance::transform(&factory(), &json!({}), &input).unwrap();
    conformance::transform(&factory(), &json!({ "keyframe_rows": 2 }), &input).unwrap();
    let coded = run(&factory(), &json!({}), input[0][0].schema(), &input[0]).unwrap();
    conformance::transform(&undelta_factory(), &json!({}), &[coded.batches]).unwrap();
}

#[test]
fn streams_that_can_not_be_taken_are_refused() {
    let (schema, batch) = numbers(&[Some(1.0)]);
    let error = run(&undelta_factory(), &json!({}), &schema, &[]).err().unwrap();
    assert_eq!(error.message, "stream \"game\" is not a delta stream");
    let coded = run(&factory(), &json!({}), &schema, &[batch]).unwrap();
    let error = run(&factory(), &json!({}), &coded.streams[0], &[]).err().unwrap();
    assert_eq!(error.message, "stream \"game\" has a column \"delta_step\" already");
    let names: Vec<_> = factories().iter().map(|factory| factory.descriptor().name.clone()).collect();
    assert_eq!(names, ["delta", "undelta"]);
    for options in [json!({ "keyframe_interval": "0s" }), json!({ "keyframe_rows": 0 })] {
        assert_eq!(factory().check(&options).unwrap_err().option.len(), 1);
    }
}

#[test]
fn a_keyframe_with_a_hole_is_left_out_and_does_not_panic() {
    let schema = StreamSchema::builder("game", Kind::Attributes).field("a", DataType::Int64).build().unwrap();
    let coded = run(&factory(), &json!({}), &schema, &[]).unwrap().streams[0].clone();
    let mut pool = BatchPool::new(coded.clone());
    let mut builder = pool.builder(3);
    builder.push_row(Timestamp(0));
    builder.push_row(Timestamp(1)).set(1, 1_u32);
    builder.push_row(Timestamp(2)).set(0, 5_i64);
    let mut batch = builder.finish();
    batch.stamp(0, Timestamp(0));
    let back = run(&undelta_factory(), &json!({}), &coded, &[batch]).unwrap();
    assert_eq!(
        (back.failed, back.batches[0].seq(), back.batches[0].column(0).values::<i64>()),
        (2, &[2][..], &[5][..])
    );
}

//! Plugins in C, written against the header alone, keep the contract and do their work.

use serde_json::json;
use tapedeck_sdk::testing::{conformance, open_sink, samples};
use tapedeck_sdk::{Batch, BatchPool, Error, ErrorKind, Factory, Kind, Next, Timestamp, Written};

use crate::util::{Collected, compiled, frames, host, load, open_source, open_transform, schema};

fn attributes() -> Vec<Batch> {
    samples::batches(&samples::schema(Kind::Attributes, "game"), &[3, 1, 60])
}

fn kept(outcome: conformance::Outcome) {
    if let Err(violations) = outcome {
        panic!("{}", violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }
}

fn scale() -> Factory {
    load(&compiled("scale", &[]))
}

#[test]
fn a_transform_in_c_keeps_the_contract() {
    let options = json!({ "column": "f64", "factor": 2.0 });
    kept(conformance::transform(&scale(), &options, &[attributes()]));
    let other = samples::batches(&samples::schema(Kind::Attributes, "other"), &[2, 5]);
    kept(conformance::transform(&scale(), &options, &[attributes(), other]));
}

#[test]
fn a_source_in_c_keeps_the_contract() {
    kept(conformance::source(&load(&compiled("ramp", &[])), &json!({ "step": 0.5, "frames": 7 })));
}

#[test]
fn a_sink_in_c_keeps_the_contract() {
    let case = conformance::SinkCase::new(vec![attributes()]);
    kept(conformance::sink(&load(&compiled("lines", &[])), &json!({}), &case));
}

#[test]
fn the_column_is_multiplied_and_nothing_else_changes() {
    let (factory, mut pool, host) = (scale(), BatchPool::new(schema()), host());
    let mut transform = open_transform(&factory, &json!({ "column": "x", "factor": -3 }), &host).unwrap();
    let streams = transform.streams(&[schema()]).unwrap();
    assert_eq!((streams.len(), streams[0].name()), (1, "stage"));
    assert_eq!(streams[0].fields(), schema().fields());
    let (mut out, batch) = (Collected::default(), frames(&mut pool, 1.0));
    transform.process(0, batch.clone(), &mut out).unwrap();
    assert_eq!(transform.finish(&mut out).unwrap().as_deref(), Some("times -3"));
    let [(0, scaled)] = out.0.as_slice() else { panic!("{:?}", out.0) };
    assert_eq!(scaled.column(0).values::<f64>(), [-3.0, -6.0, -9.0]);
    assert_eq!(batch.column(0).values::<f64>(), [1.0, 2.0, 3.0], "the batch that came in is never written");
    assert!(scaled.column(1) == batch.column(1) && scaled.column(2) == batch.column(2));
    assert_eq!(scaled.seq(), batch.seq());
}

#[test]
fn options_are_refused_with_a_hint_and_the_option_to_blame() {
    let factory = scale();
    let error = factory.check(&json!({ "column": "x", "factor": "two" })).unwrap_err();
    assert_eq!((error.kind, error.option.as_slice()), (ErrorKind::Options, &["factor".to_owned()][..]));
    assert_eq!(error.hint.as_deref(), Some("Write `factor = 2.0`."));
    let opened = open_transform(&factory, &json!({ "column": "x" }), &host());
    assert_eq!(opened.err().unwrap().kind, ErrorKind::Options);
    let mut transform = open_transform(&factory, &json!({ "column": "name", "factor": 1 }), &host()).unwrap();
    assert_eq!(transform.streams(&[schema()]).unwrap_err().kind, ErrorKind::Data);
}

#[test]
fn a_source_in_c_counts_and_its_last_frame_is_not_lost() {
    let (factory, host) = (load(&compiled("ramp", &[])), host());
    let mut source = open_source(&factory, &json!({ "step": 2, "frames": 3 }), &host).unwrap();
    assert_eq!(source.streams()[0].name(), "stage");
    let mut values = Vec::new();
    while let Next::Batch { output: 0, batch } = source.next(Timestamp(i64::MAX)).unwrap() {
        values.extend_from_slice(batch.column(0).values::<f64>());
    }
    assert_eq!(values, [0.0, 2.0, 4.0]);
    assert!(source.stop().is_ok_and(|more| !more), "it has ended");
}

#[test]
fn a_source_in_c_that_is_told_to_stop_gives_its_last_frame() {
    let (factory, host) = (load(&compiled("ramp", &[])), host());
    let mut source = open_source(&factory, &json!({}), &host).unwrap();
    assert!(matches!(source.next(Timestamp(i64::MAX)), Ok(Next::Batch { .. })));
    assert!(source.stop().unwrap());
    assert!(matches!(source.next(Timestamp(i64::MAX)), Ok(Next::Batch { .. })));
    assert!(matches!(source.next(Timestamp(i64::MAX)), Ok(Next::End)));
}

#[test]
fn a_sink_in_c_refuses_a_row_and_keeps_the_others() {
    let (factory, host) = (load(&compiled("lines", &[])), host());
    let mut sink = open_sink(&factory, &json!({}), &[schema()], &host, "rows").unwrap();
    let mut pool = BatchPool::new(schema());
    let mut builder = pool.builder(3);
    for at in [5, -5, 6] {
        builder.push_row(Timestamp(at)).set(0, 0.0).set(1, 0.0).set_str(2, "Zoë");
    }
    let mut batch = builder.finish();
    batch.stamp(7, Timestamp(0));
    let reason = Error::data("it is from before 1970");
    assert_eq!(sink.write(0, batch).unwrap(), Written::refusing(0, 1, 8..=8, reason));
    assert_eq!(sink.flush().unwrap(), Written::ALL);
    assert_eq!(std::fs::read_to_string(&host.artifacts()[0]).unwrap(), "7 5 Zoë\n9 6 Zoë\n");
    assert_eq!(sink.finish().unwrap(), Written::ALL);
}

#[test]
fn a_sink_in_c_writes_where_the_host_says() {
    let (factory, host) = (load(&compiled("lines", &[])), host());
    let mut sink =
        open_sink(&factory, &json!({ "path": "sub/out.txt" }), &[schema()], &host, "rows").unwrap();
    let batch = frames(&mut BatchPool::new(schema()), 1.0);
    sink.write(0, batch).unwrap();
    sink.flush().unwrap();
    let path = host.artifacts().remove(0);
    assert!(path.ends_with("sub/out.txt"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "0 5 Zoë\n0 5 Zoë\n0 5 Zoë\n");
    sink.finish().unwrap();
    assert!(std::fs::read_to_string(&path).unwrap().ends_with("# failed: 0\n"));
    let outside = open_sink(&factory, &json!({ "path": "../x" }), &[schema()], &host, "rows");
    assert_eq!(outside.err().unwrap().option, ["path"], "the host's error comes through as it is");
}

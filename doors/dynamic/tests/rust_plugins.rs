//! Plugins in Rust, as libraries: the same as built in, and their panics are errors.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::json;
use tapedeck_sdk::testing::{conformance, samples};
use tapedeck_sdk::{Batch, BatchPool, ErrorKind, Kind, Outputs, Timestamp};

use crate::util::{Collected, example, frames, host, load, open_transform, schema};

#[test]
fn a_transform_in_rust_keeps_the_contract() {
    for gain in [1.0, 2.0] {
        let factory = load(&example("gain"));
        let inputs = [samples::batches(&samples::schema(Kind::Attributes, "game"), &[3, 1, 60])];
        let outcome = conformance::transform(&factory, &json!({ "gain": gain }), &inputs);
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}

#[test]
fn what_passes_through_is_the_same_memory() {
    let mut transform = open_transform(&load(&example("gain")), &json!({ "gain": 1.0 }), &host()).unwrap();
    transform.streams(&[schema()]).unwrap();
    let (mut out, batch) = (Collected::default(), frames(&mut BatchPool::new(schema()), 1.0));
    transform.process(0, batch.clone(), &mut out).unwrap();
    assert_eq!(out.0[0].1.as_bytes().as_ptr(), batch.as_bytes().as_ptr());
    drop((transform, batch));
    assert_eq!(out.0[0].1.column(0).values::<f64>(), [1.0, 2.0, 3.0]);
}

#[test]
fn what_a_closed_plugin_made_stays_valid() {
    let mut transform = open_transform(&load(&example("gain")), &json!({ "gain": 2.0 }), &host()).unwrap();
    transform.streams(&[schema()]).unwrap();
    let (mut out, mut pool) = (Collected::default(), BatchPool::new(schema()));
    for first in [1.0, 4.0] {
        transform.process(0, frames(&mut pool, first), &mut out).unwrap();
    }
    drop(transform);
    let values: Vec<_> =
        out.0.iter().flat_map(|(_, batch)| batch.column(0).values::<f64>().to_vec()).collect();
    assert_eq!(values, [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
}

#[test]
fn a_panic_in_any_call_is_an_error_and_the_next_call_works() {
    let (factory, mut pool) = (load(&example("panics")), BatchPool::new(schema()));
    for call in ["check", "open", "streams", "process", "flush", "finish"] {
        let (options, host) = (json!({ "call": call }), host());
        let mut said = Vec::new();
        said.extend(factory.check(&options).err());
        let mut transform = match open_transform(&factory, &options, &host) {
            Ok(transform) => transform,
            Err(error) => {
                assert!(call == "open" && error.message.starts_with("panicked: in open, at "), "{error}");
                continue;
            }
        };
        let mut out = Collected::default();
        for _ in 0..2 {
            if let Err(error) = transform.streams(&[schema()]) {
                said.push(error);
                continue;
            }
            said.extend(transform.process(0, frames(&mut pool, 0.0), &mut out).err());
            said.extend(transform.flush(Timestamp(0), &mut out).err());
        }
        match transform.finish(&mut out) {
            Ok(report) => assert_eq!(report.as_deref(), Some("all is well")),
            Err(error) => said.push(error),
        }
        let [error] = said.as_slice() else { panic!("{said:?}") };
        assert_eq!(error.kind, ErrorKind::Plugin);
        // The library's own standard library prints nothing: why and where stands in the error.
        let place = format!("panicked: in {call}, at doors/dynamic/examples/panics/main.rs:");
        assert!(error.message.starts_with(&place), "{error}");
        assert!(!out.0.is_empty(), "nothing came out after a panic in {call}");
    }
}

#[test]
fn a_panic_where_no_error_can_be_told_is_a_warning() {
    let host = host();
    let transform = open_transform(&load(&example("panics")), &json!({ "call": "close" }), &host).unwrap();
    drop(transform);
    let [said] = &host.warnings()[..] else { panic!("{:?}", host.warnings()) };
    assert!(said.starts_with("closing the plugin panicked: in close, at "), "{said}");
}

/// A stage below that panics.
struct Broken;

impl Outputs for Broken {
    fn push(&mut self, _output: usize, _batch: Batch) {
        panic!("the stage below");
    }
}

#[test]
fn a_panic_of_the_stage_below_reaches_the_engine_and_not_the_plugin() {
    let (factory, host, mut pool) = (load(&example("gain")), host(), BatchPool::new(schema()));
    let mut transform = open_transform(&factory, &json!({ "gain": 2.0 }), &host).unwrap();
    transform.streams(&[schema()]).unwrap();
    let batch = frames(&mut pool, 1.0);
    let panic =
        catch_unwind(AssertUnwindSafe(|| transform.process(0, batch.clone(), &mut Broken))).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the stage below"));
    let mut out = Collected::default();
    transform.process(0, batch, &mut out).unwrap();
    assert_eq!(out.0.len(), 1);
}

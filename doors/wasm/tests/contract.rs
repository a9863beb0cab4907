//! The conformance suite through the WASM door.

use serde_json::json;
use tapedeck_sdk::Kind;
use tapedeck_sdk::testing::{conformance, samples};

use crate::guest::guest;
use crate::guests::door;

#[test]
fn a_transform_keeps_the_contract_through_the_door() {
    let factory = door().load(&guest("scale")).unwrap();
    let inputs = [samples::batches(&samples::schema(Kind::Attributes, "game"), &[3, 1, 60])];
    conformance::transform(&factory, &json!({ "gain": 2.0 }), &inputs).unwrap();
}

#[test]
fn a_source_keeps_the_contract_through_the_door() {
    let factory = door().load(&guest("ramp")).unwrap();
    conformance::source(&factory, &json!({ "step": 0.5 })).unwrap();
}

#[test]
fn a_sink_keeps_the_contract_through_the_door() {
    let factory = door().load(&guest("lines")).unwrap();
    let inputs = vec![samples::batches(&samples::schema(Kind::Attributes, "game"), &[3, 1, 60])];
    conformance::sink(&factory, &json!({}), &conformance::SinkCase::new(inputs)).unwrap();
}

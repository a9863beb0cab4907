//! The SDK's conformance suite on the sink and its reader, with every way of keeping rows.

use serde_json::json;
use tapedeck_sdk::Kind;
use tapedeck_sdk::testing::{conformance, samples};

fn keeps_the_contract(options: &serde_json::Value, streams: &[&str], sizes: &[usize]) {
    let inputs = streams.iter().map(|name| samples::batches(&samples::schema(Kind::Attributes, name), sizes));
    let case = conformance::SinkCase::new(inputs.collect());
    if let Err(violations) = conformance::sink(&tapedeck_hdf5::factory(), options, &case) {
        panic!("{}", violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }
}

#[test]
fn the_contract_is_kept_with_the_usual_options() {
    keeps_the_contract(&json!({}), &["game"], &[3, 1, 60, 250]);
}

#[test]
fn the_contract_is_kept_with_chunks_smaller_than_batches() {
    keeps_the_contract(&json!({ "chunk_rows": 8 }), &["game"], &[3, 8, 16, 5, 1, 40]);
}

#[test]
fn the_contract_is_kept_with_compression() {
    let options = json!({ "chunk_rows": 16, "compression": "deflate", "level": 1, "shuffle": true });
    keeps_the_contract(&options, &["game"], &[3, 1, 13, 60]);
}

#[test]
fn the_contract_is_kept_without_readers_while_writing() {
    keeps_the_contract(&json!({ "swmr": false }), &["game"], &[3, 1, 60]);
}

#[test]
fn the_contract_is_kept_with_several_streams_in_a_file() {
    keeps_the_contract(&json!({ "chunk_rows": 64 }), &["game", "desk.input"], &[3, 1, 60]);
}

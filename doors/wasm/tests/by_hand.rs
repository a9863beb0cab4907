//! A source that was written by hand: it hands on two batches in one call, which the SDK's sources never do.

use serde_json::json;
use tapedeck_sdk::door::streams_text;
use tapedeck_sdk::prelude::*;
use tapedeck_sdk::testing::{FakeHost, samples};
use tapedeck_sdk::{Next, Opener};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::guests::door;

/// Where the texts and the batch stand in the component's memory.
const TEXTS: [usize; 3] = [1 << 10, 16 << 10, 32 << 10];

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// A core module whose `next` hands a batch on twice, and traps when it is called again. `stop` is the body of that function; its
/// result's discriminant is at 0, and the value at 4.
fn module(descriptor: &str, streams: &str, slab: &[u8], stop: &str) -> String {
    let [said, declared, batch] = TEXTS;
    let (source, length) = ("tapedeck:plugin/source@0.2.0", slab.len());
    let data = [(said, descriptor.as_bytes()), (declared, streams.as_bytes()), (batch, slab)]
        .map(|(at, bytes)| format!("(data (i32.const {at}) \"{}\")", escaped(bytes)))
        .join("\n");
    format!(
        r#"(module
            (import "tapedeck:plugin/host@0.2.0" "push" (func $push (param i32 i32 i32)))
            (memory (export "memory") 16)
            (global $called (mut i32) (i32.const 0))
            (global $free (mut i32) (i32.const 524288))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                global.get $free
                (global.set $free (i32.add (global.get $free) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -16)))))
            (func $said (param i32 i32) (result i32)
                (i32.store (i32.const 0) (i32.const 0))
                (i32.store (i32.const 4) (local.get 0))
                (i32.store (i32.const 8) (local.get 1))
                i32.const 0)
            (func (export "{source}#describe") (result i32)
                (i32.store (i32.const 0) (i32.const {said}))
                (i32.store (i32.const 4) (i32.const {}))
                i32.const 0)
            (func (export "{source}#check") (param i32 i32) (result i32) (call $said (i32.const 0) (i32.const 0)))
            (func (export "{source}#open") (param i32 i32 i32 i32) (result i32)
                (call $said (i32.const {declared}) (i32.const {})))
            (func (export "{source}#next") (param i64) (result i32)
                (if (global.get $called) (then unreachable))
                (global.set $called (i32.const 1))
                (call $push (i32.const 0) (i32.const {batch}) (i32.const {length}))
                (call $push (i32.const 0) (i32.const {batch}) (i32.const {length}))
                (call $said (i32.const 0) (i32.const 0)))
            (func (export "{source}#stop") (result i32) {stop})
            {data})"#,
        descriptor.len(),
        streams.len(),
    )
}

/// The source, opened, with the first of its two batches given.
fn opened(stop: &str) -> (Box<dyn Source>, Arc<FakeHost>) {
    let schema = samples::schema(Kind::Attributes, "twice");
    let batch = samples::batches(&schema, &[1]).remove(0);
    let descriptor = json!({
        "name": "twice", "kind": "source", "version": "1.0.0", "summary": "Gives two batches at once", "takes": [],
        "gives": ["attributes"], "extension": null, "needs_journal": false, "needs_rate": false,
        "options": { "type": "object", "properties": {} },
    });
    let text = module(&descriptor.to_string(), &streams_text(&[schema]), batch.as_bytes(), stop);
    let mut bytes = wat::parse_str(text).unwrap();
    let mut resolve = Resolve::default();
    let (package, _) =
        resolve.push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/wit/plugin.wit")).unwrap();
    let world = resolve.select_world(&[package], Some("source-plugin")).unwrap();
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8).unwrap();
    let component = ComponentEncoder::default().validate(true).module(&bytes).unwrap().encode().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("twice.wasm");
    std::fs::write(&path, component).unwrap();
    let factory = door().load(&path).unwrap();
    let Opener::Source(open) = factory.opener() else { panic!("not a source") };
    let host = FakeHost::new(folder.path());
    let mut source = open(&json!({}), host.context("twice")).unwrap();
    assert!(gives(source.as_mut()));
    (source, host)
}

fn gives(source: &mut dyn Source) -> bool {
    matches!(source.next(Timestamp(i64::MAX)), Ok(Next::Batch { output: 0, .. }))
}

#[test]
fn a_source_that_has_nothing_to_wind_up_gives_what_waits_and_is_not_called_again() {
    let (mut source, host) = opened("(call $said (i32.const 0) (i32.const 0))");
    assert!(source.stop().unwrap(), "a batch waits");
    assert!(gives(source.as_mut()));
    assert!(matches!(source.next(Timestamp(0)), Ok(Next::End)));
    assert_eq!(host.failed_frames(), 0);
}

#[test]
fn a_stop_that_fails_loses_nothing_that_waits() {
    let (mut source, _host) = opened("unreachable");
    assert!(source.stop().unwrap(), "a batch waits");
    assert!(gives(source.as_mut()));
    let error = source.next(Timestamp(0)).unwrap_err();
    assert!(error.message.contains("failed in `stop`"), "{error}");
}

#[test]
fn a_source_that_breaks_while_it_winds_up_is_not_begun_again() {
    let (mut source, host) = opened("(call $said (i32.const 1) (i32.const 0))");
    assert!(source.stop().unwrap());
    assert!(gives(source.as_mut()));
    let error = source.next(Timestamp(0)).unwrap_err();
    assert!(error.message.contains("failed in `next`"), "{error}");
    assert_eq!(host.failed_frames(), 1);
}

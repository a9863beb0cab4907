//! A component that was not written in Rust: C, compiled with the clang of the `ziglang` package against the header in `sdk/include` and
//! made a component as `wasm-tools component embed` and `new` do it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::json;
use tapedeck_sdk::Told;
use tapedeck_sdk::prelude::*;
use tapedeck_sdk::testing::{FakeHost, conformance, samples};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::guests::{Kept, door, transform};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// The core module that the C source becomes.
fn compiled() -> Vec<u8> {
    let default = root().join(".tools/venv/bin/python");
    let python = std::env::var_os("TAPEDECK_PYTHON").map_or(default, PathBuf::from);
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("gain.wasm");
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("zig");
    let output = Command::new(python)
        .args(["-m", "ziglang", "cc", "-target", "wasm32-wasi", "-mexec-model=reactor", "-O2", "-s"])
        .args(["-Wall", "-Wextra", "-Werror", "-I"])
        .arg(root().join("sdk/include"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/gain.c"))
        .arg("-o")
        .arg(&module)
        .env("ZIG_GLOBAL_CACHE_DIR", &cache)
        .env("ZIG_LOCAL_CACHE_DIR", &cache)
        .output()
        .expect("the tests need Python with the packages of tests/interop/requirements.txt: run `make python` once");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(module).unwrap()
}

/// The component, as a file.
fn component() -> &'static Path {
    static COMPONENT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = COMPONENT.get_or_init(|| {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_path(root().join("sdk/wit/plugin.wit")).unwrap();
        let world = resolve.select_world(&[package], Some("transform-plugin")).unwrap();
        let mut module = compiled();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        let component = ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gain.wasm");
        std::fs::write(&path, component).unwrap();
        (folder, path)
    });
    path
}

#[test]
fn a_transform_in_c_keeps_the_contract_through_the_door() {
    let factory = door().load(component()).unwrap();
    assert_eq!(factory.descriptor().name, "c_gain");
    let inputs =
        ["game", "other"].map(|name| samples::batches(&samples::schema(Kind::Attributes, name), &[3, 1, 60]));
    for gain in [1.0, 2.5] {
        conformance::transform(&factory, &json!({ "gain": gain }), &inputs).unwrap();
    }
}

#[test]
fn a_transform_in_c_multiplies_every_f64_and_nothing_else() {
    let factory = door().load(component()).unwrap();
    let host = FakeHost::new(Path::new("."));
    let schema = samples::schema(Kind::Attributes, "game");
    let inputs = std::slice::from_ref(&schema);
    let (mut gain, streams) = transform(&factory, &json!({ "gain": -2.5 }), &host, inputs).unwrap();
    let given = samples::batches(&schema, &[1, 300]);
    let mut kept = Kept::default();
    given.iter().for_each(|batch| gain.process(0, batch.clone(), &mut kept).unwrap());
    assert_eq!(gain.finish(&mut kept).unwrap().as_deref(), Some("never flushed"));
    assert_eq!(kept.0.len(), given.len());
    let mut multiplied = 0;
    for (batch, (output, made)) in given.iter().zip(&kept.0) {
        assert_eq!((*output, made.schema(), made.seq()), (0, &streams[0], batch.seq()));
        for (index, field) in schema.payload().iter().enumerate() {
            if field.data_type == DataType::Float64 {
                let expected: Vec<u64> = batch
                    .column(index)
                    .values::<f64>()
                    .iter()
                    .map(|value| (value * -2.5).to_bits())
                    .collect();
                let found: Vec<u64> =
                    made.column(index).values::<f64>().iter().map(|value| value.to_bits()).collect();
                assert_eq!(found, expected, "{}", field.name);
                multiplied += found.len();
            } else {
                assert!(made.column(index) == batch.column(index), "{}", field.name);
            }
        }
    }
    assert!(multiplied >= 301, "{multiplied}");
}

#[test]
fn a_batch_that_a_transform_in_c_hands_on_is_the_one_it_was_given() {
    let factory = door().load(component()).unwrap();
    let host = FakeHost::new(Path::new("."));
    let schema = samples::schema(Kind::Attributes, "game");
    let (mut gain, _) = transform(&factory, &json!({}), &host, std::slice::from_ref(&schema)).unwrap();
    let mut kept = Kept::default();
    // Enough of them that memory which is not given back would be over the limit of 64 MiB.
    let batch = samples::batches(&schema, &[4096]).remove(0);
    let count = (80 << 20) / batch.byte_len() + 1;
    (0..count).for_each(|_| gain.process(0, batch.clone(), &mut kept).unwrap());
    assert_eq!(kept.0.len(), count);
    assert!(kept.0.iter().all(|(_, made)| made.as_bytes() == batch.as_bytes()));
}

#[test]
fn a_transform_in_c_is_flushed_told_and_reports() {
    let factory = door().load(component()).unwrap();
    let host = FakeHost::new(Path::new("."));
    let schema = samples::schema(Kind::Attributes, "game");
    let options = json!({ "sandbox": { "control": true } });
    let (mut gain, _) = transform(&factory, &options, &host, std::slice::from_ref(&schema)).unwrap();
    let mut kept = Kept::default();
    gain.flush(Timestamp(7), &mut kept).unwrap();
    assert!(host.is_paused());
    assert_eq!((host.marks(), host.partial_frames()), (vec!["flush".to_owned()], 2));
    host.tell(Told { name: "sing".to_owned(), value: json!({ "loud": true }) });
    let report = gain.finish(&mut kept).unwrap();
    assert_eq!(report.as_deref(), Some("flushed, told sing {\"loud\":true}, paused"));
}

#[test]
fn an_error_of_a_transform_in_c_comes_across_whole() {
    let factory = door().load(component()).unwrap();
    let error = factory.check(&json!({ "gain": "much" })).unwrap_err();
    assert_eq!((error.kind, error.option.join("/").as_str()), (ErrorKind::Options, "gain"), "{error:?}");
    assert_eq!(
        (error.message.as_str(), error.hint.as_deref()),
        ("\"gain\" is not a number", Some("Write `gain = 2.0`."))
    );
    let error = factory.check(&json!({ "volume": 1 })).unwrap_err();
    assert_eq!((error.kind, error.option.len()), (ErrorKind::Options, 0), "{error:?}");
    factory.check(&json!({ "gain": 2 })).unwrap();
}

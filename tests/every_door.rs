//! Every built-in plugin through every door: the conformance suite, and the same bytes out. Through the C ABI in this process, by the table
//! that a library would export; as a component where the plugin can be one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tapedeck_sdk::door::Make;
use tapedeck_sdk::native::abi::Plugin;
use tapedeck_sdk::testing::{FakeHost, conformance, open_sink, samples};
use tapedeck_sdk::{Batch, Factory, Kind, Opener, Outputs, PluginKind, Written};
use tapedeck_wasm::WasmDoor;

use crate::util::root;

/// Makes the factory that stands at this place of the list of built-in plugins.
struct BuiltIn<const PLACE: usize>;

impl<const PLACE: usize> Make for BuiltIn<PLACE> {
    fn factory() -> Factory {
        tapedeck_builtins::factories().swap_remove(PLACE)
    }
}

/// The tables that a library of each built-in plugin would export, one for each kind: which it is, its descriptor says.
macro_rules! tables {
    ($($place:literal)*) => {
        [$([
            &Plugin::made_source::<BuiltIn<$place>>(),
            &Plugin::made_transform::<BuiltIn<$place>>(),
            &Plugin::made_sink::<BuiltIn<$place>>(),
        ]),*]
    };
}

static TABLES: [[&Plugin; 3]; 20] = tables!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);

/// Those that can't be components: they need a C library, processes or sockets.
const NO_COMPONENT: [&str; 6] = ["memory", "terminal", "ssh", "hdf5", "parquet", "mcap"];

/// A plugin through the C ABI.
fn through_the_abi(name: &str) -> Factory {
    let factories = tapedeck_builtins::factories();
    let place = factories.iter().position(|factory| factory.descriptor().name == name).unwrap();
    let kind = match factories[place].descriptor().kind {
        PluginKind::Source => 0,
        PluginKind::Transform => 1,
        PluginKind::Sink => 2,
    };
    #[expect(unsafe_code, reason = "the tables are made by the SDK")]
    // SAFETY: the SDK makes tables that keep the contract.
    unsafe { tapedeck_dynamic::linked(TABLES[place][kind]) }.unwrap()
}

/// A plugin as a component, if it can be one.
fn component(name: &str) -> Option<Factory> {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    if NO_COMPONENT.contains(&name) {
        return None;
    }
    let folder = FOLDER.get_or_init(|| {
        // A folder of their own: cargo holds a lock on the one that this test is built in.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("guests");
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "-p", "tapedeck-builtins", "--features", "components", "--examples"])
            .args(["--target", "wasm32-wasip2", "--profile", "plugin", "--target-dir"])
            .arg(&target)
            .current_dir(root())
            .env_remove("RUSTFLAGS")
            .status()
            .unwrap();
        assert!(status.success(), "the components don't build: is the target there? `make wasm` adds it");
        target.join("wasm32-wasip2/plugin/examples")
    });
    #[expect(clippy::disallowed_methods, reason = "there is no engine here")]
    let door = WasmDoor::new(None, |_, run| std::thread::Builder::new().spawn(run).map(drop)).unwrap();
    Some(door.load(&folder.join(format!("builtin_{name}.wasm"))).unwrap())
}

/// The plugin behind each door, with the door's name.
fn doors(name: &str) -> Vec<(&'static str, Factory)> {
    let abi = ("C ABI", through_the_abi(name));
    std::iter::once(abi).chain(component(name).map(|factory| ("component", factory))).collect()
}

fn built_in(name: &str) -> Factory {
    tapedeck_builtins::factories().into_iter().find(|factory| factory.descriptor().name == name).unwrap()
}

fn kept(name: &str, door: &str, outcome: conformance::Outcome) {
    if let Err(violations) = outcome {
        let told: Vec<_> = violations.iter().map(ToString::to_string).collect();
        panic!("{name} through the {door}: {}", told.join("\n"));
    }
}

/// These are all that there are of the kind.
fn all(kind: PluginKind, names: &[&str]) {
    let factories = tapedeck_builtins::factories();
    let descriptors = factories.iter().map(|factory| factory.descriptor());
    let built_in =
        descriptors.filter(|built_in| built_in.kind == kind).map(|built_in| built_in.name.as_str());
    let missing: Vec<_> = built_in.filter(|name| !names.contains(name)).collect();
    assert!(missing.is_empty(), "not tried: {missing:?}");
}

#[test]
fn every_source_keeps_the_contract_through_every_door() {
    let (folder, number) = (tempfile::tempdir().unwrap(), Box::new(42_u64));
    let address = std::ptr::from_ref(number.as_ref()) as usize;
    let ssh = json!({
        "listen": "127.0.0.1:0",
        "host_key": folder.path().join("host_key"),
        "authorized_keys": folder.path().join("authorized_keys"),
    });
    let attributes = json!({ "number": { "type": "u64", "address": address } });
    let cases = [
        ("memory", json!({ "pid": std::process::id(), "attributes": attributes })),
        ("synthetic", json!({ "count": 100 })),
        ("terminal", json!({ "command": ["/bin/cat"] })),
        ("ssh", ssh),
    ];
    all(PluginKind::Source, &cases.each_ref().map(|(name, _)| *name));
    for (name, options) in cases {
        for (door, factory) in doors(name) {
            kept(name, door, conformance::source(&factory, &options));
        }
    }
    assert_eq!(*number, 42);
}

#[derive(Default)]
struct Batches(Vec<Batch>);

impl Outputs for Batches {
    fn push(&mut self, _output: usize, batch: Batch) {
        self.0.push(batch);
    }
}

/// What comes out of a transform, and what it reports.
fn run(factory: &Factory, options: &Value, input: &[Batch]) -> (Vec<Batch>, Option<String>) {
    let Opener::Transform(open) = factory.opener() else { panic!("not a transform") };
    let mut transform = open(options, FakeHost::new(Path::new(".")).context("t")).unwrap();
    transform.streams(&[input[0].schema().clone()]).unwrap();
    let mut out = Batches::default();
    for batch in input {
        transform.process(0, batch.clone(), &mut out).unwrap();
    }
    let report = transform.finish(&mut out).unwrap();
    (out.0, report)
}

fn bytes(batches: &[Batch]) -> Vec<&[u8]> {
    batches.iter().map(Batch::as_bytes).collect()
}

fn input(kind: Kind) -> Vec<Batch> {
    samples::batches(&samples::schema(kind, "in"), &[3, 60, 1])
}

#[test]
fn every_transform_keeps_the_contract_and_gives_the_same_through_every_door() {
    let (coded, _) = run(&built_in("delta"), &json!({}), &input(Kind::Attributes));
    let cases = [
        ("select", json!({ "drop": ["f32"], "cast": { "u8": "f32" } }), input(Kind::Attributes)),
        ("delta", json!({ "keyframe_rows": 7 }), input(Kind::Attributes)),
        ("undelta", json!({}), coded),
        ("decode", json!({ "fields": { "a": { "offset": 2, "type": "i32" } } }), input(Kind::Message)),
        ("redact", json!({ "patterns": { "any": ".{2,9}" } }), input(Kind::Terminal)),
    ];
    all(PluginKind::Transform, &cases.each_ref().map(|(name, ..)| *name));
    for (name, options, input) in cases {
        let (expected, report) = run(&built_in(name), &options, &input);
        assert!(!expected.is_empty(), "{name}");
        for (door, factory) in doors(name) {
            kept(name, door, conformance::transform(&factory, &options, std::slice::from_ref(&input)));
            let (found, said) = run(&factory, &options, &input);
            assert_eq!(said, report, "{name} reports something else through the {door}");
            assert!(bytes(&found) == bytes(&expected), "{name} gives something else through the {door}");
        }
    }
}

/// The files that a sink writes, with their contents.
fn files(factory: &Factory, options: &Value, input: &[Batch]) -> BTreeMap<PathBuf, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let host = FakeHost::new(folder.path());
    let mut sink = open_sink(factory, options, &[input[0].schema().clone()], &host, "rows").unwrap();
    for batch in input {
        assert_eq!(sink.write(0, batch.clone()).unwrap(), Written::ALL);
        assert_eq!(sink.flush().unwrap(), Written::ALL);
    }
    assert_eq!(sink.finish().unwrap(), Written::ALL);
    let name = |path: &PathBuf| path.strip_prefix(folder.path()).unwrap().to_owned();
    host.artifacts().iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

#[test]
fn every_sink_keeps_the_contract_and_writes_the_same_through_every_door() {
    let cases = [
        ("hdf5", Kind::Attributes),
        ("parquet", Kind::Attributes),
        ("arrow", Kind::Event),
        ("mcap", Kind::Message),
        ("csv", Kind::Attributes),
        ("jsonl", Kind::Event),
        ("null", Kind::Image),
        ("asciicast", Kind::Terminal),
        ("text", Kind::Terminal),
    ];
    all(PluginKind::Sink, &cases.map(|(name, _)| name));
    for (name, kind) in cases {
        let (options, input) = (json!({}), input(kind));
        let expected = files(&built_in(name), &options, &input);
        assert!(name == "null" || !expected.is_empty(), "{name}");
        for (door, factory) in doors(name) {
            let case = conformance::SinkCase::new(vec![input.clone()]);
            kept(name, door, conformance::sink(&factory, &options, &case));
            let found = files(&factory, &options, &input);
            assert_eq!(
                found.keys().collect::<Vec<_>>(),
                expected.keys().collect::<Vec<_>>(),
                "{name}, {door}"
            );
            // An HDF5 file tells when its objects were made.
            assert!(name == "hdf5" || found == expected, "{name} writes something else through the {door}");
        }
    }
}

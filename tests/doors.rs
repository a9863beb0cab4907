//! Plugins that are files: the same source gives the same bytes through three doors, what is hostile harms nobody else, and
//! `plugins check`, `new` and the plugin path do what they say.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use tapedeck_engine::clock::SessionClock;
use tapedeck_sdk::testing::{FakeHost, samples};
use tapedeck_sdk::{
    Batch, DataType, Factory, Host, Kind, Next, Opener, Outputs, Role, Source, Timestamp, Told, Watermark,
    Written,
};
use tapedeck_wasm::{StartThread, WasmDoor};

use crate::guest::guest;
use crate::util::{Dir, Done, example, root};

#[path = "../sdk/examples/hold/plugin.rs"]
mod hold;
#[path = "../sdk/examples/lines/plugin.rs"]
mod lines;
#[path = "../sdk/examples/ramp/plugin.rs"]
mod ramp;
#[path = "../sdk/examples/scale/plugin.rs"]
mod scale;
#[path = "../sdk/examples/sieve/plugin.rs"]
mod sieve;
#[path = "../sdk/examples/talk/plugin.rs"]
mod talk;

/// The door for components.
pub(crate) fn wasm_door() -> WasmDoor {
    #[expect(clippy::disallowed_methods, reason = "there is no engine here")]
    let start_thread: StartThread = |_, run| std::thread::Builder::new().spawn(run).map(drop);
    let clock = SessionClock::anchored_now();
    WasmDoor::new(None, start_thread, Arc::new(move || clock.now())).unwrap()
}

/// The plugin, built in and through both doors.
fn three_doors(name: &str, built_in: Factory) -> [Factory; 3] {
    let door = wasm_door();
    let library = example(&format!("lib{name}.so"));
    [built_in, tapedeck_dynamic::load(&library).unwrap(), door.load(&guest(name)).unwrap()]
}

#[derive(Default)]
struct Bytes(Vec<(usize, Vec<u8>)>);

impl Outputs for Bytes {
    fn push(&mut self, output: usize, batch: Batch) {
        self.0.push((output, batch.as_bytes().to_vec()));
    }
}

#[test]
fn a_transform_gives_the_same_bytes_through_three_doors() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = [samples::schema(Kind::Attributes, "game"), samples::schema(Kind::Attributes, "other")];
    let value = |slab: &[u8], column: usize| {
        let batch = Batch::from_bytes(inputs[0].clone(), slab).unwrap();
        batch.column(column).values::<f64>().to_vec()
    };
    let doubles = inputs[0].payload().iter().position(|field| field.data_type == DataType::Float64).unwrap();
    for gain in [1.0, 2.5] {
        let outputs = three_doors("scale", Factory::transform::<scale::Scale>()).map(|factory| {
            let Opener::Transform(open) = factory.opener() else { panic!("not a transform") };
            let mut transform =
                open(&json!({ "gain": gain }), FakeHost::new(folder.path()).context("f")).unwrap();
            let streams = transform.streams(&inputs).unwrap();
            let mut bytes = Bytes::default();
            for (input, schema) in inputs.iter().enumerate() {
                for batch in samples::batches(schema, &[1, 7, 1, 300]) {
                    transform.process(input, batch, &mut bytes).unwrap();
                }
            }
            assert_eq!(transform.finish(&mut bytes).unwrap(), None);
            (streams, bytes.0)
        });
        assert_eq!(outputs[0].1.len(), 8);
        let given = samples::batches(&inputs[0], &[1, 7]);
        let expected: Vec<f64> = given[1].column(doubles).values::<f64>().iter().map(|v| v * gain).collect();
        assert_eq!(value(&outputs[0].1[1].1, doubles), expected);
        assert!(outputs[0] == outputs[1], "built in and dynamic");
        assert!(outputs[0] == outputs[2], "built in and wasm");
    }
}

#[test]
fn a_source_gives_the_same_bytes_through_three_doors() {
    let folder = tempfile::tempdir().unwrap();
    let outputs = three_doors("ramp", Factory::source::<ramp::Ramp>()).map(|factory| {
        let Opener::Source(open) = factory.opener() else { panic!("not a source") };
        let options = json!({ "step": 0.25, "frames": 20 });
        let mut source = open(&options, FakeHost::new(folder.path()).context("made")).unwrap();
        let mut bytes = Vec::new();
        loop {
            match source.next(Timestamp(i64::MAX)).unwrap() {
                Next::Batch { batch, .. } => bytes.push(batch.as_bytes().to_vec()),
                Next::Idle => {}
                Next::End => return (source.streams().to_vec(), bytes),
            }
        }
    });
    assert_eq!(outputs[0].1.len(), 20);
    assert!(outputs[0] == outputs[1] && outputs[0] == outputs[2]);
}

#[test]
fn a_sink_writes_the_same_file_through_three_doors() {
    let schema = samples::schema(Kind::Attributes, "game");
    let files = three_doors("lines", Factory::sink::<lines::Lines>()).map(|factory| {
        let folder = tempfile::tempdir().unwrap();
        let Opener::Sink(open) = factory.opener() else { panic!("not a sink") };
        let context = FakeHost::new(folder.path()).context("rows");
        let mut sink = open(&json!({}), std::slice::from_ref(&schema), context).unwrap();
        for batch in samples::batches(&schema, &[1, 7, 300]) {
            assert_eq!(sink.write(0, batch).unwrap(), Written::ALL);
            assert_eq!(sink.flush().unwrap(), Written::ALL);
        }
        assert_eq!(sink.finish().unwrap(), Written::ALL);
        std::fs::read(folder.path().join("rows.txt")).unwrap()
    });
    assert_eq!(files[0].iter().filter(|&&byte| byte == b'\n').count(), 308);
    assert!(files[0] == files[1] && files[0] == files[2]);
}

/// A source called until it idles, with what came of it.
fn drained(source: &mut dyn Source) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        match source.next(Timestamp(i64::MAX)).unwrap() {
            Next::Batch { batch, .. } => bytes.push(batch.as_bytes().to_vec()),
            Next::Idle | Next::End => return bytes,
        }
    }
}

#[test]
fn a_source_is_told_follows_and_winds_up_through_three_doors() {
    let outputs = three_doors("talk", Factory::source::<talk::Talk>()).map(|factory| {
        assert!(factory.descriptor().runs_in_pause);
        let folder = tempfile::tempdir().unwrap();
        let (host, Opener::Source(open)) = (FakeHost::new(folder.path()), factory.opener()) else { panic!() };
        let mut options = json!({ "follow": true });
        if factory.descriptor().options["properties"].get("sandbox").is_some() {
            options["sandbox"] = json!({ "control": true });
        }
        let mut source = open(&options, host.context("talk")).unwrap();
        let mut given = Vec::new();
        let tell = |name: &str, value: Value| host.tell(Told { name: name.to_owned(), value });
        tell("give", json!(1.5));
        given.extend(drained(source.as_mut()));
        host.reach(0, Watermark { written: 9, flushed: 7, lost: 3 });
        tell("give", json!(null));
        given.extend(drained(source.as_mut()));
        for (name, value) in [("mark", json!("here — ö")), ("pause", json!(0)), ("sing", json!({ "a": [1] }))]
        {
            tell(name, value);
            given.extend(drained(source.as_mut()));
        }
        tell("resume", json!(0));
        given.extend(drained(source.as_mut()));
        assert!(!host.is_paused());
        assert!(source.stop().unwrap());
        given.extend(drained(source.as_mut()));
        assert!(matches!(source.next(Timestamp(i64::MAX)).unwrap(), Next::End));
        let schema = source.streams()[0].clone();
        drop(source);
        let column = |slab: &Vec<u8>| {
            let batch = Batch::from_bytes(schema.clone(), slab).unwrap();
            let value = (!batch.column(0).is_null(0)).then(|| batch.column(0).values::<f64>()[0]);
            (value, batch.column(1).values::<u64>()[0], batch.column(2).values::<u64>()[0])
        };
        let frames: Vec<_> = given.iter().map(column).collect();
        assert_eq!(frames, [(Some(1.5), 0, 0), (None, 7, 3), (Some(-1.0), 7, 3)]);
        assert_eq!(host.marks(), ["here — ö"]);
        assert_eq!(host.warnings(), ["told to sing, paused: true"]);
        assert_eq!((host.partial_frames(), host.failed_frames()), (1, 0));
        given
    });
    assert!(outputs[0] == outputs[1] && outputs[0] == outputs[2]);
}

#[test]
fn a_transform_is_flushed_and_reports_through_three_doors() {
    let schema = samples::schema(Kind::Attributes, "game");
    let outputs = three_doors("hold", Factory::transform::<hold::Hold>()).map(|factory| {
        let folder = tempfile::tempdir().unwrap();
        let Opener::Transform(open) = factory.opener() else { panic!("not a transform") };
        let mut transform = open(&json!({}), FakeHost::new(folder.path()).context("f")).unwrap();
        transform.streams(std::slice::from_ref(&schema)).unwrap();
        let mut bytes = Bytes::default();
        let mut batches = samples::batches(&schema, &[1, 7, 3]).into_iter();
        for batch in batches.by_ref().take(2) {
            transform.process(0, batch, &mut bytes).unwrap();
        }
        assert_eq!(bytes.0.len(), 0);
        transform.flush(Timestamp(42), &mut bytes).unwrap();
        assert_eq!(bytes.0.len(), 2);
        batches.for_each(|batch| transform.process(0, batch, &mut bytes).unwrap());
        let report = transform.finish(&mut bytes).unwrap();
        assert_eq!(report.as_deref(), Some("3 batches held back, flushed at 42"));
        assert_eq!(bytes.0.len(), 3);
        bytes.0
    });
    assert!(outputs[0] == outputs[1] && outputs[0] == outputs[2]);
}

#[test]
fn a_sink_refuses_frames_and_says_what_its_files_are_through_three_doors() {
    let schemas = ["game", "other"].map(|name| samples::schema(Kind::Attributes, name));
    let outputs = three_doors("sieve", Factory::sink::<sieve::Sieve>()).map(|factory| {
        let folder = tempfile::tempdir().unwrap();
        let (host, Opener::Sink(open)) = (FakeHost::new(folder.path()), factory.opener()) else { panic!() };
        let mut sink = open(&json!({}), &schemas, host.context("rows")).unwrap();
        assert_eq!(host.roles(), [Role::Recording, Role::RecordingOf(1), Role::Beside]);
        let mut said = Vec::new();
        for (input, schema) in schemas.iter().enumerate() {
            let batch = samples::batches(schema, &[12]).remove(0);
            said.push(sink.write(input, batch).unwrap());
        }
        said.push(sink.flush().unwrap());
        said.push(sink.finish().unwrap());
        assert_eq!(host.failed_frames(), 0);
        said
    });
    let counts = |written: &Written| {
        written.refused().iter().map(|refused| (refused.input, refused.frames)).collect::<Vec<_>>()
    };
    let counted: Vec<_> = outputs[0].iter().map(counts).collect();
    assert_eq!(counted, [vec![(0, 6)], vec![(1, 6)], vec![(0, 2), (1, 2)], vec![(0, 2), (1, 2)]]);
    assert!(outputs[0][2].refused()[0].reason.hint.is_some());
    assert!(outputs[0] == outputs[1] && outputs[0] == outputs[2], "{outputs:?}");
}

/// Records made-up frames past a hostile transform; returns the report.
fn past_a_hostile_transform(fault: &str, at: u64, sandbox: &str, expected: i32) -> Value {
    let pipeline = format!(
        "[sources.made]\nplugin = \"ramp.wasm\"\nframes = 1500\nrate = 2000\n\
         [transforms.bad]\nplugin = \"./hostile.wasm\"\ninputs = [\"made\"]\nfault = \"{fault}\"\nat = {at}\n\
         [transforms.bad.sandbox]\n{sandbox}\n\
         [sinks.through]\nplugin = \"arrow\"\ninputs = [\"bad\"]\n\
         [sinks.beside]\nplugin = \"arrow\"\ninputs = [\"made\"]\n"
    );
    let dir = Dir::new();
    for name in ["hostile", "ramp"] {
        std::fs::copy(guest(name), dir.path(&format!("{name}.wasm"))).unwrap();
    }
    let report = dir.record(&pipeline, "20s", expected);
    let inspection: Value =
        serde_json::from_str(&dir.tapedeck(&["inspect", "out/s", "--json"]).run().stdout).unwrap();
    let beside = inspection["files"].as_array().unwrap().iter();
    let beside = beside.clone().find(|file| file["path"].as_str().unwrap().contains("beside")).unwrap();
    assert_eq!(beside["streams"][0]["frames"], 1500, "{fault}: {beside}");
    assert_eq!(report["streams"][0]["frames"], 1500, "{fault}: {report}");
    report
}

fn sink<'r>(report: &'r Value, id: &str) -> &'r Value {
    report["sinks"].as_array().unwrap().iter().find(|sink| sink["id"] == id).unwrap()
}

#[test]
fn what_is_hostile_costs_its_own_frames_and_nobody_elses() {
    let cases = [
        ("loop", 1000, "call_timeout = \"300ms\"", 3, 1),
        ("memory", 1000, "memory = \"8MiB\"", 3, 1),
        ("trap", 1000, "", 3, 1),
        ("schema", 1000, "", 3, 1),
        ("large", 1000, "memory = \"4GiB\"\ncall_timeout = \"20s\"", 3, 1),
        ("error", 1000, "", 3, 1),
        // From here on the stage is given up: it fails on every batch, or its rows can't be believed.
        ("trap", 1, "", 1, 1500),
        ("order", 1000, "", 1, 500),
        ("seq", 1000, "", 1, 501),
    ];
    for (fault, at, sandbox, code, failed) in cases {
        let report = past_a_hostile_transform(fault, at, sandbox, code);
        let through = sink(&report, "through");
        let (written, lost) =
            (through["frames"].as_u64().unwrap(), through["loss"]["failed"].as_u64().unwrap());
        assert_eq!(lost, failed, "{fault}: {through}");
        // One batch of the hostile pair is in the file although the call that gave it broke the contract: it is not lost.
        assert_eq!(written + lost, 1500, "{fault}: {through}");
        assert_eq!(sink(&report, "beside")["loss"]["failed"], 0, "{fault}");
    }
}

#[test]
fn a_panic_in_a_library_is_told_in_the_report_and_printed_nowhere() {
    let dir = Dir::new();
    std::fs::copy(example("libhostile.so"), dir.path("libhostile.so")).unwrap();
    let pipeline = "[sources.made]\nplugin = \"synthetic\"\ncount = 100\nrate = 1000\n\
         [transforms.bad]\nplugin = \"./libhostile.so\"\ninputs = [\"made\"]\nfault = \"trap\"\nat = 40\n\
         [sinks.through]\nplugin = \"arrow\"\ninputs = [\"bad\"]\n\
         [sinks.beside]\nplugin = \"arrow\"\ninputs = [\"made\"]\n";
    dir.write("p.toml", pipeline);
    let done = dir.tapedeck(&["run", "p.toml", "--directory", "out", "--session", "s"]).run();
    says(
        &done,
        1,
        &["\"bad\" ended before its time: panicked: as I was told, at sdk/examples/hostile/main.rs:"],
    );
    assert!(!done.stderr.contains("thread '"), "{done:?}");
    let rows = dir.tapedeck(&["inspect", "out/s", "--json"]).run().stdout;
    let inspection: Value = serde_json::from_str(&rows).unwrap();
    let frames = |sink: &str| {
        let files = inspection["files"].as_array().unwrap().iter();
        let mut files = files.filter(|file| file["path"].as_str().unwrap().contains(sink));
        files.next().unwrap()["streams"][0]["frames"].as_u64().unwrap()
    };
    assert_eq!((frames("through"), frames("beside")), (39, 100));
}

/// Compiles C source to a library.
fn library(dir: &Dir, name: &str, source: &str) -> String {
    dir.write(&format!("{name}.c"), source);
    let file = format!("lib{name}.so");
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-I"])
        .arg(root().join("sdk/include"))
        .args(["-o".as_ref(), dir.path(&file).as_os_str(), dir.path(&format!("{name}.c")).as_os_str()])
        .status()
        .unwrap();
    assert!(status.success());
    format!("./{file}")
}

fn says(done: &Done, code: i32, words: &[&str]) {
    assert_eq!(done.code, code, "{done:?}");
    for word in words {
        assert!(done.stderr.contains(word), "expected {word:?} in {done:?}");
    }
}

#[test]
fn a_library_that_crashes_is_a_message_and_not_a_crash() {
    let dir = Dir::new();
    let crash = library(
        &dir,
        "crash",
        "#include <stdlib.h>\n__attribute__((constructor)) static void f(void) { abort(); }\n",
    );
    says(&dir.tapedeck(&["plugins", "check", &crash]).run(), 1, &["SIGABRT", "libcrash.so"]);
    says(&dir.tapedeck(&["plugins", "inspect", &crash]).run(), 2, &["SIGABRT"]);
    let pipeline = format!(
        "[sources.a]\nplugin = \"synthetic\"\nrate = 60\n[transforms.t]\nplugin = \"{crash}\"\ninputs = [\"a\"]\n\
         [sinks.x]\nplugin = \"null\"\ninputs = [\"t\"]\n"
    );
    dir.write("p.toml", &pipeline);
    says(&dir.tapedeck(&["run", "p.toml"]).run(), 2, &["E026", "p.toml:5:10", "SIGABRT"]);
    assert!(!dir.path("recordings").exists());

    // The example's `open` aborts when it is told to: in `plugins check` that is the other process's end.
    let abort = example("libhostile.so");
    let check = ["plugins", "check", abort.to_str().unwrap(), "--option", "fault=\"abort\""];
    says(&dir.tapedeck(&check).run(), 1, &["SIGABRT"]);
}

#[test]
fn a_library_that_calls_exit_does_not_make_the_recording_look_complete() {
    let dir = Dir::new();
    let hostile = example("libhostile.so");
    let pipeline = format!(
        "[sources.a]\nplugin = \"synthetic\"\nrate = 200\n[transforms.t]\nplugin = \"{}\"\ninputs = [\"a\"]\n\
         fault = \"exit\"\nat = 20\n[sinks.x]\nplugin = \"csv\"\ninputs = [\"t\"]\n",
        hostile.display()
    );
    dir.write("p.toml", &pipeline);
    let run = ["run", "p.toml", "--directory", "out", "--session", "s", "--quiet", "--duration", "20s"];
    says(&dir.tapedeck(&run).run(), 70, &["calling `exit`", "hint: tapedeck recover out/s"]);
    let manifest = std::fs::read_to_string(dir.path("out/s/session.json")).unwrap();
    assert!(manifest.contains("\"status\": \"recording\""), "{manifest}");
    assert_eq!(dir.tapedeck(&["recover", "out/s"]).run().code, 3);
}

#[test]
fn what_is_no_plugin_is_told_apart() {
    let dir = Dir::new();
    dir.write("no.wasm", "rubbish");
    dir.write("no.so", "rubbish");
    dir.write("no.txt", "rubbish");
    let empty = library(&dir, "empty", "int nothing;\n");
    says(&dir.tapedeck(&["plugins", "check", "no.wasm"]).run(), 1, &["no WASM at all", "hint"]);
    says(&dir.tapedeck(&["plugins", "check", "no.so"]).run(), 1, &["no.so", "hint"]);
    says(&dir.tapedeck(&["plugins", "check", &empty]).run(), 1, &["tapedeck_plugin", "hint"]);
    says(&dir.tapedeck(&["plugins", "check", "gone.wasm"]).run(), 1, &["gone.wasm", "hint"]);
    says(&dir.tapedeck(&["plugins", "inspect", "./no.txt"]).run(), 2, &["no.txt", "hint"]);
}

#[test]
fn plugins_on_the_plugin_path_are_found_by_name() {
    let dir = Dir::new();
    std::fs::create_dir(dir.path("mine")).unwrap();
    std::fs::copy(guest("scale"), dir.path("mine/one.wasm")).unwrap();
    std::fs::copy(example("libramp.so"), dir.path("mine/two.so")).unwrap();
    dir.write("mine/three.so", "rubbish");
    let done = dir.tapedeck(&["plugins", "--plugin-path", "mine"]).run();
    assert_eq!(done.code, 0);
    for words in ["wasm: mine/one.wasm", "dynamic: mine/two.so"] {
        assert!(done.stdout.contains(words), "{done:?}");
    }
    assert!(done.stderr.contains("mine/three.so is not used"), "{done:?}");
    let pipeline = "[sources.a]\nplugin = \"ramp\"\nrate = 100\nframes = 10\n[transforms.t]\nplugin = \"scale\"\ninputs = [\"a\"]\ngain = 2\n\
                    [sinks.x]\nplugin = \"csv\"\ninputs = [\"t\"]\n";
    dir.write("p.toml", pipeline);
    let run = ["run", "p.toml", "--plugin-path", "mine", "--directory", "out", "--session", "s", "--quiet"];
    let done = dir.tapedeck(&run).run();
    assert!(matches!(done.code, 0 | 3), "{done:?}");
    let rows = std::fs::read_to_string(dir.path("out/s/x.csv")).unwrap();
    assert!(rows.lines().last().unwrap().ends_with(",18.0"), "{rows}");
    says(&dir.tapedeck(&["check", "p.toml"]).run(), 2, &["there is no source \"ramp\""]);
}

#[test]
fn a_new_plugin_builds_and_passes_the_check_as_it_is() {
    let dir = Dir::new();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-plugins");
    let cases = [
        ("my-filter", "transform", "wasm", "wasm32-wasip2/release/my_filter.wasm"),
        ("my-source", "source", "wasm", "wasm32-wasip2/release/my_source.wasm"),
        ("my_sink", "sink", "dynamic", "release/libmy_sink.so"),
    ];
    for (name, kind, door, file) in cases {
        let done = dir.tapedeck(&["plugins", "new", name, "--kind", kind, "--door", door]).run();
        assert_eq!(done.code, 0, "{done:?}");
        assert!(done.stdout.contains(file) && done.stdout.contains("cargo build --release"), "{done:?}");
        let mut build = Command::new(env!("CARGO"));
        build
            .args(["build", "--release", "--quiet", "--target-dir"])
            .arg(&target)
            .current_dir(dir.path(name));
        // The versions that this checkout has: nothing is downloaded.
        std::fs::copy(root().join("Cargo.lock"), dir.path(&format!("{name}/Cargo.lock"))).unwrap();
        if door == "wasm" {
            build.args(["--target", "wasm32-wasip2"]);
        }
        assert!(build.status().unwrap().success(), "{name} builds");
        let done = dir.tapedeck(&["plugins", "check", target.join(file).to_str().unwrap()]).run();
        assert_eq!(done.code, 0, "{done:?}");
        assert!(done.stdout.contains(name) && done.stdout.contains("checks passed"), "{done:?}");
    }
    let done = dir.tapedeck(&["plugins", "new", "my_filter", "--door", "dynamic", "--language", "c"]).run();
    assert_eq!(done.code, 0, "{done:?}");
    let made = Command::new("make").arg("--quiet").current_dir(dir.path("my_filter")).output().unwrap();
    assert!(made.status.success() && made.stderr.is_empty(), "{}", String::from_utf8_lossy(&made.stderr));
    let check = ["plugins", "check", "my_filter/libmy_filter.so", "--option", "gain=2.0"];
    let done = dir.tapedeck(&check).run();
    assert_eq!(done.code, 0, "{done:?}");
    says(&dir.tapedeck(&["plugins", "new", "my_filter"]).run(), 2, &["already there", "hint"]);
    assert_eq!(dir.tapedeck(&["plugins", "new", "../evil"]).run().code, 2);
}

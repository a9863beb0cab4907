//! MCAP files before other programs' readers and checks, and theirs before ours.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use tapedeck_mcap::{McapFormat, factory};
use tapedeck_sdk::testing::{FakeHost, conformance, open_sink, samples};
use tapedeck_sdk::{Batch, Format, Kind, Repair, Sink, StreamSchema, Timestamp};

use crate::util::{Dir, python};

/// Every kind of stream, with frames of each.
fn every_kind() -> Vec<Vec<Batch>> {
    let schema = |kind: &Kind| samples::schema(*kind, kind.name());
    Kind::ALL.iter().map(|kind| samples::batches(&schema(kind), &[3, 1, 60])).collect()
}

fn opened(folder: &Path, options: &Value, inputs: &[Vec<Batch>]) -> Box<dyn Sink> {
    let schemas: Vec<_> = inputs.iter().map(|input| input[0].schema().clone()).collect();
    open_sink(&factory(), options, &schemas, &FakeHost::new(folder), "bag").unwrap()
}

fn write(sink: &mut dyn Sink, inputs: &[Vec<Batch>], turn: usize) {
    for (input, batches) in inputs.iter().enumerate() {
        sink.write(input, batches[turn].clone()).unwrap();
    }
}

fn ask(what: &str, path: &Path) -> Value {
    python("mcap_file.py", &[Path::new(what), path])
}

/// `pymcap-cli doctor` finds no error in any of the files.
fn pass_the_doctor(files: &[PathBuf]) {
    let arguments: Vec<&Path> =
        [Path::new("doctor")].into_iter().chain(files.iter().map(PathBuf::as_path)).collect();
    let said = python("mcap_file.py", &arguments);
    assert_eq!(said.as_object().unwrap().len(), files.len());
    for (path, said) in said.as_object().unwrap() {
        assert_eq!(said["code"], 0, "{path}: {}", said["said"].as_str().unwrap());
    }
}

/// The rows of each stream, read by us.
fn rows(path: &Path) -> Vec<(Arc<StreamSchema>, Vec<Batch>)> {
    let mut recording = McapFormat.open(path).unwrap();
    let mut found: Vec<_> = recording.streams().iter().map(|schema| (schema.clone(), vec![])).collect();
    while let Some((stream, batch)) = recording.next().unwrap() {
        found[stream].1.push(batch);
    }
    found
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What others find is what was given: the messages as they are, each kind with its fields.
fn others_read_the_same(path: &Path, inputs: &[Vec<Batch>]) {
    let found = ask("read", path);
    let messages = found["messages"].as_array().unwrap();
    let frames: usize = inputs.iter().flatten().map(Batch::rows).sum();
    assert_eq!(
        (messages.len(), &found["linear"], &found["statistics"]),
        (frames, &json!(frames), &json!(frames))
    );
    assert_eq!(found["attachments"]["pipeline.toml"], "# a test\n");
    let batches = inputs.last().unwrap();
    assert_eq!(batches[0].schema().kind(), Kind::Message);
    let mut raw = messages.iter().filter(|message| message.get("fields").is_none());
    for batch in batches {
        for row in 0..batch.rows() {
            let message = raw.next().expect("every message is there");
            assert_eq!(message["data"], hex(batch.column(2).bytes_at(row)));
            assert_eq!(message["encoding"], batch.column(1).str_at(row));
            assert_eq!(
                (&message["sequence"], &message["log_time"]),
                (&json!(batch.seq()[row]), &json!(batch.timestamps()[row]))
            );
        }
    }
    let of = |schema: &str| messages.iter().find(|message| message["schema"] == schema).unwrap();
    assert_eq!(
        of("foxglove.RawImage")["fields"],
        json!(["data", "encoding", "height", "step", "timestamp", "width"])
    );
    assert_eq!(of("tapedeck.event")["fields"][0], "data");
    assert_eq!(of("tapedeck.terminal")["fields"].as_array().unwrap().len(), 3);
}

#[test]
fn what_we_write_passes_the_doctor_and_is_read_the_same_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = every_kind();
    let mut files = Vec::new();
    for (name, options) in [
        ("plain", json!({})),
        ("ros2", json!({ "compression": "lz4", "chunk_bytes": "1KiB", "profile": "ros2" })),
        ("json", json!({ "compression": "none", "attributes": "json" })),
        ("dimos", json!({ "profile": "dimos", "chunk_time": "100ms" })),
    ] {
        let mut sink = opened(folder.path(), &options, &inputs);
        (0..3).for_each(|turn| write(sink.as_mut(), &inputs, turn));
        sink.finish().unwrap();
        files.push(folder.path().join(format!("{name}.mcap")));
        std::fs::rename(folder.path().join("bag.mcap"), &files[files.len() - 1]).unwrap();
        others_read_the_same(&files[files.len() - 1], &inputs);
    }
    // Nothing at all was recorded.
    opened(folder.path(), &json!({}), &inputs).finish().unwrap();
    files.push(folder.path().join("bag.mcap"));
    pass_the_doctor(&files);
}

#[test]
fn what_a_kill_leaves_passes_the_doctor_once_it_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = every_kind();
    let mut sink = opened(folder.path(), &json!({ "chunk_bytes": "2KiB" }), &inputs);
    let mut files = Vec::new();
    for turn in 0..3 {
        write(sink.as_mut(), &inputs, turn);
        sink.flush().unwrap();
        let bytes = std::fs::read(folder.path().join("bag.mcap")).unwrap();
        for cut in [0, 1, 50, bytes.len() / 3] {
            let path = folder.path().join(format!("killed-{turn}-{cut}.mcap"));
            std::fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
            assert!(matches!(McapFormat.repair(&path).unwrap(), Repair::Mended(_)));
            let frames: usize = rows(&path).iter().flat_map(|(_, batches)| batches).map(Batch::rows).sum();
            assert!(cut != 50 || ask("read", &path)["linear"] == frames);
            let given: usize = inputs.iter().flat_map(|input| &input[..=turn]).map(Batch::rows).sum();
            assert!(cut > 0 || frames == given, "{frames} of {given}");
            files.push(path);
        }
    }
    pass_the_doctor(&files);
}

/// What others wrote, message by message in the order of time.
fn expected(path: &Path) -> Vec<Value> {
    let mut messages = ask("read", path)["messages"].as_array().unwrap().clone();
    messages.sort_by_key(|message| message["log_time"].as_u64());
    messages
}

#[test]
fn files_of_others_are_read_whatever_indexes_they_have() {
    let folder = tempfile::tempdir().unwrap();
    let names = ask("write", folder.path());
    assert_eq!(names.as_array().unwrap().len(), 16);
    let expected = expected(&folder.path().join("zstd.mcap"));
    for name in names.as_array().unwrap() {
        let path = folder.path().join(name.as_str().unwrap());
        let found = rows(&path);
        let streams: Vec<_> = found.iter().map(|(schema, _)| (schema.name(), schema.kind())).collect();
        let message = |name| (name, Kind::Message);
        assert_eq!(streams, [message("odom"), message("camera.image"), message("plain")], "{name}");
        assert_eq!(found[0].0.metadata()["mcap.schema.name"], "nav_msgs/msg/Odometry");
        assert_eq!(found[0].0.metadata()["mcap.schema.text"], "float64 x\nfloat64 y\n");
        assert_eq!(found[0].0.metadata()["mcap.channel.offered_qos_profiles"], "- history: 3");
        assert_eq!(found[1].0.metadata()["mcap.schema.base64"], "AP8=");
        for (topic, (_, batches)) in ["/odom", "/camera/image", "plain"].into_iter().zip(&found) {
            let mut expected = expected.iter().filter(|message| message["topic"] == topic);
            let mut number = 0;
            for batch in batches {
                for row in 0..batch.rows() {
                    let message = expected.next().unwrap_or_else(|| panic!("too many in {name}"));
                    assert_eq!(message["data"], hex(batch.column(2).bytes_at(row)), "{name}");
                    assert_eq!(message["log_time"], batch.timestamps()[row]);
                    assert_eq!((batch.seq()[row], batch.column(0).str_at(row)), (number, topic));
                    let stamped =
                        message["publish_time"] != message["log_time"] && message["publish_time"] != 0;
                    assert_eq!(batch.column(3).is_null(row), !stamped, "{name}: {message}");
                    number += 1;
                }
            }
            assert!(expected.next().is_none(), "{name}: {topic} ends after {number}");
        }
        conformance::recording(&McapFormat, &path).unwrap_or_else(|wrong| panic!("{wrong}"));
    }
}

#[test]
fn a_file_of_others_that_is_cut_keeps_its_whole_chunks_and_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    ask("write", folder.path());
    let mut files = Vec::new();
    for name in ["zstd", "lz4-overlapping", "unchunked", "bare"] {
        let bytes = std::fs::read(folder.path().join(format!("{name}.mcap"))).unwrap();
        for part in [3, 5, 8] {
            let path = folder.path().join(format!("{name}-{part}.mcap"));
            std::fs::write(&path, &bytes[..bytes.len() * part / 10]).unwrap();
            let count =
                || -> usize { rows(&path).iter().flat_map(|(_, batches)| batches).map(Batch::rows).sum() };
            let before = count();
            assert!(matches!(McapFormat.repair(&path).unwrap(), Repair::Mended(_)));
            assert_eq!(count(), before);
            assert!(before > 0, "{name}");
            conformance::recording(&McapFormat, &path).unwrap();
            files.push(path);
        }
    }
    pass_the_doctor(&files);
}

/// Where the sources of the format's library are, with recordings in them.
fn recordings_of_the_library() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let arguments = ["metadata", "--format-version", "1", "--offline", "--filter-platform", &platform];
    let output = Command::new(cargo).args(arguments).current_dir(crate::util::root()).output().unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let library = packages.iter().find(|package| package["name"] == "mcap").unwrap();
    Path::new(library["manifest_path"].as_str().unwrap()).with_file_name("tests").join("data")
}

#[test]
fn a_drive_that_ros_recorded_is_inspected_converted_and_looked_at() {
    let dir = Dir::new();
    let drive = recordings_of_the_library().join("compressed.mcap");
    let drive = drive.to_str().unwrap();
    let inspected = dir.tapedeck(&["inspect", drive, "--json"]).run();
    assert_eq!(inspected.code, 0, "{inspected:?}");
    let inspected: Value = serde_json::from_str(&inspected.stdout).unwrap();
    let frames = |inspected: &Value| -> u64 {
        inspected["streams"].as_array().unwrap().iter().map(|stream| stream["frames"].as_u64().unwrap()).sum()
    };
    assert_eq!(frames(&inspected), 826, "{inspected}");
    let converted = dir.tapedeck(&["convert", drive, "again.mcap"]).run();
    assert_eq!(converted.code, 0, "{converted:?}");
    pass_the_doctor(&[dir.path("again.mcap")]);
    let mut theirs = expected(Path::new(drive));
    let mut ours = expected(&dir.path("again.mcap"));
    for message in theirs.iter_mut().chain(&mut ours) {
        // Frames are numbered anew.
        message["sequence"] = Value::Null;
        // Where a message was not stamped apart it has the time of its recording.
        if message["publish_time"] == 0 {
            message["publish_time"] = message["log_time"].clone();
        }
    }
    let key = |message: &Value| {
        (message["log_time"].as_u64(), message["topic"].to_string(), message["data"].to_string())
    };
    theirs.sort_by_key(key);
    ours.sort_by_key(key);
    assert!(theirs == ours, "every message keeps topic, schema, time and bytes");
    let stream = inspected["streams"][0]["schema"]["name"].as_str().unwrap();
    let at = dir.tapedeck(&["at", drive, "100ms", "--stream", stream]).run();
    assert_eq!(at.code, 0, "{at:?}");
    let torn = recordings_of_the_library().join("chunk_not_closed.mcap");
    assert!(McapFormat.open(&torn).is_ok());
}

#[test]
fn a_rosbag2_folder_is_one_recording() {
    let dir = Dir::new();
    let folder = tempfile::tempdir().unwrap();
    ask("write", folder.path());
    std::fs::create_dir(dir.path("bag")).unwrap();
    dir.write("bag/metadata.yaml", "rosbag2_bagfile_information:\n  version: 9\n");
    for (number, name) in ["zstd.mcap", "unchunked.mcap"].iter().enumerate() {
        std::fs::copy(folder.path().join(name), dir.path(&format!("bag/bag_{number}.mcap"))).unwrap();
    }
    let inspected = dir.tapedeck(&["inspect", "bag", "--json"]).run();
    assert_eq!(inspected.code, 0, "{inspected:?}");
    let inspected: Value = serde_json::from_str(&inspected.stdout).unwrap();
    let frames: Vec<_> =
        inspected["streams"].as_array().unwrap().iter().map(|stream| stream["frames"].clone()).collect();
    assert_eq!(frames, [300, 200, 20], "{inspected}");
    assert_eq!(dir.tapedeck(&["convert", "bag", "one.mcap"]).run().code, 0);
    pass_the_doctor(&[dir.path("one.mcap")]);
    let mut recording = McapFormat.open(&dir.path("bag")).unwrap();
    recording.seek(Timestamp(1_700_000_000_050_000_000)).unwrap();
    let (stream, batch) = recording.next().unwrap().unwrap();
    assert_eq!((stream, batch.seq()[0]), (0, 100), "half of each file is before");
    std::fs::write(dir.path("bag/bag_2.db3"), "SQLite format 3").unwrap();
    let refused = dir.tapedeck(&["convert", "bag", "two.mcap"]).run();
    assert!(refused.code != 0 && refused.stderr.contains("bag_2.db3"), "{refused:?}");
}

//! Tests of the sink and its reader: what was written is what is read, whatever lies beside it.

use std::path::Path;
use std::time::Duration;

use tapedeck_sdk::kinds::message;
use tapedeck_sdk::testing::conformance::{self, Fidelity, SinkCase};
use tapedeck_sdk::testing::{FakeHost, open_sink, read_all, samples};

use super::*;

/// The pickle of `(time, {"x": number})`, by protocol 4.
fn frame(time: f64, number: u8) -> Vec<u8> {
    let head = [&b"\x80\x04G"[..], &time.to_be_bytes(), b"}\x94\x8c\x01x\x94K"].concat();
    [&head[..], &[number], b"s\x86\x94."].concat()
}

fn folder_of(frames: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, bytes) in frames {
        std::fs::write(root.path().join(name), bytes).unwrap();
    }
    root
}

/// The rows of the only stream, and what was wrong at the end.
fn rows(path: &Path) -> (Arc<StreamSchema>, Vec<(u64, i64)>, Option<String>) {
    let mut recording = PicklesFormat.open(path).unwrap();
    let schema = recording.streams()[0].clone();
    let mut rows = Vec::new();
    loop {
        match recording.next() {
            Ok(Some((_, batch))) => {
                rows.extend(batch.seq().iter().copied().zip(batch.timestamps().iter().copied()));
            }
            Ok(None) => return (schema, rows, None),
            Err(error) => return (schema, rows, Some(error.message)),
        }
    }
}

/// Python has fewer types, and times are floats of seconds.
fn as_floats(case: SinkCase) -> SinkCase {
    case.fidelity(Fidelity::Text).time_error_max(Duration::from_nanos(120))
}

#[test]
fn the_contract_is_kept_for_one_stream_and_for_several() {
    let inputs = |kinds: &[Kind]| {
        let schemas = kinds.iter().map(|kind| samples::schema(*kind, kind.name()));
        schemas.map(|schema| samples::batches(&schema, &[3, 1, 60, 7])).collect()
    };
    let one = as_floats(SinkCase::new(inputs(&[Kind::Attributes])));
    conformance::sink(&factory(), &serde_json::json!({}), &one).unwrap();
    let two = as_floats(SinkCase::new(inputs(&[Kind::Message, Kind::Image])));
    conformance::sink(&factory(), &serde_json::json!({ "protocol": 5 }), &two).unwrap();
}

#[test]
fn dicts_of_the_same_values_are_columns_and_anything_else_is_a_message() {
    let same =
        folder_of(&[("000.pickle", frame(1.5, 1)), ("001.pickle", frame(2.5, 2)), ("notes.txt", vec![])]);
    let (schema, found, damage) = rows(same.path());
    assert_eq!((schema.kind(), schema.payload()[0].data_type), (Kind::Attributes, DataType::Int64));
    assert_eq!((found, damage), (vec![(0, 1_500_000_000), (1, 2_500_000_000)], None));
    let other = b"\x80\x04G\x40\x04\0\0\0\0\0\0]\x86\x94.".to_vec();
    let mixed = folder_of(&[("000.pickle", frame(1.5, 1)), ("001.pickle", other)]);
    let (schema, found, _) = rows(mixed.path());
    assert_eq!((schema.kind(), found.len()), (Kind::Message, 2));
    let (_, batches) = read_all(&PicklesFormat, mixed.path()).unwrap();
    let view = message::Columns::of(&schema).unwrap().view(&batches[0]);
    assert_eq!((view.encoding(0), view.data(1)), ("pickle", &b"\x80\x04]."[..]));
}

#[test]
fn torn_frames_are_left_out_and_told_of_at_the_end() {
    let whole = frame(3.5, 3);
    let torn = whole[..whole.len() - 3].to_vec();
    let root = folder_of(&[
        ("000.pickle", frame(1.5, 1)),
        ("001.pickle", torn),
        ("002.pickle", vec![]),
        ("003.pickle", frame(4.5, 4)),
    ]);
    let (_, found, damage) = rows(root.path());
    assert_eq!(found.iter().map(|row| row.0).collect::<Vec<_>>(), [0, 3]);
    let damage = damage.unwrap();
    assert!(damage.starts_with("2 of 4 frames can't be read: 001.pickle: "), "{damage}");
    let mut recording = PicklesFormat.open(root.path()).unwrap();
    let (batch, row) = recording.closest(0, Timestamp(3_200_000_000)).unwrap().unwrap();
    assert_eq!(batch.seq()[row], 3);
    recording.seek(Timestamp(1_500_000_001)).unwrap();
    assert_eq!(recording.next().unwrap().unwrap().1.seq(), [3]);
}

#[test]
fn a_frame_that_breaks_after_the_folder_was_opened_is_left_out() {
    let frames: Vec<_> = (0..200_u8).map(|n| (format!("{n:03}.pickle"), frame(f64::from(n), n))).collect();
    let named: Vec<_> = frames.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let root = folder_of(&named);
    let mut recording = PicklesFormat.open(root.path()).unwrap();
    std::fs::write(root.path().join("070.pickle"), "rubbish").unwrap();
    let (batch, row) = recording.closest(0, Timestamp(70_400_000_000)).unwrap().unwrap();
    assert_eq!(batch.seq()[row], 71);
    recording.seek(Timestamp(i64::MIN)).unwrap();
    let mut seqs = Vec::new();
    let damage = loop {
        match recording.next() {
            Ok(Some((_, batch))) => seqs.extend_from_slice(batch.seq()),
            Ok(None) => break None,
            Err(error) => break Some(error.message),
        }
    };
    assert_eq!(seqs.len(), 199);
    assert!(damage.unwrap().starts_with("1 of 200 frames can't be read: 070.pickle: "));
}

#[test]
fn folders_in_a_folder_are_streams_merged_by_time() {
    let root = tempfile::tempdir().unwrap();
    for (stream, times) in [("lidar", [1.0, 3.0]), ("odom", [2.0, 4.0])] {
        std::fs::create_dir(root.path().join(stream)).unwrap();
        for (number, time) in (0..).zip(times) {
            let path = root.path().join(stream).join(format!("{number:03}.pickle"));
            std::fs::write(path, frame(time, number)).unwrap();
        }
    }
    assert!(PicklesFormat.matches(b"", root.path()));
    let recording = PicklesFormat.open(root.path()).unwrap();
    let names: Vec<&str> = recording.streams().iter().map(|schema| schema.name()).collect();
    assert_eq!(names, ["lidar", "odom"]);
    assert_eq!(recording.extent(1).unwrap().timestamps, Some((2_000_000_000, 4_000_000_000)));
}

#[test]
fn a_float_that_nanoseconds_can_not_tell_is_kept() {
    let odd = 0.1 + 0.2 + 1e-12;
    let root = folder_of(&[("000.pickle", frame(odd, 1)), ("001.pickle", frame(2.0, 2))]);
    let (schema, batches) = read_all(&PicklesFormat, root.path()).unwrap();
    assert_eq!(schema.payload()[1].name, TIME_COLUMN);
    let again = tempfile::tempdir().unwrap();
    let host = FakeHost::new(again.path());
    let mut sink = open_sink(&factory(), &serde_json::json!({}), &[schema], &host, "x").unwrap();
    batches.into_iter().for_each(|batch| _ = sink.write(0, batch).unwrap());
    sink.finish().unwrap();
    let bytes = std::fs::read(again.path().join("x.pickles/000.pickle")).unwrap();
    let payload = tapedeck_kit::pickle::payload_of(&bytes, &tapedeck_kit::pickle::Limits::default()).unwrap();
    let kept = payload.pickle.get(payload.first);
    assert_eq!(kept, &tapedeck_kit::pickle::Value::Float(odd));
}

#[test]
fn a_folder_that_holds_pickles_is_refused_and_nothing_in_it_is_touched() {
    let root = tempfile::tempdir().unwrap();
    let there = root.path().join("x.pickles");
    std::fs::create_dir(&there).unwrap();
    std::fs::write(there.join("000.pickle"), "mine").unwrap();
    let schema = samples::schema(Kind::Message, "s");
    let opened = open_sink(&factory(), &serde_json::json!({}), &[schema], &FakeHost::new(root.path()), "x");
    assert!(opened.err().unwrap().message.starts_with("the folder holds pickles already"));
    assert_eq!(std::fs::read(there.join("000.pickle")).unwrap(), b"mine");
}

#[test]
fn gaps_in_the_numbers_are_the_frames_that_were_lost() {
    let root = tempfile::tempdir().unwrap();
    let schema = samples::schema(Kind::Attributes, "s");
    let batch = &samples::batches(&schema, &[4])[0];
    let mut pool = BatchPool::new(schema.clone());
    let mut builder = pool.builder(2);
    for (row, seq) in [(0, 10), (3, 13)] {
        builder.push_rows_of(batch, row..row + 1);
        let last = builder.rows() - 1;
        builder.seq_mut()[last] = seq;
    }
    let lossy = builder.finish();
    let mut sink =
        open_sink(&factory(), &serde_json::json!({}), &[schema], &FakeHost::new(root.path()), "x").unwrap();
    sink.write(0, lossy).unwrap();
    sink.finish().unwrap();
    let (_, found, _) = rows(&root.path().join("x.pickles"));
    assert_eq!(found.iter().map(|row| row.0).collect::<Vec<_>>(), [0, 3]);
}

//! Tests of the sink and its reader: what was written is what is read, wherever the file was cut, and whatever fills the disk.

use std::io::{self, Write};
use std::path::Path;

use proptest::prelude::*;
use serde_json::json;
use tapedeck_sdk::testing::{FakeHost, all_types, joined, open_sink, read_all, sample};

use super::*;

/// Writes batches, flushing after each, and returns the file's bytes before `finish` and after it.
fn record(folder: &Path, options: &serde_json::Value, batches: &[Batch]) -> (Vec<u8>, Vec<u8>) {
    let host = FakeHost::new(folder);
    let inputs = [batches[0].schema().clone()];
    let mut sink = open_sink(&factory(), options, &inputs, &host, "rows").unwrap();
    for batch in batches {
        sink.write(0, batch.clone()).unwrap();
        sink.flush().unwrap();
    }
    let path = folder.join("rows.arrows");
    let before = std::fs::read(&path).unwrap();
    sink.finish().unwrap();
    (before, std::fs::read(path).unwrap())
}

fn some_batches(nullable: bool, sizes: &[usize]) -> Vec<Batch> {
    let schema = all_types(nullable);
    let mut seq = 5;
    let batch = |(seed, &rows): (u64, &usize)| {
        let batch = sample(&schema, seq, rows, seed);
        seq += rows as u64 + 1;
        batch
    };
    (1..).zip(sizes).map(batch).collect()
}

/// The rows alone: a stream that was read back has the session in its metadata.
fn assert_same_rows(found: &Batch, expected: &Batch) {
    assert_eq!(found.rows(), expected.rows());
    assert_eq!(found.schema().fields(), expected.schema().fields());
    for index in 0..expected.schema().fields().len() {
        assert!(found.any_column(index) == expected.any_column(index), "column {index}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_was_written_is_read_and_written_again_the_same(
        sizes in prop::collection::vec(1_usize..80, 1..6), nullable: bool, rows_max in 1_u64..100,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let batches = some_batches(nullable, &sizes);
        let options = json!({ "batch_rows_max": rows_max });
        let (_, first) = record(folder.path(), &options, &batches);
        let path = folder.path().join("rows.arrows");
        let (schema, found) = read_all(&ArrowFormat, &path).unwrap();
        prop_assert_eq!(schema.name(), "all");
        assert_same_rows(&joined(&found).unwrap(), &joined(&batches).unwrap());
        let (_, second) = record(folder.path(), &options, &found);
        prop_assert!(first == second);
    }

    #[test]
    fn damaged_bytes_never_panic(at in 0_usize..20_000, byte: u8, nullable: bool) {
        let folder = tempfile::tempdir().unwrap();
        let (_, mut bytes) = record(folder.path(), &json!({}), &some_batches(nullable, &[3, 9]));
        let at = at % bytes.len();
        bytes[at] = byte;
        let path = folder.path().join("damaged.arrows");
        std::fs::write(&path, &bytes).unwrap();
        drop(read_all(&ArrowFormat, &path));
        drop(ArrowFormat.repair(&path));
        drop(read_all(&ArrowFormat, &path));
    }
}

#[test]
fn a_file_cut_anywhere_reads_back_every_whole_message_and_is_mended_once() {
    let folder = tempfile::tempdir().unwrap();
    let batches = some_batches(true, &[1, 2, 3]);
    let (_, bytes) = record(folder.path(), &json!({}), &batches);
    let path = folder.path().join("cut.arrows");
    let mut rows_seen = std::collections::BTreeSet::new();
    for length in 0..=bytes.len() {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let Ok((_, before)) = read_all(&ArrowFormat, &path) else {
            assert!(matches!(ArrowFormat.repair(&path).unwrap(), Repair::Unreadable(_)), "{length}");
            assert_eq!(std::fs::read(&path).unwrap().len(), length);
            continue;
        };
        let rows: usize = before.iter().map(Batch::rows).sum();
        rows_seen.insert(rows);
        let repair = ArrowFormat.repair(&path).unwrap();
        assert_eq!(repair == Repair::Intact, length == bytes.len(), "{length}: {repair:?}");
        let (_, after) = read_all(&ArrowFormat, &path).unwrap();
        assert_eq!(after, before);
        assert_eq!(ArrowFormat.repair(&path).unwrap(), Repair::Intact);
    }
    assert_eq!(rows_seen.into_iter().collect::<Vec<_>>(), [0, 1, 3, 6]);
}

#[test]
fn what_was_flushed_is_in_the_file_before_it_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let batches = some_batches(false, &[4, 300]);
    let (before, after) = record(folder.path(), &json!({}), &batches);
    assert_eq!(after.len(), before.len() + END_OF_STREAM.len());
    let path = folder.path().join("killed.arrows");
    std::fs::write(&path, before).unwrap();
    assert_same_rows(&joined(&read_all(&ArrowFormat, &path).unwrap().1).unwrap(), &joined(&batches).unwrap());
}

#[test]
fn large_batches_are_written_as_they_are_and_after_the_rows_before_them() {
    let folder = tempfile::tempdir().unwrap();
    let host = FakeHost::new(folder.path());
    let schema = StreamSchema::builder("game", Kind::Attributes)
        .field("a", DataType::Float64)
        .field("b", DataType::Bool)
        .build()
        .unwrap();
    let mut sink = open_sink(&factory(), &json!({}), std::slice::from_ref(&schema), &host, "rows").unwrap();
    let batches = [sample(&schema, 0, 7, 1), sample(&schema, 7, 20_001, 2), sample(&schema, 20_008, 2, 3)];
    for batch in &batches {
        sink.write(0, batch.clone()).unwrap();
    }
    sink.finish().unwrap();
    let (_, found) = read_all(&ArrowFormat, &folder.path().join("rows.arrows")).unwrap();
    assert_eq!(found.iter().map(Batch::rows).collect::<Vec<_>>(), [7, 20_001, 2]);
    assert_same_rows(&joined(&found).unwrap(), &joined(&batches).unwrap());
}

#[test]
fn the_session_is_in_the_schema_and_each_stream_has_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let host = FakeHost::new(folder.path());
    let unit = Field {
        metadata: [(Field::UNIT.to_owned(), "m".to_owned())].into(),
        ..Field::new("x", DataType::Float32)
    };
    let one = StreamSchema::builder("game", Kind::Attributes).push(unit).build().unwrap();
    let two = StreamSchema::builder("desk.input", Kind::Event).field("type", DataType::Utf8).build().unwrap();
    let sink =
        open_sink(&factory(), &json!({ "path": "sub/all.arrows" }), &[one, two], &host, "rows").unwrap();
    sink.finish().unwrap();
    let (schema, rows) = read_all(&ArrowFormat, &folder.path().join("sub/all.game.arrows")).unwrap();
    assert_eq!((schema.name(), schema.kind(), rows.len()), ("game", Kind::Attributes, 0));
    assert_eq!(schema.metadata()[SESSION_KEY], "test");
    assert_eq!(schema.metadata()[PIPELINE_KEY], "# a test\n");
    assert_eq!(schema.metadata()[STARTED_AT_KEY], "2023-11-14T22:13:20.000000000Z");
    assert_eq!(schema.payload()[0].metadata[Field::UNIT], "m");
    let (schema, _) = read_all(&ArrowFormat, &folder.path().join("sub/all.desk.input.arrows")).unwrap();
    assert_eq!((schema.name(), schema.kind()), ("desk.input", Kind::Event));
}

/// Storage with room for so many bytes.
struct Small {
    bytes: Vec<u8>,
    room: usize,
}

impl Write for Small {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.room - self.bytes.len()).min(100);
        if count == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Storage for Small {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.bytes.truncate(usize::try_from(length).unwrap());
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error_and_leaves_whole_messages() {
    let batches = some_batches(true, &[5, 5, 5, 5]);
    let folder = tempfile::tempdir().unwrap();
    let (whole, _) = record(folder.path(), &json!({}), &batches);
    let options: ArrowOptions = serde_json::from_value(json!({})).unwrap();
    let session = FakeHost::new(folder.path()).context("rows").session;
    let header = Recording::open(
        Output::new(Small { bytes: Vec::new(), room: usize::MAX }, "x".into()),
        batches[0].schema(),
        &options,
        &session,
    );
    let header = header.unwrap().output.storage().bytes.len();
    for room in (header..whole.len()).step_by(97) {
        let output = Output::new(Small { bytes: Vec::new(), room }, "full.arrows".into());
        let mut recording = Recording::open(output, batches[0].schema(), &options, &session).unwrap();
        let mut written = 0;
        let error = batches.iter().find_map(|batch| {
            let result = recording.write(batch).and_then(|()| recording.write_gathered());
            written += usize::from(result.is_ok());
            result.err()
        });
        let error = error.expect("the rows don't fit");
        assert!(error.kind == ErrorKind::Io && error.message.ends_with("full.arrows"), "{error}");
        // There may be no room for the end mark either; the sink says so and stays whole.
        drop(recording.finish());
        let path = folder.path().join("full.arrows");
        std::fs::write(&path, &recording.output.storage().bytes).unwrap();
        let (_, found) = read_all(&ArrowFormat, &path).unwrap();
        assert_eq!(found.iter().map(Batch::rows).sum::<usize>(), written * 5);
    }
}

#[test]
fn a_device_without_room_gives_an_error_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.path().join("rows.arrows")).unwrap();
    let host = FakeHost::new(folder.path());
    let error = open_sink(&factory(), &json!({}), &[all_types(false)], &host, "rows").err().unwrap();
    assert!(error.kind == ErrorKind::Io && error.message.ends_with("rows.arrows"), "{error}");
}

#[test]
fn what_is_no_stream_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.arrows");
    for (bytes, reason) in [
        (&b""[..], "ends before"),
        (b"ARROW1\0\0ffffffff", "new_stream"),
        (b"seq,timestamp\n1,2\n", "not an Arrow"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = ArrowFormat.open(&path).err().unwrap();
        let text = format!("{} {}", error.message, error.hint.unwrap_or_default());
        assert!(text.contains(reason), "{text}");
    }
}

#[test]
fn rows_before_damage_are_read_and_the_damage_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let batches = some_batches(false, &[3, 3]);
    let (before, _) = record(folder.path(), &json!({}), &batches);
    let path = folder.path().join("damaged.arrows");
    std::fs::write(&path, [&before[..], b"this is not a message"].concat()).unwrap();
    let mut source = ArrowFormat.open(&path).unwrap();
    for _ in 0..2 {
        assert!(source.next().unwrap().is_some());
    }
    assert!(source.next().unwrap_err().message.contains("damaged"));
    assert!(matches!(ArrowFormat.repair(&path).unwrap(), Repair::Unreadable(_)));
    // Zeros are what a crashed file system leaves: a torn end, not damage.
    std::fs::write(&path, [&before[..], &[0; 4096]].concat()).unwrap();
    assert_same_rows(&joined(&read_all(&ArrowFormat, &path).unwrap().1).unwrap(), &joined(&batches).unwrap());
    assert!(matches!(ArrowFormat.repair(&path).unwrap(), Repair::Mended(_)));
    assert_eq!(std::fs::read(&path).unwrap().len(), before.len() + END_OF_STREAM.len());
}

#[test]
fn limits_out_of_range_point_at_the_option() {
    for (options, option) in [
        (json!({ "batch_rows_max": 0 }), "batch_rows_max"),
        (json!({ "batch_bytes_max": "2GiB" }), "batch_bytes_max"),
    ] {
        let error = factory().check(&options).unwrap_err();
        assert_eq!((error.kind, error.option), (ErrorKind::Options, vec![option.to_owned()]));
    }
}

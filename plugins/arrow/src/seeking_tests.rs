//! Tests of finding moments in a stream, whoever wrote it and wherever it was cut.

use std::path::{Path, PathBuf};

use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::Schema;
use serde_json::json;
use tapedeck_sdk::testing::{FakeHost, all_types, conformance, open_sink, sample, samples};
use tapedeck_sdk::{HEAD_BYTES, Wanted};

use super::*;

fn schema() -> Arc<StreamSchema> {
    let builder = StreamSchema::builder("game", Kind::Attributes).field("x", DataType::Int32);
    builder.field("text", DataType::Utf8).field("y", DataType::Float64).build().unwrap()
}

/// A batch with these times.
fn batch(first_seq: u64, times: &[i64]) -> Batch {
    let mut pool = BatchPool::new(schema());
    let mut builder = pool.builder(times.len());
    for (row, &time) in (0_i32..).zip(times) {
        builder.push_row(Timestamp(time)).set(0, row).set_str(1, "some text").set(2, f64::from(row));
    }
    let mut batch = builder.finish();
    batch.stamp(first_seq, Timestamp(0));
    batch
}

/// A stream with a message for each of the batches.
fn written(folder: &Path, batches: &[Batch]) -> PathBuf {
    let host = FakeHost::new(folder);
    let inputs = [batches.first().map_or_else(schema, |batch| batch.schema().clone())];
    let mut sink = open_sink(&factory(), &json!({}), &inputs, &host, "rows").unwrap();
    for batch in batches {
        sink.write(0, batch.clone()).unwrap();
        sink.flush().unwrap();
    }
    sink.finish().unwrap();
    folder.join("rows.arrows")
}

fn open(path: &Path) -> Box<dyn tapedeck_sdk::Recording> {
    ArrowFormat.open(path).unwrap()
}

/// The times of all frames from a moment on.
fn times_from(recording: &mut dyn tapedeck_sdk::Recording, to: i64) -> Vec<i64> {
    recording.seek(Timestamp(to)).unwrap();
    let mut times = Vec::new();
    while let Some((_, batch)) = recording.next().unwrap() {
        times.extend_from_slice(batch.timestamps());
    }
    times
}

fn nearest(recording: &mut dyn tapedeck_sdk::Recording, to: i64) -> Option<i64> {
    recording.closest(0, Timestamp(to)).unwrap().map(|(batch, row)| batch.timestamps()[row])
}

#[test]
fn the_contract_is_kept_with_messages_of_any_size() {
    let input = samples::batches(&samples::schema(Kind::Attributes, "game"), &[3, 1, 60, 250]);
    let event = samples::batches(&samples::schema(Kind::Event, "desk.input"), &[5, 80]);
    for rows in [7, 4096] {
        let case = conformance::SinkCase::new(vec![input.clone(), event.clone()]);
        let outcome = conformance::sink(&factory(), &json!({ "batch_rows_max": rows }), &case);
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}

#[test]
fn moments_are_found_in_streams_of_no_row_of_one_and_where_times_go_back() {
    for case in [
        &[][..],
        &[&[7][..]],
        &[&[i64::MIN], &[i64::MAX]],
        &[&[1, 2, 5], &[5, 5], &[9]],
        &[&[10, 20, 5], &[6, 30], &[1, 40]],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let batches: Vec<Batch> = (0..).zip(case).map(|(number, times)| batch(number * 10, times)).collect();
        conformance::recording(&ArrowFormat, &written(folder.path(), &batches)).unwrap();
    }
}

#[test]
fn a_torn_message_is_where_the_stream_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), &[batch(0, &[1, 2]), batch(2, &[3, 4]), batch(4, &[5])]);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - END_OF_STREAM.len() - 1]).unwrap();
    conformance::recording(&ArrowFormat, &path).unwrap();
    let mut recording = open(&path);
    assert_eq!(recording.extent(0).unwrap().timestamps, Some((1, 4)));
    assert!(times_from(recording.as_mut(), 5).is_empty());
    assert_eq!(nearest(recording.as_mut(), 50), Some(4));
    assert_eq!(times_from(recording.as_mut(), 2), [2, 3, 4]);
}

#[test]
fn after_damage_any_moment_before_it_is_still_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), &[batch(0, &[1, 2]), batch(2, &[3, 4])]);
    let whole = std::fs::read(&path).unwrap();
    let bytes = [&whole[..whole.len() - END_OF_STREAM.len()], b"this is not a message"].concat();
    std::fs::write(&path, bytes).unwrap();
    let mut recording = open(&path);
    for _ in 0..2 {
        recording.seek(Timestamp(3)).unwrap();
        assert_eq!(recording.next().unwrap().unwrap().1.timestamps(), [3, 4]);
        assert!(recording.next().unwrap_err().message.contains("damaged"));
        assert!(recording.next().unwrap().is_none(), "no frames come after an error");
        recording.seek(Timestamp(10)).unwrap();
        assert!(recording.next().is_err(), "what is behind the damage is not known");
        assert!(recording.closest(0, Timestamp(10)).is_err());
        assert_eq!(nearest(recording.as_mut(), 2), Some(2));
    }
}

#[test]
fn columns_that_are_not_wanted_are_not_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), &[batch(0, &[1, 2]), batch(2, &[3])]);
    let mut bytes = std::fs::read(&path).unwrap();
    let text = bytes.windows(9).rposition(|window| window == b"some text").unwrap();
    bytes[text] = 0xff;
    std::fs::write(&path, bytes).unwrap();
    let mut recording = open(&path);
    recording.select(&[Wanted::Columns(vec![0, 2])]).unwrap();
    let names: Vec<_> = recording.streams()[0].payload().iter().map(|field| field.name.clone()).collect();
    assert_eq!(names, ["x", "y"]);
    assert_eq!(times_from(recording.as_mut(), 2), [2, 3]);
    let (found, row) = recording.closest(0, Timestamp(2)).unwrap().unwrap();
    assert_eq!((found.seq()[row], found.column(0).values::<i32>()[row]), (1, 1));
    let mut recording = open(&path);
    recording.seek(Timestamp(2)).unwrap();
    assert_eq!(recording.next().unwrap().unwrap().1.rows(), 1);
    assert!(recording.next().unwrap_err().message.contains("damaged"));
    let mut recording = open(&path);
    recording.select(&[Wanted::Nothing]).unwrap();
    assert!(recording.next().unwrap().is_none() && recording.closest(0, Timestamp(2)).unwrap().is_none());
}

#[test]
fn a_large_message_comes_in_parts_and_is_found_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let schema =
        StreamSchema::builder("camera", Kind::Message).field("data", DataType::Binary).build().unwrap();
    let mut pool = BatchPool::new(schema);
    let mut builder = pool.builder(21);
    for time in 0..21_i64 {
        let byte = u8::try_from(time).unwrap();
        builder.push_row(Timestamp(time * 10)).set_bytes(0, &vec![byte; 1 << 20]);
    }
    let path = written(folder.path(), &[builder.finish()]);
    let mut recording = open(&path);
    recording.seek(Timestamp(35)).unwrap();
    let mut bytes = Vec::new();
    while let Some((_, batch)) = recording.next().unwrap() {
        assert!(batch.byte_len() < 9 << 20);
        bytes.extend((0..batch.rows()).map(|row| batch.column(0).bytes_at(row)[1000]));
    }
    assert_eq!(bytes, (4..21).collect::<Vec<u8>>());
    assert_eq!(nearest(recording.as_mut(), 134), Some(130));
}

#[test]
fn streams_of_other_programs_may_have_their_columns_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.arrows");
    let record = |times: Vec<i64>| {
        let count = i32::try_from(times.len()).unwrap();
        let texts = (0..count).map(|row| (row % 2 == 0).then(|| "ab".repeat(usize::try_from(row).unwrap())));
        let columns: [(&str, ArrayRef); 3] = [
            ("name", Arc::new(StringArray::from_iter(texts))),
            ("x", Arc::new((0..count).map(Some).collect::<Int32Array>())),
            ("timestamp", Arc::new(TimestampNanosecondArray::from(times))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let records = [record(vec![5, 6, 7]), record(vec![]), record(vec![9, 8]), record(vec![8])];
    let schema: Arc<Schema> = records[0].schema();
    let mut writer = StreamWriter::try_new(File::create(&path).unwrap(), &schema).unwrap();
    records.iter().for_each(|record| writer.write(record).unwrap());
    writer.finish().unwrap();
    conformance::recording(&ArrowFormat, &path).unwrap();
    let mut recording = open(&path);
    let expected = Extent { frames: 6, seq: Some((0, 5)), timestamps: Some((5, 9)) };
    assert_eq!(recording.extent(0), Some(expected));
    recording.seek(Timestamp(7)).unwrap();
    let (_, batch) = recording.next().unwrap().unwrap();
    assert_eq!((batch.seq(), batch.column(1).values::<i32>()), (&[2][..], &[2][..]));
    assert_eq!(times_from(recording.as_mut(), 8), [9, 8, 8]);
}

#[test]
fn a_stream_is_known_by_its_first_message() {
    let folder = tempfile::tempdir().unwrap();
    let wide = StreamSchema::builder("wide", Kind::Attributes);
    let wide = (0..500).fold(wide, |wide, column| wide.field(&format!("c{column}"), DataType::Int8));
    for schema in [all_types(true), wide.build().unwrap()] {
        let path = written(folder.path(), &[sample(&schema, 0, 1, 1)]);
        let bytes = std::fs::read(&path).unwrap();
        assert!(ArrowFormat.matches(&bytes[..HEAD_BYTES.min(bytes.len())], &path));
        assert!(!ArrowFormat.matches(&bytes[8..], &path) && !ArrowFormat.matches(&bytes[..8], &path));
        // A record batch is not how a stream begins.
        let second = bytes.windows(4).skip(1).position(|window| window == [0xff; 4]).unwrap() + 1;
        assert!(!ArrowFormat.matches(&bytes[second..], &path));
    }
    let noise: Vec<u8> = [0xff; 4].into_iter().chain((0..=255).cycle().take(4000)).collect();
    for head in [&b""[..], b"ARROW1\0\0", b"PAR1", &[0xff; 4096], &noise] {
        assert!(!ArrowFormat.matches(head, Path::new("x.arrows")));
    }
}

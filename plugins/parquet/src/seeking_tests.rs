//! Tests of finding moments in row groups, whoever wrote them and whatever the footer says of them.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray, TimestampNanosecondArray};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use serde_json::{Value, json};
use tapedeck_sdk::Wanted;
use tapedeck_sdk::testing::{FakeHost, conformance, open_sink, samples};

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

/// The files of a recording.
fn written(folder: &Path, options: &Value, batches: &[Batch]) -> Vec<PathBuf> {
    let host = FakeHost::new(folder);
    let inputs = [batches.first().map_or_else(schema, |batch| batch.schema().clone())];
    let mut sink = open_sink(&factory(), options, &inputs, &host, "rows").unwrap();
    for batch in batches {
        sink.write(0, batch.clone()).unwrap();
    }
    sink.finish().unwrap();
    host.artifacts()
}

fn open(path: &Path) -> Box<dyn tapedeck_sdk::Recording> {
    ParquetFormat.open(path).unwrap()
}

/// The times of all frames from a moment on.
fn times_from(recording: &mut dyn tapedeck_sdk::Recording, to: i64) -> Result<Vec<i64>, Error> {
    recording.seek(Timestamp(to))?;
    let mut times = Vec::new();
    while let Some((_, batch)) = recording.next()? {
        times.extend_from_slice(batch.timestamps());
    }
    Ok(times)
}

fn nearest(recording: &mut dyn tapedeck_sdk::Recording, to: i64) -> Option<i64> {
    recording.closest(0, Timestamp(to)).unwrap().map(|(batch, row)| batch.timestamps()[row])
}

/// A file of another program: row groups of three rows, a column after the times.
fn foreign(path: &Path, times: Option<&[i64]>, rows: i32, statistics: EnabledStatistics) {
    let x: ArrayRef = Arc::new((0..rows).map(Some).collect::<Int32Array>());
    let name: ArrayRef = Arc::new(StringArray::from_iter((0..rows).map(|row| Some(row.to_string()))));
    let times = times.map(|times| Arc::new(TimestampNanosecondArray::from(times.to_vec())) as ArrayRef);
    let times = times.map(|times| ("timestamp", times));
    let columns = [("x", x)].into_iter().chain(times).chain([("name", name)]);
    let record = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(3))
        .set_statistics_enabled(statistics)
        .build();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), record.schema(), Some(properties)).unwrap();
    writer.write(&record).unwrap();
    writer.close().unwrap();
}

#[test]
fn the_contract_is_kept_with_row_groups_of_any_size() {
    let input = samples::batches(&samples::schema(Kind::Attributes, "game"), &[3, 1, 60, 250]);
    let event = samples::batches(&samples::schema(Kind::Event, "desk.input"), &[5, 80]);
    for rows in [50, 100_000] {
        let case = conformance::SinkCase::new(vec![input.clone(), event.clone()]);
        let outcome = conformance::sink(&factory(), &json!({ "row_group_rows": rows }), &case);
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}

#[test]
fn moments_are_found_in_files_of_no_row_of_one_and_where_times_go_back() {
    for case in [
        &[][..],
        &[&[7][..]],
        &[&[i64::MIN], &[i64::MAX]],
        &[&[1, 2, 5], &[5, 5], &[9]],
        &[&[10, 20, 5], &[6, 30], &[1, 40]],
    ] {
        for rows in [1, 2, 1000] {
            let folder = tempfile::tempdir().unwrap();
            let batches: Vec<Batch> =
                (0..).zip(case).map(|(number, times)| batch(number * 10, times)).collect();
            let files = written(folder.path(), &json!({ "row_group_rows": rows }), &batches);
            conformance::recording(&ParquetFormat, &files[0]).unwrap();
        }
    }
}

#[test]
fn each_file_of_a_recording_that_rotates_knows_its_moments() {
    let folder = tempfile::tempdir().unwrap();
    let times: Vec<i64> = (0..100).map(|row| row * 1_000_000).collect();
    let options = json!({ "rotate_time": "30ms", "row_group_rows": 7 });
    let files = written(folder.path(), &options, &[batch(0, &times)]);
    assert_eq!(files.len(), 4);
    for (number, file) in (0..).zip(&files) {
        conformance::recording(&ParquetFormat, file).unwrap();
        let last = (number * 30 + 29).min(99);
        let extent = open(file).extent(0).unwrap();
        assert_eq!(extent.timestamps, Some((number * 30_000_000, last * 1_000_000)));
        assert_eq!(extent.seq.map(|seq| seq.1), u64::try_from(last).ok());
    }
}

#[test]
fn columns_that_are_not_wanted_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), &json!({ "compression": "none" }), &[batch(0, &[1, 2, 3])]).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    let text = bytes.windows(9).position(|window| window == b"some text").unwrap();
    bytes[text] = 0xff;
    std::fs::write(&path, bytes).unwrap();
    let mut recording = open(&path);
    recording.select(&[Wanted::Columns(vec![0, 2])]).unwrap();
    assert_eq!(times_from(recording.as_mut(), 2).unwrap(), [2, 3]);
    let (found, row) = recording.closest(0, Timestamp(2)).unwrap().unwrap();
    assert_eq!((found.seq()[row], found.column(0).values::<i32>()[row]), (1, 1));
    let mut recording = open(&path);
    assert!(times_from(recording.as_mut(), i64::MIN).unwrap_err().message.contains("damaged"));
    assert!(recording.next().unwrap().is_none(), "no frames come after an error");
    let mut recording = open(&path);
    recording.select(&[Wanted::Nothing]).unwrap();
    assert!(recording.next().unwrap().is_none() && recording.closest(0, Timestamp(2)).unwrap().is_none());
}

#[test]
fn one_row_group_is_read_to_find_a_moment() {
    let folder = tempfile::tempdir().unwrap();
    let times: Vec<i64> = (0..30).collect();
    let path = written(folder.path(), &json!({ "row_group_rows": 10 }), &[batch(0, &times)]).remove(0);
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&File::open(&path).unwrap()).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    for group in [0, 2] {
        for column in metadata.row_group(group).columns() {
            let [begin, length] =
                [column.byte_range().0, column.byte_range().1].map(|bytes| usize::try_from(bytes).unwrap());
            bytes[begin..begin + length].fill(0xee);
        }
    }
    std::fs::write(&path, bytes).unwrap();
    let mut recording = open(&path);
    assert_eq!(recording.extent(0).unwrap().timestamps, Some((0, 29)));
    for _ in 0..2 {
        assert_eq!(nearest(recording.as_mut(), 15), Some(15));
        assert!(recording.seek(Timestamp(5)).is_err());
        assert!(recording.next().unwrap().is_none(), "no frames come after an error");
        assert!(recording.closest(0, Timestamp(25)).is_err());
        recording.seek(Timestamp(15)).unwrap();
        let (_, batch) = recording.next().unwrap_or_default().unzip();
        assert!(batch.is_none_or(|batch| batch.timestamps()[0] == 15));
    }
}

#[test]
fn moments_are_found_in_a_row_group_of_many_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let times: Vec<i64> = (0..30_000).map(|row| row * 10).collect();
    let path = written(folder.path(), &json!({}), &[batch(0, &times)]).remove(0);
    conformance::recording(&ParquetFormat, &path).unwrap();
    let mut recording = open(&path);
    for row in [20_000, 100, 29_999, 8191, 8192, 16_384] {
        let (found, at) = recording.closest(0, Timestamp(times[row] + 4)).unwrap().unwrap();
        assert_eq!((found.seq()[at], found.column(1).str_at(at)), (row as u64, "some text"));
    }
}

#[test]
fn large_rows_come_in_small_batches() {
    let folder = tempfile::tempdir().unwrap();
    let schema =
        StreamSchema::builder("camera", Kind::Message).field("data", DataType::Binary).build().unwrap();
    let mut pool = BatchPool::new(schema);
    let mut builder = pool.builder(30);
    for time in 0..30_i64 {
        let value: Vec<u8> = (0..1 << 20).map(|place: i64| (place * place + time).to_le_bytes()[1]).collect();
        builder.push_row(Timestamp(time * 10)).set_bytes(0, &value);
    }
    let path = written(folder.path(), &json!({}), &[builder.finish()]).remove(0);
    let mut recording = open(&path);
    recording.seek(Timestamp(35)).unwrap();
    let mut times = Vec::new();
    while let Some((_, batch)) = recording.next().unwrap() {
        assert!(batch.byte_len() < 10 << 20, "{}", batch.byte_len());
        times.extend_from_slice(batch.timestamps());
    }
    assert_eq!(times, (4..30).map(|time| time * 10).collect::<Vec<_>>());
    assert_eq!(nearest(recording.as_mut(), 134), Some(130));
}

#[test]
fn files_of_other_programs_are_found_through_with_and_without_statistics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.parquet");
    for statistics in [EnabledStatistics::Page, EnabledStatistics::Chunk, EnabledStatistics::None] {
        for times in [&[5, 6, 7, 8, 8, 8, 9, 10][..], &[5, 9, 7, 8, 20, 8, 9, 10]] {
            foreign(&path, Some(times), 8, statistics);
            conformance::recording(&ParquetFormat, &path).unwrap();
            let mut recording = open(&path);
            let known = statistics != EnabledStatistics::None;
            let range = times.iter().min().copied().zip(times.iter().max().copied());
            let expected = Extent { frames: 8, seq: Some((0, 7)), timestamps: range.filter(|_| known) };
            assert_eq!(recording.extent(0), Some(expected));
            recording.seek(Timestamp(8)).unwrap();
            let first = times.iter().position(|&time| time >= 8).unwrap();
            let (_, batch) = recording.next().unwrap().unwrap();
            assert_eq!(batch.seq()[0], first as u64, "rows without numbers are numbered by their place");
        }
        foreign(&path, None, 8, statistics);
        conformance::recording(&ParquetFormat, &path).unwrap();
        let mut recording = open(&path);
        recording.select(&[Wanted::Columns(vec![])]).unwrap();
        let (_, batch) = recording.next().unwrap().unwrap();
        assert_eq!((batch.seq(), batch.timestamps()[7]), (&[0, 1, 2, 3, 4, 5, 6, 7][..], 0));
    }
}

#[test]
fn a_file_is_known_by_its_first_bytes() {
    let path = Path::new("x.parquet");
    assert!(ParquetFormat.matches(b"PAR1\x15\x04", path));
    for head in [&b""[..], b"PAR", b"PARE", b"ARROW1", b" PAR1"] {
        assert!(!ParquetFormat.matches(head, path));
    }
}

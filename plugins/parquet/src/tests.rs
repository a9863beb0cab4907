//! Tests of the sink and its reader: what was written is what is read, in row groups and files of the size that was asked for.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use serde_json::{Value, json};
use tapedeck_sdk::testing::{FakeHost, all_types, joined, open_sink, read_all, sample};

use super::recording::{LOSS_KEY, PIPELINE_KEY, SCHEMA_KEY, SESSION_KEY};
use super::*;

fn record(folder: &Path, options: &Value, batches: &[Batch]) -> Arc<FakeHost> {
    let host = FakeHost::new(folder);
    let inputs = [batches[0].schema().clone()];
    let mut sink = open_sink(&factory(), options, &inputs, &host, "rows").unwrap();
    for batch in batches {
        sink.write(0, batch.clone()).unwrap();
        sink.flush().unwrap();
    }
    sink.finish().unwrap();
    host
}

fn metadata(path: &Path) -> ParquetMetaData {
    ParquetMetaDataReader::new().parse_and_finish(&std::fs::File::open(path).unwrap()).unwrap()
}

fn group_rows(path: &Path) -> Vec<i64> {
    metadata(path).row_groups().iter().map(|group| group.num_rows()).collect()
}

fn pair(path: &Path, key: &str) -> String {
    let metadata = metadata(path);
    let pairs = metadata.file_metadata().key_value_metadata().unwrap().clone();
    pairs.into_iter().find(|pair| pair.key == key).and_then(|pair| pair.value).unwrap()
}

fn assert_same_rows(found: &Batch, expected: &Batch) {
    assert_eq!(found.rows(), expected.rows());
    assert_eq!(found.schema().fields(), expected.schema().fields());
    for index in 0..expected.schema().fields().len() {
        assert!(found.any_column(index) == expected.any_column(index), "column {index}");
    }
}

#[test]
fn what_was_written_is_read_and_written_again_the_same() {
    for (nullable, compression, sizes) in [
        (false, "zstd", &[1, 1, 5][..]),
        (true, "none", &[1, 2, 3, 3000, 4]),
        (true, "snappy", &[5000, 1, 1]),
        (false, "none", &[700]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let schema = all_types(nullable);
        let mut seq = 3;
        let mut batches = Vec::new();
        for (seed, &rows) in (1..).zip(sizes) {
            batches.push(sample(&schema, seq, rows, seed));
            seq += rows as u64 + 2;
        }
        let options = json!({ "compression": compression, "level": 3, "row_group_rows": 1500 });
        record(folder.path(), &options, &batches);
        let path = folder.path().join("rows.parquet");
        let first = std::fs::read(&path).unwrap();
        let (found_schema, found) = read_all(&ParquetFormat, &path).unwrap();
        assert_eq!((found_schema.name(), found_schema.kind()), ("all", Kind::Attributes));
        assert_same_rows(&joined(&found).unwrap(), &joined(&batches).unwrap());
        record(folder.path(), &options, &found);
        let (_, again) = read_all(&ParquetFormat, &path).unwrap();
        assert_same_rows(&joined(&again).unwrap(), &joined(&batches).unwrap());
        // A second generation has the same bytes as the first, but for where batches end and the session in the stream's metadata.
        let second = std::fs::read(&path).unwrap();
        record(folder.path(), &options, &again);
        assert!(second == std::fs::read(&path).unwrap(), "{} and {} bytes", first.len(), second.len());
    }
}

#[test]
fn row_groups_end_by_rows_time_and_bytes() {
    let schema = all_types(false);
    // One row a millisecond.
    for batch_rows in [1, 7, 250] {
        let batches: Vec<_> = (0..250 / batch_rows)
            .map(|n| sample(&schema, n * batch_rows, usize::try_from(batch_rows).unwrap(), n + 1))
            .collect();
        let rows = i64::try_from(250 / batch_rows * batch_rows).unwrap();
        for (options, first) in
            [(json!({ "row_group_rows": 60 }), 60), (json!({ "row_group_time": "60ms" }), 60)]
        {
            let folder = tempfile::tempdir().unwrap();
            record(folder.path(), &options, &batches);
            let groups = group_rows(&folder.path().join("rows.parquet"));
            assert_eq!(
                (groups[0], groups[1], groups.iter().sum::<i64>()),
                (first, first, rows),
                "{groups:?}"
            );
        }
        let folder = tempfile::tempdir().unwrap();
        record(folder.path(), &json!({ "row_group_bytes": "4KiB" }), &batches);
        let groups = group_rows(&folder.path().join("rows.parquet"));
        assert!(batch_rows == 250 || groups.len() > 3, "{groups:?}");
    }
}

#[test]
fn a_wide_stream_is_gathered_whole() {
    let builder = StreamSchema::builder("wide", Kind::Attributes);
    let builder =
        (0..200).fold(builder, |builder, index| builder.nullable(&format!("c{index}"), DataType::Float64));
    let schema = builder.build().unwrap();
    let batches: Vec<_> = (0..90).map(|seq| sample(&schema, seq, 1, seq)).collect();
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), &json!({ "row_group_time": "40ms" }), &batches);
    let path = folder.path().join("rows.parquet");
    assert_eq!(group_rows(&path), [40, 40, 10]);
    let (_, found) = read_all(&ParquetFormat, &path).unwrap();
    assert_same_rows(&joined(&found).unwrap(), &joined(&batches).unwrap());
}

#[test]
fn files_rotate_by_time_and_by_size_and_each_is_whole() {
    let schema = all_types(true);
    let batches: Vec<_> = (0..50).map(|n| sample(&schema, n * 20, 20, n + 1)).collect();
    for options in
        [json!({ "rotate_time": "300ms" }), json!({ "rotate_bytes": "20KiB", "row_group_rows": 100 })]
    {
        let folder = tempfile::tempdir().unwrap();
        let host = record(folder.path(), &options, &batches);
        let files = host.artifacts();
        assert!(files.len() >= 3, "{files:?}");
        let names: Vec<_> =
            files.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        assert_eq!(names[..3], ["rows.parquet", "rows-0001.parquet", "rows-0002.parquet"]);
        let parts: Vec<_> = files.iter().flat_map(|path| read_all(&ParquetFormat, path).unwrap().1).collect();
        let expected = joined(&batches).unwrap();
        assert_eq!(parts.iter().map(Batch::rows).sum::<usize>(), expected.rows());
        assert!(parts.iter().flat_map(Batch::seq).eq(expected.seq()));
        if options["rotate_time"].is_string() {
            assert_eq!(names.len(), 4);
            assert_eq!(read_all(&ParquetFormat, &files[1]).unwrap().1[0].seq()[0], 300);
        }
    }
}

#[test]
fn session_pipeline_schema_and_loss_are_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let schema = all_types(true);
    let host = FakeHost::new(folder.path());
    host.failed(3);
    let inputs = [
        schema.clone(),
        StreamSchema::builder("desk.input", Kind::Event).field("type", DataType::Utf8).build().unwrap(),
    ];
    let sink = open_sink(&factory(), &json!({}), &inputs, &host, "rows").unwrap();
    sink.finish().unwrap();
    let path = folder.path().join("rows.all.parquet");
    assert_eq!(
        (pair(&path, SESSION_KEY), pair(&path, PIPELINE_KEY)),
        ("test".to_owned(), "# a test\n".to_owned())
    );
    assert_eq!(pair(&path, LOSS_KEY), r#"{"late":0,"dropped":0,"failed":3,"partial":0}"#);
    assert_eq!(serde_json::from_str::<StreamSchema>(&pair(&path, SCHEMA_KEY)).unwrap(), *schema);
    let (found, rows) = read_all(&ParquetFormat, &folder.path().join("rows.desk.input.parquet")).unwrap();
    assert_eq!((found.name(), found.kind(), rows.len()), ("desk.input", Kind::Event, 0));
}

#[test]
fn a_file_without_its_footer_is_unreadable_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), &json!({}), &[sample(&all_types(true), 0, 50, 1)]);
    let path = folder.path().join("rows.parquet");
    assert_eq!(ParquetFormat.repair(&path).unwrap(), Repair::Intact);
    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 3, 4, 11, 12, bytes.len() / 2, bytes.len() - 8, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        assert!(matches!(ParquetFormat.repair(&path).unwrap(), Repair::Unreadable(_)), "{length}");
        let error = ParquetFormat.open(&path).err().unwrap();
        assert!(error.message.ends_with("rows.parquet") && error.hint.is_some(), "{error}");
        assert_eq!(std::fs::read(&path).unwrap().len(), length);
    }
}

#[test]
fn damaged_bytes_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), &json!({ "compression": "none" }), &[sample(&all_types(true), 0, 20, 1)]);
    let bytes = std::fs::read(folder.path().join("rows.parquet")).unwrap();
    let path = folder.path().join("damaged.parquet");
    for at in (0..bytes.len()).step_by(11) {
        for flip in [0xff, 0x01] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            std::fs::write(&path, &damaged).unwrap();
            drop(read_all(&ParquetFormat, &path));
        }
    }
}

/// Runs this very test in a process whose files may not grow beyond some size: the disk is full for it.
#[test]
fn a_full_disk_is_an_error_and_the_row_groups_before_it_are_read() {
    const CHILD: &str = "TAPEDECK_TEST_FULL_DISK";
    if let Some(folder) = std::env::var_os(CHILD) {
        return fill_the_disk(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "tests::a_full_disk_is_an_error_and_the_row_groups_before_it_are_read";
    let script = "trap '' XFSZ; ulimit -f 200; exec \"$0\" --exact \"$1\" --nocapture";
    let mut child = Command::new("sh");
    child.args(["-c", script]).arg(std::env::current_exe().unwrap()).arg(test).env(CHILD, folder.path());
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = folder.path().join("rows.parquet");
    let (_, found) = read_all(&ParquetFormat, &path).unwrap();
    let rows: usize = found.iter().map(Batch::rows).sum();
    assert!(rows > 0 && rows.is_multiple_of(1000), "{rows}");
    assert_same_rows(&joined(&found).unwrap(), &sample(&all_types(false), 0, rows, 9));
}

fn fill_the_disk(folder: &Path) {
    let host = FakeHost::new(folder);
    let mut sink =
        open_sink(&factory(), &json!({ "row_group_rows": 1000 }), &[all_types(false)], &host, "rows")
            .unwrap();
    let all = sample(&all_types(false), 0, 20_000, 9);
    let mut gather = tapedeck_sdk::batch::Gather::new(all_types(false), 100);
    let mut failed = None;
    for first in (0..20_000).step_by(100) {
        gather.append(&all, first..first + 100);
        let result = sink.write(0, gather.take().unwrap()).and_then(|_| sink.flush());
        if let Err(error) = result {
            failed = Some(error);
            break;
        }
    }
    let error = failed.expect("the file may not grow so far");
    assert!(error.kind == ErrorKind::Io && error.message.ends_with("rows.parquet"), "{error}");
    sink.finish().expect("there is room for the footer where the torn row group was");
}

#[test]
fn files_of_other_programs_get_row_numbers() {
    use arrow_array::{Int32Array, RecordBatch, StringArray};
    use arrow_schema::{DataType as ArrowType, Field as ArrowField, Schema};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.parquet");
    let fields =
        vec![ArrowField::new("x", ArrowType::Int32, true), ArrowField::new("name", ArrowType::Utf8, true)];
    let schema = Arc::new(Schema::new(fields));
    let record = RecordBatch::try_new(
        schema.clone(),
        vec![
            Arc::new(Int32Array::from(vec![Some(4), None])),
            Arc::new(StringArray::from(vec![Some("a"), Some("b")])),
        ],
    );
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), schema, None).unwrap();
    writer.write(&record.unwrap()).unwrap();
    writer.close().unwrap();
    let (schema, batches) = read_all(&ParquetFormat, &path).unwrap();
    assert_eq!((schema.name(), batches.len()), ("other", 1));
    assert_eq!((batches[0].seq(), batches[0].timestamps()), (&[0, 1][..], &[0, 0][..]));
    assert!(batches[0].column(0).is_null(1) && batches[0].column(1).str_at(1) == "b");
}

#[test]
fn limits_out_of_range_point_at_the_option() {
    for option in ["level", "row_group_rows"] {
        let error = factory().check(&json!({ option: 0 })).unwrap_err();
        assert_eq!((error.kind, &error.option[..]), (ErrorKind::Options, &[option.to_owned()][..]));
    }
    for option in ["row_group_bytes", "rotate_bytes"] {
        assert_eq!(factory().check(&json!({ option: "0B" })).unwrap_err().option, [option]);
    }
    for option in ["row_group_time", "rotate_time"] {
        assert_eq!(factory().check(&json!({ option: "0s" })).unwrap_err().option, [option]);
    }
    assert_eq!(ParquetOptions::default_for_test().row_group_time.0, Duration::from_secs(30));
}

impl ParquetOptions {
    fn default_for_test() -> Self {
        serde_json::from_value(json!({})).unwrap()
    }
}

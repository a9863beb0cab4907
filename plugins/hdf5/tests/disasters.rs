//! What is left of a recording when its process is killed, or when there is no more room: every row that was flushed.
//!
//! The recording process is this test program once more, told by the environment to record ([`recorder`]).
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use serde_json::json;
use tapedeck_sdk::testing::{FakeHost, open_sink, read_all};
use tapedeck_sdk::{BatchPool, DataType, ErrorKind, Kind, Repair, StreamSchema, Timestamp};

const FOLDER: &str = "TAPEDECK_TEST_FOLDER";
const OPTIONS: &str = "TAPEDECK_TEST_OPTIONS";
const FLUSH_ROWS: u64 = 7;
/// A recorder that nothing stops ends by itself after so many rows.
const ROWS_MAX: u64 = 1_000_000;

fn schema() -> Arc<StreamSchema> {
    let builder = StreamSchema::builder("game", Kind::Attributes).nullable("health", DataType::Int32);
    let builder =
        (0..40).fold(builder, |builder, index| builder.field(&format!("value_{index}"), DataType::Float64));
    builder.build().unwrap()
}

fn health(row: u64) -> Option<i32> {
    (!row.is_multiple_of(5)).then(|| i32::try_from(row).unwrap())
}

/// Not a test of its own: records rows until it is killed or can't go on, and says on standard output how many are flushed. Does
/// nothing unless the environment says where to.
#[test]
fn recorder() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let options = serde_json::from_str(&std::env::var(OPTIONS).unwrap()).unwrap();
    let host = FakeHost::new(Path::new(&folder));
    let schema = schema();
    let mut sink =
        open_sink(&tapedeck_hdf5::factory(), &options, std::slice::from_ref(&schema), &host, "h5").unwrap();
    let mut pool = BatchPool::new(schema);
    for row in 0..ROWS_MAX {
        let mut builder = pool.builder(1);
        let mut writer = builder.push_row(Timestamp(1_700_000_000_000_000_000 + i64::try_from(row).unwrap()));
        if let Some(value) = health(row) {
            writer.set(0, value);
        }
        for column in 1..=40 {
            writer.set(column, 0.5_f64);
        }
        builder.seq_mut()[0] = row;
        let mut written = sink.write(0, builder.finish());
        if written.is_ok() && row % FLUSH_ROWS == FLUSH_ROWS - 1 {
            written = sink.flush();
            if written.is_ok() {
                println!("flushed {}", row + 1);
            }
        }
        if let Err(error) = written {
            println!("failed {:?} {error}", error.kind);
            println!("hint {}", error.hint.unwrap_or_default());
            println!("finished {}", sink.finish().is_ok());
            return;
        }
    }
}

fn record(folder: &Path, options: &serde_json::Value, shell: &str) -> Child {
    let program = std::env::current_exe().unwrap();
    Command::new("sh")
        .args(["-c", &format!("{shell} exec \"$0\" --exact recorder --nocapture")])
        .arg(program)
        .env(FOLDER, folder)
        .env(OPTIONS, options.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The rows in a file, each of them checked.
fn rows(path: &Path) -> u64 {
    let factory = tapedeck_hdf5::factory();
    let (_, batches) = read_all(factory.format().unwrap().as_ref(), path).unwrap();
    let mut row = 0;
    for batch in batches {
        for index in 0..batch.rows() {
            assert_eq!(batch.seq()[index], row);
            let column = batch.column(0);
            let found = (!column.is_null(index)).then(|| column.values::<i32>()[index]);
            assert_eq!(found, health(row));
            assert_eq!(batch.column(40).values::<f64>()[index].to_bits(), 0.5_f64.to_bits());
            row += 1;
        }
    }
    row
}

fn mended(path: &Path) -> u64 {
    let factory = tapedeck_hdf5::factory();
    let format = factory.format().unwrap();
    let before = rows(path);
    assert!(matches!(format.repair(path).unwrap(), Repair::Mended(_)));
    assert_eq!(format.repair(path).unwrap(), Repair::Intact);
    let after = rows(path);
    assert!(after >= before);
    after
}

fn killed_after(options: &serde_json::Value, flushes: usize) {
    let folder = tempfile::tempdir().unwrap();
    let mut child = record(folder.path(), options, "");
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut flushed =
        lines.filter_map(|line| line.rsplit_once("flushed ").and_then(|(_, rows)| rows.parse::<u64>().ok()));
    let last = flushed.by_ref().take(flushes).last().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    // What was said between the last line that was read and the kill.
    let last = flushed.last().unwrap_or(last);
    let kept = mended(&folder.path().join("h5.h5"));
    assert!(kept >= last, "{kept} rows are left of {last} that were flushed");
}

#[test]
fn a_killed_recording_keeps_every_flushed_row() {
    for flushes in [1, 2, 9, 40, 150] {
        killed_after(&json!({ "chunk_rows": 64 }), flushes);
    }
}

#[test]
fn a_killed_recording_with_compression_keeps_every_flushed_row() {
    for flushes in [1, 2, 9, 40, 150] {
        killed_after(&json!({ "chunk_rows": 64, "compression": "deflate", "shuffle": true }), flushes);
    }
}

struct Failed {
    flushed: u64,
    output: String,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

/// Records under a limit of 1 MiB for the size of a file. The shell makes the limit an error instead of a deadly signal.
fn recorded_to_the_limit(options: &serde_json::Value) -> Failed {
    let folder = tempfile::tempdir().unwrap();
    let child = record(folder.path(), options, "trap '' XFSZ; ulimit -f 2048;");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the recorder ended with {:?}", output.status);
    let output = String::from_utf8(output.stdout).unwrap();
    let flushed =
        output.lines().filter_map(|line| line.rsplit_once("flushed ")?.1.parse().ok()).max().unwrap_or(0);
    Failed { flushed, output, file: folder.path().join("h5.h5"), _folder: folder }
}

#[test]
fn without_room_the_sink_says_so_and_what_was_flushed_stays() {
    for options in [json!({ "chunk_rows": 64 }), json!({ "chunk_rows": 64, "compression": "deflate" })] {
        let failed = recorded_to_the_limit(&options);
        assert!(failed.flushed > 0, "{}", failed.output);
        let kind = format!("failed {:?} can't ", ErrorKind::Io);
        assert!(failed.output.contains(&kind) && failed.output.contains("h5.h5"), "{}", failed.output);
        assert!(failed.output.contains("hint free some space"), "{}", failed.output);
        let format = tapedeck_hdf5::factory();
        format.format().unwrap().repair(&failed.file).unwrap();
        let kept = rows(&failed.file);
        assert!(
            kept >= failed.flushed,
            "{kept} rows are left of {} that were flushed: {}",
            failed.flushed,
            failed.output
        );
    }
}

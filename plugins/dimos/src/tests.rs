//! Tests of the sink and its reader: what was written is what is read, whatever kind it is and however the file ends.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;
use tapedeck_sdk::testing::conformance::{self, SinkCase};
use tapedeck_sdk::testing::{FakeHost, joined, open_sink, samples};

use super::*;

/// Seconds of today as a float are exact to 238 ns.
const TIME_ERROR_MAX: Duration = Duration::from_nanos(240);
const START: i64 = 1_704_067_200_000_000_000;

fn record(folder: &Path, inputs: &[Vec<Batch>]) -> (PathBuf, Written) {
    let host = FakeHost::new(folder);
    let schemas: Vec<_> = inputs.iter().map(|input| input[0].schema().clone()).collect();
    let mut sink = open_sink(&factory(), &json!({}), &schemas, &host, "rows").unwrap();
    let mut all = Written::ALL;
    for (input, batches) in inputs.iter().enumerate() {
        for batch in batches {
            all = all.and(sink.write(input, batch.clone()).unwrap());
        }
    }
    let all = all.and(sink.finish().unwrap());
    (folder.join("rows.db"), all)
}

/// A stream's name and its frames.
type Stream = (String, Vec<Batch>);

/// The streams of a file and their frames, and what is told at the end.
fn read(path: &Path) -> Result<(Vec<Stream>, Option<Error>), Error> {
    let mut recording = DimosFormat.open(path)?;
    let mut found: Vec<Stream> =
        recording.streams().iter().map(|schema| (schema.name().to_owned(), Vec::new())).collect();
    loop {
        match recording.next() {
            Ok(Some((stream, batch))) => found[stream].1.push(batch),
            Ok(None) => return Ok((found, None)),
            Err(error) => return Ok((found, Some(error))),
        }
    }
}

fn rows(path: &Path) -> usize {
    read(path).unwrap().0.iter().flat_map(|(_, batches)| batches).map(Batch::rows).sum()
}

#[test]
fn the_contract_is_kept_for_every_kind_in_one_file() {
    let kinds = Kind::ALL.iter().map(|kind| samples::schema(*kind, kind.name()));
    let case = SinkCase::new(kinds.map(|schema| samples::batches(&schema, &[3, 1, 60, 7])).collect());
    conformance::sink(&factory(), &json!({}), &case.time_error_max(TIME_ERROR_MAX)).unwrap();
}

/// A message: topic, encoding, data, type.
type Message<'m> = (&'m str, &'m str, &'m [u8], Option<&'m str>);

fn messages(all: &[Message<'_>]) -> Batch {
    let schema = Kind::Message
        .schema("live")
        .nullable("schema", DataType::Utf8)
        .nullable("pose_x", DataType::Float64)
        .nullable("pose_y", DataType::Float64)
        .nullable("pose_z", DataType::Float64)
        .nullable("pose_qx", DataType::Float64)
        .nullable("pose_qy", DataType::Float64)
        .nullable("pose_qz", DataType::Float64)
        .nullable("pose_qw", DataType::Float64)
        .nullable("tags", DataType::Utf8)
        .nullable("sensor_time", DataType::TimestampNs)
        .build()
        .unwrap();
    let mut pool = BatchPool::new(schema);
    let mut builder = pool.builder(all.len());
    for (number, &(topic, encoding, data, kind)) in all.iter().enumerate() {
        let time = START + i64::try_from(number).unwrap() * 1_000_000;
        let mut row = builder.push_row(Timestamp(time));
        row.set_str(0, topic).set_str(1, encoding).set_bytes(2, data);
        kind.into_iter().for_each(|kind| _ = row.set_str(3, kind));
        if number % 3 == 0 {
            row.set(12, time - 5);
        }
        if number % 2 == 0 {
            (4..11).for_each(|column| _ = row.set(column, f64::from(u8::try_from(column).unwrap())));
            row.set_str(11, "{\"reception_ts\":1.5}");
        }
    }
    (0..).zip(builder.seq_mut()).for_each(|(number, seq)| *seq = number);
    builder.finish()
}

#[test]
fn a_topic_is_a_stream_with_the_class_and_codec_that_dimos_reads_it_with() {
    let batch = messages(&[
        ("/odom#nav_msgs.Odometry", "lcm", b"\x01", None),
        ("dimos/imu/sensor_msgs.Imu", "lcm", b"\x02", None),
        ("camera", "jpeg", b"\x03", None),
        ("depth", "lz4+lcm", b"\x04", Some("sensor_msgs/msg/Image")),
        ("note", "json", b"{}", None),
        ("thing", "pickle", b"N.", None),
        ("odom", "cdr", b"\x05", Some("nav_msgs/msg/Odometry")),
        ("plain", "lcm", b"\x06", None),
        ("/odom#nav_msgs.Odometry", "lcm", b"\x07", None),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let (path, written) = record(folder.path(), &[vec![batch.clone()]]);
    assert_eq!(written.refused_frames(), 0);
    let connection = Connection::open(&path).unwrap();
    let mut statement = connection
        .prepare(
            "SELECT name, config ->> 'payload_module', config ->> 'codec_id' FROM _streams ORDER BY rowid",
        )
        .unwrap();
    let found: Vec<(String, String, String)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let expected = [
        ("odom", "dimos.msgs.nav_msgs.Odometry.Odometry", "lcm"),
        ("imu", "dimos.msgs.sensor_msgs.Imu.Imu", "lcm"),
        ("camera", "dimos.msgs.sensor_msgs.Image.Image", "jpeg"),
        ("depth", "dimos.msgs.sensor_msgs.Image.Image", "lz4+lcm"),
        ("note", "dimos.msgs.std_msgs.String.String", "json"),
        ("thing", "builtins.object", "pickle"),
        ("odom_2", "builtins.bytes", "pickle"),
        ("plain", "builtins.bytes", "pickle"),
    ];
    assert_eq!(found, expected.map(|(name, class, codec)| (name.into(), class.into(), codec.into())));
    let one = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, f64>(0)).unwrap();
    assert_eq!(one("SELECT ts FROM odom WHERE id = 9"), 1_704_067_200.008);
    assert_eq!(one("SELECT count(*) FROM odom_rtree WHERE x_min >= 4"), 2.0);
    assert_eq!(one("SELECT json_extract(tags, '$.reception_ts') FROM odom WHERE id = 1"), 1.5);
    drop(statement);
    drop(connection);
    let (streams, told) = read(&path).unwrap();
    assert!(told.is_none() && streams.len() == 1, "{told:?}");
    let again = joined(&streams[0].1).unwrap();
    assert_eq!((again.seq(), again.rows()), (batch.seq(), batch.rows()));
    assert!(again.columns().zip(batch.columns()).all(|(found, expected)| found == expected));
    conformance::recording(&DimosFormat, &path).unwrap();
}

/// A database as dimos writes it, with the least that it asks for.
fn foreign(path: &Path, more: &str) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(&format!(
            "CREATE TABLE _streams (name TEXT PRIMARY KEY, config TEXT NOT NULL);
             INSERT INTO _streams VALUES ('level', '{{\"payload_module\":\"builtins.float\",\"codec_id\":\"pickle\"}}'),
                ('text', '{{\"payload_module\":\"dimos.msgs.std_msgs.String.String\",\"codec_id\":\"lcm\"}}');
             CREATE TABLE level (id INTEGER PRIMARY KEY AUTOINCREMENT, ts REAL NOT NULL, value NUMERIC, pose_x REAL, pose_y REAL,
                pose_z REAL, pose_qx REAL, pose_qy REAL, pose_qz REAL, pose_qw REAL, tags BLOB);
             CREATE TABLE text (id INTEGER PRIMARY KEY AUTOINCREMENT, ts REAL NOT NULL, value NUMERIC, pose_x REAL, pose_y REAL,
                pose_z REAL, pose_qx REAL, pose_qy REAL, pose_qz REAL, pose_qw REAL, tags BLOB);
             CREATE TABLE text_blob (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
             INSERT INTO level (ts, value) VALUES (5.0, 0.25), (5.5, 7), (6.0, NULL);
             INSERT INTO text (id, ts, tags) VALUES (4, 5.25, jsonb('{{\"a\": 1}}')), (6, 5.75, x'ff');
             INSERT INTO text_blob VALUES (4, x'616263');
             {more}"
        ))
        .unwrap();
}

#[test]
fn recordings_of_dimos_are_read_a_stream_each() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a ?#%.db");
    foreign(&path, "");
    let before = std::fs::read(&path).unwrap();
    let (streams, told) = read(&path).unwrap();
    assert!(told.is_none(), "{told:?}");
    let names: Vec<&str> = streams.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["level", "text"]);
    let level = joined(&streams[0].1).unwrap();
    assert_eq!(
        (level.seq(), level.timestamps()),
        (&[0, 1, 2][..], &[5_000_000_000, 5_500_000_000, 6_000_000_000][..])
    );
    let value = level.column(level.schema().payload_index("value").unwrap());
    assert_eq!((value.values::<f64>()[0], value.values::<f64>()[1], value.is_null(2)), (0.25, 7.0, true));
    let text = joined(&streams[1].1).unwrap();
    assert_eq!(
        (text.seq(), text.column(2).str_bytes(0), text.column(2).str_bytes(1)),
        (&[3, 5][..], &b"abc"[..], &b""[..])
    );
    assert_eq!(
        (text.column(0).str_at(0), text.column(1).str_at(0), text.column(3).str_at(0)),
        ("text", "lcm", "std_msgs.String")
    );
    let tags = text.column(text.schema().payload_index("tags").unwrap());
    assert_eq!((tags.str_at(0), tags.is_null(1)), ("{\"a\":1}", true));
    assert!(DimosFormat.matches(&before[..100], &path));
    assert_eq!(DimosFormat.repair(&path).unwrap(), Repair::Intact);
    assert!(std::fs::read(&path).unwrap() == before, "nothing is changed");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

/// The bytes of a cell.
trait Cell<'b> {
    fn str_bytes(&self, row: usize) -> &'b [u8];
}

impl<'b> Cell<'b> for tapedeck_sdk::Column<'b> {
    fn str_bytes(&self, row: usize) -> &'b [u8] {
        self.bytes_at(row)
    }
}

#[test]
fn what_only_looks_like_a_table_is_not_asked_and_broken_observations_cost_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evil.db");
    foreign(
        &path,
        "INSERT INTO _streams VALUES ('forever', '{}'), ('gone', 'no json');
         CREATE VIEW forever AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n)
            SELECT id, 1.0 AS ts, NULL AS value FROM n;
         INSERT INTO level (ts, value) VALUES ('soon', 1.0), (9e999, 1.0), (7.0, 2.0);",
    );
    let (streams, told) = read(&path).unwrap();
    assert_eq!(streams.len(), 2, "{streams:?}");
    assert_eq!(streams[0].1.iter().map(Batch::rows).sum::<usize>(), 4);
    let told = told.unwrap();
    assert!(
        told.message.contains("2 frames of stream \"level\"") && told.message.contains("its time is none"),
        "{told}"
    );
    let other = folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    let head = std::fs::read(&other).unwrap();
    assert!(!DimosFormat.matches(&head[..100], &other));
    let error = DimosFormat.open(&other).err().unwrap();
    assert!(error.message.contains("not a recording of dimos"), "{error}");
    std::fs::write(&other, "rubbish").unwrap();
    assert_eq!(DimosFormat.open(&other).err().unwrap().kind, ErrorKind::Data);
    assert!(matches!(DimosFormat.repair(&other).unwrap(), Repair::Unreadable(_)));
}

#[test]
fn what_was_flushed_survives_a_kill_and_is_taken_into_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let host = FakeHost::new(folder.path());
    let schema = samples::schema(Kind::Message, "m");
    let mut sink = open_sink(&factory(), &json!({}), std::slice::from_ref(&schema), &host, "rows").unwrap();
    let batches = samples::batches(&schema, &[40, 20]);
    sink.write(0, batches[0].clone()).unwrap();
    sink.flush().unwrap();
    sink.write(0, batches[1].clone()).unwrap();
    let killed = folder.path().join("killed.db");
    for end in ["", "-wal"] {
        let from = folder.path().join(format!("rows.db{end}"));
        std::fs::copy(from, folder.path().join(format!("killed.db{end}"))).unwrap();
    }
    assert_eq!(rows(&killed), 40, "it can be read as it is");
    assert!(matches!(DimosFormat.repair(&killed).unwrap(), Repair::Mended(_)));
    assert_eq!(DimosFormat.repair(&killed).unwrap(), Repair::Intact);
    assert_eq!(rows(&killed), 40);
    sink.finish().unwrap();
    assert_eq!(rows(&folder.path().join("rows.db")), 60);
}

#[test]
fn damaged_bytes_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let kinds = [Kind::Message, Kind::Event]
        .map(|kind| samples::batches(&samples::schema(kind, kind.name()), &[200]));
    let (path, _) = record(folder.path(), &kinds);
    let bytes = std::fs::read(&path).unwrap();
    let damaged = folder.path().join("damaged.db");
    for place in (0..bytes.len()).step_by(bytes.len() / 300) {
        let mut copy = bytes.clone();
        let end = (place + 40).min(copy.len());
        copy[place..end].fill(if place % 2 == 0 { 0xff } else { 0 });
        std::fs::write(&damaged, &copy).unwrap();
        if let Ok(mut recording) = DimosFormat.open(&damaged) {
            while let Ok(Some(_)) = recording.next() {}
            for stream in 0..recording.streams().len() {
                let _ = recording.closest(stream, Timestamp(START));
            }
        }
        let _ = DimosFormat.repair(&damaged);
    }
}

//! Tests of the sink and its reader: what was written is what is read, whatever kind it is and however the file ends.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tapedeck_sdk::testing::conformance::{self, SinkCase};
use tapedeck_sdk::testing::{FakeHost, all_types, joined, open_sink, read_all, sample, samples};

use super::*;

/// Every kind of stream, in one file.
fn every_kind() -> SinkCase {
    let kinds = Kind::ALL.iter().map(|kind| samples::schema(*kind, kind.name()));
    SinkCase::new(kinds.map(|schema| samples::batches(&schema, &[3, 1, 60, 7])).collect())
}

/// A stream of messages with all that a live source knows of one.
fn message_schema() -> Arc<StreamSchema> {
    let builder = StreamSchema::builder("live", Kind::Message)
        .field("topic", DataType::Utf8)
        .field("encoding", DataType::Utf8)
        .field("data", DataType::Binary);
    let builder = builder.nullable("sensor_time", DataType::TimestampNs);
    builder.nullable("schema", DataType::Utf8).nullable("publisher", DataType::Utf8).build().unwrap()
}

fn record(folder: &Path, options: &Value, inputs: &[Vec<Batch>]) -> Written {
    let host = FakeHost::new(folder);
    let schemas: Vec<_> = inputs.iter().map(|input| input[0].schema().clone()).collect();
    let mut sink = open_sink(&factory(), options, &schemas, &host, "rows").unwrap();
    let mut all = Written::ALL;
    for turn in 0..inputs.iter().map(Vec::len).max().unwrap_or(0) {
        for (input, batches) in inputs.iter().enumerate() {
            if let Some(batch) = batches.get(turn) {
                all = all.and(sink.write(input, batch.clone()).unwrap());
            }
        }
    }
    all.and(sink.finish().unwrap())
}

/// A stream and its rows.
type Stream = (Arc<StreamSchema>, Vec<Batch>);

/// The rows of each stream of a file.
fn read(path: &Path) -> Result<Vec<Stream>, Error> {
    let mut recording = McapFormat.open(path)?;
    let mut found: Vec<_> = recording.streams().iter().map(|schema| (schema.clone(), Vec::new())).collect();
    while let Some((stream, batch)) = recording.next()? {
        found[stream].1.push(batch);
    }
    Ok(found)
}

fn rows(path: &Path) -> usize {
    read(path).unwrap().iter().flat_map(|(_, batches)| batches).map(Batch::rows).sum()
}

fn assert_same_rows(found: &Batch, expected: &Batch) {
    assert_eq!(found.rows(), expected.rows());
    assert_eq!(found.schema(), expected.schema());
    for index in 0..expected.schema().fields().len() {
        assert!(found.any_column(index) == expected.any_column(index), "column {index}");
    }
}

#[test]
fn the_contract_is_kept_for_every_kind_in_one_file() {
    conformance::sink(&factory(), &json!({}), &every_kind()).unwrap();
}

#[test]
fn the_contract_is_kept_with_every_option() {
    for options in [
        json!({ "compression": "lz4", "level": 3, "chunk_bytes": "4KiB" }),
        json!({ "compression": "none", "attributes": "json", "chunk_time": "300ms" }),
        json!({ "profile": "ros2", "chunk_bytes": "1KiB" }),
        json!({ "profile": "dimos" }),
    ] {
        conformance::sink(&factory(), &options, &every_kind()).unwrap();
    }
}

#[test]
fn the_contract_is_kept_for_any_columns_of_messages_and_of_pictures() {
    let image = StreamSchema::builder("camera", Kind::Image)
        .field("width", DataType::UInt32)
        .field("height", DataType::UInt32)
        .field("format", DataType::Utf8)
        .nullable("sensor_time", DataType::TimestampNs)
        .field("pixels", DataType::Binary)
        .nullable("exposure", DataType::Float32);
    let odd = StreamSchema::builder("odd", Kind::Message)
        .field("topic", DataType::Utf8)
        .field("encoding", DataType::Utf8)
        .field("data", DataType::Binary)
        .nullable("strength", DataType::Int16);
    let event = StreamSchema::builder("bare", Kind::Event).field("type", DataType::Utf8);
    let schemas = [message_schema(), image.build().unwrap(), odd.build().unwrap(), event.build().unwrap()];
    let case = SinkCase::new(schemas.iter().map(|schema| samples::batches(schema, &[3, 1, 90])).collect());
    conformance::sink(&factory(), &json!({ "chunk_bytes": "2KiB" }), &case).unwrap();
    conformance::sink(&factory(), &json!({ "profile": "dimos", "attributes": "json" }), &case).unwrap();
}

#[test]
fn what_was_written_is_read_and_written_again_the_same() {
    for (nullable, attributes, sizes) in
        [(false, "protobuf", &[1, 1, 5][..]), (true, "json", &[1, 2, 3, 3000, 4]), (true, "protobuf", &[700])]
    {
        let folder = tempfile::tempdir().unwrap();
        let schema = all_types(nullable);
        let mut seq = u64::from(u32::MAX) - 4;
        let mut batches = Vec::new();
        for (seed, &rows) in (1..).zip(sizes) {
            batches.push(sample(&schema, seq, rows, seed));
            seq += rows as u64 + 2;
        }
        let options = json!({ "attributes": attributes, "chunk_bytes": "64KiB" });
        record(folder.path(), &options, std::slice::from_ref(&batches));
        let path = folder.path().join("rows.mcap");
        let (_, found) = read_all(&McapFormat, &path).unwrap();
        assert_same_rows(&joined(&found).unwrap(), &joined(&batches).unwrap());
        let first = std::fs::read(&path).unwrap();
        record(folder.path(), &options, &[found]);
        assert!(first == std::fs::read(&path).unwrap(), "a second generation has the same bytes");
    }
}

/// A message row: topic, encoding, data, sensor time, schema, publisher.
type Row<'a> = (&'a str, &'a str, &'a [u8], Option<i64>, Option<&'a str>, Option<&'a str>);

fn messages(rows: &[Row<'_>]) -> Batch {
    let mut pool = BatchPool::new(message_schema());
    let mut builder = pool.builder(rows.len());
    for (time, &(topic, encoding, data, sensor_time, schema, publisher)) in (1_000..).zip(rows) {
        let mut row = builder.push_row(Timestamp(time));
        row.set_str(0, topic).set_str(1, encoding).set_bytes(2, data);
        sensor_time.into_iter().for_each(|time| _ = row.set(3, time));
        schema.into_iter().for_each(|text| _ = row.set_str(4, text));
        publisher.into_iter().for_each(|text| _ = row.set_str(5, text));
    }
    (7..).zip(builder.seq_mut()).for_each(|(number, seq)| *seq = number);
    builder.finish()
}

fn channels(path: &Path) -> Vec<(String, String, String)> {
    let bytes = std::fs::read(path).unwrap();
    let summary = mcap::Summary::read(&bytes).unwrap().unwrap();
    let channel = |channel: &Arc<mcap::Channel<'_>>| {
        let schema = channel.schema.as_ref().map_or_else(String::new, |schema| schema.name.clone());
        (channel.topic.clone(), channel.message_encoding.clone(), schema)
    };
    let mut found: Vec<_> = summary.channels.values().map(channel).collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn messages_are_written_as_they_are_a_channel_a_topic() {
    let batch = messages(&[
        ("/odom#nav_msgs.Odometry", "lcm", b"\x00\x01", Some(990), None, None),
        ("/odom#nav_msgs.Odometry", "lcm", b"", None, None, Some("a")),
        ("/odom#nav_msgs.Odometry", "lcm", b"x", Some(1_002), None, Some("b")),
        ("imu", "cdr", b"y", Some(-5), Some("sensor_msgs/msg/Imu"), None),
        ("", "", b"z", None, Some(""), Some("")),
    ]);
    for (profile, expected) in [
        (
            "none",
            [("", "", ""), ("/odom#nav_msgs.Odometry", "lcm", ""), ("imu", "cdr", "sensor_msgs/msg/Imu")],
        ),
        (
            "ros2",
            [("/", "", ""), ("/imu", "cdr", "sensor_msgs/msg/Imu"), ("/odom#nav_msgs.Odometry", "lcm", "")],
        ),
        (
            "dimos",
            [
                ("dimos/", "", ""),
                ("dimos/imu/sensor_msgs.msg.Imu", "cdr", ""),
                ("dimos/odom/nav_msgs.Odometry", "lcm", ""),
            ],
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        record(folder.path(), &json!({ "profile": profile }), &[vec![batch.clone()]]);
        let path = folder.path().join("rows.mcap");
        let found = channels(&path);
        let expected =
            expected.map(|(topic, encoding, schema)| (topic.into(), encoding.into(), schema.into()));
        assert_eq!(found, expected, "{profile}");
        let (_, found) = read_all(&McapFormat, &path).unwrap();
        assert_same_rows(&joined(&found).unwrap(), &batch);
        let bytes = std::fs::read(&path).unwrap();
        let data: Vec<_> = mcap::MessageStream::new(&bytes).unwrap().map(Result::unwrap).collect();
        assert_eq!(data.iter().map(|message| message.sequence).collect::<Vec<_>>(), [7, 8, 9, 10, 11]);
        assert_eq!((data[0].log_time, data[0].publish_time), (1000, 990));
        assert_eq!((data[1].log_time, data[1].publish_time, &data[2].data[..]), (1001, 1001, &b"x"[..]));
    }
}

#[test]
fn pictures_are_foxgloves_messages() {
    let schema = samples::schema(Kind::Image, "camera");
    let mut pool = BatchPool::new(schema);
    let mut builder = pool.builder(3);
    for (time, format) in (1..).zip(["gray16", "jpeg", "h264"]) {
        let mut row = builder.push_row(Timestamp(time * 1_500_000_000));
        row.set(0, 2_u32).set(1, 3_u32).set_str(2, format).set_bytes(3, b"twelve bytes");
    }
    builder.seq_mut().copy_from_slice(&[0, 1, 2]);
    let batch = builder.finish();
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), &json!({}), &[vec![batch.clone()]]);
    let path = folder.path().join("rows.mcap");
    let expected = [
        ("camera", "foxglove.RawImage"),
        ("camera/compressed", "foxglove.CompressedImage"),
        ("camera/video", "foxglove.CompressedVideo"),
    ];
    let expected =
        expected.map(|(topic, schema)| (topic.to_owned(), "protobuf".to_owned(), schema.to_owned()));
    assert_eq!(channels(&path), expected);
    let (_, found) = read_all(&McapFormat, &path).unwrap();
    assert_same_rows(&joined(&found).unwrap(), &batch);
}

#[test]
fn session_pipeline_and_loss_are_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let host = FakeHost::new(folder.path());
    host.failed(3);
    let sink = open_sink(&factory(), &json!({}), &[all_types(true)], &host, "rows").unwrap();
    sink.finish().unwrap();
    let path = folder.path().join("rows.mcap");
    let bytes = std::fs::read(&path).unwrap();
    let summary = mcap::Summary::read(&bytes).unwrap().unwrap();
    let metadata: Vec<_> =
        summary.metadata_indexes.iter().map(|index| mcap::read::metadata(&bytes, index).unwrap()).collect();
    let names: Vec<_> = metadata.iter().map(|record| record.name.as_str()).collect();
    assert_eq!(names, [SESSION_RECORD, STREAMS_RECORD, LOSS_RECORD]);
    assert_eq!(metadata[0].metadata["id"], "test");
    assert_eq!(metadata[2].metadata["all"], r#"{"late":0,"dropped":0,"failed":3,"partial":0}"#);
    let attachment = mcap::read::attachment(&bytes, &summary.attachment_indexes[0]).unwrap();
    assert_eq!((attachment.name.as_str(), &attachment.data[..]), ("pipeline.toml", &b"# a test\n"[..]));
    let found = read(&path).unwrap();
    assert_eq!((found[0].0.name(), found[0].1.len()), ("all", 0), "a stream without frames is there, too");
}

#[test]
fn chunks_end_by_size_and_by_time() {
    let schema = all_types(false);
    let batches: Vec<_> = (0..25).map(|n| sample(&schema, n * 10, 10, n + 1)).collect();
    let chunks = |options: Value| {
        let folder = tempfile::tempdir().unwrap();
        record(folder.path(), &options, std::slice::from_ref(&batches));
        let bytes = std::fs::read(folder.path().join("rows.mcap")).unwrap();
        mcap::Summary::read(&bytes).unwrap().unwrap().chunk_indexes
    };
    assert_eq!(chunks(json!({})).len(), 1);
    // A frame a millisecond.
    let by_time = chunks(json!({ "chunk_time": "60ms" }));
    assert_eq!(by_time.len(), 5);
    assert!(by_time.iter().all(|chunk| chunk.message_end_time - chunk.message_start_time < 60_000_000));
    let by_size = chunks(json!({ "chunk_bytes": "4KiB" }));
    assert!(by_size.len() > 3 && by_size[1..].iter().all(|chunk| chunk.uncompressed_size < 5 << 10));
}

#[test]
fn frames_that_mcap_has_no_place_for_are_counted_and_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let schema = samples::schema(Kind::Message, "m");
    let mut pool = BatchPool::new(schema.clone());
    let mut builder = pool.builder(3);
    for time in [-2, -1, 5] {
        builder.push_row(Timestamp(time)).set_str(0, "t").set_str(1, "").set_bytes(2, b"");
    }
    let written = record(folder.path(), &json!({}), &[vec![builder.finish()]]);
    assert_eq!(written.refused_frames(), 2);
    assert!(written.refused()[0].reason.message.contains("before 1970"), "{written:?}");
    assert_eq!(rows(&folder.path().join("rows.mcap")), 1);
}

/// Runs this very test in a process whose files may not grow beyond some size: the disk is full for it.
#[test]
fn a_full_disk_is_an_error_and_the_chunks_before_it_are_read() {
    const CHILD: &str = "TAPEDECK_TEST_FULL_DISK";
    if let Some(folder) = std::env::var_os(CHILD) {
        return fill_the_disk(Path::new(&folder));
    }
    for compression in ["none", "zstd", "lz4"] {
        let folder = tempfile::tempdir().unwrap();
        let test = "tests::a_full_disk_is_an_error_and_the_chunks_before_it_are_read";
        let script = "trap '' XFSZ; ulimit -f 200; exec \"$0\" --exact \"$1\" --nocapture";
        let mut child = Command::new("sh");
        child.args(["-c", script]).arg(std::env::current_exe().unwrap()).arg(test);
        let output = child.env(CHILD, folder.path()).env("COMPRESSION", compression).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let path = folder.path().join("rows.mcap");
        let (_, found) = read_all(&McapFormat, &path).unwrap();
        assert!(!matches!(McapFormat.repair(&path).unwrap(), Repair::Unreadable(_)));
        assert_eq!(McapFormat.repair(&path).unwrap(), Repair::Intact);
        let (_, after) = read_all(&McapFormat, &path).unwrap();
        assert_same_rows(&joined(&after).unwrap(), &joined(&found).unwrap());
        let rows: usize = found.iter().map(Batch::rows).sum();
        assert!(rows > 0, "{rows}");
        assert_same_rows(&joined(&found).unwrap(), &sample(&all_types(false), 0, rows, 9));
    }
}

fn fill_the_disk(folder: &Path) {
    let host = FakeHost::new(folder);
    let options = json!({ "chunk_bytes": "16KiB", "compression": std::env::var("COMPRESSION").unwrap() });
    let mut sink = open_sink(&factory(), &options, &[all_types(false)], &host, "rows").unwrap();
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
    assert!(error.kind == ErrorKind::Io && error.message.ends_with("rows.mcap"), "{error}");
    // There may be room for the summary where the torn chunk was, or not.
    assert!(sink.finish().err().is_none_or(|error| error.hint.is_some()));
}

/// A file that was never finished: what a kill leaves.
fn killed(folder: &Path, batches: &[Batch]) -> PathBuf {
    let host = FakeHost::new(folder);
    let options = json!({ "chunk_bytes": "2KiB" });
    let mut sink = open_sink(&factory(), &options, &[batches[0].schema().clone()], &host, "rows").unwrap();
    batches.iter().for_each(|batch| _ = sink.write(0, batch.clone()).unwrap());
    sink.flush().unwrap();
    let copy = folder.join("killed.mcap");
    std::fs::copy(folder.join("rows.mcap"), &copy).unwrap();
    copy
}

#[test]
fn a_file_cut_anywhere_is_mended_and_keeps_what_could_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let schema = samples::schema(Kind::Message, "m");
    let path = killed(folder.path(), &samples::batches(&schema, &[200]));
    let bytes = std::fs::read(&path).unwrap();
    let (mut most, mut last) = (0, 0);
    for length in (0..bytes.len()).step_by(31).chain([bytes.len()]) {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let before = read(&path)
            .map_or(0, |found| found.iter().flat_map(|(_, batches)| batches).map(Batch::rows).sum());
        assert!(matches!(McapFormat.repair(&path).unwrap(), Repair::Mended(_)), "{length}");
        assert_eq!(McapFormat.repair(&path).unwrap(), Repair::Intact, "{length}");
        last = rows(&path);
        assert!(last >= before && last >= most, "{length}: {before} rows, then {last}; {most} before");
        most = last;
        let mended = std::fs::read(&path).unwrap();
        let summary = mcap::Summary::read(&mended).unwrap().unwrap();
        assert_eq!(summary.stats.unwrap().message_count, last as u64);
        conformance::recording(&McapFormat, &path).unwrap();
    }
    assert_eq!(last, 200);
}

/// Somebody else's writer fills in a chunk's header when the chunk ends: a kill leaves all since the last one in a torn chunk.
#[test]
fn what_can_be_read_of_a_chunk_that_was_never_closed_is_kept() {
    for compression in [None, Some(mcap::Compression::Zstd), Some(mcap::Compression::Lz4)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("open.mcap");
        let options =
            mcap::WriteOptions::new().compression(compression).chunk_size(None).compression_threads(0);
        let mut writer = options.create(std::fs::File::create(&path).unwrap()).unwrap();
        let channel = writer.add_channel(0, "/t", "json", &BTreeMap::new()).unwrap();
        let mut noise = 1_u64;
        for number in 0..20_000 {
            // Bytes that do not compress: the compressor hands them on.
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let header = mcap::records::MessageHeader {
                channel_id: channel,
                sequence: 0,
                log_time: number,
                publish_time: number,
            };
            writer.write_to_known_channel(&header, &noise.to_le_bytes().repeat(4)).unwrap();
        }
        let torn = std::fs::read(&path).unwrap();
        std::mem::forget(writer);
        for length in [torn.len(), torn.len() - 7, torn.len() / 2] {
            std::fs::write(&path, &torn[..length]).unwrap();
            let before = rows(&path);
            assert!(before > 1000, "{before} of {length} bytes with {compression:?}");
            let found = read(&path).unwrap();
            assert!(
                found[0]
                    .1
                    .iter()
                    .flat_map(|batch| batch.timestamps())
                    .copied()
                    .eq(0..i64::try_from(before).unwrap())
            );
            assert!(matches!(McapFormat.repair(&path).unwrap(), Repair::Mended(_)));
            assert_eq!(McapFormat.repair(&path).unwrap(), Repair::Intact);
            assert_eq!(rows(&path), before);
            let mended = std::fs::read(&path).unwrap();
            assert_eq!(mcap::MessageStream::new(&mended).unwrap().map(Result::unwrap).count(), before);
            conformance::recording(&McapFormat, &path).unwrap();
        }
    }
}

#[test]
fn a_file_damaged_in_the_middle_keeps_everything_behind_the_damage() {
    let folder = tempfile::tempdir().unwrap();
    let schema = samples::schema(Kind::Message, "m");
    let path = killed(folder.path(), &samples::batches(&schema, &[200]));
    let good = std::fs::read(&path).unwrap();
    let parts = summary::contents(&index::Bytes::open(&path).unwrap()).unwrap().parts;
    let at = usize::try_from(parts[3].at).unwrap();
    let lost = rows(&path) - {
        let (one, next) = (parts[3].start, parts[4].start);
        let all = read(&path).unwrap();
        let times = all[0].1.iter().flat_map(|batch| batch.timestamps().to_vec());
        times.filter(|time| !(one..next).contains(time)).count()
    };
    // A length that no file has, one that a torn record could have, and one that ends in another record.
    for length in [u64::MAX >> 1, 1 << 20, 77] {
        let mut bytes = good.clone();
        bytes[at + 1..at + 9].copy_from_slice(&length.to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        let mut recording = McapFormat.open(&path).unwrap();
        let mut found = 0;
        let error = loop {
            match recording.next() {
                Ok(batch) => found += batch.expect("an error comes first").1.rows(),
                Err(error) => break error,
            }
        };
        assert!(error.message.ends_with("killed.mcap"), "{length}: {error}");
        assert_eq!(found, 200 - lost, "{length}");
        let repair = McapFormat.repair(&path).unwrap();
        assert!(
            matches!(&repair, Repair::Mended(what) if what.contains("damaged bytes")),
            "{length}: {repair:?}"
        );
        assert_eq!(McapFormat.repair(&path).unwrap(), Repair::Intact);
        assert_eq!(rows(&path), 200 - lost, "{length}");
        let mended = std::fs::read(&path).unwrap();
        assert!(mended[at + 9..at + 60] == good[at + 9..at + 60], "what can't be read stays");
        assert_eq!(mcap::MessageStream::new(&mended).unwrap().map(Result::unwrap).count(), 200 - lost);
    }
    std::fs::write(&path, &good).unwrap();
    // A damaged chunk alone: the rows before it are given, and those behind it after a seek.
    let mut bytes = good;
    bytes[at + 60] ^= 0xff;
    std::fs::write(&path, &bytes).unwrap();
    let mut recording = McapFormat.open(&path).unwrap();
    while recording.next().is_ok_and(|batch| batch.is_some()) {}
    recording.seek(Timestamp(parts[3].end + 1)).unwrap();
    let (_, batch) = recording.next().unwrap().expect("there are chunks behind it");
    assert!(batch.timestamps()[0] > parts[3].end);
}

#[test]
fn damaged_bytes_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let inputs: Vec<_> = every_kind().inputs.into_iter().map(|input| input[..1].to_vec()).collect();
    for options in
        [json!({ "compression": "none", "attributes": "json" }), json!({ "compression": "lz4" }), json!({})]
    {
        record(folder.path(), &options, &inputs);
        let bytes = std::fs::read(folder.path().join("rows.mcap")).unwrap();
        let path = folder.path().join("damaged.mcap");
        for at in (0..bytes.len()).step_by(29) {
            for flip in [0xff, 0x01] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                std::fs::write(&path, &damaged).unwrap();
                let Ok(mut recording) = McapFormat.open(&path) else { continue };
                (0..recording.streams().len()).for_each(|stream| _ = recording.extent(stream));
                while let Ok(Some(_)) = recording.next() {}
                drop(recording.seek(Timestamp(samples::STARTED_AT.nanos() + 1)));
                drop(recording.closest(0, samples::STARTED_AT));
            }
        }
    }
}

#[test]
fn options_out_of_range_point_at_the_option() {
    for (options, option) in [
        (json!({ "level": 0 }), "level"),
        (json!({ "compression": "lz4", "level": 13 }), "level"),
        (json!({ "chunk_bytes": "0B" }), "chunk_bytes"),
        (json!({ "chunk_bytes": "1GiB" }), "chunk_bytes"),
        (json!({ "chunk_time": "0s" }), "chunk_time"),
    ] {
        let error = factory().check(&options).unwrap_err();
        assert_eq!((error.kind, &error.option[..]), (ErrorKind::Options, &[option.to_owned()][..]));
    }
}

#[test]
fn rows_stay_in_their_order_where_time_goes_back() {
    let schema = (0..1000).fold(StreamSchema::builder("wide", Kind::Attributes), |schema, column| {
        schema.nullable(&format!("c{column}"), DataType::Float64)
    });
    let mut pool = BatchPool::new(schema.build().unwrap());
    let mut builder = pool.builder(1200);
    (0..1200).for_each(|row| _ = builder.push_row(Timestamp(5000 - row)));
    (0..).zip(builder.seq_mut()).for_each(|(number, seq)| *seq = number);
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), &json!({}), &[vec![builder.finish()]]);
    let (_, found) = &read(&folder.path().join("rows.mcap")).unwrap()[0];
    assert!(found.len() > 1, "they are several batches");
    let seqs: Vec<u64> = found.iter().flat_map(|batch| batch.seq().to_vec()).collect();
    assert_eq!(seqs, (0..1200).collect::<Vec<_>>());
}

#[test]
fn a_large_message_has_a_chunk_that_readers_can_hold() {
    let (small, large) = (Vec::new(), vec![7_u8; 15 << 19]);
    let middle = &large[..(1 << 20) - 1000];
    let row = |data| ("t", "", data, None, None, None);
    let batch = messages(&[row(middle), row(&large), row(&small), row(&large)]);
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), &json!({}), &[vec![batch]]);
    let bytes = std::fs::read(folder.path().join("rows.mcap")).unwrap();
    let chunks = mcap::Summary::read(&bytes).unwrap().unwrap().chunk_indexes;
    assert!(chunks.len() > 2 && chunks.iter().all(|chunk| chunk.uncompressed_size < 8 << 20), "{chunks:?}");
}

#[test]
fn messages_of_more_types_than_the_format_has_are_refused_and_the_others_kept() {
    let names: Vec<String> = (0..65_600).map(|number| format!("T{number}")).collect();
    let rows: Vec<Row<'_>> =
        names.iter().map(|name| ("t", "", &b""[..], None, Some(&**name), None)).collect();
    let folder = tempfile::tempdir().unwrap();
    let written = record(folder.path(), &json!({}), &[vec![messages(&rows)]]);
    let refused = written.refused_frames();
    assert_eq!(refused, 65_600 - 65_534);
    assert!(written.refused()[0].reason.message.contains("65,534"), "{written:?}");
    assert_eq!(rows.len() - self::rows(&folder.path().join("rows.mcap")), usize::try_from(refused).unwrap());
}

#[test]
fn fields_of_a_descriptor_have_names_of_their_own() {
    let columns = ["a_b_3", "a.b", "a_b"];
    let schema = columns.iter().fold(StreamSchema::builder("s", Kind::Attributes), |schema, name| {
        schema.field(name, DataType::Bool)
    });
    let (_, descriptor) = descriptor::of_rows(&schema.build().unwrap());
    for name in ["\x05a_b_3", "\x03a_b", "\x05a_b_4"] {
        assert!(descriptor.windows(name.len()).any(|bytes| bytes == name.as_bytes()), "{name:?}");
    }
}

#[test]
fn of_a_folder_each_file_is_mended_that_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let schema = all_types(false);
    let torn = killed(folder.path(), &[sample(&schema, 0, 10, 1)]);
    std::fs::write(folder.path().join("metadata.yaml"), "").unwrap();
    std::fs::write(folder.path().join("a.mcap"), "rubbish").unwrap();
    let Repair::Unreadable(why) = McapFormat.repair(folder.path()).unwrap() else {
        panic!("it is not whole")
    };
    assert!(why.contains("a.mcap: not an MCAP file; ") && why.contains("added the missing summary"), "{why}");
    assert_eq!(McapFormat.repair(&torn).unwrap(), Repair::Intact);
    assert_eq!(rows(&torn), 10);
}

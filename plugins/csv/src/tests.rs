//! Tests of the sink and its reader: what was written reads back as people would expect, wherever the file was cut.

use std::io::{self, Write};
use std::path::Path;

use proptest::prelude::*;
use serde_json::json;
use tapedeck_sdk::testing::conformance;
use tapedeck_sdk::testing::{FakeHost, all_types, joined, open_sink, read_all, sample};

use super::*;

fn record(folder: &Path, options: &serde_json::Value, batches: &[Batch]) -> String {
    let host = FakeHost::new(folder);
    let mut sink = open_sink(&factory(), options, &[batches[0].schema().clone()], &host, "rows").unwrap();
    for batch in batches {
        sink.write(0, batch.clone()).unwrap();
    }
    sink.flush().unwrap();
    let path = folder.join("rows.csv");
    let flushed = std::fs::read_to_string(&path).unwrap();
    sink.finish().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), flushed, "everything was there after the flush");
    flushed
}

fn read_text(text: &[u8]) -> Result<(Arc<StreamSchema>, Vec<Batch>), Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.csv");
    std::fs::write(&path, text).unwrap();
    read_all(&CsvFormat, &path)
}

#[test]
fn a_line_looks_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let schema = StreamSchema::builder("game", Kind::Attributes)
        .field("health", DataType::Float64)
        .field("speed", DataType::Float32)
        .nullable("name, quoted", DataType::Utf8)
        .field("raw", DataType::FixedBinary(2))
        .field("alive", DataType::Bool)
        .field("level", DataType::UInt8)
        .build()
        .unwrap();
    let mut pool = BatchPool::new(schema);
    let mut builder = pool.builder(3);
    let time = Timestamp(1_700_000_000_000_000_001);
    builder
        .push_row(time)
        .set(0, 99.5)
        .set(1, 0.1_f32)
        .set_str(2, "say \"hi\"")
        .set_bytes(3, &[0, 255])
        .set_bool(4, true)
        .set(5, 7_u8);
    builder.push_row(time).set(0, f64::NAN).set(1, f32::NEG_INFINITY).set_str(2, "");
    builder.push_row(time).set(0, 1e300).set(1, 3e13_f32);
    let mut batch = builder.finish();
    batch.stamp(41, Timestamp(0));
    let text = record(folder.path(), &json!({}), &[batch.clone()]);
    let expected = "seq,timestamp,health,speed,\"name, quoted\",raw,alive,level\n\
        41,2023-11-14T22:13:20.000000001Z,99.5,0.1,\"say \"\"hi\"\"\",0x00ff,true,7\n\
        42,2023-11-14T22:13:20.000000001Z,NaN,-inf,\"\",0x0000,false,0\n\
        43,2023-11-14T22:13:20.000000001Z,1e+300,30000000000000.0,,0x0000,false,0\n";
    assert_eq!(text, expected);
    let text = record(folder.path(), &json!({ "timestamps": "ns" }), &[batch.clone()]);
    assert!(text.contains("\n41,1700000000000000001,99.5"), "{text}");
    let text = record(folder.path(), &json!({ "timestamps": "seconds" }), &[batch]);
    assert!(text.contains("\n41,1700000000.000000001,99.5"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_was_written_is_read_and_written_again_the_same(
        rows in 1_usize..60, seed: u64, nullable: bool, notation in prop::sample::select(vec!["iso", "ns", "seconds"]),
    ) {
        // A column of points in time that is written as decimal numbers is read as numbers; `timestamp` itself is known by name.
        let all = all_types(nullable);
        let payload = all.payload().iter().filter(|field| field.data_type != DataType::TimestampNs || notation == "iso");
        let schema = payload.cloned().fold(all.to_builder(), tapedeck_sdk::SchemaBuilder::push).build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let options = json!({ "timestamps": notation });
        let batch = sample(&schema, 5, rows, seed);
        let first = record(folder.path(), &options, std::slice::from_ref(&batch));
        let (_, found) = read_all(&CsvFormat, &folder.path().join("rows.csv")).unwrap();
        let found = joined(&found).unwrap();
        prop_assert_eq!(found.seq(), batch.seq());
        prop_assert_eq!(found.timestamps(), batch.timestamps());
        let text = schema.payload_index("utf8").unwrap();
        for row in 0..rows {
            prop_assert_eq!(found.column(text).is_null(row), batch.column(text).is_null(row));
            prop_assert_eq!(found.column(text).str_at(row), if batch.column(text).is_null(row) { "" } else { batch.column(text).str_at(row) });
        }
        let second = record(folder.path(), &options, &[found]);
        prop_assert_eq!(first, second);
    }

    #[test]
    fn any_times_are_found(times in prop::collection::vec(-50..50_i64, 0..40)) {
        let folder = tempfile::tempdir().unwrap();
        write_times(&folder.path().join("x.csv"), &times);
        prop_assert_eq!(conformance::recording(&CsvFormat, &folder.path().join("x.csv")), Ok(()));
    }

    #[test]
    fn numbers_come_back_bit_by_bit(wide: f64, narrow: f32, whole: i64, time: i64) {
        let schema = StreamSchema::builder("s", Kind::Attributes)
            .field("a", DataType::Float64).field("b", DataType::Float32).field("c", DataType::Int64).field("t", DataType::TimestampNs);
        let mut pool = BatchPool::new(schema.build().unwrap());
        let mut builder = pool.builder(1);
        builder.push_row(Timestamp(time)).set(0, wide).set(1, narrow).set(2, whole).set(3, time);
        let folder = tempfile::tempdir().unwrap();
        record(folder.path(), &json!({}), &[builder.finish()]);
        let (_, found) = read_all(&CsvFormat, &folder.path().join("rows.csv")).unwrap();
        let column = |index: usize| found[0].column(index);
        prop_assert_eq!(column(0).values::<f64>()[0].to_bits(), wide.to_bits());
        #[expect(clippy::cast_possible_truncation, reason = "it was an f32 before")]
        let narrowed = column(1).values::<f64>()[0] as f32;
        prop_assert_eq!(narrowed.to_bits(), narrow.to_bits());
        prop_assert_eq!((column(2).values::<i64>()[0], column(3).values::<i64>()[0]), (whole, time));
    }

    #[test]
    fn no_text_panics(text in "[a-z0-9,\"\n\r. -]{0,80}", damage in prop::collection::vec(any::<u8>(), 0..8)) {
        for lead in ["", "seq,timestamp,a\n1,5,\"x\"\n"] {
            drop(read_text(&[lead.as_bytes(), text.as_bytes(), &damage].concat()));
        }
    }
}

#[test]
fn a_file_cut_anywhere_reads_back_every_whole_line_and_is_mended_once() {
    let folder = tempfile::tempdir().unwrap();
    let schema = all_types(true);
    let text = record(folder.path(), &json!({}), &[sample(&schema, 0, 12, 3)]);
    let path = folder.path().join("cut.csv");
    let mut rows_seen = std::collections::BTreeSet::new();
    let mut intact = Vec::new();
    for length in 0..=text.len() {
        std::fs::write(&path, &text.as_bytes()[..length]).unwrap();
        let (_, before) = read_all(&CsvFormat, &path).unwrap();
        let seqs: Vec<u64> = before.iter().flat_map(|batch| batch.seq().to_vec()).collect();
        rows_seen.insert(seqs.len());
        match CsvFormat.repair(&path).unwrap() {
            Repair::Intact => intact.push(length),
            Repair::Mended(what) => assert!(what.contains(" bytes of a torn "), "{length}: {what}"),
            Repair::Unreadable(why) => panic!("{length}: {why}"),
        }
        let (_, after) = read_all(&CsvFormat, &path).unwrap();
        assert_eq!(after, before, "{length}");
        assert_eq!(CsvFormat.repair(&path).unwrap(), Repair::Intact, "{length}");
        assert!(seqs.iter().copied().eq(0..seqs.len() as u64));
    }
    assert_eq!(intact.len(), 14, "nothing, the header, and after each row: {intact:?}");
    assert_eq!(rows_seen.into_iter().collect::<Vec<_>>(), (0..=12).collect::<Vec<_>>());
}

#[test]
fn files_of_other_programs_are_read() {
    let (schema, rows) = read_text(b"a,b,c,d\r\n1,x,,007\r\n2.5,\"y, z\",true,008").unwrap();
    let types: Vec<_> =
        schema.payload().iter().map(|field| (field.name.as_str(), field.data_type, field.nullable)).collect();
    assert_eq!(
        types,
        [
            ("a", DataType::Float64, false),
            ("b", DataType::Utf8, false),
            ("c", DataType::Bool, true),
            ("d", DataType::Utf8, false)
        ]
    );
    assert_eq!((schema.name(), rows[0].seq(), rows[0].timestamps()), ("text", &[0, 1][..], &[0, 0][..]));
    assert_eq!((rows[0].column(0).values::<f64>()[1], rows[0].column(1).str_at(1)), (2.5, "y, z"));
}

#[test]
fn the_kind_is_known_by_its_columns() {
    let (schema, rows) =
        read_text(b"seq,timestamp,connection,code,data\n0,1970-01-01T00:00:01Z,\"c\",\"o\",0x1b5b\n")
            .unwrap();
    assert_eq!(
        (schema.kind(), rows[0].timestamps()[0], rows[0].column(2).bytes_at(0)),
        (Kind::Terminal, 1_000_000_000, &[0x1b, 0x5b][..])
    );
}

#[test]
fn a_file_that_was_begun_and_holds_nothing_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    for (text, repair) in [
        ("", Repair::Intact),
        ("se", Repair::Mended("cut 2 bytes of a torn first line".to_owned())),
        ("seq,timestamp,a", Repair::Mended("cut 15 bytes of a torn first line".to_owned())),
    ] {
        std::fs::write(&path, text).unwrap();
        let (schema, rows) = read_all(&CsvFormat, &path).unwrap();
        assert_eq!((schema.payload(), rows), (&[][..], Vec::new()));
        assert_eq!(CsvFormat.repair(&path).unwrap(), repair);
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }
    // What is not ours is not cut.
    std::fs::write(&path, "a,b").unwrap();
    assert!(CsvFormat.open(&path).is_err());
    assert!(matches!(CsvFormat.repair(&path).unwrap(), Repair::Unreadable(_)));
    assert_eq!(std::fs::read(&path).unwrap(), b"a,b");
}

#[test]
fn a_line_in_the_middle_that_is_none_is_told_with_its_number_after_what_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    for (bad, reason) in [
        ("1,2", "line 4 has 2 fields, the header has 3"),
        ("1,2,\"a\"b", "line 4 can't be read: something follows a closing quote"),
        ("one,2,5", "line 4 has a seq that is no number"),
        ("1,two,5", "line 4 has a timestamp that is none"),
    ] {
        // The first row stands on two lines.
        std::fs::write(&path, format!("seq,timestamp,a\n0,1,\"5\n\"\n{bad}\n2,3,6\n")).unwrap();
        let mut source = CsvFormat.open(&path).unwrap();
        for _ in 0..2 {
            assert_eq!(source.next().unwrap().unwrap().1.seq(), [0, 2], "{bad}");
            for _ in 0..2 {
                let error = source.next().unwrap_err();
                assert!(error.message.contains(reason) && error.message.ends_with("x.csv"), "{error}");
            }
            source.seek(Timestamp(i64::MIN)).unwrap();
        }
        let (nearest, row) = source.closest(0, Timestamp(0)).unwrap().unwrap();
        assert_eq!(nearest.timestamps()[row], 1);
        assert!(source.closest(0, Timestamp(4)).is_err(), "what the damage hides may be nearer");
        let Repair::Unreadable(why) = CsvFormat.repair(&path).unwrap() else { panic!("{bad}") };
        assert_eq!(why, reason);
    }
}

#[test]
fn a_quote_that_does_not_end_costs_its_line_and_not_the_rest_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    let rows: String = (2..2000).map(|row| format!("{row},{row},\"a\nb\"\n")).collect();
    for end in ["", "2000,20", "2000,2000,\"a\n"] {
        let text = format!("seq,timestamp,a\n0,0,c\n1,1,\"d\n{rows}{end}");
        std::fs::write(&path, &text).unwrap();
        let mut source = CsvFormat.open(&path).unwrap();
        let mut seqs = Vec::new();
        let error = loop {
            match source.next() {
                Ok(Some((_, batch))) => seqs.extend_from_slice(batch.seq()),
                Ok(None) => panic!("the damage is told"),
                Err(error) => break error,
            }
        };
        assert_eq!(seqs, std::iter::once(0).chain(2..2000).collect::<Vec<u64>>(), "{end:?}");
        assert!(
            error.message.contains("line 3 has a quote that does not end")
                || error.message.contains("line 3 can't"),
            "{error}"
        );
        let Repair::Unreadable(why) = CsvFormat.repair(&path).unwrap() else { panic!("{end:?}") };
        assert!(why.contains("line 3 "), "{why}");
        let kept = std::fs::read_to_string(&path).unwrap();
        assert_eq!(kept, text.strip_suffix(end).unwrap(), "no more than the torn row is cut: {end:?}");
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_an_error_after_what_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    let lines: Vec<String> = (0..5000).map(|row| format!("{row},{row},1\n")).collect();
    std::fs::write(&path, format!("seq,timestamp,a\n{}", lines.concat())).unwrap();
    let mut source = CsvFormat.open(&path).unwrap();
    source.seek(Timestamp(4990)).unwrap();
    std::fs::write(&path, "seq,timestamp,a\n0,0,1\n").unwrap();
    source.seek(Timestamp(0)).unwrap();
    assert_eq!(source.next().unwrap().unwrap().1.rows(), 1);
    assert!(source.next().unwrap_err().message.contains("line 3 has changed while it was read"));
    // A value that is of another type than before, likewise.
    std::fs::write(&path, "seq,timestamp,a\n0,0,1\n1,1,x\n").unwrap();
    source.seek(Timestamp(0)).unwrap();
    assert_eq!(source.next().unwrap().unwrap().1.rows(), 1);
    assert!(source.next().unwrap_err().message.contains("line 3 has a value that can't be read"));
}

/// Writes rows with these times, one of them on two lines now and then.
fn write_times(path: &Path, times: &[i64]) {
    let row = |(seq, time): (usize, &i64)| {
        let text = if seq % 7 == 0 { "two\nlines" } else { "one" };
        format!("{},{time},{},\"{text}\"\n", seq + 10, seq * 2)
    };
    let rows: String = times.iter().enumerate().map(row).collect();
    std::fs::write(path, format!("seq,timestamp,twice,text\n{rows}")).unwrap();
}

#[test]
fn a_file_is_read_in_any_order_whatever_its_times() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    let rising: Vec<i64> = (0..3456).map(|row| row / 3 * 10 - 500).collect();
    let falling: Vec<i64> = rising.iter().rev().copied().collect();
    let mixed: Vec<i64> = (0..3456).map(|row| row * 7919 % 3001).collect();
    for times in [&rising[..], &falling, &mixed, &[5], &[0; 2345], &[i64::MAX, i64::MIN, 0], &[]] {
        write_times(&path, times);
        conformance::recording(&CsvFormat, &path).unwrap();
        // A torn end changes nothing.
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}9999,12")).unwrap();
        conformance::recording(&CsvFormat, &path).unwrap();
    }
}

#[test]
fn its_own_files_are_known_by_their_content() {
    for (head, expected) in [
        ("seq,timestamp,a\n", true),
        ("seq,timestamp\r\n1,2\r\n", true),
        ("seq,timestamp\n", true),
        ("seq,timestamps\n", false),
        ("a,b\n1,2\n", false),
        ("seq,time", false),
        ("", false),
    ] {
        assert_eq!(CsvFormat.matches(head.as_bytes(), Path::new("x.txt")), expected, "{head}");
    }
}

/// Storage with room for so many bytes.
struct Small {
    bytes: Vec<u8>,
    room: usize,
}

impl Write for Small {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.room - self.bytes.len());
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
fn a_full_disk_is_an_error_and_leaves_whole_lines() {
    let folder = tempfile::tempdir().unwrap();
    let batch = sample(&all_types(true), 0, 5, 1);
    let header = header(batch.schema()).len();
    let whole = record(folder.path(), &json!({}), &[batch.clone(), batch.clone()]).len();
    for room in (header..whole).step_by(53) {
        let output = LineFile::new(Small { bytes: Vec::new(), room }, "full.csv".into());
        let mut recording = Recording::open(output, batch.schema(), Timestamps::Iso).unwrap();
        let result = (0..2).try_for_each(|_| recording.write(&batch).and_then(|()| recording.output.flush()));
        let error = result.expect_err("the rows don't fit");
        assert!(error.kind == ErrorKind::Io && error.message.ends_with("full.csv"), "{error}");
        recording.output.flush().unwrap();
        let bytes = &recording.output.storage().bytes;
        assert!(bytes.ends_with(b"\n"));
        assert!(matches!(read_text(bytes).unwrap().1.iter().map(Batch::rows).sum(), 0 | 5));
    }
}

#[test]
fn a_device_without_room_gives_an_error_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.path().join("rows.csv")).unwrap();
    let host = FakeHost::new(folder.path());
    let error = open_sink(&factory(), &json!({}), &[all_types(false)], &host, "rows").err().unwrap();
    assert!(error.kind == ErrorKind::Io && error.message.ends_with("rows.csv"), "{error}");
}

#[test]
fn what_was_written_of_each_kind_is_read_as_of_that_kind() {
    for kind in Kind::ALL {
        let schema = tapedeck_sdk::testing::samples::schema(*kind, "s");
        let folder = tempfile::tempdir().unwrap();
        let host = FakeHost::new(folder.path());
        let mut sink = open_sink(&factory(), &json!({}), std::slice::from_ref(&schema), &host, "s").unwrap();
        let batches = tapedeck_sdk::testing::samples::batches(&schema, &[3, 40]);
        batches.iter().for_each(|batch| _ = sink.write(0, batch.clone()).unwrap());
        sink.finish().unwrap();
        let (found, read) = read_all(&CsvFormat, &folder.path().join("s.csv")).unwrap();
        assert_eq!(found.kind(), *kind);
        for (column, expected) in found.payload().iter().zip(kind.columns()) {
            assert_eq!(column.data_type, expected.data_type, "{kind}: {}", column.name);
        }
        assert_eq!(read.iter().map(Batch::rows).sum::<usize>(), 43);
    }
}

#[test]
fn names_of_a_kind_with_other_values_are_attributes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.csv");
    std::fs::write(&path, "width,height,format,pixels\n-1.5,2,x,0x00\n").unwrap();
    let (schema, read) = read_all(&CsvFormat, &path).unwrap();
    assert_eq!((schema.kind(), read[0].rows()), (Kind::Attributes, 1));
}

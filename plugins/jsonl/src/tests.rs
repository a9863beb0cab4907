//! Tests of the sink and its reader: what was written reads back as scripts would expect, wherever the file was cut.

use std::io::{self, Write};
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use tapedeck_sdk::HEAD_BYTES;
use tapedeck_sdk::testing::conformance;
use tapedeck_sdk::testing::{FakeHost, all_types, joined, open_sink, read_all, sample};

use super::*;

fn record(folder: &Path, options: &Value, batches: &[Batch]) -> String {
    let host = FakeHost::new(folder);
    let mut sink = open_sink(&factory(), options, &[batches[0].schema().clone()], &host, "rows").unwrap();
    for batch in batches {
        sink.write(0, batch.clone()).unwrap();
    }
    sink.flush().unwrap();
    let path = folder.join("rows.jsonl");
    let flushed = std::fs::read_to_string(&path).unwrap();
    sink.finish().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), flushed, "everything was there after the flush");
    flushed
}

fn read_text(text: &[u8]) -> Result<(Arc<StreamSchema>, Vec<Batch>), Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.jsonl");
    std::fs::write(&path, text).unwrap();
    read_all(&JsonlFormat, &path)
}

#[test]
fn a_line_looks_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let schema = StreamSchema::builder("game", Kind::Attributes)
        .field("health", DataType::Float64)
        .field("speed", DataType::Float32)
        .nullable("na\"me", DataType::Utf8)
        .field("raw", DataType::FixedBinary(2))
        .field("alive", DataType::Bool)
        .field("big", DataType::UInt64)
        .build()
        .unwrap();
    let mut pool = BatchPool::new(schema);
    let mut builder = pool.builder(2);
    let time = Timestamp(1_700_000_000_000_000_001);
    builder
        .push_row(time)
        .set(0, 100.0)
        .set(1, 0.1_f32)
        .set_str(2, "two\nlines")
        .set_bytes(3, &[0, 255])
        .set_bool(4, true)
        .set(5, u64::MAX);
    builder.push_row(time).set(0, f64::NAN).set(1, f32::NEG_INFINITY);
    let mut batch = builder.finish();
    batch.stamp(41, Timestamp(0));
    let text = record(folder.path(), &json!({}), &[batch.clone()]);
    let expected = concat!(
        r#"{"seq":41,"timestamp":"2023-11-14T22:13:20.000000001Z","health":100.0,"speed":0.1,"na\"me":"two\nlines","#,
        r#""raw":"AP8=","alive":true,"big":18446744073709551615}"#,
        "\n",
        r#"{"seq":42,"timestamp":"2023-11-14T22:13:20.000000001Z","health":null,"speed":null,"na\"me":null,"#,
        r#""raw":"AAA=","alive":false,"big":0}"#,
        "\n",
    );
    assert_eq!(text, expected);
    let text = record(folder.path(), &json!({ "non_finite": "text" }), &[batch.clone()]);
    let texts = r#""health":"NaN","speed":"-Infinity","#;
    assert_eq!(text, expected.replace(r#""health":null,"speed":null,"#, texts));
    let text = record(folder.path(), &json!({ "timestamps": "ns" }), &[batch]);
    assert!(text.starts_with(r#"{"seq":41,"timestamp":1700000000000000001,"#), "{text}");
}

#[test]
fn an_event_carries_its_json_and_comes_back_the_same() {
    let schema = StreamSchema::builder("desk", Kind::Event)
        .field("type", DataType::Utf8)
        .field("player_id", DataType::Utf8)
        .field("data", DataType::Utf8)
        .nullable("state", DataType::Utf8)
        .build()
        .unwrap();
    let data = [
        r#"{"b":1,"a":[1.50,12345678901234567890123]}"#,
        "not json",
        "5",
        r#""a string""#,
        r#""5""#,
        "{\n \"x\": 1 }",
        "",
    ];
    let mut pool = BatchPool::new(schema);
    let mut builder = pool.builder(data.len());
    for text in data {
        builder.push_row(Timestamp(1)).set_str(0, "key").set_str(1, "7").set_str(2, text);
    }
    let mut batch = builder.finish();
    batch.stamp(0, Timestamp(0));
    let folder = tempfile::tempdir().unwrap();
    let text = record(folder.path(), &json!({}), &[batch]);
    assert_eq!(text.lines().count(), data.len());
    assert!(
        text.lines()
            .next()
            .unwrap()
            .ends_with(r#""data":{"b":1,"a":[1.50,12345678901234567890123]},"state":null}"#),
        "{text}"
    );
    let (schema, found) = read_all(&JsonlFormat, &folder.path().join("rows.jsonl")).unwrap();
    assert_eq!(schema.kind(), Kind::Event);
    for (row, expected) in data.into_iter().enumerate() {
        // A JSON text that is a string which is no JSON itself reads as that string; line breaks between its parts are spaces.
        let expected =
            if expected == r#""a string""# { "a string".to_owned() } else { expected.replace('\n', " ") };
        assert_eq!(found[0].column(2).str_at(row), expected);
        assert!(found[0].column(3).is_null(row));
    }
    assert_eq!(record(folder.path(), &json!({}), &found), text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_was_written_is_read_and_written_again_the_same(
        rows in 1_usize..60, seed: u64, nullable: bool, notation in prop::sample::select(vec!["iso", "ns"]),
    ) {
        let schema = all_types(nullable);
        let folder = tempfile::tempdir().unwrap();
        let options = json!({ "timestamps": notation });
        let batch = sample(&schema, 5, rows, seed);
        let first = record(folder.path(), &options, std::slice::from_ref(&batch));
        for line in first.lines() {
            let value: Value = serde_json::from_str(line).unwrap();
            prop_assert_eq!(value.as_object().unwrap().len(), schema.fields().len());
        }
        let (_, found) = read_all(&JsonlFormat, &folder.path().join("rows.jsonl")).unwrap();
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
    fn any_times_are_found(times in prop::collection::vec(-50..50_i64, 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        write_times(&folder.path().join("x.jsonl"), &times);
        prop_assert_eq!(conformance::recording(&JsonlFormat, &folder.path().join("x.jsonl")), Ok(()));
    }

    #[test]
    fn numbers_come_back_bit_by_bit(wide: f64, narrow: f32, whole: i64, large: u64) {
        let schema = StreamSchema::builder("s", Kind::Attributes)
            .field("a", DataType::Float64).field("b", DataType::Float32).field("c", DataType::Int64).field("d", DataType::UInt64);
        let mut pool = BatchPool::new(schema.build().unwrap());
        let mut builder = pool.builder(2);
        for _ in 0..2 {
            builder.push_row(Timestamp(whole)).set(0, wide).set(1, narrow).set(2, whole).set(3, large.max(1 << 63));
        }
        let folder = tempfile::tempdir().unwrap();
        record(folder.path(), &json!({}), &[builder.finish()]);
        let (_, found) = read_all(&JsonlFormat, &folder.path().join("rows.jsonl")).unwrap();
        let column = |index: usize| found[0].column(index);
        prop_assert_eq!(found[0].timestamps()[1], whole);
        prop_assert_eq!(column(0).values::<f64>()[0].to_bits(), wide.to_bits());
        #[expect(clippy::cast_possible_truncation, reason = "it was an f32 before")]
        let narrowed = column(1).values::<f64>()[0] as f32;
        prop_assert_eq!(narrowed.to_bits(), narrow.to_bits());
        prop_assert_eq!((column(2).values::<i64>()[0], column(3).values::<u64>()[0]), (whole, large.max(1 << 63)));
    }

    #[test]
    fn no_text_panics(text in "[a-b0-1{}\\[\\]:,\"\n .-]{0,60}", damage in prop::collection::vec(any::<u8>(), 0..8)) {
        for lead in ["", "{\"seq\":1,\"timestamp\":5,\"a\":\"x\"}\n", "{\"a\":"] {
            drop(read_text(&[lead.as_bytes(), text.as_bytes(), &damage].concat()));
        }
    }
}

#[test]
fn a_file_cut_anywhere_reads_back_every_whole_line_and_is_mended_once() {
    let folder = tempfile::tempdir().unwrap();
    let text = record(folder.path(), &json!({}), &[sample(&all_types(true), 0, 12, 3)]);
    let path = folder.path().join("cut.jsonl");
    let mut rows_seen = std::collections::BTreeSet::new();
    for length in 0..=text.len() {
        std::fs::write(&path, &text.as_bytes()[..length]).unwrap();
        let (_, before) = read_all(&JsonlFormat, &path).unwrap();
        let seqs: Vec<u64> = before.iter().flat_map(|batch| batch.seq().to_vec()).collect();
        let whole = text.as_bytes()[..length].iter().filter(|&&byte| byte == b'\n').count();
        let unended = text.as_bytes().get(length) == Some(&b'\n');
        assert_eq!(seqs.len(), whole + usize::from(unended), "{length}");
        rows_seen.insert(seqs.len());
        let repair = JsonlFormat.repair(&path).unwrap();
        assert!(!matches!(repair, Repair::Unreadable(_)), "{length}: {repair:?}");
        assert_eq!(read_all(&JsonlFormat, &path).unwrap().1, before, "{length}: {repair:?}");
        assert_eq!(JsonlFormat.repair(&path).unwrap(), Repair::Intact, "{length}");
        assert!(seqs.iter().copied().eq(0..seqs.len() as u64));
    }
    assert_eq!(rows_seen.len(), 13);
}

#[test]
fn files_of_other_programs_are_read() {
    let text = b"{\"a\": 1, \"b\": \"x\"}\r\n\n{\"b\": \"y\", \"a\": 2.5, \"c\": {\"deep\": [1]}}";
    let (schema, rows) = read_text(text).unwrap();
    let types: Vec<_> =
        schema.payload().iter().map(|field| (field.name.as_str(), field.data_type, field.nullable)).collect();
    assert_eq!(
        types,
        [("a", DataType::Float64, false), ("b", DataType::Utf8, false), ("c", DataType::Utf8, true)]
    );
    assert_eq!((schema.name(), rows[0].seq(), rows[0].timestamps()), ("text", &[0, 1][..], &[0, 0][..]));
    assert_eq!((rows[0].column(0).values::<f64>()[1], rows[0].column(2).str_at(1)), (2.5, "{\"deep\": [1]}"));
}

#[test]
fn bytes_of_a_known_kind_are_bytes_again() {
    let schema = StreamSchema::builder("shell", Kind::Terminal)
        .field("connection", DataType::Utf8)
        .field("code", DataType::Utf8)
        .field("data", DataType::Binary)
        .build()
        .unwrap();
    let batch = sample(&schema, 0, 40, 4);
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), &json!({}), std::slice::from_ref(&batch));
    let (found_schema, found) = read_all(&JsonlFormat, &folder.path().join("rows.jsonl")).unwrap();
    assert_eq!((found_schema.kind(), found_schema.fields()), (Kind::Terminal, schema.fields()));
    assert!(found[0].columns().zip(batch.columns()).all(|(found, expected)| found == expected));
}

#[test]
fn a_line_in_the_middle_that_is_none_is_told_with_its_number_after_what_can_be_read() {
    for (bad, reason) in [
        ("{\"a\":}", "line 3 can't be read: expected value at column 6"),
        ("[1]", "line 3 can't be read: invalid type: sequence, expected an object at column 0"),
        ("{\"a\":1,\"a\":2}", "line 3 has the key \"a\" twice"),
        ("{\"seq\":1.5}", "line 3 has a seq that is no number"),
        ("{\"timestamp\":\"today\"}", "line 3 has a timestamp that is none"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.jsonl");
        std::fs::write(&path, format!("{{\"seq\":0,\"timestamp\":1,\"a\":5}}\n\n{bad}\n{{\"a\":1}}\n"))
            .unwrap();
        let mut source = JsonlFormat.open(&path).unwrap();
        for _ in 0..2 {
            assert_eq!(source.next().unwrap().unwrap().1.rows(), 2, "{bad}");
            for _ in 0..2 {
                let error = source.next().unwrap_err();
                assert!(error.message.contains(reason) && error.message.ends_with("x.jsonl"), "{error}");
            }
            source.seek(Timestamp(i64::MIN)).unwrap();
        }
        let Repair::Unreadable(why) = JsonlFormat.repair(&path).unwrap() else { panic!("{bad}") };
        assert_eq!(why, reason);
    }
    assert!(read_text(b"seq,timestamp\n1,2\n").unwrap_err().message.contains("not JSON lines"));
}

#[test]
fn a_value_that_its_kind_does_not_have_is_an_error_after_what_comes_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    let line = |data: &str| format!("{{\"connection\":\"a\",\"code\":\"o\",\"data\":\"{data}\"}}\n");
    std::fs::write(&path, line("aGk=") + &line("no base64")).unwrap();
    let mut source = JsonlFormat.open(&path).unwrap();
    let (_, batch) = source.next().unwrap().unwrap();
    assert_eq!((batch.rows(), batch.column(2).bytes_at(0)), (1, &b"hi"[..]));
    assert!(source.next().unwrap_err().message.contains("line 2 has a value that can't be read"));
}

#[test]
fn a_file_that_was_begun_and_holds_nothing_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    for (text, repair) in
        [("", Repair::Intact), ("{\"s", Repair::Mended("cut 3 bytes of a torn first line".to_owned()))]
    {
        std::fs::write(&path, text).unwrap();
        let (schema, rows) = read_all(&JsonlFormat, &path).unwrap();
        assert_eq!((schema.payload(), rows), (&[][..], Vec::new()));
        assert_eq!(JsonlFormat.repair(&path).unwrap(), repair);
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }
    // What is not ours is not cut.
    std::fs::write(&path, "hello").unwrap();
    assert!(JsonlFormat.open(&path).is_err());
    assert!(matches!(JsonlFormat.repair(&path).unwrap(), Repair::Unreadable(_)));
}

/// Writes rows with these times, an empty line between them now and then, and keys in any order.
fn write_times(path: &Path, times: &[i64]) {
    let row = |(row, time): (usize, &i64)| match row % 7 {
        0 => format!("{{\"twice\":{},\"seq\":{},\"timestamp\":{time}}}\n\n", row * 2, row + 10),
        _ => format!("{{\"seq\":{},\"timestamp\":{time},\"text\":\"r\\u00e9\",\"twice\":1}}\n", row + 10),
    };
    std::fs::write(path, times.iter().enumerate().map(row).collect::<String>()).unwrap();
}

#[test]
fn a_file_is_read_in_any_order_whatever_its_times() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    let rising: Vec<i64> = (0..3456).map(|row| row / 3 * 10 - 500).collect();
    let falling: Vec<i64> = rising.iter().rev().copied().collect();
    let mixed: Vec<i64> = (0..3456).map(|row| row * 7919 % 3001).collect();
    for times in [&rising[..], &falling, &mixed, &[5], &[0; 2345], &[i64::MAX, i64::MIN, 0]] {
        write_times(&path, times);
        conformance::recording(&JsonlFormat, &path).unwrap();
        // A torn end changes nothing.
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}{{\"seq\":9999,\"ti")).unwrap();
        conformance::recording(&JsonlFormat, &path).unwrap();
    }
}

#[test]
fn json_lines_are_known_by_their_content() {
    let long = |begin: &str| format!("{begin}{}", "x".repeat(HEAD_BYTES)).as_bytes()[..HEAD_BYTES].to_vec();
    for (head, expected) in [
        ("{\"a\":1}\n{\"a\":2}\n", true),
        ("{\"a\":1}\r\n{\"a\":2}\r\n", true),
        ("{\"a\":1}\n{\"a\":", true),
        ("{\"a\":1}", true),
        ("{\"version\":2,\"width\":80,\"height\":24}\n", false),
        ("{\"version\":9,\"term\":{}}\n{}\n", false),
        ("{\"a\":1}\n[1]\n", false),
        ("{\n \"a\": 1\n}\n", false),
        ("[{\"a\":1}]\n", false),
        ("{\"a\":", false),
        ("seq,timestamp\n", false),
        ("", false),
    ] {
        assert_eq!(JsonlFormat.matches(head.as_bytes(), Path::new("x.txt")), expected, "{head}");
    }
    assert!(JsonlFormat.matches(&long("{\"seq\":5,\"timestamp\":1,\"a\":\""), Path::new("x")));
    assert!(!JsonlFormat.matches(&long("{\"type\":\"FeatureCollection\",\""), Path::new("x")));
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
    let whole = record(folder.path(), &json!({}), &[batch.clone(), batch.clone()]).len();
    for room in (0..whole).step_by(53) {
        let output = LineFile::new(Small { bytes: Vec::new(), room }, "full.jsonl".into());
        let mut recording = Recording::new(output, batch.schema(), Notation::default());
        let result = (0..2).try_for_each(|_| recording.write(&batch).and_then(|()| recording.output.flush()));
        let error = result.expect_err("the rows don't fit");
        assert!(error.kind == ErrorKind::Io && error.message.ends_with("full.jsonl"), "{error}");
        recording.output.flush().unwrap();
        let bytes = &recording.output.storage().bytes;
        assert!(bytes.is_empty() || bytes.ends_with(b"\n"));
        assert!(matches!(read_text(bytes).unwrap().1.iter().map(Batch::rows).sum(), 0 | 5));
    }
}

#[test]
fn a_device_without_room_gives_an_error_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.path().join("rows.jsonl")).unwrap();
    let host = FakeHost::new(folder.path());
    let schema = all_types(false);
    let mut sink = open_sink(&factory(), &json!({}), std::slice::from_ref(&schema), &host, "rows").unwrap();
    sink.write(0, sample(&schema, 0, 3, 1)).unwrap();
    let error = sink.flush().unwrap_err();
    assert!(error.kind == ErrorKind::Io && error.message.ends_with("rows.jsonl"), "{error}");
}

/// Lines of which each has keys that no other has.
fn lines_with_keys_of_their_own(lines: usize, keys: usize) -> String {
    let line = |at: usize| {
        let own = (0..keys).map(|key| format!("\"k{at}_{key}\":1")).collect::<Vec<_>>().join(",");
        format!("{{{own}}}\n")
    };
    (0..lines).map(line).collect()
}

#[test]
fn keys_that_grow_line_by_line_are_read_up_to_a_limit_and_then_refused() {
    let rows = |text: &str| {
        read_text(text.as_bytes()).map(|(_, batches)| batches.iter().map(Batch::rows).sum::<usize>())
    };
    assert_eq!(rows(&lines_with_keys_of_their_own(500, 1)).unwrap(), 500);
    // Half of the columns are empty in each line: a wide table, but one.
    assert_eq!(rows(&lines_with_keys_of_their_own(2, 4_000)).unwrap(), 2);
    let error = rows(&lines_with_keys_of_their_own(5_000, 1)).unwrap_err();
    assert!(error.message.starts_with("not a table: 5000 lines have 5000 different keys"), "{error}");
    assert!(error.hint.is_some_and(|hint| hint.contains("4096")));
    let error = rows(&lines_with_keys_of_their_own(70_000, 1)).unwrap_err();
    assert!(error.message.contains("not a table"), "{error}");
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
        let (found, read) = read_all(&JsonlFormat, &folder.path().join("s.jsonl")).unwrap();
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
    let path = folder.path().join("other.jsonl");
    std::fs::write(&path, "{\"width\":-1.5,\"height\":2,\"format\":\"x\",\"pixels\":\"AA==\"}\n").unwrap();
    let (schema, read) = read_all(&JsonlFormat, &path).unwrap();
    assert_eq!((schema.kind(), read[0].rows()), (Kind::Attributes, 1));
}

//! The `siphon` layout: what goes in, and what the notebooks' datasets give back.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::sync::Arc;

use serde_json::{Value, json};
use tapedeck_sdk::testing::{FakeHost, open_sink};
use tapedeck_sdk::{Batch, BatchPool, DataType, ErrorKind, Field, Kind, Repair, StreamSchema, Timestamp};

const TIME: i64 = 1_700_000_000_123_456_789;

fn game() -> Arc<StreamSchema> {
    let builder = StreamSchema::builder("game", Kind::Attributes).nullable("health", DataType::Int32);
    let builder = builder
        .field("key_w", DataType::Bool)
        .field("speed", DataType::Float64)
        .field("key_a", DataType::UInt8);
    builder.build().unwrap()
}

fn camera() -> Arc<StreamSchema> {
    let builder = StreamSchema::builder("camera", Kind::Image).field("width", DataType::UInt32);
    let builder = builder.field("height", DataType::UInt32).push(Field::new("format", DataType::Utf8));
    builder.push(Field::new("pixels", DataType::Binary)).build().unwrap()
}

fn values(rows: u64) -> Batch {
    let mut pool = BatchPool::new(game());
    let mut builder = pool.builder(usize::try_from(rows).unwrap());
    for row in 0..rows {
        let mut writer = builder.push_row(Timestamp(TIME + i64::try_from(row).unwrap()));
        writer.set(0, 100_i32).set_bool(1, row % 2 == 0).set(2, 1.5).set(3, 7_u8);
        if row == 1 {
            writer.set_null(0);
        }
    }
    builder.seq_mut().iter_mut().zip([0, 1, 5, 6]).for_each(|(slot, seq)| *slot = seq);
    builder.finish()
}

fn picture(format: &str, pixels: &[u8], size: [u32; 2]) -> Batch {
    let mut pool = BatchPool::new(camera());
    let mut builder = pool.builder(1);
    builder.push_row(Timestamp(TIME)).set(0, size[0]).set(1, size[1]).set_str(2, format).set_bytes(3, pixels);
    builder.finish()
}

fn read(path: &std::path::Path) -> Vec<(String, Batch)> {
    let factory = tapedeck_hdf5::factory();
    let mut source = factory.format().unwrap().open(path).unwrap();
    let mut batches = Vec::new();
    while let Some((output, batch)) = source.next().unwrap() {
        batches.push((source.streams()[output].name().to_owned(), batch));
    }
    batches
}

fn options() -> Value {
    json!({ "layout": "siphon", "keys": ["key_a", "key_w"] })
}

#[test]
fn values_keys_and_pictures_come_back_with_their_exact_times() {
    let folder = tempfile::tempdir().unwrap();
    let host = FakeHost::new(folder.path());
    let mut sink =
        open_sink(&tapedeck_hdf5::factory(), &options(), &[game(), camera()], &host, "h5").unwrap();
    sink.write(0, values(4)).unwrap();
    sink.write(1, picture("rgb8", &[1, 2, 3, 4, 5, 6], [2, 1])).unwrap();
    sink.flush().unwrap();
    sink.write(1, picture("bgra8", &[8; 8], [2, 1])).unwrap();
    sink.finish().unwrap();
    let path = folder.path().join("h5.h5");
    assert_eq!(tapedeck_hdf5::factory().format().unwrap().repair(&path).unwrap(), Repair::Intact);

    let batches = read(&path);
    let (_, game) = batches.iter().find(|(name, _)| name == "game").unwrap();
    let names: Vec<&str> = game.schema().payload().iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["health", "speed", "key_a", "key_w"]);
    assert_eq!((game.seq(), game.timestamps()[3]), (&[0, 1, 5, 6][..], TIME + 3));
    let health = game.column(0).values::<f32>();
    assert!(health[0].to_bits() == 100.0_f32.to_bits() && health[1].is_nan());
    assert_eq!(
        [0, 1].map(|row| (game.column(2).bool_at(row), game.column(3).bool_at(row))),
        [(true, true), (true, false)]
    );

    let pictures: Vec<&Batch> =
        batches.iter().filter(|(name, _)| name == "camera").map(|(_, batch)| batch).collect();
    let pixels: Vec<u8> = pictures
        .iter()
        .flat_map(|batch| (0..batch.rows()).flat_map(|row| batch.column(3).bytes_at(row).to_vec()))
        .collect();
    assert_eq!(pixels, [3, 2, 1, 255, 6, 5, 4, 255, 8, 8, 8, 8, 8, 8, 8, 8]);
    assert_eq!((pictures[0].timestamps()[0], pictures[0].column(2).str_at(0)), (TIME, "bgra8"));
}

#[test]
fn a_flushed_recording_without_its_end_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let host = FakeHost::new(folder.path());
    let mut sink =
        open_sink(&tapedeck_hdf5::factory(), &options(), &[game(), camera()], &host, "h5").unwrap();
    sink.write(0, values(3)).unwrap();
    sink.write(1, picture("bgra8", &[8; 8], [2, 1])).unwrap();
    sink.flush().unwrap();
    let copy = folder.path().join("copy.h5");
    std::fs::copy(folder.path().join("h5.h5"), &copy).unwrap();
    let factory = tapedeck_hdf5::factory();
    let format = factory.format().unwrap();
    assert!(matches!(format.repair(&copy).unwrap(), Repair::Mended(_)));
    assert_eq!(format.repair(&copy).unwrap(), Repair::Intact);
    assert_eq!(read(&copy).iter().map(|(_, batch)| batch.rows()).sum::<usize>(), 4);
}

#[test]
fn a_picture_of_another_size_or_format_is_refused_with_a_hint_and_those_after_it_are_taken() {
    for wrong in [
        picture("bgra8", &[8; 4], [1, 1]),
        picture("jpeg", &[8; 8], [2, 1]),
        picture("bgra8", &[8; 7], [2, 1]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let host = FakeHost::new(folder.path());
        let mut sink =
            open_sink(&tapedeck_hdf5::factory(), &options(), &[game(), camera()], &host, "h5").unwrap();
        sink.write(1, picture("bgra8", &[8; 8], [2, 1])).unwrap();
        let mut pool = BatchPool::new(camera());
        let mut builder = pool.builder(2);
        builder.append(&wrong, 0..1);
        builder.append(&picture("bgra8", &[9; 8], [2, 1]), 0..1);
        builder.seq_mut().copy_from_slice(&[1, 2]);
        let written = sink.write(1, builder.finish()).unwrap();
        let [refused] = written.refused() else { panic!("{written:?}") };
        assert_eq!((refused.frames, refused.seqs, refused.reason.kind), (1, (1, 1), ErrorKind::Data));
        assert!(refused.reason.hint.is_some());
        sink.finish().unwrap();
        let read = read(&folder.path().join("h5.h5"));
        let seqs =
            read.iter().filter(|(name, _)| name == "camera").flat_map(|(_, batch)| batch.seq().to_vec());
        assert_eq!(seqs.collect::<Vec<_>>(), [0, 2]);
    }
}

#[test]
fn options_that_cannot_work_are_pointed_at() {
    let factory = tapedeck_hdf5::factory();
    for (options, key) in [
        (json!({ "keys": ["a"] }), "keys"),
        (json!({ "layout": "siphon", "latencies": ["a"] }), "latencies"),
        (json!({ "chunk_rows": 0 }), "chunk_rows"),
        (json!({ "level": 3 }), "level"),
        (json!({ "compression": "deflate", "level": 10 }), "level"),
        (json!({ "shuffle": true }), "shuffle"),
    ] {
        assert_eq!(factory.check(&options).unwrap_err().option, [key], "{options}");
    }
    let folder = tempfile::tempdir().unwrap();
    let options = json!({ "layout": "siphon", "keys": ["key_x"] });
    let error =
        open_sink(&factory, &options, &[game()], &FakeHost::new(folder.path()), "h5").map(drop).unwrap_err();
    assert_eq!((error.kind, error.option), (ErrorKind::Options, vec!["keys".to_owned()]));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a refused sink leaves no file");
}

#[test]
fn columns_that_hdf5_cannot_hold_are_refused_before_a_file_is_made() {
    let text = StreamSchema::builder("s", Kind::Attributes).field("text", DataType::Utf8).build().unwrap();
    let slash = StreamSchema::builder("s", Kind::Attributes).field("a/b", DataType::Int8).build().unwrap();
    let taken =
        StreamSchema::builder("s", Kind::Attributes).field("timestamps", DataType::Int8).build().unwrap();
    for schema in [text, slash, taken, camera()] {
        let folder = tempfile::tempdir().unwrap();
        let host = FakeHost::new(folder.path());
        let error =
            open_sink(&tapedeck_hdf5::factory(), &json!({}), &[schema], &host, "h5").map(drop).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Data);
        assert!(error.hint.is_some());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

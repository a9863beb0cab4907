//! Finding moments in a recording, reading part of it, and writing the same twice.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]
#![expect(
    unsafe_code,
    reason = "the times of objects are asked for in the C library, and files of other programs made with it"
)]

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hdf5_sys::h5d::{H5Dclose, H5Dcreate2, H5Dwrite};
use hdf5_sys::h5f::{H5F_ACC_RDONLY, H5F_ACC_TRUNC, H5Fclose, H5Fcreate, H5Fopen};
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5o::{H5O_INFO_TIME, H5O_info2_t, H5Oget_info_by_name3};
use hdf5_sys::h5p::H5P_DEFAULT;
use hdf5_sys::h5s::{H5S_ALL, H5Sclose, H5Screate_simple};
use hdf5_sys::h5t::{H5T_IEEE_F64LE, H5T_STD_I32LE};
use serde_json::{Value, json};
use tapedeck_sdk::testing::{FakeHost, conformance, open_sink, samples};
use tapedeck_sdk::{
    Batch, BatchPool, DataType, Extent, Format, Kind, Recording, StreamSchema, Timestamp, Wanted,
};

fn format() -> Arc<dyn Format> {
    tapedeck_hdf5::factory().format().unwrap().clone()
}

fn open(path: &Path) -> Box<dyn Recording> {
    format().open(path).unwrap()
}

fn schema(name: &str) -> Arc<StreamSchema> {
    let builder = StreamSchema::builder(name, Kind::Attributes).field("x", DataType::Int32);
    builder.nullable("y", DataType::Float64).field("flag", DataType::Bool).build().unwrap()
}

/// A batch with these times.
fn batch(name: &str, first_seq: u64, times: &[i64]) -> Batch {
    let mut pool = BatchPool::new(schema(name));
    let mut builder = pool.builder(times.len());
    for (row, &time) in (0_i32..).zip(times) {
        let mut writer = builder.push_row(Timestamp(time));
        writer.set(0, row).set_bool(2, row % 3 == 0);
        if row % 2 == 0 {
            writer.set(1, f64::from(row));
        }
    }
    let mut batch = builder.finish();
    batch.stamp(first_seq, Timestamp(0));
    batch
}

fn written(folder: &Path, options: &Value, inputs: &[&[Batch]]) -> PathBuf {
    let host = FakeHost::new(folder);
    let schemas: Vec<_> = inputs
        .iter()
        .map(|input| input.first().map_or_else(|| schema("game"), |b| b.schema().clone()))
        .collect();
    let mut sink = open_sink(&tapedeck_hdf5::factory(), options, &schemas, &host, "h5").unwrap();
    for (input, batches) in inputs.iter().enumerate() {
        for batch in *batches {
            sink.write(input, batch.clone()).unwrap();
            sink.flush().unwrap();
        }
    }
    sink.finish().unwrap();
    folder.join("h5.h5")
}

/// The times of all frames of a stream from a moment on.
fn times_from(recording: &mut dyn Recording, stream: usize, to: i64) -> Vec<i64> {
    recording.seek(Timestamp(to)).unwrap();
    let mut times = Vec::new();
    while let Some((from, batch)) = recording.next().unwrap() {
        if from == stream {
            times.extend_from_slice(batch.timestamps());
        }
    }
    times
}

fn nearest(recording: &mut dyn Recording, stream: usize, to: i64) -> Option<i64> {
    recording.closest(stream, Timestamp(to)).unwrap().map(|(batch, row)| batch.timestamps()[row])
}

#[test]
fn moments_are_found_in_files_of_no_row_of_one_and_where_times_go_back() {
    let cases = [
        &[][..],
        &[&[7][..]],
        &[&[i64::MIN], &[i64::MAX]],
        &[&[1, 2, 5], &[5, 5], &[9]],
        &[&[10, 20, 5], &[6, 30], &[1, 40]],
    ];
    for case in cases {
        for options in [json!({}), json!({ "chunk_rows": 2, "compression": "deflate" })] {
            let folder = tempfile::tempdir().unwrap();
            let batches: Vec<Batch> =
                (0..).zip(case).map(|(number, times)| batch("game", number * 10, times)).collect();
            conformance::recording(format().as_ref(), &written(folder.path(), &options, &[&batches]))
                .unwrap();
        }
    }
}

#[test]
fn moments_are_found_back_and_forth_over_many_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let times: Vec<i64> = (0..30_000).map(|row| row * 10).collect();
    let path = written(folder.path(), &json!({}), &[&[batch("game", 5, &times)]]);
    conformance::recording(format().as_ref(), &path).unwrap();
    let mut recording = open(&path);
    let expected = Extent { frames: 30_000, seq: Some((5, 30_004)), timestamps: Some((0, 299_990)) };
    assert_eq!(recording.extent(0), Some(expected));
    for row in [29_999, 8192, 8191, 0, 16_384, 12_345] {
        let from = times_from(recording.as_mut(), 0, times[row] - 3);
        assert_eq!(from, times[row..]);
        assert_eq!(nearest(recording.as_mut(), 0, times[row] + 4), Some(times[row]));
    }
}

#[test]
fn streams_of_a_file_are_sought_together_and_read_apart() {
    let folder = tempfile::tempdir().unwrap();
    let one = batch("game", 0, &[10, 20, 30, 40]);
    let two = batch("desk", 7, &[15, 35]);
    let path = written(folder.path(), &json!({}), &[&[one], &[two]]);
    conformance::recording(format().as_ref(), &path).unwrap();
    let mut recording = open(&path);
    recording.seek(Timestamp(31)).unwrap();
    let order: Vec<_> = std::iter::from_fn(|| recording.next().unwrap())
        .map(|(stream, batch)| (stream, batch.timestamps().to_vec()))
        .collect();
    assert_eq!(order, [(1, vec![35]), (0, vec![40])], "the stream whose first frame is earlier comes first");
    let mut recording = open(&path);
    recording.select(&[Wanted::Nothing, Wanted::Columns(vec![1])]).unwrap();
    assert_eq!(recording.streams()[0].payload().len(), 3);
    assert_eq!(recording.streams()[1].payload()[0].name, "y");
    assert!(times_from(recording.as_mut(), 0, i64::MIN).is_empty());
    assert_eq!(times_from(recording.as_mut(), 1, i64::MIN), [15, 35]);
    assert!(recording.closest(0, Timestamp(10)).unwrap().is_none());
    let (found, row) = recording.closest(1, Timestamp(100)).unwrap().unwrap();
    assert!(found.column(0).is_null(row) && found.seq()[row] == 8);
}

#[test]
fn a_recording_that_was_cut_ends_where_its_rows_do() {
    let folder = tempfile::tempdir().unwrap();
    let host = FakeHost::new(folder.path());
    let options = json!({ "chunk_rows": 4 });
    let mut sink = open_sink(&tapedeck_hdf5::factory(), &options, &[schema("game")], &host, "h5").unwrap();
    let times: Vec<i64> = (0..10).collect();
    sink.write(0, batch("game", 0, &times)).unwrap();
    sink.flush().unwrap();
    let copy = folder.path().join("copy.h5");
    std::fs::copy(folder.path().join("h5.h5"), &copy).unwrap();
    conformance::recording(format().as_ref(), &copy).unwrap();
    let mut recording = open(&copy);
    assert_eq!(recording.extent(0).unwrap().timestamps, Some((0, 9)));
    assert_eq!(nearest(recording.as_mut(), 0, 50), Some(9));
    assert!(times_from(recording.as_mut(), 0, 10).is_empty());
    assert_eq!(times_from(recording.as_mut(), 0, 8), [8, 9]);
}

#[test]
fn pictures_are_found_and_read_without_their_points() {
    let folder = tempfile::tempdir().unwrap();
    let builder = StreamSchema::builder("camera", Kind::Image).field("width", DataType::UInt32);
    let builder = builder.field("height", DataType::UInt32).field("format", DataType::Utf8);
    let mut pool = BatchPool::new(builder.field("pixels", DataType::Binary).build().unwrap());
    let mut builder = pool.builder(5);
    for time in 0..5_u8 {
        let mut writer = builder.push_row(Timestamp(i64::from(time) * 10));
        writer.set(0, 256_u32).set(1, 128_u32).set_str(2, "bgra8").set_bytes(3, &vec![time; 256 * 128 * 4]);
    }
    let options = json!({ "layout": "siphon" });
    let path = written(folder.path(), &options, &[&[builder.finish()]]);
    conformance::recording(format().as_ref(), &path).unwrap();
    let mut recording = open(&path);
    let (found, row) = recording.closest(0, Timestamp(27)).unwrap().unwrap();
    assert_eq!(found.column(3).bytes_at(row)[7], 3);
    for (columns, sizes) in [(vec![1], true), (vec![0, 1, 2], true), (vec![2], false), (vec![3], false)] {
        let mut recording = open(&path);
        recording.select(&[Wanted::Columns(columns.clone())]).unwrap();
        recording.seek(Timestamp(15)).unwrap();
        let (_, batch) = recording.next().unwrap().unwrap();
        assert_eq!(batch.timestamps()[0], 20);
        assert_eq!(batch.column(0).data_type() == DataType::UInt32, sizes);
        assert!(columns.contains(&3) || batch.byte_len() < 4096);
    }
}

#[test]
fn flags_and_values_of_a_matrix_are_selected_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let options = json!({ "layout": "siphon", "keys": ["flag"] });
    let path = written(folder.path(), &options, &[&[batch("game", 0, &[1, 2, 3, 4])]]);
    conformance::recording(format().as_ref(), &path).unwrap();
    let mut recording = open(&path);
    recording.select(&[Wanted::Columns(vec![0, 2])]).unwrap();
    let names: Vec<_> = recording.streams()[0].payload().iter().map(|field| field.name.clone()).collect();
    assert_eq!(names, ["x", "flag"]);
    let (_, batch) = recording.next().unwrap().unwrap();
    assert_eq!(batch.column(0).values::<f32>().iter().sum::<f32>().to_bits(), 6.0_f32.to_bits());
    assert_eq!([0, 1, 3].map(|row| batch.column(1).bool_at(row)), [true, false, true]);
}

fn dataset<T>(file: hid_t, name: &str, element: hid_t, values: &[T]) {
    let (name, rows) = (CString::new(name).unwrap(), values.len() as u64);
    // SAFETY: the name ends in NUL, the identifiers are open, and the space has as many elements as there are values.
    unsafe {
        let space = H5Screate_simple(1, &raw const rows, std::ptr::null());
        let id = H5Dcreate2(file, name.as_ptr(), element, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        assert!(H5Dwrite(id, element, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.as_ptr().cast()) >= 0);
        H5Dclose(id);
        H5Sclose(space);
    }
}

#[test]
fn times_in_seconds_that_go_back_are_found_in_files_of_other_programs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.h5");
    {
        let _guard = hdf5_sys::LOCK.lock();
        let name = CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: under the library's lock; the name ends in NUL, and the file is closed once.
        unsafe {
            let file = H5Fcreate(name.as_ptr(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
            dataset(file, "timestamps", *H5T_IEEE_F64LE, &[1.0, 1.5, 1.25, 3.0]);
            dataset(file, "x", *H5T_STD_I32LE, &[0, 1, 2, 3]);
            H5Fclose(file);
        }
    }
    conformance::recording(format().as_ref(), &path).unwrap();
    let mut recording = open(&path);
    let expected = Extent { frames: 4, seq: Some((0, 3)), timestamps: Some((1_000_000_000, 3_000_000_000)) };
    assert_eq!(recording.extent(0), Some(expected));
    let from = times_from(recording.as_mut(), 0, 1_200_000_000);
    assert_eq!(from, [1_500_000_000, 1_250_000_000, 3_000_000_000]);
}

/// When the objects of a file were changed, as the file says: seconds since 1970, 0 if it doesn't.
fn object_times(path: &Path, objects: &[&str]) -> Vec<[i64; 4]> {
    let _guard = hdf5_sys::LOCK.lock();
    let path = CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: under the library's lock; names end in NUL, the structure is one of numbers that outlives the call.
    unsafe {
        let file = H5Fopen(path.as_ptr(), H5F_ACC_RDONLY, H5P_DEFAULT);
        let times = objects.iter().map(|object| {
            let object = CString::new(*object).unwrap();
            let mut info: H5O_info2_t = std::mem::zeroed();
            let got = H5Oget_info_by_name3(file, object.as_ptr(), &raw mut info, H5O_INFO_TIME, H5P_DEFAULT);
            assert!(got >= 0, "{object:?}");
            [info.atime, info.mtime, info.ctime, info.btime]
        });
        let times = times.collect();
        H5Fclose(file);
        times
    }
}

#[test]
fn the_same_rows_make_the_same_bytes() {
    let input = |name| samples::batches(&samples::schema(Kind::Attributes, name), &[3, 1, 60]);
    let (one, two) = (input("game"), input("desk"));
    for options in [
        json!({ "chunk_rows": 16 }),
        json!({ "swmr": false }),
        json!({ "chunk_rows": 16, "compression": "deflate", "shuffle": true }),
    ] {
        for inputs in [&[&one[..]][..], &[&one, &two]] {
            let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
            let [first, second] = folders.each_ref().map(|folder| written(folder.path(), &options, inputs));
            assert!(std::fs::read(&first).unwrap() == std::fs::read(&second).unwrap(), "{options}");
            let several = ["game", "game/i8", "game/_tapedeck", "desk/_tapedeck/timestamp"];
            let objects: Vec<&str> = ["/", "_tapedeck", "_tapedeck/description"]
                .into_iter()
                .chain(several.into_iter().filter(|_| inputs.len() > 1))
                .collect();
            // A file made within the same second would be the same even if it had times in it.
            assert!(object_times(&first, &objects).iter().all(|times| *times == [0; 4]), "{options}");
        }
    }
}

#[test]
fn a_file_is_known_by_its_signature() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), &json!({}), &[&[batch("game", 0, &[1])]]);
    let bytes = std::fs::read(&path).unwrap();
    let head = &bytes[..bytes.len().min(tapedeck_sdk::HEAD_BYTES)];
    assert!(format().matches(head, &path));
    for place in [512, 1024, 2048] {
        let behind = [&vec![0; place], &head[..64]].concat();
        assert!(format().matches(&behind, &path), "behind a block of {place} bytes");
        assert!(!format().matches(&behind[1..], &path));
    }
    for other in [&b""[..], b"\x89HDF", b"PAR1", b"\x89PNG\r\n\x1a\n"] {
        assert!(!format().matches(other, &path));
    }
}

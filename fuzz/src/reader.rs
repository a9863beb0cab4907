//! One reader against a file of arbitrary bytes: opened, read, wandered about in, mended and read again.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapedeck_sdk::testing::{FakeHost, conformance, open_sink, samples};
use tapedeck_sdk::{Factory, Format, HEAD_BYTES, Kind, Repair, Timestamp};

use crate::{Content, seeds_folder};

/// Of more frames than this not every moment is tried.
const EVERY_MOMENT_ROWS_MAX: usize = 512;

/// What a damaged file's moments can be held against.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Moments {
    /// Its frames: the reader knows no more of it.
    Frames,
    /// Nothing: the file says itself when its frames were, and what is damaged may say the wrong thing.
    Unknown,
}

/// Runs a reader over the bytes.
pub fn reader(format: &dyn Format, extension: &str, moments: Moments, bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("input").with_extension(extension);
    std::fs::write(&path, bytes).expect("a file");
    let mut head = Vec::new();
    let opened = File::open(&path).expect("it was just written");
    opened.take(HEAD_BYTES as u64).read_to_end(&mut head).expect("it was just written");
    let is_ours = format.matches(&head, &path);
    let before = Content::of(format, &path);
    let rows: usize = before.streams.iter().flatten().map(tapedeck_sdk::Batch::rows).sum();
    if before.whole && is_ours && moments == Moments::Frames && rows <= EVERY_MOMENT_ROWS_MAX {
        conformance::recording(format, &path).unwrap_or_else(|wrong| panic!("{wrong}"));
    } else {
        wander(format, &path, &before, bytes);
    }
    assert_eq!(std::fs::read(&path).expect("it is there"), bytes, "reading changes nothing");
    mend(format, &path, &before, bytes);
}

/// Goes to moments that the bytes name, and to those of the frames.
fn wander(format: &dyn Format, path: &Path, content: &Content, bytes: &[u8]) {
    let Ok(mut recording) = format.open(path) else { return };
    let word = |at: usize| {
        let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok());
        word.map_or(0, i64::from_le_bytes)
    };
    let frames = content.streams.iter().flatten().take(3);
    let frames = frames.flat_map(|batch| batch.timestamps().iter().copied().take(2));
    let named = [0, bytes.len() / 3, bytes.len() / 2].map(word);
    for (turn, to) in frames.chain(named).chain([i64::MAX, i64::MIN]).enumerate() {
        for stream in 0..recording.streams().len() {
            _ = recording.extent(stream);
            if let Ok(Some((batch, row))) = recording.closest(stream, Timestamp(to)) {
                assert!(row < batch.rows(), "row {row} of {}", batch.rows());
            }
        }
        if recording.seek(Timestamp(to)).is_ok() {
            for _ in 0..=turn {
                let Ok(Some((stream, batch))) = recording.next() else { break };
                assert!(stream < recording.streams().len() && batch.rows() > 0);
            }
        }
    }
}

/// Mends a file: frames that could be read are still there, and there is nothing left to mend.
fn mend(format: &dyn Format, path: &Path, before: &Content, bytes: &[u8]) {
    match format.repair(path) {
        Ok(Repair::Mended(_)) => {
            let again = format.repair(path).expect("a file that was mended can be looked at");
            assert_eq!(again, Repair::Intact, "mended once and for all");
        }
        Ok(Repair::Intact) => {
            assert_eq!(std::fs::read(path).expect("it is there"), bytes, "what is whole is not changed");
        }
        Ok(Repair::Unreadable(_)) | Err(_) => {}
    }
    before.must_be_kept_in(&Content::of(format, path));
}

/// Writes the seeds of a format, where they are wanted: every type with nulls, those of fixed width, none, and a file that was
/// cut off.
pub fn reader_seeds(factory: &Factory, options: &serde_json::Value) {
    let Some(seeds) = seeds_folder() else { return };
    let (nulls, plain) = (samples::schema(Kind::Attributes, "all"), samples::fixed_schema("fixed"));
    for (name, schema, rows) in [("nulls", &nulls, 5), ("plain", &plain, 3), ("empty", &plain, 0)] {
        let folder = tempfile::tempdir().expect("a folder");
        let host = FakeHost::new(folder.path());
        let inputs = [Arc::clone(schema)];
        let mut sink = open_sink(factory, options, &inputs, &host, "seed").expect("a sink");
        if rows > 0 {
            let batches = samples::batches(schema, &[rows, 1]);
            batches.into_iter().for_each(|batch| drop(sink.write(0, batch).expect("there is room")));
        }
        sink.finish().expect("there is room");
        for path in host.artifacts().iter().map(|name| folder.path().join(name)).filter(|path| path.exists())
        {
            let bytes = std::fs::read(&path).expect("it was just written");
            let seed = |what: &str| -> PathBuf { seeds.join(format!("{name}{what}")) };
            std::fs::write(seed(""), &bytes).expect("the folder of the seeds is there");
            if name == "plain" {
                std::fs::write(seed("-cut"), &bytes[..bytes.len() * 4 / 5]).expect("there is room");
            }
        }
    }
}

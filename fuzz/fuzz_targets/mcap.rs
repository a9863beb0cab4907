//! Arbitrary bytes as an MCAP file: it is read to its end or to where it is damaged, looked at by the moment and mended, without a panic;
//! mending loses nothing; what was read is written and read again the same.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tapedeck_mcap::McapFormat;
use tapedeck_sdk::testing::{FakeHost, open_sink};
use tapedeck_sdk::{Batch, Format, Repair, Timestamp};

/// The frames of a file by stream, as far as they can be read.
fn read(path: &Path) -> Option<Vec<Vec<Batch>>> {
    let mut recording = McapFormat.open(path).ok()?;
    let mut found = vec![Vec::new(); recording.streams().len()];
    while let Ok(Some((stream, batch))) = recording.next() {
        assert!(batch.rows() > 0, "never an empty batch");
        found[stream].push(batch);
    }
    Some(found)
}

/// The `seq` and times of each stream.
fn numbers(found: &[Vec<Batch>]) -> Vec<Vec<(u64, i64)>> {
    let of = |batches: &Vec<Batch>| {
        let rows = |batch: &Batch| batch.seq().iter().copied().zip(batch.timestamps().to_vec()).collect::<Vec<_>>();
        batches.iter().flat_map(rows).collect()
    };
    found.iter().map(of).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("input.mcap");
    // Whatever the bytes are, they follow the magic: else there is nothing to be found.
    std::fs::write(&path, [b"\x89MCAP0\r\n", bytes].concat()).expect("a file");
    let Some(before) = read(&path) else { return };
    let mut recording = McapFormat.open(&path).expect("it opened before");
    for stream in 0..recording.streams().len() {
        let _ = recording.extent(stream);
        let _ = recording.closest(stream, Timestamp(5));
    }
    if recording.seek(Timestamp(5)).is_ok() {
        while let Ok(Some(_)) = recording.next() {}
    }
    let (schemas, frames) = (recording.streams().to_vec(), numbers(&before));
    if let Ok(Repair::Mended(_)) = McapFormat.repair(&path) {
        assert_eq!(McapFormat.repair(&path).expect("it can be read"), Repair::Intact, "mended once and for all");
        assert_eq!(numbers(&read(&path).expect("it is whole")), frames, "mending loses nothing");
    }
    let host = FakeHost::new(folder.path());
    let options = serde_json::json!({ "path": "again.mcap" });
    let Ok(mut sink) = open_sink(&tapedeck_mcap::factory(), &options, &schemas, &host, "again") else { return };
    let mut refused = 0;
    for (stream, batches) in before.iter().enumerate() {
        for batch in batches {
            refused += sink.write(stream, batch.clone()).expect("there is room").refused_frames();
        }
    }
    refused += sink.finish().expect("there is room").refused_frames();
    if refused == 0 {
        let again = numbers(&read(&folder.path().join("again.mcap")).expect("we wrote it"));
        let rows = |frames: &[Vec<(u64, i64)>]| frames.iter().map(Vec::len).sum::<usize>();
        assert_eq!(rows(&again), rows(&frames), "every frame is there again");
    }
});

//! Arbitrary bytes as an asciicast of any version: it is read to its end or to where it is damaged, and mended, without a panic; what was
//! read is written and read again the same.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tapedeck_sdk::testing::{FakeHost, open_sink, read_all};
use tapedeck_sdk::{Format, Repair};

/// The rows of a file: nanoseconds since the first one, code, data.
fn rows(path: &Path) -> Option<Vec<(i64, String, Vec<u8>)>> {
    let (_, batches) = read_all(&tapedeck_asciicast::AsciicastFormat, path).ok()?;
    let first = batches.first().and_then(|batch| batch.timestamps().first().copied()).unwrap_or(0);
    let mut rows = Vec::new();
    for batch in &batches {
        for (row, at) in batch.timestamps().iter().enumerate() {
            let code = batch.column(1).str_at(row).to_owned();
            rows.push((at - first, code, batch.column(2).bytes_at(row).to_vec()));
        }
    }
    Some(rows)
}

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("input.cast");
    std::fs::write(&path, bytes).expect("a file");
    let before = rows(&path);
    let format = tapedeck_asciicast::AsciicastFormat;
    if let Ok(Repair::Mended(_)) = format.repair(&path) {
        assert_eq!(format.repair(&path).expect("it can be read"), Repair::Intact, "mended once and for all");
        if let (Some(before), Some(after)) = (&before, rows(&path)) {
            assert_eq!(*before, after, "mending loses nothing");
        }
    }
    let Ok((schema, batches)) = read_all(&format, &path) else { return };
    let host = FakeHost::new(folder.path());
    let options = serde_json::json!({ "input": true, "precision": "ns", "path": "again.cast" });
    let factory = tapedeck_asciicast::factory();
    let mut sink =
        open_sink(&factory, &options, &[schema], &host, "again").expect("what was read can be written");
    for batch in batches {
        sink.write(0, batch).expect("there is room");
    }
    sink.finish().expect("there is room");
    let again = rows(&folder.path().join("again.cast"));
    // An exit status ends a recording: what comes after it is in a file of its own. One that is no number is not written.
    let read = rows(&path).expect("it was read above");
    let whole = read.iter().all(|row| row.1 != "x") && read.iter().all(|row| row.1 != "r" || is_size(&row.2));
    // Of a recording without frames no file is made.
    if whole && !read.is_empty() && host.failed_frames() == 0 {
        assert_eq!(again, Some(read));
    }
});

fn is_size(data: &[u8]) -> bool {
    tapedeck_sdk::kinds::terminal::Size::parse(data).is_some()
}

//! Arbitrary bytes as a pickle, as a file of a folder of timed pickles, and behind a whole one: nothing panics or is executed, what was read
//! is written and read again the same, and a damaged file costs itself only.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tapedeck_kit::pickle::{Encoder, Limits, Pickle, pair_of, payload_of};
use tapedeck_pickles::PicklesFormat;
use tapedeck_sdk::{Format, Repair, Timestamp};

/// Small ones are enough to find what is wrong, and quick.
const LIMITS: Limits = Limits { bytes_max: 1 << 20, objects_max: 1 << 16, depth_max: 500 };

/// `(1.5, {'a': 7})`, protocol 4.
const WHOLE: &[u8] = b"\x80\x04\x95\x14\0\0\0\0\0\0\0G?\xf8\0\0\0\0\0\0}\x8c\x01a\x94K\x07s\x86\x94.";

fn alone(bytes: &[u8]) {
    let Ok(pickle) = Pickle::load(bytes, &LIMITS) else { return };
    for protocol in 2..=5 {
        let Ok(written) = Encoder::encode(&pickle, pickle.root(), protocol) else { continue };
        let again = Pickle::load(&written, &Limits::default()).expect("we wrote it");
        let twice = Encoder::encode(&again, again.root(), protocol).expect("it was written before");
        assert!(twice == written, "a second generation has the same bytes");
    }
    if let Ok(payload) = payload_of(bytes, &LIMITS) {
        let pair = pair_of(1.5, &payload.bytes).expect("it is a pickle of its own");
        payload_of(&pair, &Limits::default()).expect("we made it");
    }
}

/// The frames that a folder gives before the first error.
fn frames(path: &Path) -> usize {
    let Ok(mut recording) = PicklesFormat.open(path) else { return 0 };
    let mut rows = 0;
    while let Ok(Some((stream, batch))) = recording.next() {
        assert!(batch.rows() > 0 && stream < recording.streams().len());
        rows += batch.rows();
    }
    for stream in 0..recording.streams().len() {
        let _ = recording.extent(stream);
        let _ = recording.closest(stream, Timestamp(5));
    }
    rows
}

fuzz_target!(|bytes: &[u8]| {
    alone(bytes);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("capture");
    std::fs::create_dir(&path).expect("a folder");
    std::fs::write(path.join("000.pickle"), WHOLE).expect("a file");
    std::fs::write(path.join("001.pickle"), bytes).expect("a file");
    std::fs::write(path.join("002.pickle"), WHOLE).expect("a file");
    let before = frames(&path);
    assert!(before >= 2, "the whole ones are given whatever is between them");
    if let Ok(Repair::Mended(_)) = PicklesFormat.repair(&path) {
        assert!(frames(&path) >= before, "mending loses nothing");
    }
});

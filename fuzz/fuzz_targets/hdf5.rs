//! Arbitrary bytes as an HDF5 file: it is read, moments are looked for in it, and it is mended.
//!
//! libhdf5 is in C and is not made for crafted files: it may crash, and then so does the target. What counts is what Rust says. To go on
//! after a crash: `-fork=1 -ignore_crashes=1`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapedeck_fuzz::{Moments, reader, reader_seeds};

fuzz_target!(
    init: {
        // Chunks of a few rows: a small file.
        reader_seeds(&tapedeck_hdf5::factory(), &serde_json::json!({ "chunk_rows": 4 }));
    },
    |bytes: &[u8]| {
        let factory = tapedeck_hdf5::factory();
        reader(factory.format().expect("it reads what it writes").as_ref(), "h5", Moments::Unknown, bytes);
    }
);

//! Arbitrary bytes as an Arrow stream: it is read, moments are found in it, and it is mended, without a panic and without the loss of a frame.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapedeck_fuzz::{Moments, reader, reader_seeds};

fuzz_target!(
    init: {
        reader_seeds(&tapedeck_arrow::factory(), &serde_json::json!({}));
    },
    |bytes: &[u8]| reader(&tapedeck_arrow::ArrowFormat, "arrows", Moments::Frames, bytes)
);

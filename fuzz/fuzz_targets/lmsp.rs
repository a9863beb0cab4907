//! Arbitrary bytes as a recording of events: it is read, moments are found in it, and it is mended, without a panic and without the loss of a frame.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapedeck_fuzz::{Moments, reader, reader_seeds};

fuzz_target!(
    init: {
        reader_seeds(&tapedeck_lmsp::factory(), &serde_json::json!({}));
    },
    |bytes: &[u8]| reader(&tapedeck_lmsp::LmspFormat, "json", Moments::Unknown, bytes)
);

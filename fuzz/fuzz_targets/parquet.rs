//! Arbitrary bytes as a Parquet file: it is read and moments are looked for in it; the library's panics are errors.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapedeck_fuzz::{Moments, reader, reader_seeds};

fuzz_target!(
    init: {
        tapedeck_fuzz::allow_caught_panics();
        reader_seeds(&tapedeck_parquet::factory(), &serde_json::json!({}));
    },
    |bytes: &[u8]| reader(&tapedeck_parquet::ParquetFormat, "parquet", Moments::Unknown, bytes)
);

//! Arbitrary bytes as the journal of a session that was killed: it is recovered without a panic, and no frame of its files is lost.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tapedeck_fuzz::Killed;

static KILLED: LazyLock<Killed> = LazyLock::new(|| {
    // The library that reads Parquet panics on its own; the reader makes errors of that.
    tapedeck_fuzz::allow_caught_panics();
    Killed::record()
});

fuzz_target!(init: KILLED.seed(Killed::journal()), |bytes: &[u8]| KILLED.recover_with(Killed::journal(), bytes));

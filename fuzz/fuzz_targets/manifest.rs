//! Arbitrary bytes as the manifest of a session: it is listed, looked at, played and recovered without a panic, and nothing beside the
//! session's folder is touched.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tapedeck_fuzz::{Killed, look_at_session};

static KILLED: LazyLock<Killed> = LazyLock::new(|| {
    tapedeck_fuzz::allow_caught_panics();
    Killed::record()
});

fuzz_target!(init: KILLED.seed("session.json"), |bytes: &[u8]| look_at_session(&KILLED, bytes));

//! Arbitrary bytes as the ledger of a session that was killed: it is recovered without a panic, and no frame of its files is lost.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tapedeck_fuzz::Killed;

static KILLED: LazyLock<Killed> = LazyLock::new(Killed::record);

fuzz_target!(init: KILLED.seed("session.ledger"), |bytes: &[u8]| KILLED.recover_with("session.ledger", bytes));

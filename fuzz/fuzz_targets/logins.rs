//! Arbitrary text as the files that say who gets in and whom to trust: no panic, and what is wrong is told without a word of the line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapedeck_ssh::credential_files::{Fault, Known, authorized_keys, known_hosts, passwords};

fuzz_target!(|input: (&str, &str, u16)| {
    let (text, host, port) = input;
    let faults = [
        authorized_keys(text).err(),
        passwords(text).err(),
        match known_hosts(text) {
            Ok(hosts) => {
                let known = Known::of(&hosts, host, port);
                // Whatever else the file says of it.
                assert!(known.revoked.iter().all(|key| !known.trusts(key)));
                assert!(known.keys.iter().all(|key| known.trusts(key) || known.revoked.contains(key)));
                None
            }
            Err(fault) => Some(fault),
        },
    ];
    for Fault { line, what, .. } in faults.into_iter().flatten() {
        assert!((1..=text.lines().count()).contains(&line), "line {line}");
        // Every hash has this sign, and no message of ours.
        assert!(!what.contains('$'), "{what}");
    }
});

//! Arbitrary text as the files that say who gets in and whom to trust: no panic, and what is wrong is told without a word of the line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapedeck_ssh::credential_files::{Fault, Known, authorized_keys, known_hosts, passwords};

fuzz_target!(|input: (&str, &str, u16)| {
    let (text, host, port) = input;
    let mut faults = Vec::new();
    faults.extend(authorized_keys(text).map_or_else(|fault| vec![fault], |parsed| parsed.faults));
    faults.extend(passwords(text).map_or_else(|fault| vec![fault], |parsed| parsed.faults));
    match known_hosts(text) {
        Ok(hosts) => {
            let known = Known::of(&hosts.entries, host, port);
            // Whatever else the file says of it.
            assert!(known.revoked.iter().all(|key| !known.trusts(key)));
            assert!(known.keys.iter().all(|key| known.trusts(key) || known.revoked.contains(key)));
            faults.extend(hosts.faults);
        }
        Err(fault) => faults.push(fault),
    }
    for Fault { line, what, .. } in faults {
        assert!((1..=text.lines().count()).contains(&line), "line {line}");
        // Every hash has this sign, and no message of ours.
        assert!(!what.contains('$'), "{what}");
    }
});

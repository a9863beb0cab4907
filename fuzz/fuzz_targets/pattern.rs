//! Arbitrary bytes as a byte pattern's text, and as the memory it is looked for in: no panic, what is read is written back the same, and
//! what is found is there.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapedeck_memory::Pattern;

fuzz_target!(|input: (&str, &[u8])| {
    let (text, memory) = input;
    let Ok(pattern) = text.parse::<Pattern>() else { return };
    let written = pattern.to_string();
    assert_eq!(written.parse::<Pattern>().as_ref(), Ok(&pattern));
    let mut from = 0;
    while let Some(at) = pattern.find(memory, from) {
        assert!(at >= from && at + pattern.len() <= memory.len());
        for (word, byte) in written.split(' ').zip(&memory[at..]) {
            assert!(word == "??" || word == format!("{byte:02X}"));
        }
        from = at + 1;
    }
});

//! Terminal output as programs make it: log lines with colours, some of them with letters and signs beyond ASCII. The same in each run.

use std::io::{BufWriter, Write as _};
use std::path::Path;

/// Letters of the lines' random part. A step of a linear congruential generator, enough for text that does not repeat.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Writes a file of so many bytes, or up to a line more.
pub(super) fn write(path: &Path, bytes: u64) {
    const LEVELS: [&str; 4] =
        ["\x1b[32m INFO\x1b[0m", "\x1b[34mDEBUG\x1b[0m", "\x1b[33m WARN\x1b[0m", "\x1b[1;31mERROR\x1b[0m"];
    const PLACES: [&str; 4] = ["api::router", "store::pages", "jobs::mail", "http::client"];
    const WORDS: [&str; 8] = ["request", "naïve", "déjà vu", "→ next", "cache hit", "строка", "✓ done", "😀"];
    let mut file = BufWriter::new(std::fs::File::create(path).expect("the folder can be written"));
    let (mut state, mut written, mut line) = (7, 0, String::new());
    while written < bytes {
        line.clear();
        let pick = |state: &mut u64, from: &'static [&'static str]| {
            from[usize::try_from(next(state)).unwrap_or(0) % from.len()]
        };
        let (level, place) = (pick(&mut state, &LEVELS), pick(&mut state, &PLACES));
        let (number, time) = (next(&mut state) % 100_000, next(&mut state) % 1000);
        line.push_str(&format!(
            "\x1b[2m12:45:{:02}.{time:03}\x1b[0m {level} \x1b[1m{place}\x1b[0m: GET /v1/items/{number} -> 200 in {time} us"
            , written % 60
        ));
        // One line in four has more than ASCII.
        if number % 4 == 0 {
            line.push_str(&format!(" ({})", pick(&mut state, &WORDS)));
        }
        line.push('\n');
        file.write_all(line.as_bytes()).expect("the disk has room");
        written += line.len() as u64;
    }
    file.flush().expect("the disk has room");
}

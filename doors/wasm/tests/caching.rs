//! Compiled code on disk: used again, and never believed when it is damaged.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tapedeck_wasm::WasmDoor;

use crate::guest::guest;
use crate::guests::{clock, start_thread};

#[test]
fn compiled_code_is_kept_and_made_again_when_it_is_damaged() {
    let cache = tempfile::tempdir().unwrap();
    let folder = cache.path().join("compiled");
    let load =
        || WasmDoor::new(Some(folder.clone()), start_thread, clock()).unwrap().load(&guest("ramp")).unwrap();
    assert_eq!(load().descriptor().name, "ramp");
    let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&file).unwrap();
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let modified = fs::metadata(&file).unwrap().modified().unwrap();
    assert_eq!(load().descriptor().name, "ramp");
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), modified, "it was used, not made again");

    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [&flipped[..], &whole[..whole.len() / 2], &whole[..10], b""] {
        fs::write(&file, damaged).unwrap();
        assert_eq!(load().descriptor().name, "ramp");
        assert_eq!(fs::read(&file).unwrap(), whole, "it was made again");
    }
}

#[test]
fn a_cache_that_can_not_be_written_costs_nothing_but_time() {
    let folder = tempfile::NamedTempFile::new().unwrap();
    let door = WasmDoor::new(Some(folder.path().join("below a file")), start_thread, clock()).unwrap();
    assert_eq!(door.load(&guest("ramp")).unwrap().descriptor().name, "ramp");
}

//! Components that break the rules. Each fails by itself, with a message that says how, and the next call works.

use serde_json::{Value, json};
use tapedeck_sdk::prelude::*;
use tapedeck_sdk::testing::{FakeHost, samples};

use crate::guest::guest;
use crate::guests::{Kept, door, transform};

/// What came out, what went wrong at which batch, and the host that saw it.
type Fed = (Vec<(usize, Batch)>, Vec<(usize, Error)>, Arc<FakeHost>);

/// Feeds `count` batches to the hostile transform.
fn feed(options: &Value, count: usize) -> Fed {
    let factory = door().load(&guest("hostile")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let host = FakeHost::new(folder.path());
    let schema = samples::schema(Kind::Attributes, "game");
    let (mut hostile, _) = transform(&factory, options, &host, std::slice::from_ref(&schema)).unwrap();
    let (mut kept, mut wrong) = (Kept::default(), Vec::new());
    for (index, batch) in samples::batches(&schema, &vec![1; count]).into_iter().enumerate() {
        if let Err(error) = hostile.process(0, batch, &mut kept) {
            wrong.push((index + 1, error));
        }
    }
    (kept.0, wrong, host)
}

fn fails_once(options: &Value, words: &str) {
    let (kept, wrong, _) = feed(options, 3);
    let (at, error) = &wrong[0];
    assert_eq!((wrong.len(), *at, error.kind), (1, 2, ErrorKind::Data), "{options}: {wrong:?}");
    assert!(error.message.contains(words), "{options}: {error}");
    assert!(error.hint.is_some(), "{options}: {error:?}");
    assert_eq!(kept.len(), 2, "{options}: the batches before and after it came through");
}

#[test]
fn an_endless_loop_ends_with_the_time_of_the_call() {
    fails_once(&json!({ "fault": "loop", "at": 2 }), "longer than 1s");
}

#[test]
fn a_sleep_ends_with_the_time_of_the_call() {
    fails_once(&json!({ "fault": "sleep", "at": 2, "sandbox": { "clock": true } }), "longer than 1s");
}

#[test]
fn the_time_of_a_call_is_not_that_of_the_session() {
    let factory = door().load(&guest("hostile")).unwrap();
    let host = FakeHost::new(std::path::Path::new("."));
    let schema = samples::schema(Kind::Attributes, "game");
    let options = json!({ "fault": "nap", "sandbox": { "clock": true } });
    let (mut napping, _) = transform(&factory, &options, &host, std::slice::from_ref(&schema)).unwrap();
    // A recording is played as fast as it can be.
    host.tick_by(std::time::Duration::from_secs(3600));
    napping.process(0, samples::batches(&schema, &[1]).remove(0), &mut Kept::default()).unwrap();
}

#[test]
fn a_memory_bomb_ends_at_the_limit() {
    fails_once(&json!({ "fault": "memory", "at": 2, "sandbox": { "memory": "16MiB" } }), "out of memory");
}

#[test]
fn a_trap_costs_the_batch_in_hand_and_says_what_was_printed() {
    fails_once(&json!({ "fault": "trap", "at": 2 }), "as I was told");
}

#[test]
fn what_is_no_batch_of_the_stream_is_refused() {
    fails_once(&json!({ "fault": "schema", "at": 2 }), "a batch of stream");
    fails_once(&json!({ "fault": "output", "at": 2 }), "output 99");
}

#[test]
fn two_gibibytes_are_refused_before_they_are_copied() {
    fails_once(
        &json!({ "fault": "large", "at": 2, "sandbox": { "memory": "4GiB", "call_timeout": "30s" } }),
        "",
    );
    fails_once(
        &json!({ "fault": "flood", "at": 2, "sandbox": { "output": "1MiB", "call_timeout": "1h" } }),
        "more than 1048576 bytes in one call",
    );
}

#[test]
fn an_error_that_the_plugin_reports_is_handed_on_as_it_is() {
    let (kept, wrong, _) = feed(&json!({ "fault": "error", "at": 2 }), 3);
    assert_eq!((kept.len(), wrong.len()), (2, 1));
    assert_eq!((wrong[0].1.kind, wrong[0].1.message.as_str()), (ErrorKind::Data, "can't make sense of this"));
}

#[test]
fn a_trap_at_the_thousandth_batch_costs_one_batch() {
    let (kept, wrong, _) = feed(&json!({ "fault": "trap", "at": 1000 }), 1500);
    assert_eq!((kept.len(), wrong.len(), wrong[0].0), (1499, 1, 1000));
}

#[test]
fn one_that_leaks_is_made_anew_before_it_reaches_its_limit() {
    let (kept, wrong, _) = feed(&json!({ "fault": "leak", "at": 0, "sandbox": { "memory": "16MiB" } }), 5000);
    assert_eq!((kept.len(), wrong.len()), (5000, 0), "it would have needed 50 MiB: {:?}", wrong.first());
}

#[test]
fn one_that_can_not_finish_when_it_is_made_anew_costs_no_later_batch() {
    let options = json!({ "fault": "unfinished", "at": 0, "sandbox": { "memory": "16MiB" } });
    let (kept, wrong, _) = feed(&options, 5000);
    assert_eq!(kept.len(), 5000, "it would have needed 50 MiB: {:?}", wrong.last());
    assert!((1..5).contains(&wrong.len()), "{}", wrong.len());
    assert!(wrong.iter().all(|(_, error)| error.message == "not yet"), "{:?}", wrong.last());
}

#[test]
fn what_a_transform_held_back_when_it_broke_counts_as_failed() {
    let (kept, wrong, host) = feed(&json!({ "fault": "hold", "at": 4 }), 5);
    assert_eq!((kept.len(), wrong.len(), wrong[0].0), (0, 1, 4));
    // The engine counts the batch in hand.
    assert_eq!(host.failed_frames(), 3);
}

#[test]
fn a_report_has_a_limit() {
    let factory = door().load(&guest("hostile")).unwrap();
    let host = FakeHost::new(std::path::Path::new("."));
    let schema = samples::schema(Kind::Attributes, "game");
    let (verbose, _) = transform(&factory, &json!({ "fault": "verbose" }), &host, &[schema]).unwrap();
    assert_eq!(verbose.finish(&mut Kept::default()).unwrap().map(|report| report.len()), Some(64 << 10));
}

#[test]
fn what_is_absent_or_left_out_is_counted() {
    let (_, _, host) = feed(&json!({ "fault": "counts" }), 1);
    assert_eq!((host.absent_ticks(), host.left_out_frames()), (3, 4));
}

#[test]
fn one_that_traps_on_every_first_batch_is_given_up() {
    let (kept, wrong, _) = feed(&json!({ "fault": "trap", "at": 1 }), 5);
    assert_eq!((kept.len(), wrong.len()), (0, 5));
    let kinds: Vec<ErrorKind> = wrong.iter().map(|(_, error)| error.kind).collect();
    assert_eq!(kinds[..4], [ErrorKind::Data; 4]);
    assert_eq!(kinds[4], ErrorKind::Plugin);
    assert!(wrong[4].1.message.contains("given up after failing 5 times in a row"), "{}", wrong[4].1);
}

#[test]
fn a_trap_in_open_is_an_error() {
    let factory = door().load(&guest("hostile")).unwrap();
    let host = FakeHost::new(std::path::Path::new("."));
    for fault in ["open", "abort"] {
        let schema = samples::schema(Kind::Attributes, "game");
        let refused = transform(&factory, &json!({ "fault": fault }), &host, &[schema]).err().unwrap();
        assert!(refused.message.contains("failed in `open`"), "{refused}");
    }
}

fn refused(name: &str, bytes: &[u8]) -> Error {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let error = door().load(&path).err().unwrap();
    assert!(error.hint.is_some(), "{error:?}");
    assert!(error.message.ends_with(name), "{error}");
    error
}

#[test]
fn a_descriptor_that_lies_is_refused() {
    let error = door().load(&guest("liar")).err().unwrap();
    assert!(error.message.contains("describes itself as a source, but is a transform"), "{error}");
}

#[test]
fn a_name_that_leads_elsewhere_is_refused() {
    let mut bytes = std::fs::read(guest("scale")).unwrap();
    let places: Vec<usize> = (0..bytes.len() - 5).filter(|&at| &bytes[at..at + 5] == b"scale").collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at..at + 5].copy_from_slice(b"../sc"));
    let error = refused("evil.wasm", &bytes);
    assert!(error.message.contains("calls itself"), "{error}");
}

#[test]
fn a_damaged_file_is_refused() {
    let bytes = std::fs::read(guest("scale")).unwrap();
    for length in [0, 4, 8, 100, bytes.len() / 2, bytes.len() - 1] {
        refused("cut.wasm", &bytes[..length]);
    }
    for at in (8..bytes.len()).step_by(bytes.len() / 40) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("damaged.wasm");
        std::fs::write(&path, damaged).unwrap();
        // Some damage makes another valid component; none brings the process down.
        drop(door().load(&path));
    }
}

#[test]
fn a_core_module_is_told_from_a_component() {
    let error = refused("core.wasm", &wat::parse_str("(module)").unwrap());
    assert!(error.message.contains("a core module, not a component"), "{error}");
}

#[test]
fn an_import_that_the_engine_does_not_give_is_named() {
    let text = r#"(component
        (import "vendor:database/query@1.0.0" (instance (export "run" (func))))
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (instance $t (export "describe" (func $f)))
        (export "tapedeck:plugin/transform@0.2.0" (instance $t)))"#;
    let error = refused("import.wasm", &wat::parse_str(text).unwrap());
    assert!(error.message.contains("vendor:database/query@1.0.0"), "{error}");
}

#[test]
fn another_version_of_the_contract_is_named() {
    for version in ["0.1.0", "1.0.0", "0.0.9"] {
        let text = format!(
            r#"(component
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            (instance $t (export "describe" (func $f)))
            (export "tapedeck:plugin/transform@{version}" (instance $t)))"#
        );
        let error = refused("version.wasm", &wat::parse_str(text).unwrap());
        assert!(error.message.contains(&format!("version {version} of the contract")), "{error}");
    }
    let error = refused("empty.wasm", &wat::parse_str("(component)").unwrap());
    assert!(error.message.contains("exports no tapedeck:plugin"), "{error}");
}

#[test]
fn a_plugin_that_lacks_a_function_is_refused() {
    let text = r#"(component
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (instance $t (export "describe" (func $f)))
        (export "tapedeck:plugin/transform@0.2.0" (instance $t)))"#;
    let error = refused("lacking.wasm", &wat::parse_str(text).unwrap());
    assert!(error.message.contains("asks for what the engine does not give"), "{error}");
}

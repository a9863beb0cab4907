//! Plugins that break the contract in their calls: each is an error of that call, and what they hand over is released all the same.

use serde_json::{Value, json};
use tapedeck_sdk::{BatchPool, Error, ErrorKind, Factory, Next, Timestamp};

use crate::util::{Collected, compiled, frames, host, load, open_source, open_transform, schema};

fn transform() -> Factory {
    load(&compiled("hostile", &[]))
}

fn source() -> Factory {
    load(&compiled("hostile", &["-DKIND=TAPEDECK_SOURCE", "-DSAID_KIND=\"source\""]))
}

fn does(what: &str) -> Value {
    json!({ "does": what })
}

/// How many instances were closed, and how many slabs were released.
fn counts(factory: &Factory) -> (u64, u64) {
    let host = host();
    drop(open_transform(factory, &does("counts"), &host));
    let counted = host.failed_frames();
    (counted / 100, counted % 100)
}

/// Calls the transform twice: what the first call said, and what came out of both.
fn run(factory: &Factory, what: &str) -> (Result<(), Error>, Collected) {
    let mut transform = open_transform(factory, &does(what), &host()).unwrap();
    transform.streams(&[schema()]).unwrap();
    let (mut out, batch) = (Collected::default(), frames(&mut BatchPool::new(schema()), 1.0));
    let first = transform.process(0, batch.clone(), &mut out);
    transform.process(0, batch, &mut out).unwrap();
    transform.finish(&mut out).unwrap();
    (first, out)
}

#[test]
fn a_push_that_breaks_the_contract_is_an_error_of_its_call_and_is_released() {
    let cases = [
        ("output 99", "output 99"),
        ("magic", "TDS1"),
        ("columns", "2 columns"),
        ("rows", "seq"),
        ("length", "says it is"),
        ("cut short", "16 bytes"),
        ("2 GiB", "2147483648 bytes"),
        ("all memory", "18446744073709551615 bytes"),
        ("null", "0 bytes"),
        ("offsets", "offset"),
        ("text", "UTF-8"),
        ("outside", "beyond the end"),
    ];
    let factory = transform();
    for (what, said) in cases {
        let before = counts(&factory).1;
        let (first, out) = run(&factory, what);
        let error = first.expect_err(what);
        assert_eq!(error.kind, ErrorKind::Plugin, "{what}: {error}");
        assert!(error.message.contains(said), "{what}: {error}");
        assert_eq!(out.0.len(), 1, "after \"{what}\" the next call gives its batch");
        drop(out);
        assert_eq!(counts(&factory).1 - before, 2, "a slab was not released after \"{what}\"");
    }
}

#[test]
fn a_null_pointer_is_no_batch() {
    let error = run(&transform(), "null push").0.unwrap_err();
    assert_eq!((error.kind, error.message.contains("null pointer")), (ErrorKind::Plugin, true), "{error}");
}

#[test]
fn a_slab_at_an_odd_place_is_copied() {
    let (first, out) = run(&transform(), "misaligned");
    first.unwrap();
    assert_eq!(out.0[0].1.as_bytes(), out.0[1].1.as_bytes());
}

#[test]
fn what_was_pushed_before_an_error_stays() {
    let (first, out) = run(&transform(), "then fails");
    let error = first.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Io, "unplugged"));
    assert_eq!(out.0.len(), 2);
    assert_eq!(out.0[0].1.column(0).str_at(0), "abc");
}

#[test]
fn errors_without_sense_can_be_shown() {
    let said = |what| run(&transform(), what).0.unwrap_err();
    let rubbish = said("rubbish text");
    assert_eq!((rubbish.kind, rubbish.message.as_str()), (ErrorKind::Data, "a \u{fffd}\u{fffd} b"));
    assert_eq!(
        (rubbish.hint.as_deref(), rubbish.option),
        (Some("\u{fffd}"), vec!["one".into(), "two".into()])
    );
    let silent = said("no reason");
    assert_eq!((silent.kind, silent.message.as_str()), (ErrorKind::Io, "the plugin gave no reason"));
    let unknown = said("unknown status");
    assert_eq!(unknown.kind, ErrorKind::Plugin);
    assert!(unknown.message.contains("-77") && unknown.message.contains("so there"), "{unknown}");
}

#[test]
fn an_instance_is_closed_once_and_only_if_there_is_one() {
    let factory = transform();
    let before = counts(&factory).0;
    run(&factory, "").0.unwrap();
    let without = open_transform(&factory, &does("no instance"), &host());
    assert!(without.err().unwrap().message.contains("without an instance"));
    // The instance that counts is closed after it has counted.
    assert_eq!(counts(&factory).0 - before, 2);
}

#[test]
fn streams_that_are_none_are_refused() {
    for (what, said) in [("bad streams", "no JSON array of schemas"), ("long streams", "the limit is")] {
        let mut transform = open_transform(&transform(), &does(what), &host()).unwrap();
        let error = transform.streams(&[schema()]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Plugin);
        assert!(error.message.contains(said), "{error}");
    }
}

#[test]
fn a_host_can_be_asked_nonsense() {
    let host = host();
    assert!(
        open_transform(&transform(), &does("asks"), &host).is_ok(),
        "a file outside the session was given"
    );
    assert_eq!(host.warnings()[0], "a \u{fffd} b");
    assert!(host.artifacts().is_empty());
    assert_eq!((host.absent_ticks(), host.left_out_frames()), (3, 4));
}

#[test]
fn a_source_gives_one_batch_a_call_and_says_how_it_goes_on() {
    let factory = source();
    let called = |what: &str| {
        let mut source = open_source(&factory, &does(what), &host()).unwrap();
        [(); 3].map(|()| source.next(Timestamp(0)))
    };
    let is_batch = |next: &Result<Next, Error>| matches!(next, Ok(Next::Batch { output: 0, .. }));
    assert!(called("").iter().all(is_batch));
    for (what, kind, said) in [
        ("two", ErrorKind::Plugin, "more than one batch"),
        ("unknown state", ErrorKind::Plugin, "unknown state 9"),
        ("then fails", ErrorKind::Io, "unplugged"),
    ] {
        let [first, second, _] = called(what);
        assert!(is_batch(&first), "what was given before \"{what}\" is lost");
        let error = second.unwrap_err();
        assert_eq!(error.kind, kind);
        assert!(error.message.contains(said), "{error}");
    }
    for what in ["output 99", "magic", "unknown status"] {
        let [first, second, _] = called(what);
        assert_eq!(first.unwrap_err().kind, ErrorKind::Plugin, "{what}");
        assert!(is_batch(&second));
    }
}

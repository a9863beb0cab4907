//! What the sandbox grants, and what it does not.

use serde_json::{Value, json};
use tapedeck_sdk::prelude::*;
use tapedeck_sdk::testing::{FakeHost, samples};

use crate::guest::guest;
use crate::guests::{Kept, door, transform};

/// What the hostile transform found when it tried.
fn found(options: &Value) -> String {
    let factory = door().load(&guest("hostile")).unwrap();
    factory.check(options).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let host = FakeHost::new(folder.path());
    let schema = samples::schema(Kind::Attributes, "game");
    let (mut hostile, _) = transform(&factory, options, &host, std::slice::from_ref(&schema)).unwrap();
    hostile.process(0, samples::batches(&schema, &[1]).remove(0), &mut Kept::default()).unwrap();
    host.warnings().join("\n")
}

#[test]
fn nothing_is_there_unless_it_is_granted() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made");
    let files = found(&json!({ "fault": "files", "path": made }));
    assert!(files.matches("Err").count() == 2, "{files}");
    assert!(!made.exists());
    let network = found(&json!({ "fault": "network" }));
    assert!(network.contains("PermissionDenied"), "{network}");
    assert_eq!(found(&json!({ "fault": "environment" })), "[]");
    let artifact = found(&json!({ "fault": "artifact" }));
    assert!(artifact.contains("only a sink makes files"), "{artifact}");
}

#[test]
fn what_is_granted_is_there_and_no_more() {
    let home = std::env::var("PATH").unwrap();
    let shown =
        found(&json!({ "fault": "environment", "sandbox": { "environment": ["PATH", "NO_SUCH_NAME"] } }));
    assert_eq!(shown, format!("{:?}", [("PATH", home)]));
    // Nobody listens there, and that is what the component is told.
    let granted = found(&json!({ "fault": "network", "sandbox": { "network": ["127.0.0.1:1"] } }));
    assert!(granted.contains("ConnectionRefused"), "{granted}");
    let other = found(&json!({ "fault": "network", "sandbox": { "network": ["127.0.0.1:2"] } }));
    assert!(other.contains("PermissionDenied"), "{other}");
    let read = found(&json!({ "fault": "files", "sandbox": { "read": ["/"] } }));
    assert!(read.starts_with("Ok(") && read.contains("Err"), "{read}");
}

#[test]
fn a_sandbox_that_can_not_be_is_refused_with_its_option() {
    let factory = door().load(&guest("hostile")).unwrap();
    for (sandbox, option) in [
        (json!({ "memory": "1kB" }), "memory"),
        (json!({ "call_timeout": "0s" }), "call_timeout"),
        (json!({ "network": ["nowhere"] }), "network"),
    ] {
        let error = factory.check(&json!({ "sandbox": sandbox })).unwrap_err();
        assert_eq!(
            (error.kind, error.option),
            (ErrorKind::Options, vec!["sandbox".to_owned(), option.to_owned()])
        );
    }
    assert!(factory.check(&json!({ "sandbox": { "no_such_grant": 1 } })).is_err());
    assert!(factory.check(&json!({ "no_such_option": 1 })).is_err());
}

#[test]
fn marks_and_pauses_are_the_sessions_only_if_that_is_granted() {
    let factory = door().load(&guest("talk")).unwrap();
    let tapedeck_sdk::Opener::Source(open) = factory.opener() else { panic!("not a source") };
    for is_granted in [false, true] {
        let host = FakeHost::new(std::path::Path::new("."));
        let mut source =
            open(&json!({ "sandbox": { "control": is_granted } }), host.context("talk")).unwrap();
        for (name, value) in [("mark", json!("here")), ("pause", Value::Null)] {
            host.tell(tapedeck_sdk::Told { name: name.to_owned(), value });
            source.next(Timestamp(0)).unwrap();
        }
        assert_eq!((host.marks().len(), host.is_paused()), (usize::from(is_granted), is_granted));
        let warnings = host.warnings();
        assert_eq!(warnings.len(), usize::from(!is_granted), "{warnings:?}");
        assert!(warnings.iter().all(|warning| warning.contains("`control = true`")), "{warnings:?}");
    }
}

#[test]
fn a_sink_writes_its_own_files_and_nobody_elses() {
    let factory = door().load(&guest("lines")).unwrap();
    let tapedeck_sdk::Opener::Sink(open) = factory.opener() else { panic!("not a sink") };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("others.txt"), "precious").unwrap();
    let host = FakeHost::new(folder.path());
    let schema = samples::schema(Kind::Attributes, "game");
    for path in ["../evil.txt", "/tmp/evil.txt", ""] {
        assert!(
            open(&json!({ "path": path }), std::slice::from_ref(&schema), host.context("rows")).is_err(),
            "{path}"
        );
    }
    let mut sink =
        open(&json!({ "path": "below/rows.txt" }), std::slice::from_ref(&schema), host.context("rows"))
            .unwrap();
    sink.write(0, samples::batches(&schema, &[7]).remove(0)).unwrap();
    sink.flush().unwrap();
    let path = folder.path().join("below/rows.txt");
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 7, "flushed lines are in the file");
    sink.finish().unwrap();
    let mut names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["below", "others.txt"], "nothing else is left");
    assert_eq!(std::fs::read_to_string(folder.path().join("others.txt")).unwrap(), "precious");
}

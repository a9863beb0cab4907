//! What is wrong is said clearly, with the option to blame and a hint.

use serde_json::{Value, json};
use tapedeck_sdk::{Error, ErrorKind};

use crate::support::{Arcade, copy_arcade, open};

fn refused(options: &Value) -> Error {
    let error = open(options).unwrap_err();
    assert!(error.hint.is_some(), "no hint: {error}");
    error
}

/// The message, and the option it points at.
fn message(options: &Value) -> (String, String) {
    let error = refused(options);
    (error.message, error.option.join("."))
}

fn one(attribute: &Value) -> Value {
    json!({ "pid": 1, "attributes": { "hp": attribute } })
}

#[test]
fn options_that_cannot_work_are_refused_without_looking_at_any_process() {
    let fine = json!({ "hp": { "address": 16, "type": "int" } });
    for (options, expected, option) in [
        (json!({ "attributes": fine }), "it is not said which process to read", "process"),
        (
            json!({ "pid": 1, "process": "x", "attributes": fine }),
            "`process` and `pid` both say which process to read",
            "pid",
        ),
        (
            json!({ "pid": 1, "spawn": ["x"], "attributes": fine }),
            "`pid` and `spawn` both say which process to read",
            "spawn",
        ),
        (json!({ "pid": 0, "attributes": fine }), "no process can have this number", "pid"),
        (json!({ "spawn": [], "attributes": fine }), "there is no program to start", "spawn"),
        (
            json!({ "pid": 1, "reattach": true, "attributes": fine }),
            "only a process that is found by name can be waited for",
            "reattach",
        ),
        (json!({ "pid": 1, "attributes": {} }), "there are no attributes to read", "attributes"),
    ] {
        assert_refused(&options, expected, option);
    }
}

fn assert_refused(options: &Value, expected: &str, option: &str) {
    let error = refused(options);
    assert_eq!(
        (error.kind, error.message.as_str(), error.option.join(".").as_str()),
        (ErrorKind::Options, expected, option)
    );
}

#[test]
fn attributes_that_cannot_work_are_refused_without_looking_at_any_process() {
    for (options, expected, option) in [
        (
            one(&json!({ "type": "int" })),
            "attribute \"hp\": it is not said where it begins",
            "attributes.hp.pattern",
        ),
        (one(&json!({ "address": 1 })), "attribute \"hp\": it has no type", "attributes.hp.type"),
        (
            one(&json!({ "address": 1, "type": "itn" })),
            "attribute \"hp\": unknown type \"itn\"",
            "attributes.hp.type",
        ),
        (
            one(&json!({ "address": 1, "type": "array" })),
            "attribute \"hp\": type \"array\" has length 0",
            "attributes.hp.length",
        ),
        (
            one(&json!({ "address": 1, "offset": 2, "type": "int" })),
            "attribute \"hp\": `address` and `offset` both say where it begins",
            "attributes.hp.offset",
        ),
        (
            one(&json!({ "pattern": "48 8", "type": "int" })),
            "attribute \"hp\": \"48 8\" is no pattern: character 4 is only half a byte",
            "attributes.hp.pattern",
        ),
        (
            one(&json!({ "pattern": "48 8B", "type": "int" })),
            "attribute \"hp\": the pattern \"48 8B\" has no ??",
            "attributes.hp.pattern",
        ),
        (
            one(&json!({ "pattern": "48 ??", "match": 0, "type": "int" })),
            "attribute \"hp\": there is no such match",
            "attributes.hp.match",
        ),
        (
            one(&json!({ "address": 1, "method": "dll", "type": "int" })),
            "attribute \"hp\": method \"dll\" is not supported",
            "attributes.hp.method",
        ),
        (
            one(&json!({ "address": 1, "method": "direct", "offsets": [1, 2], "type": "int" })),
            "attribute \"hp\": method \"direct\" with 2 offsets",
            "attributes.hp.offsets",
        ),
        (
            one(&json!({ "address": 1, "offsets": vec![0; 33], "type": "int" })),
            "attribute \"hp\": 33 offsets, the limit is 32",
            "attributes.hp.offsets",
        ),
        (
            one(&json!({ "address": 1, "module": "x", "type": "int" })),
            "attribute \"hp\": an address needs no module, and a module needs a name",
            "attributes.hp.module",
        ),
    ] {
        assert_refused(&options, expected, option);
    }
}

#[test]
fn what_the_recording_guides_client_always_sends_is_accepted() {
    let sent = json!({ "pattern": "48 8B 05 ?? ?? ?? ??", "offsets": [], "type": "int", "length": 0, "method": "", "mask": 255 });
    assert_eq!(tapedeck_memory::factory().check(&one(&sent)), Ok(()));
    let address = json!({ "pattern": "", "address": 16, "offsets": [], "type": "binary", "length": 0, "method": "", "mask": 8 });
    assert_eq!(tapedeck_memory::factory().check(&one(&address)), Ok(()));
}

#[test]
fn an_absent_process_is_named_and_a_running_one_is_suggested() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("blockbreaker");
    copy_arcade(&program);
    let _arcade = Arcade::start_program(&program, &[]);
    let attributes = json!({ "hp": { "address": 16, "type": "int" } });
    let error = refused(&json!({ "process": "blokbreaker", "attributes": attributes }));
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::Environment, "no process is called \"blokbreaker\"")
    );
    assert_eq!(error.hint.unwrap(), "did you mean \"blockbreaker\", which is running?");
    assert_eq!(error.option, ["process"]);

    let (text, option) = message(&json!({ "pid": 0x7fff_fff0, "attributes": attributes }));
    assert_eq!((text.as_str(), option.as_str()), ("there is no process 2147483632", "pid"));

    let _second = Arcade::start_program(&program, &[]);
    let (text, option) = message(&json!({ "process": "blockbreaker", "attributes": attributes }));
    assert!(
        text.starts_with("2 processes are called \"blockbreaker\": ")
            && text.contains(program.to_str().unwrap()),
        "{text}"
    );
    assert_eq!(option, "process");
}

#[test]
fn a_program_that_cannot_be_started_or_ends_at_once_is_named() {
    let attributes = json!({ "hp": { "pattern": "48 8B 05 ?? ?? ?? ?? 99 99 99 99", "type": "int" } });
    let (text, option) = message(&json!({ "spawn": ["/no/such/game"], "attributes": attributes }));
    assert!(
        text.starts_with("can't start the program: No such file") && text.ends_with(": /no/such/game"),
        "{text}"
    );
    assert_eq!(option, "spawn");
    let (text, _) = message(&json!({ "spawn": ["sh", "-c", "exit 7"], "attributes": attributes }));
    assert!(
        text.starts_with("the process \"sh\" (") && text.contains(") exited before the recording began"),
        "{text}"
    );
}

#[test]
fn an_absent_module_or_pattern_is_named_with_what_is_there() {
    let arcade = Arcade::start(&[]);
    let pid = arcade.pid();
    let hp = json!({ "pattern": "48 8B 05 ?? ?? ?? ?? 99 98 97 96 95 94", "type": "int" });
    let error = refused(&json!({ "pid": pid, "module": "arcad", "attributes": { "hp": hp } }));
    assert_eq!(error.message, "the process \"arcade\" has no module \"arcad\"");
    assert!(error.hint.unwrap().starts_with("did you mean \"arcade\"? It has mapped arcade"));
    assert_eq!(error.option, ["module"]);

    let own = json!({ "offset": 16, "module": "libnone.so", "type": "int" });
    let (_, option) = message(&json!({ "pid": pid, "attributes": { "hp": own } }));
    assert_eq!(option, "attributes.hp.module");

    let (text, option) = message(&json!({ "pid": pid, "attributes": { "hp": hp } }));
    assert!(
        text.starts_with(
            "attribute \"hp\": the pattern \"48 8B 05 ?? ?? ?? ?? 99 98 97 96 95 94\" is not in \"arcade\" ("
        ),
        "{text}"
    );
    assert_eq!(option, "attributes.hp.pattern");
}

#[test]
fn a_pattern_that_is_there_twice_needs_a_choice() {
    let arcade = Arcade::start(&["--decoy"]);
    let with = |which: Option<u32>| {
        let mut hp = json!({ "pattern": arcade.about["pattern"], "offsets": [0], "type": "u64" });
        which.into_iter().for_each(|which| hp["match"] = json!(which));
        json!({ "pid": arcade.pid(), "attributes": { "hp": hp } })
    };
    let (text, option) = message(&with(None));
    assert!(text.contains("is found 2 times, at 0x"), "{text}");
    assert_eq!(option, "attributes.hp.pattern");
    // Both lead to the world here.
    assert!(!open(&with(Some(1))).unwrap().row().is_null("hp"));
    assert!(!open(&with(Some(2))).unwrap().row().is_null("hp"));
    let (text, option) = message(&with(Some(3)));
    assert!(
        text.starts_with("attribute \"hp\": match 3 of the pattern") && text.ends_with("only 2 are"),
        "{text}"
    );
    assert_eq!(option, "attributes.hp.match");
}

/// As root, a thread that gave its rights up tries to read a process of root's; as anybody else, we try the first process.
#[test]
fn a_missing_permission_says_what_to_do() {
    let arcade = Arcade::start(&[]);
    let root = rustix::process::getuid().is_root();
    let pid = if root { arcade.pid() } else { 1 };
    let options = json!({ "pid": pid, "attributes": { "hp": { "address": 16, "type": "int" } } });
    #[expect(clippy::disallowed_methods, reason = "only a thread of its own can give its rights up")]
    let thread = std::thread::spawn(move || {
        if root {
            give_up_rights();
        }
        refused(&options)
    });
    let error = thread.join().unwrap();
    assert_eq!(error.kind, ErrorKind::Environment);
    assert!(error.message.starts_with("no permission to read the memory of process "), "{error}");
    assert!(error.message.contains("/proc/sys/kernel/yama/ptrace_scope"), "{error}");
    assert!(error.hint.unwrap().contains("ptrace_scope=0"));
}

#[expect(unsafe_code, reason = "the library's call would change the user of all threads")]
fn give_up_rights() {
    // SAFETY: the bare system call changes the user of the calling thread only, and no memory.
    assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) }, 0);
}

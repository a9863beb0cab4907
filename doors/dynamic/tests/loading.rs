//! Files and tables that are refused, each with its own message, before anything of the plugin is called.

use std::path::Path;
use std::process::Command;

use tapedeck_sdk::ErrorKind;

use crate::util::{compiled, fresh, load, refused};

/// A hostile table, or one with a descriptor that is: the message and the hint.
fn hostile(arguments: &[&str]) -> (String, String) {
    let error = refused(&compiled("hostile", arguments));
    assert_eq!(error.kind, ErrorKind::Plugin, "{error}");
    (error.message, error.hint.unwrap_or_default())
}

fn says(arguments: &[&str], message: &str, hint: &str) {
    let (said, advised) = hostile(arguments);
    assert!(said.contains(message), "{arguments:?}: {said}");
    assert!(advised.contains(hint), "{arguments:?}: {advised}");
}

#[test]
fn a_library_is_loaded_once_however_it_is_named() {
    let library = compiled("ramp", &[]);
    let other = library.parent().unwrap().join(".").join("libramp.so");
    let link = library.with_file_name("link.so");
    std::os::unix::fs::symlink(&library, &link).unwrap();
    let name = load(&library).descriptor().name.clone();
    // What is at the path now is no library any more, and nobody looks.
    std::fs::remove_file(&library).unwrap();
    std::fs::write(&library, "changed").unwrap();
    for path in [&library, &other, &link] {
        assert_eq!(load(path).descriptor().name, name);
    }
}

#[test]
fn a_file_that_is_no_library_is_refused() {
    let text = fresh("text.so");
    std::fs::write(&text, "#!/bin/sh\n").unwrap();
    let error = refused(&text);
    assert_eq!(error.kind, ErrorKind::Environment);
    assert!(error.message.contains("no dynamic library"), "{error}");
    assert!(refused(text.parent().unwrap()).message.contains("no file"));
    let missing = refused(&fresh("missing.so"));
    assert_eq!(missing.kind, ErrorKind::Environment);
    assert!(missing.message.contains("No such file"), "{missing}");
    let empty = fresh("empty.so");
    std::fs::write(&empty, "").unwrap();
    assert!(refused(&empty).message.contains("no dynamic library"));
}

#[test]
fn a_library_that_was_cut_short_is_refused_wherever_it_was_cut() {
    let whole = std::fs::read(compiled("scale", &[])).unwrap();
    for thousandths in [1, 20, 300, 500, 700, 900, 999] {
        let cut = fresh("cut.so");
        std::fs::write(&cut, &whole[..whole.len() * thousandths / 1000]).unwrap();
        let error = refused(&cut);
        assert_eq!(error.kind, ErrorKind::Environment);
        assert!(error.message.contains("cut short"), "at {thousandths} thousandths: {error}");
    }
}

#[test]
fn a_missing_dependency_is_named() {
    let needed = fresh("libneeded.so");
    let empty = needed.with_file_name("needed.c");
    std::fs::write(&empty, "int needed(void) { return 7; }\n").unwrap();
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&needed).arg(&empty).status();
    assert!(made.unwrap().success());
    let folder = format!("-L{}", needed.parent().unwrap().display());
    let library = compiled("ramp", &["-Wl,--no-as-needed", &folder, "-lneeded"]);
    std::fs::remove_file(&needed).unwrap();
    let error = refused(&library);
    assert_eq!(error.kind, ErrorKind::Environment);
    assert!(error.message.contains("libneeded.so: cannot open shared object file"), "{error}");
    assert!(error.hint.unwrap().contains("ldd"));
}

#[test]
fn a_symbol_that_nobody_has_is_named() {
    let error = refused(&compiled("hostile", &["-Dfree=nobody_has_this"]));
    assert_eq!(error.kind, ErrorKind::Environment);
    assert!(error.message.contains("undefined symbol: nobody_has_this"), "{error}");
}

#[test]
fn a_library_without_the_symbol_is_no_plugin() {
    says(
        &["-Dtapedeck_plugin=something_else"],
        "no symbol \"tapedeck_plugin\"",
        "Is this a Tapedeck plugin?",
    );
}

#[test]
fn another_magic_is_no_plugin() {
    says(&["-DMAGIC=0x12345678u"], "0x12345678", "Is this a Tapedeck plugin?");
}

#[test]
fn the_version_is_looked_at_before_anything_else() {
    let newer = "it was built for version 3 of the contract (3.0), this engine speaks 2";
    // The rest of a table of another version may be anything.
    says(&["-DMAJOR=3", "-DSIZE=0", "-DKIND=77"], newer, "Update tapedeck.");
    says(&["-DMAJOR=1", "-DSIZE=104"], "it was built for version 1 of the contract", "Rebuild the plugin.");
}

#[test]
fn a_newer_minor_version_is_taken() {
    assert_eq!(load(&compiled("hostile", &["-DMINOR=7", "-DSIZE=4096"])).descriptor().name, "hostile");
}

#[test]
fn a_table_that_is_too_short_is_refused() {
    says(&["-DSHORT_TABLE"], "its table has 24 bytes", "sizeof");
    says(
        &["-DSIZE=sizeof(tapedeck_plugin_table)-1"],
        "its table has 119 bytes, version 2.0 has 120",
        "sizeof",
    );
}

#[test]
fn a_kind_that_there_is_not_is_refused() {
    says(&["-DKIND=3"], "its kind is 3", "2 for a sink");
}

#[test]
fn a_function_that_its_kind_needs_is_named() {
    says(
        &["-DPROCESS=NULL", "-Wno-unused-function"],
        "its function \"process\" is null",
        "tapedeck_plugin.h",
    );
    says(&["-DCLOSE=NULL", "-Wno-unused-function"], "its function \"close\" is null", "tapedeck_plugin.h");
    says(
        &["-DKIND=TAPEDECK_SINK", "-DSAID_KIND=\"sink\""],
        "its function \"write\" is null",
        "tapedeck_plugin.h",
    );
}

#[test]
fn a_descriptor_that_is_none_is_refused() {
    says(&["-DDESCRIPTOR=\"rubbish\""], "its descriptor can't be read", "");
    says(&["-DDESCRIPTOR=\"\\xff\\xfe\""], "its descriptor can't be read", "");
    says(&["-DDESCRIPTOR=\" \""], "its descriptor can't be read", "");
    says(&["-DDESCRIPTOR=\"{\\\"name\\\":1}\""], "its descriptor can't be read", "");
    says(&["-DPADDING=1048576"], "the limit is 1048576", "");
    says(&["-DMORE=(1ull<<40)"], "the limit is 1048576", "");
}

#[test]
fn a_descriptor_that_lies_is_refused() {
    says(&["-DSAID_KIND=\"sink\""], "describes itself as a sink, but is a transform", "");
    says(&["-DNAME=\"../../etc/passwd\""], "../../etc/passwd", "small letters");
    says(&["-DNAME=\"Upper\""], "Upper", "small letters");
    says(&["-DOPTIONS=\"[]\""], "not that of an object", "");
    says(&["-DOPTIONS=\"{\\\"type\\\":\\\"string\\\"}\""], "not that of an object", "");
}

#[test]
fn what_was_refused_is_looked_at_again() {
    let library = fresh("later.so");
    std::fs::write(&library, "not yet").unwrap();
    refused(&library);
    std::fs::remove_file(&library).unwrap();
    std::fs::copy(compiled("ramp", &[]), &library).unwrap();
    assert_eq!(load(Path::new(&library)).descriptor().name, "c_ramp");
}

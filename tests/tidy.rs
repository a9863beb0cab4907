//! Rules of the house that no compiler checks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::util::root;

/// Files of the checkout with that extension, as git lists them (untracked ones that it doesn't ignore included).
fn files(extension: &str) -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    let names = String::from_utf8(output.stdout).unwrap();
    let files = names.lines().map(|name| root().join(name));
    let files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|e| e == extension) && path.exists()).collect();
    assert!(!files.is_empty(), "git lists no .{extension} file in {}", root().display());
    files
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn every_rust_file_says_what_it_is() {
    let silent: Vec<_> = files("rs").into_iter().filter(|path| !read(path).starts_with("//!")).collect();
    assert!(silent.is_empty(), "these files don't begin with `//!`: {silent:?}");
}

#[test]
fn no_file_is_longer_than_it_should_be() {
    let length = |path: &PathBuf| {
        let text = read(path);
        let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        code.lines().count()
    };
    let is_test = |path: &Path| {
        path.components().any(|part| part.as_os_str() == "tests") || {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            name == "tests" || name.ends_with("_tests")
        }
    };
    let long: Vec<_> =
        files("rs").into_iter().filter(|path| !is_test(path)).map(|path| (length(&path), path)).collect();
    let long: Vec<_> = long.into_iter().filter(|(lines, _)| *lines > 400).collect();
    assert!(long.is_empty(), "over 400 lines without tests: {long:?}");
}

#[test]
fn no_rust_file_is_forgotten_by_its_crate() {
    for path in files("rs") {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let parent = path.parent().unwrap();
        let above = parent.file_name().unwrap().to_string_lossy().into_owned();
        let target = ["main", "lib", "mod", "build"].contains(&name.as_str())
            || ["examples", "benches", "fuzz_targets"].contains(&above.as_str())
            || path.ends_with("tests/integration.rs")
            || (above == "tests"
                && parent.parent() != Some(root())
                && parent.parent().unwrap().join("Cargo.toml").exists());
        if target {
            continue;
        }
        let beside = std::fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().path());
        let above_it = ["rs"].map(|extension| parent.with_extension(extension));
        let declares = |other: &PathBuf| {
            other != &path
                && other.extension().is_some_and(|extension| extension == "rs")
                && other.exists()
                && read(other).lines().any(|line| {
                    line.trim_start().ends_with(&format!("mod {name};"))
                        || line.contains(&format!("\"{name}.rs\""))
                })
        };
        assert!(beside.chain(above_it).any(|other| declares(&other)), "nothing declares {}", path.display());
    }
}

/// The workspace's packages, with the packages of ours that each imports.
fn imports() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let ours: Vec<String> = packages.iter().map(name).collect();
    let imports = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter().map(name);
        all.filter(|dependency| ours.contains(dependency)).collect()
    };
    packages.iter().map(|package| (name(package), imports(package))).collect()
}

#[test]
fn imports_point_one_way() {
    let imports = imports();
    assert!(imports.len() > 10, "{imports:?}");
    let plugins: Vec<String> = std::fs::read_dir(root().join("plugins"))
        .unwrap()
        .map(|entry| format!("tapedeck-{}", entry.unwrap().file_name().into_string().unwrap()))
        .collect();
    for (package, imported) in imports {
        let allowed: &[&str] = match package.as_str() {
            // The two that bring things together.
            "tapedeck" | "tapedeck-builtins" => continue,
            "tapedeck-sdk" => &[],
            plugin if plugins.iter().any(|name| name == plugin) => &["tapedeck-sdk", "tapedeck-kit"],
            // The kit, the engine and the doors.
            _ => &["tapedeck-sdk"],
        };
        let wrong: Vec<_> = imported.iter().filter(|name| !allowed.contains(&name.as_str())).collect();
        assert!(
            wrong.is_empty(),
            "{package} must not import {wrong:?}: sdk <- kit <- plugins, sdk <- engine, root -> all"
        );
    }
}

#[test]
fn the_engine_names_no_plugin_and_no_format() {
    let plugins: Vec<String> = std::fs::read_dir(root().join("plugins"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        // These are words of other subjects too: a null value, a memory map, a selection of channels.
        .filter(|name| {
            !["null", "memory", "select", "delta", "decode", "synthetic", "arrow"].contains(&name.as_str())
        })
        .collect();
    assert!(plugins.len() >= 4, "{plugins:?}");
    for path in files("rs").into_iter().filter(|path| path.starts_with(root().join("engine/src"))) {
        if path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let text = read(&path).to_lowercase();
        let named: Vec<_> = plugins.iter().filter(|name| text.contains(&format!("\"{name}\""))).collect();
        assert!(named.is_empty(), "{} names {named:?}", path.display());
    }
}

#[test]
fn nothing_of_this_machine_is_named() {
    // Put together here so that this file does not name them itself.
    let words = [["/wo", "rk/"].concat(), ["/ro", "ot/"].concat(), ["art", "ifactory"].concat()];
    for extension in ["rs", "toml", "md", "sh", "py", "lock"] {
        for path in files(extension) {
            let text = read(&path);
            let found: Vec<_> = words.iter().filter(|word| text.contains(word.as_str())).collect();
            assert!(found.is_empty(), "{} names {found:?}", path.display());
        }
    }
}

#[test]
fn no_binary_and_nothing_large_is_in_git() {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().unwrap();
    for name in String::from_utf8(output.stdout).unwrap().split('\0').filter(|name| !name.is_empty()) {
        let Ok(bytes) = std::fs::read(root().join(name)) else { continue };
        assert!(!bytes.contains(&0), "{name} is a binary file");
        assert!(bytes.len() < 200_000 || name == "Cargo.lock", "{name} has {} bytes", bytes.len());
    }
}

//! Compiles plugins, opens them, and collects what they push.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tapedeck_sdk::testing::FakeHost;
use tapedeck_sdk::{
    Batch, BatchPool, DataType, Error, Factory, Kind, Opener, Outputs, Source, StreamSchema, Timestamp,
    Transform,
};

/// Where nobody else puts a file of that name.
pub(crate) fn fresh(name: &str) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

/// The library that `cc` makes of `tests/c/{name}.c`.
pub(crate) fn compiled(name: &str, arguments: &[&str]) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = fresh(&format!("lib{name}.so"));
    let made = Command::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-shared", "-fPIC", "-I"])
        .arg(here.join("../../sdk/include"))
        .arg(here.join("tests/c").join(name).with_extension("c"))
        .arg("-o")
        .arg(&library)
        .args(arguments)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    library
}

/// The library that cargo makes of an example in Rust.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let library = test.ancestors().nth(2).unwrap().join("examples").join(format!("lib{name}.so"));
    assert!(library.exists(), "cargo has not built {}", library.display());
    library
}

pub(crate) fn load(path: &Path) -> Factory {
    tapedeck_dynamic::load(path).unwrap_or_else(|error| panic!("{error}"))
}

/// The error that loading gives. It names the file, at its end, and says what to do.
pub(crate) fn refused(path: &Path) -> Error {
    let error = tapedeck_dynamic::load(path).err().expect("it was loaded");
    assert!(error.message.starts_with("can't load the plugin: "), "{error}");
    assert!(error.message.ends_with(&path.display().to_string()), "{error}");
    assert!(error.hint.is_some(), "{error}");
    error
}

pub(crate) fn host() -> Arc<FakeHost> {
    FakeHost::new(fresh("session").parent().unwrap())
}

pub(crate) fn open_transform(
    factory: &Factory,
    options: &Value,
    host: &Arc<FakeHost>,
) -> Result<Box<dyn Transform>, Error> {
    let Opener::Transform(open) = factory.opener() else { panic!("it is no transform") };
    open(options, host.context("stage"))
}

pub(crate) fn open_source(
    factory: &Factory,
    options: &Value,
    host: &Arc<FakeHost>,
) -> Result<Box<dyn Source>, Error> {
    let Opener::Source(open) = factory.opener() else { panic!("it is no source") };
    open(options, host.context("stage"))
}

/// What was pushed.
#[derive(Default)]
pub(crate) struct Collected(pub(crate) Vec<(usize, Batch)>);

impl Outputs for Collected {
    fn push(&mut self, output: usize, batch: Batch) {
        self.0.push((output, batch));
    }
}

/// A stream of two `f64` columns and a text.
pub(crate) fn schema() -> Arc<StreamSchema> {
    StreamSchema::builder("game", Kind::Attributes)
        .field("x", DataType::Float64)
        .field("y", DataType::Float64)
        .nullable("name", DataType::Utf8)
        .build()
        .unwrap()
}

/// Three frames of it: `x` is `first`, `first + 1`, `first + 2`.
pub(crate) fn frames(pool: &mut BatchPool, first: f64) -> Batch {
    let mut builder = pool.builder(3);
    for row in [0.0, 1.0, 2.0] {
        let mut writer = builder.push_row(Timestamp(5));
        writer.set(0, first + row).set(1, 10.0).set_str(2, "Zoë");
    }
    builder.finish()
}

//! Targets that are not what one assumes: instructions of other lengths, loaders, 32 bits, other programs in the same process,
//! threads, shared names. They are compiled from `targets/` in the test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tapedeck_sdk::prelude::*;

use crate::support::{Arcade, copy_arcade, open, until, wall_clock};

/// Compiles a program of `targets/`.
fn compile(folder: &Path, source: &str, program: &str, flags: &[&str]) -> PathBuf {
    let path = folder.join(program);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/memory/targets").join(source);
    let compiled =
        Command::new("cc").arg("-O1").arg(source).arg("-o").arg(&path).args(flags).status().unwrap();
    assert!(compiled.success());
    path
}

/// A process; killed when dropped.
struct Running(Child);

impl Running {
    fn start(program: &Path, arguments: &[&Path]) -> Self {
        Self(Command::new(program).args(arguments).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn with(mut options: Value, more: &Value) -> Value {
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    options
}

#[test]
fn the_distance_counts_from_the_end_of_the_instruction() {
    let folder = tempfile::tempdir().unwrap();
    let car = Running::start(&compile(folder.path(), "car.c", "car", &[]), &[]);
    let speed = "F3 0F 10 05 ?? ?? ?? ?? 43 41 52 53 50 45 45 44";
    let ammo = "8B 05 ?? ?? ?? ?? 43 41 52 53 41 4D 4D 4F";
    let attributes = json!({
        "speed": { "pattern": speed, "type": "float" },
        "ammo": { "pattern": ammo, "type": "int" },
        "by_end": { "pattern": ammo, "displacement": 2, "end": 6, "type": "int" },
        "within": { "pattern": "05 ?? ?? ?? ?? 43 41 52 53 41 4D 4D 4F", "type": "int" },
        "before": { "pattern": speed, "offsets": [-4], "method": "direct", "type": "int" },
    });
    let mut reader =
        open(&json!({ "pid": car.0.id(), "attach_timeout": "20s", "attributes": attributes })).unwrap();
    let row = reader.row();
    assert_eq!(row.column("speed").values::<f32>(), [1.5]);
    for (name, value) in [("ammo", 30), ("by_end", 30), ("within", 30), ("before", 7)] {
        assert_eq!(row.column(name).values::<i32>(), [value], "{name}");
    }
    // The bytes behind the instruction, taken for one, have no address.
    let text = json!({ "hp": { "pattern": "43 41 52 53 50 45 45 ??", "type": "int" } });
    let error = open(&json!({ "pid": car.0.id(), "attributes": text })).unwrap_err();
    assert!(error.message.ends_with("is unclear: no instruction there has an address at the ??"), "{error}");
    assert_eq!(error.option, ["attributes", "hp", "pattern"]);
}

fn loaded_attributes() -> Value {
    json!({ "health": { "pattern": "48 8B 05 ?? ?? ?? ?? 44 41 52 4B 53 4F 55 4C", "offsets": [8], "type": "int" } })
}

#[test]
fn a_program_that_a_loader_has_mapped_is_found_whatever_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let loader = compile(folder.path(), "loader.c", "loader-of-souls", &["-ldl"]);
    let long = compile(folder.path(), "loaded.c", "DarkSoulsRemastered.exe", &["-shared", "-fPIC"]);
    let short = compile(folder.path(), "loaded.c", "Souls.exe", &["-shared", "-fPIC"]);
    let target =
        |target: Value| with(target, &json!({ "attach_timeout": "20s", "attributes": loaded_attributes() }));
    for program in [&long, &short] {
        let mut reader = open(&target(json!({ "spawn": [loader, program] }))).unwrap();
        assert_eq!(reader.row().column("health").values::<i32>(), [100]);
    }
    let game = Running::start(&loader, &[&long]);
    let by_name = ["DarkSoulsRemastered.exe", "DarkSoulsRemast", "loader-of-souls"];
    let by_name = by_name.iter().map(|name| json!({ "process": name }));
    for options in by_name.chain([json!({ "pid": game.0.id() })]) {
        let mut reader = open(&target(options)).unwrap();
        assert_eq!(reader.row().column("health").values::<i32>(), [100]);
    }
}

#[test]
fn a_program_of_32_bits_has_pointers_of_four_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let flags =
        ["-m32", "-static", "-nostdlib", "-ffreestanding", "-fno-pie", "-no-pie", "-fno-stack-protector"];
    let game = Running::start(&compile(folder.path(), "old.c", "old", &flags), &[]);
    let pattern = "A1 ?? ?? ?? ?? 4F 4C 44 47 41 4D 45 53";
    let attributes = json!({
        "health": { "pattern": pattern, "offsets": [8], "type": "int" },
        "lives": { "pattern": pattern, "offsets": [4], "method": "direct", "type": "int" },
        // Over the end of the address space and back, as 32-bit programs write a negative offset.
        "wrapped": { "pattern": pattern, "offsets": [0x1_0000_0008_i64], "type": "int" },
    });
    let options = json!({ "pid": game.0.id(), "attach_timeout": "20s", "attributes": attributes });
    let row = open(&options).unwrap().row();
    for (name, value) in [("health", 100), ("lives", 3), ("wrapped", 100)] {
        assert_eq!(row.column(name).values::<i32>(), [value], "{name}");
    }
    // The option goes before the header.
    assert!(open(&with(options, &json!({ "pointer_bytes": 8 }))).unwrap().row().is_null("health"));
}

/// A program that becomes itself anew when it is told, and a source that reads it.
struct Updater {
    process: Running,
    options: Value,
    _folder: tempfile::TempDir,
}

impl Updater {
    fn start(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Running::start(&compile(folder.path(), "update.c", name, &[]), &[]);
        let pattern = "48 8B 05 ?? ?? ?? ?? 55 50 44 41 54 45 52 53";
        let attributes = json!({ "health": { "pattern": pattern, "offsets": [8], "type": "int" } });
        let options = json!({ "process": name, "attach_timeout": "20s", "attributes": attributes });
        Self { process, options, _folder: folder }
    }

    fn update(&self) {
        let told = Command::new("kill").args(["-USR1", &self.process.0.id().to_string()]).status().unwrap();
        assert!(told.success());
    }
}

fn health(batch: Batch) -> i32 {
    let row = crate::support::Row(batch);
    assert!(!row.is_null("health"), "a value of the wrong program");
    row.column("health").values::<i32>()[0]
}

#[test]
fn a_process_that_becomes_another_program_is_read_again() {
    let updater = Updater::start("updater-again");
    let mut reader = open(&with(updater.options.clone(), &json!({ "reattach": true }))).unwrap();
    // A program that has just begun has no variables yet: their values are null, and never those of the program before.
    let is_null = |batch: &Batch| crate::support::Row(batch.clone()).is_null("health");
    let mut nulls = 0;
    until("the program has its variables", || {
        let row = reader.row().0;
        nulls += u64::from(is_null(&row));
        !is_null(&row) && health(row) == 1000
    });
    updater.update();
    let mut absent = 0;
    until("the new program is read", || match reader.next() {
        Next::Batch { batch, .. } if is_null(&batch) => {
            assert!(absent > 0, "a value of the wrong program");
            nulls += 1;
            false
        }
        Next::Batch { batch, .. } => {
            let value = health(batch);
            assert_eq!(value, if absent > 0 { 2000 } else { 1000 });
            value == 2000
        }
        Next::Idle => {
            absent += 1;
            false
        }
        Next::End => panic!("it is waited for"),
    });
    assert!(absent > 0);
    assert_eq!((reader.host.absent_ticks(), reader.host.partial_frames()), (absent, nulls));
    let told = reader.host.warnings();
    assert!(told.contains("has become another program: ") && told.contains("is there again ("), "{told}");
}

#[test]
fn without_reattach_the_stream_ends_and_says_why() {
    let updater = Updater::start("updater-ends");
    let mut reader = open(&updater.options).unwrap();
    until("the program has its variables", || !reader.row().is_null("health"));
    updater.update();
    until("the stream has ended", || match reader.next() {
        Next::Batch { batch, .. } => {
            assert_eq!(health(batch), 1000);
            false
        }
        Next::Idle => panic!("nothing is waited for"),
        Next::End => true,
    });
    let told = reader.host.warnings();
    assert!(
        told.contains("has become another program: ") && told.ends_with("the stream \"game\" ends"),
        "{told}"
    );
    assert_eq!(reader.host.partial_frames(), 0);
}

#[test]
fn a_program_that_replaces_its_launcher_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let car = compile(folder.path(), "car.c", "car-launched", &[]);
    let attributes =
        json!({ "ammo": { "pattern": "8B 05 ?? ?? ?? ?? 43 41 52 53 41 4D 4D 4F", "type": "int" } });
    let script = format!("sleep 0.2; exec {}", car.display());
    let options = json!({ "spawn": ["sh", "-c", script], "attach_timeout": "20s", "attributes": attributes });
    assert_eq!(open(&options).unwrap().row().column("ammo").values::<i32>(), [30]);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a thread is what is read")]
fn the_number_of_a_thread_means_its_process() {
    let (send, numbers) = std::sync::mpsc::channel();
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        send.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
        let _ = wait.recv();
    });
    let number = numbers.recv().unwrap();
    let value = 42_i32;
    let attributes = json!({ "value": { "address": std::ptr::from_ref(&value) as usize, "type": "int" } });
    let mut reader = open(&json!({ "pid": number, "attributes": attributes })).unwrap();
    assert_eq!(reader.row().column("value").values::<i32>(), [42]);
    std::hint::black_box(&value);
    let told = reader.host.warnings();
    assert!(told.starts_with(&format!("{number} is a thread of the process \"")), "{told}");
    drop(done);
    thread.join().unwrap();
    // The process is still there: the stream does not end with the thread.
    reader.row();
}

#[test]
fn a_name_that_two_processes_share_is_waited_for_until_one_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("arcade-twice");
    copy_arcade(&program);
    let (first, second) = (Arcade::start_program(&program, &[]), Arcade::start_program(&program, &[]));
    let attributes = second.by_pattern();
    let options =
        |timeout| json!({ "process": "arcade-twice", "attach_timeout": timeout, "attributes": attributes });
    let begin = wall_clock();
    let error = open(&options("0.2s")).unwrap_err();
    assert!(wall_clock().since(begin) >= Duration::from_millis(200));
    for pid in [first.pid(), second.pid()] {
        assert!(error.message.contains(&pid.to_string()), "{error}");
    }
    #[expect(clippy::disallowed_methods, reason = "one has to exit while the other is waited for")]
    let ending = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        drop(first);
    });
    let mut reader = open(&options("20s")).unwrap();
    reader.row();
    ending.join().unwrap();
    reader.row();
}

//! The vocabulary of the integration tests: a folder, the program in it, and somebody else's readers.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program that an example of this workspace builds.
pub(crate) fn example(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_tapedeck"));
    let path = program.parent().unwrap().join("examples").join(name);
    assert!(
        path.exists(),
        "{} is not built: run `cargo test --workspace`, or `cargo build --examples`",
        path.display()
    );
    path
}

/// A folder of one test, with what is written into it.
pub(crate) struct Dir {
    folder: tempfile::TempDir,
}

impl Dir {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The names in a folder below, sorted.
    pub(crate) fn names(&self, below: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(below)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The program, started in this folder.
    pub(crate) fn tapedeck(&self, arguments: &[&str]) -> Tapedeck {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapedeck"));
        command
            .current_dir(self.folder.path())
            .args(arguments)
            .env_remove("RUST_BACKTRACE")
            .env_remove("TAPEDECK_PLUGIN_PATH")
            .env_remove("TAPEDECK_REC")
            // Nothing of the user's own is found or changed; compiled plugins are kept between tests.
            .env("XDG_DATA_HOME", self.folder.path())
            .env("XDG_CACHE_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"))
            .stdin(Stdio::null());
        Tapedeck { command }
    }

    /// Runs a pipeline's text for a while as session `s` in folder `out`, and expects an exit code. A machine that pauses us makes
    /// ticks late; that is told, and is not what most tests are about.
    pub(crate) fn record(&self, pipeline: &str, duration: &str, expected: i32) -> Value {
        self.write("pipeline.toml", pipeline);
        let arguments = [
            "run",
            "pipeline.toml",
            "--duration",
            duration,
            "--directory",
            "out",
            "--session",
            "s",
            "--json",
        ];
        let done = self.tapedeck(&arguments).run();
        let last = done.stdout.lines().last().unwrap_or_default();
        let report: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {done:?}"));
        let loss = &report["report"]["loss"];
        let only_late = done.code == 3 && loss["late"] != 0 && loss["dropped"] == 0 && loss["failed"] == 0;
        assert!(done.code == expected || (expected == 0 && only_late), "{done:?}");
        report["report"].clone()
    }
}

/// A call of the program.
pub(crate) struct Tapedeck {
    command: Command,
}

/// What a call printed.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout.clone()).unwrap(),
            stderr: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }
}

impl Tapedeck {
    /// Sets a variable of the environment.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs to the end.
    pub(crate) fn run(mut self) -> Done {
        let output = self.command.output().unwrap();
        let done = Done::of(&output);
        assert!(!done.stderr.contains("panicked at "), "{done:?}");
        done
    }

    /// Starts it and leaves it running; [`ended`] gives what it printed.
    pub(crate) fn pipe(mut self) -> std::process::Child {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// With a file as its standard input.
    pub(crate) fn input(mut self, file: &Path) -> Self {
        self.command.stdin(std::fs::File::open(file).unwrap());
        self
    }

    /// Starts it and leaves it running.
    pub(crate) fn spawn(mut self) -> std::process::Child {
        self.command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }
}

/// What a call that was left running printed, once it has ended.
pub(crate) fn ended(child: std::process::Child) -> Done {
    Done::of(&child.wait_with_output().unwrap())
}

/// Asks again until something holds; fails after 30 s.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("waited 30 s in vain until {what}");
}

/// Waits until a child that was sent SIGSTOP stands still.
pub(crate) fn wait_until_stopped(child: &std::process::Child) {
    wait_until("the process stands still", || {
        std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap().contains(") T ")
    });
}

/// Runs one of the scripts in `tests/interop` with the pinned Python packages, and takes what it prints as JSON.
pub(crate) fn python(script: &str, arguments: &[&Path]) -> Value {
    let default = root().join(".tools/venv/bin/python");
    let python = std::env::var_os("TAPEDECK_PYTHON").map_or(default, PathBuf::from);
    assert!(
        python.exists(),
        "the interop tests need Python with the packages of tests/interop/requirements.txt: run `make python` once"
    );
    let output =
        Command::new(python).arg(root().join("tests/interop").join(script)).args(arguments).output().unwrap();
    let done = Done::of(&output);
    assert_eq!(done.code, 0, "{script}: {done:?}");
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{script}: {error}: {done:?}"))
}

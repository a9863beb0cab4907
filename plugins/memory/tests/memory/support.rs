//! The vocabulary of the tests: a running game, a host with a real clock, and a source that reads the game.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};
use tapedeck_sdk::prelude::*;
use tapedeck_sdk::{Opener, testing::FakeHost};

/// The example program, which cargo builds beside the tests.
pub(crate) fn arcade_path() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples/arcade")
}

/// The game under another name. A process of its own copies it: a child that another test starts meanwhile would inherit a file of ours
/// that is open for writing, and such a program can't be run.
pub(crate) fn copy_arcade(program: &Path) {
    let copied = Command::new("cp").arg(arcade_path()).arg(program).status().unwrap();
    assert!(copied.success());
}

/// A running game; killed when dropped.
pub(crate) struct Arcade {
    child: Child,
    /// What it says of itself.
    pub(crate) about: Value,
}

impl Arcade {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_program(&arcade_path(), arguments)
    }

    pub(crate) fn start_program(program: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, about: serde_json::from_str(&line).unwrap() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, which writes its log out.
    pub(crate) fn finish(mut self) {
        let ended = Command::new("kill").arg(self.pid().to_string()).status().unwrap();
        assert!(ended.success());
        self.child.wait().unwrap();
    }

    /// All variables as attributes, by the pattern and the chain of pointers.
    pub(crate) fn by_pattern(&self) -> Map<String, Value> {
        by_pattern(&self.about)
    }

    /// All variables as attributes, by their addresses.
    pub(crate) fn by_address(&self) -> Map<String, Value> {
        let variables = self.about["variables"].as_object().unwrap();
        let attribute = |(name, about): (&String, &Value)| {
            let mut attribute = typed(about);
            attribute["address"] = about["address"].clone();
            (name.clone(), attribute)
        };
        variables.iter().map(attribute).collect()
    }
}

fn by_pattern(about: &Value) -> Map<String, Value> {
    let attribute = |(name, variable): (&String, &Value)| {
        let mut attribute = typed(variable);
        attribute["pattern"] = about["pattern"].clone();
        attribute["offsets"] = variable["offsets"].clone();
        (name.clone(), attribute)
    };
    about["variables"].as_object().unwrap().iter().map(attribute).collect()
}

fn typed(variable: &Value) -> Value {
    json!({ "type": variable["type"], "length": variable["length"] })
}

impl Drop for Arcade {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A host whose clock is the wall's, as the truth log's is.
pub(crate) struct WallHost {
    partial: AtomicU64,
    absent: AtomicU64,
    fake: Arc<FakeHost>,
}

pub(crate) fn wall_clock() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "compared with the game's own log of the same clock")]
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_nanos()).unwrap())
}

impl WallHost {
    pub(crate) fn partial_frames(&self) -> u64 {
        self.partial.load(Ordering::Relaxed)
    }

    /// Ticks without a target.
    pub(crate) fn absent_ticks(&self) -> u64 {
        self.absent.load(Ordering::Relaxed)
    }

    /// All that the user was told.
    pub(crate) fn warnings(&self) -> String {
        self.fake.warnings().join("\n")
    }
}

impl Host for WallHost {
    fn now(&self) -> Timestamp {
        wall_clock()
    }
    fn failed(&self, frames: u64) {
        panic!("{frames} frames were not given");
    }
    fn partial(&self, frames: u64) {
        self.partial.fetch_add(frames, Ordering::Relaxed);
    }
    fn absent(&self, ticks: u64) {
        self.absent.fetch_add(ticks, Ordering::Relaxed);
    }
    fn warn(&self, message: &str) {
        self.fake.warn(message);
    }
    fn artifact(&self, name: &Path, role: Role) -> Result<PathBuf, Error> {
        self.fake.artifact(name, role)
    }
    fn loss(&self, stream: &str) -> Loss {
        self.fake.loss(stream)
    }
}

/// An open source and its host.
pub(crate) struct Reader {
    pub(crate) source: Box<dyn Source>,
    pub(crate) host: Arc<WallHost>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an open source")
    }
}

pub(crate) fn open(options: &Value) -> Result<Reader, Error> {
    let fake = FakeHost::new(Path::new("/nowhere"));
    let host =
        Arc::new(WallHost { partial: AtomicU64::new(0), absent: AtomicU64::new(0), fake: fake.clone() });
    let context = Context { host: host.clone(), ..fake.context("game") };
    let factory = tapedeck_memory::factory();
    factory.check(options)?;
    let Opener::Source(open) = factory.opener() else { panic!("memory is a source") };
    Ok(Reader { source: open(options, context)?, host })
}

impl Reader {
    pub(crate) fn next(&mut self) -> Next {
        self.source.next(wall_clock() + Duration::from_millis(10)).unwrap()
    }

    /// The next row; the source has to have one.
    pub(crate) fn row(&mut self) -> Row {
        match self.next() {
            Next::Batch { output: 0, batch } => {
                assert_eq!(batch.rows(), 1);
                Row(batch)
            }
            other => panic!("expected a row, got {other:?}"),
        }
    }
}

/// One row, read by column names.
pub(crate) struct Row(pub(crate) Batch);

impl Row {
    pub(crate) fn column(&self, name: &str) -> Column<'_> {
        let index = self.0.schema().payload_index(name).unwrap_or_else(|| panic!("no column {name}"));
        self.0.column(index)
    }

    pub(crate) fn is_null(&self, name: &str) -> bool {
        self.column(name).is_null(0)
    }

    pub(crate) fn u64(&self, name: &str) -> u64 {
        assert!(!self.is_null(name), "{name} is null");
        self.column(name).values::<u64>()[0]
    }
}

/// Polls with a bound until `done` says so.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = wall_clock();
    while !done() {
        assert!(wall_clock().since(begin) < Duration::from_secs(20), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

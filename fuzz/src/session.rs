//! The folder of a session that was killed, to put arbitrary bytes into, and what may be done with it. Everything lies in a folder of
//! its own, and whoever touches a neighbour of the session is found out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tapedeck_engine::pipeline::{Variables, parse};
use tapedeck_engine::{Registry, RunOptions, begin};
use tapedeck_sdk::Format;

use crate::{Content, seeds_folder};

/// The formats that a session is recorded in: not HDF5, whose library is in C and has a target of its own.
pub static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    Registry::new([
        tapedeck_synthetic::factory(),
        tapedeck_arrow::factory(),
        tapedeck_parquet::factory(),
        tapedeck_csv::factory(),
        tapedeck_jsonl::factory(),
    ])
    .with_journal("arrow")
});

const PIPELINE: &str = r#"
[session]
flush_interval = "20ms"
disk_free_min = "0B"
[sources.made]
plugin = "synthetic"
rate = 200
columns = 2
[sinks.rows]
plugin = "parquet"
inputs = ["made"]
[sinks.stream]
plugin = "arrow"
inputs = ["made"]
[sinks.lines]
plugin = "jsonl"
inputs = ["made"]
[sinks.table]
plugin = "csv"
inputs = ["made"]
"#;

/// Until so much of the journal is safe the session runs.
const JOURNAL_BYTES_MIN: u64 = 4096;
/// The name of the journal that is kept beside the Parquet file.
const JOURNAL: &str = "journal/rows.arrows";

/// The files of a session as a kill leaves them.
pub struct Killed {
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Killed {
    /// Records for a moment and takes a copy in mid-recording, which is what a kill leaves.
    ///
    /// # Panics
    /// The session does not get going.
    #[must_use]
    pub fn record() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let pipeline = parse("fuzz.toml", PIPELINE, &Variables::none(), &REGISTRY)
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        let options = RunOptions {
            directory: Some(folder.path().to_owned()),
            session: Some("s".to_owned()),
            ..RunOptions::default()
        };
        let session = begin(pipeline, &REGISTRY, &options).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        let path = session.folder().to_owned();
        let begun = Instant::now();
        let safe = || path.join(JOURNAL).metadata().is_ok_and(|file| file.len() > JOURNAL_BYTES_MIN);
        while !safe() {
            assert!(begun.elapsed() < Duration::from_secs(10), "the session records nothing");
            std::thread::sleep(Duration::from_millis(5));
        }
        let files = files(&path);
        session.stop_handle().stop();
        session.wait(Duration::from_secs(60), |_| {}).expect("the session ends");
        Self { files }
    }

    /// Puts the files below a folder.
    fn lay(&self, folder: &Path) {
        for (name, bytes) in &self.files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("a folder");
            std::fs::write(path, bytes).expect("there is room");
        }
    }

    /// Writes one of the files as a seed, where seeds are wanted.
    pub fn seed(&self, name: &str) {
        if let Some(seeds) = seeds_folder() {
            std::fs::write(seeds.join("killed"), &self.files[Path::new(name)]).expect("the folder is there");
        }
    }

    /// The name of its one journal.
    #[must_use]
    pub fn journal() -> &'static str {
        JOURNAL
    }

    /// Recovers the session with `bytes` in the place of one of its files: what its other files hold is still there, and doing it
    /// again changes nothing.
    pub fn recover_with(&self, name: &str, bytes: &[u8]) {
        let root = Root::new();
        self.lay(&root.session);
        std::fs::write(root.session.join(name), bytes).expect("there is room");
        let before = root.contents();
        let recovered = tapedeck_engine::recover::recover(&REGISTRY, &Variables::none(), &root.session);
        let after = root.contents();
        for (file, content) in &before {
            content.must_be_kept_in(after.get(file).expect("no recording is removed"));
        }
        if recovered.is_ok_and(|recovery| recovery.exit_code != 1) {
            let manifest = std::fs::read(root.session.join("session.json")).expect("it is there");
            let again = tapedeck_engine::recover::recover(&REGISTRY, &Variables::none(), &root.session).expect("it is whole");
            assert!(again.was_whole);
            let same = std::fs::read(root.session.join("session.json")).expect("it is there") == manifest;
            assert!(same, "recovered once and for all");
        }
        root.must_be_untouched();
    }
}

/// A folder with a session's folder in it, and with neighbours.
struct Root {
    folder: tempfile::TempDir,
    session: PathBuf,
    neighbours: BTreeMap<PathBuf, Vec<u8>>,
}

impl Root {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let session = folder.path().join("s");
        std::fs::create_dir_all(folder.path().join("beside/journal")).expect("a folder");
        std::fs::create_dir(&session).expect("a folder");
        // A torn last line: whoever takes it for a recording mends it.
        for name in ["table.csv", "beside/table.csv", "lines.jsonl", "beside/journal/rows.arrows"] {
            std::fs::write(folder.path().join(name), "seq,timestamp\n0,1\n1").expect("there is room");
        }
        std::os::unix::fs::symlink("../table.csv", session.join("link.csv")).expect("a link");
        let mut root = Self { neighbours: BTreeMap::new(), folder, session };
        root.neighbours = root.beside();
        root
    }

    fn beside(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = files(self.folder.path());
        files.retain(|name, _| !name.starts_with("s"));
        files
    }

    fn must_be_untouched(&self) {
        assert_eq!(self.beside(), self.neighbours, "something beside the session was touched");
    }

    /// What can be read of the session's recordings.
    fn contents(&self) -> BTreeMap<PathBuf, Content> {
        let mut contents = BTreeMap::new();
        for name in files(&self.session).into_keys().filter(|name| name.components().count() == 1) {
            let format = REGISTRY.format_of_name(&name);
            if let Some(format) = format.filter(|_| !name.starts_with("session.json")) {
                let format: &dyn Format = format.as_ref();
                contents.insert(name.clone(), Content::of(format, &self.session.join(name)));
            }
        }
        contents
    }
}

/// The regular files below a folder, with what is in them.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        for entry in std::fs::read_dir(folder.join(&below)).expect("it can be listed") {
            let entry = entry.expect("it can be listed");
            let (name, kind) = (below.join(entry.file_name()), entry.file_type().expect("it is there"));
            if kind.is_dir() {
                folders.push(name);
            } else if kind.is_file() {
                found.insert(name, std::fs::read(entry.path()).expect("it can be read"));
            }
        }
    }
    found
}

/// Everything that is done with somebody else's session: listed, looked at, played, recovered, and looked at again.
pub fn look_at_session(killed: &Killed, manifest: &[u8]) {
    let root = Root::new();
    killed.lay(&root.session);
    std::fs::write(root.session.join("session.json"), manifest).expect("there is room");
    for _ in 0..2 {
        let listed = tapedeck_engine::session::list(root.folder.path()).expect("the folder can be listed");
        assert_eq!(listed.len(), 1);
        drop(tapedeck_engine::inspect::inspect(&REGISTRY, &root.session, tapedeck_engine::inspect::Reach::End));
        replay_session(&root.session);
        drop(tapedeck_engine::recover::recover(&REGISTRY, &Variables::none(), &root.session));
    }
    root.must_be_untouched();
}

/// Reads a session as a replay does, as far as it goes.
pub fn replay_session(folder: &Path) {
    let Ok(mut reel) = tapedeck_engine::replay::Reel::open(&REGISTRY, &[folder.to_owned()], &[]) else {
        return;
    };
    while let Ok(Some((stream, batch))) = reel.read() {
        assert!(stream < reel.streams().len() && batch.rows() > 0);
    }
}

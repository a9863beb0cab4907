//! What plugin files said of themselves, kept on disk: asked again only when a file's size or time has changed.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tapedeck_sdk::{Descriptor, Error};

/// The index, with the file that it is kept in.
pub(crate) struct Index {
    file: Option<PathBuf>,
    entries: BTreeMap<PathBuf, Entry>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    size: u64,
    modified_ns: i64,
    /// The program that asked: another version may find something else.
    asked_by: String,
    outcome: Result<Descriptor, Error>,
}

impl Index {
    /// Reads the index. A damaged one is begun anew.
    pub(crate) fn read(cache: Option<&Path>) -> Self {
        let file = cache.map(|cache| cache.join("plugins.json"));
        let text = file.as_ref().and_then(|file| std::fs::read(file).ok());
        let entries = text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Self { file, entries }
    }

    /// What the file said, if it has not changed since.
    pub(crate) fn get(&self, path: &Path) -> Option<Result<Descriptor, Error>> {
        let path = path.canonicalize().ok()?;
        let entry = self.entries.get(&path)?;
        let (size, modified_ns) = stamp(&path)?;
        let same = entry.size == size && entry.modified_ns == modified_ns && entry.asked_by == asked_by();
        same.then(|| entry.outcome.clone())
    }

    /// Remembers what a file said.
    pub(crate) fn put(&mut self, path: &Path, outcome: &Result<Descriptor, Error>) {
        let Ok(path) = path.canonicalize() else { return };
        let Some((size, modified_ns)) = stamp(&path) else { return };
        let entry = Entry { size, modified_ns, asked_by: asked_by(), outcome: outcome.clone() };
        self.entries.insert(path, entry);
        self.entries.retain(|path, _| path.exists());
        // An index that can't be kept costs time, nothing else.
        drop(self.write());
    }

    fn write(&self) -> std::io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let fresh = file.with_extension(format!("json.{}", std::process::id()));
        std::fs::write(&fresh, serde_json::to_vec(&self.entries)?)?;
        std::fs::rename(&fresh, file)
    }
}

fn stamp(path: &Path) -> Option<(u64, i64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.mtime().wrapping_mul(1_000_000_000).wrapping_add(metadata.mtime_nsec())))
}

fn asked_by() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

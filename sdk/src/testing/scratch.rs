//! A folder for one check, gone when it is dropped.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A fresh folder in the system's temporary folder.
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes the folder.
    pub(super) fn new() -> Result<Self, String> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        for _ in 0..1000 {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path =
                std::env::temp_dir().join(format!("tapedeck-conformance-{}-{number}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(format!("can't make a folder to check in: {error}: {}", path.display()));
                }
            }
        }
        Err(format!(
            "can't make a folder to check in: {} is full of old ones",
            std::env::temp_dir().display()
        ))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// All files in it, however deep, with their paths relative to it.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>, String> {
        let relative = |path: PathBuf| path.strip_prefix(&self.path).map(Path::to_owned).unwrap_or(path);
        Ok(parts(&self.path)?.into_iter().map(relative).collect())
    }

    /// A copy of everything in it, as it is at this moment: what a `kill -9` would leave.
    pub(super) fn snapshot(&self) -> Result<Self, String> {
        let copy = Self::new()?;
        for file in self.files()? {
            let to = copy.path.join(&file);
            let made = to.parent().map_or(Ok(()), std::fs::create_dir_all);
            let copied = made.and_then(|()| std::fs::copy(self.path.join(&file), &to));
            copied.map_err(|error| format!("can't copy {}: {error}", file.display()))?;
        }
        Ok(copy)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What can't be removed is in the temporary folder, where the system cleans up.
        drop(std::fs::remove_dir_all(&self.path));
    }
}

/// A file itself; of a folder all files in it, however deep.
pub(super) fn parts(path: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    let mut left = vec![path.to_owned()];
    while let Some(path) = left.pop() {
        if !path.is_dir() {
            files.push(path);
            continue;
        }
        let listing = |error: std::io::Error| format!("can't list {}: {error}", path.display());
        for entry in std::fs::read_dir(&path).map_err(listing)? {
            left.push(entry.map_err(listing)?.path());
        }
    }
    files.sort();
    Ok(files)
}

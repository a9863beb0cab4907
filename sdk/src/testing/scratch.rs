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
        let mut files = Vec::new();
        let mut folders = vec![self.path.clone()];
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(&folder)
                .map_err(|error| format!("can't list {}: {error}", folder.display()))?;
            for entry in entries {
                let path = entry.map_err(|error| format!("can't list {}: {error}", folder.display()))?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path.strip_prefix(&self.path).unwrap_or(&path).to_owned());
                }
            }
        }
        files.sort();
        Ok(files)
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

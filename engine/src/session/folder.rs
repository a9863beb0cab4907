//! The session's folder, and the only way in which a stage gets a file: by a relative name that nobody else has.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tapedeck_sdk::{Error, Role};

/// A file that a stage has registered.
#[derive(Debug, Clone)]
pub(crate) struct Artifact {
    /// The id of the stage that makes it.
    pub(crate) stage: String,
    pub(crate) role: Role,
    /// Whether it is the engine's journal beside the stage.
    pub(crate) is_journal: bool,
}

/// A session's folder.
#[derive(Debug)]
pub(crate) struct SessionFolder {
    path: PathBuf,
    /// Relative path → what it is.
    artifacts: Mutex<BTreeMap<PathBuf, Artifact>>,
}

impl SessionFolder {
    /// Checks that a session folder can be made there, touching nothing.
    ///
    /// # Errors
    /// It is there already, or no folder above it can be written.
    pub(crate) fn check(path: &Path) -> Result<(), Error> {
        if path.symlink_metadata().is_ok() {
            return Err(Error::environment(format!(
                "the session folder is already there: {}",
                path.display()
            ))
            .with_hint("give the session another name with --session, or remove the folder"));
        }
        let above = path.ancestors().skip(1).find(|above| above.exists()).unwrap_or(Path::new("."));
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        let refused = |why: &str| {
            Err(Error::environment(format!(
                "can't record into the output folder: {why}: {}",
                above.display()
            ))
            .with_hint("choose another folder with --directory, or make this one writable"))
        };
        if !above.is_dir() {
            return refused("it is not a folder");
        }
        match rustix::fs::access(above, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK) {
            Ok(()) => Ok(()),
            Err(error) => refused(&error.to_string()),
        }
    }

    /// Makes the folder, and those above it.
    ///
    /// # Errors
    /// As for [`check`](Self::check).
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        Self::check(path)?;
        let failed = |error: io::Error| Error::io("make the session folder", path, &error);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
        fs::create_dir(path).map_err(failed)?;
        Ok(Self::existing(path))
    }

    /// A folder that is there already, for recovery.
    pub(crate) fn existing(path: &Path) -> Self {
        Self { path: path.to_owned(), artifacts: Mutex::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Registers a file for a stage; see [`tapedeck_sdk::Host::artifact`].
    pub(crate) fn artifact(&self, name: &Path, artifact: Artifact) -> Result<PathBuf, Error> {
        let shown = name.display().to_string();
        let plain = !shown.is_empty()
            && !shown.contains('\0')
            && name.components().all(|part| matches!(part, Component::Normal(_)));
        if !plain {
            return Err(Error::option(["path"], format!("\"{shown}\" leads out of the session folder"))
                .with_hint("files are named relative to the session folder, without \"..\""));
        }
        let mut artifacts = self.artifacts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(owner) = artifacts.get(name) {
            return Err(Error::option(
                ["path"],
                format!("\"{shown}\" is already written by \"{}\"", owner.stage),
            )
            .with_hint("give one of the two another `path`"));
        }
        let path = self.path.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| Error::io("make a folder", parent, &error))?;
        }
        artifacts.insert(name.to_owned(), artifact);
        Ok(path)
    }

    /// Registers a file of a stage's own, which can't take the name of one of the session's.
    ///
    /// # Errors
    /// As for [`artifact`](Self::artifact), or the name is the session's.
    pub(crate) fn stage_artifact(&self, name: &Path, role: Role, stage: &str) -> Result<PathBuf, Error> {
        let first = name.components().next().map(|part| part.as_os_str().to_string_lossy());
        if first.is_some_and(|first| super::RESERVED.contains(&first.as_ref())) {
            let message = format!("\"{}\" is a file of the session itself", name.display());
            return Err(Error::option(["path"], message).with_hint("give the sink another `path`"));
        }
        self.artifact(name, Artifact { stage: stage.to_owned(), role, is_journal: false })
    }

    /// The files that stages have registered.
    pub(crate) fn artifacts(&self) -> Vec<(PathBuf, Artifact)> {
        let artifacts = self.artifacts.lock().unwrap_or_else(PoisonError::into_inner);
        artifacts.iter().map(|(path, artifact)| (path.clone(), artifact.clone())).collect()
    }

    /// How many files stages have registered, journals left out.
    pub(crate) fn recording_count(&self) -> usize {
        let artifacts = self.artifacts.lock().unwrap_or_else(PoisonError::into_inner);
        artifacts.values().filter(|artifact| !artifact.is_journal).count()
    }

    /// Bytes that the disk has left for us.
    pub(crate) fn disk_free(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// Opens a file of a folder that may be somebody else's: no link is followed, nothing is waited for, and only a regular file is taken.
///
/// # Errors
/// There is no such file, it is no regular one, or the system refuses.
pub(crate) fn open_regular(path: &Path) -> io::Result<fs::File> {
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits().cast_signed();
    let file = fs::File::options().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"))
    }
}

/// How deep the files of a recording that is a folder may lie.
const FOLDER_DEPTH_MAX: usize = 4;

/// Size and SHA-256 (lower-case hex) of a file. Of a folder: the size of all files in it, and the hash of the lines that
/// `find -type f -printf '%P\n' | LC_ALL=C sort | xargs sha256sum` prints there.
///
/// # Errors
/// A file can't be read, or is no regular one.
pub(crate) fn hash_file(path: &Path) -> io::Result<(u64, String)> {
    if !path.symlink_metadata()?.is_dir() {
        return hash_regular(path);
    }
    let mut names = Vec::new();
    files_below(path, FOLDER_DEPTH_MAX, &mut names)?;
    names.sort();
    let mut hasher = Sha256::new();
    let mut size = 0;
    for file in names {
        let (bytes, hash) = hash_regular(&file)?;
        let name = file.strip_prefix(path).unwrap_or(&file);
        size += bytes;
        for part in [hash.as_bytes(), b"  ", name.as_os_str().as_encoded_bytes(), b"\n"] {
            hasher.update(part);
        }
    }
    Ok((size, hex(hasher)))
}

fn files_below(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            files.push(entry.path());
        } else if depth > 0 {
            files_below(&entry.path(), depth - 1, files)?;
        }
    }
    Ok(())
}

fn hash_regular(path: &Path) -> io::Result<(u64, String)> {
    let mut file = open_regular(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    let mut size = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        size += count as u64;
    }
    Ok((size, hex(hasher)))
}

fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_gets_files_inside_the_folder_only_and_each_once() {
        let root = tempfile::tempdir().unwrap();
        let folder = SessionFolder::create(&root.path().join("a/b/session")).unwrap();
        let artifact = |name: &str, stage| folder.stage_artifact(Path::new(name), Role::Recording, stage);
        assert!(artifact("x/rows.csv", "one").unwrap().parent().unwrap().is_dir());
        for name in ["", "..", "../x", "/etc/passwd", "a/../../x", "./x/..", "a\0b"] {
            assert!(artifact(name, "one").is_err(), "{name:?}");
        }
        for name in super::super::RESERVED {
            assert!(artifact(name, "one").is_err(), "{name}");
            assert!(artifact(&format!("{name}/x.csv"), "one").is_err(), "{name}");
        }
        artifact("journal.csv", "one").unwrap();
        let twice = artifact("x/rows.csv", "two").unwrap_err();
        assert!(twice.message.contains("\"one\""), "{twice}");
        assert!(SessionFolder::check(folder.path()).unwrap_err().message.contains("already there"));
    }

    #[test]
    fn a_recording_that_is_a_folder_is_hashed_as_sha256sum_does() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("b")).unwrap();
        for (name, text) in [("b/2", "two"), ("a", "one"), ("c", "")] {
            fs::write(root.path().join(name), text).unwrap();
        }
        let script = "find -type f -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum";
        let said =
            std::process::Command::new("sh").args(["-c", script]).current_dir(root.path()).output().unwrap();
        let (bytes, hash) = hash_file(root.path()).unwrap();
        assert_eq!((bytes, hash.as_str()), (6, std::str::from_utf8(&said.stdout[..64]).unwrap()));
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("d")).unwrap();
        assert!(hash_file(root.path()).is_err(), "a link is not followed");
    }

    #[test]
    fn checking_a_folder_touches_nothing() {
        let root = tempfile::tempdir().unwrap();
        SessionFolder::check(&root.path().join("new/session")).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(SessionFolder::check(&file.join("session")).unwrap_err().message.contains("not a folder"));
    }
}

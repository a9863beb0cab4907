//! Moves what is whole to its place: over what lies there, or only where nothing does.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use tapedeck_sdk::Error;

/// Moves a file or folder to its place, over a file that lies there.
pub(crate) fn put(from: &Path, to: &Path) -> Result<(), Error> {
    make_parent(to)?;
    fs::rename(from, to).map_err(|error| Error::io("put a file in its place", to, &error))
}

/// Moves a file or folder to a place where nothing lies, also if somebody makes something there meanwhile.
///
/// # Errors
/// Something lies there, or the disk refuses.
pub fn put_new(from: &Path, to: &Path) -> Result<(), Error> {
    make_parent(to)?;
    let moved = match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that can't tell: a file that somebody makes in this moment would be replaced.
        Err(Errno::INVAL | Errno::NOSYS) if to.symlink_metadata().is_err() => fs::rename(from, to),
        Err(Errno::INVAL | Errno::NOSYS) => Err(io::ErrorKind::AlreadyExists.into()),
        other => other.map_err(io::Error::from),
    };
    moved.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => taken(to),
        _ => Error::io("put a file in its place", to, &error),
    })
}

/// A name that is to be made is taken.
#[must_use]
pub fn taken(path: &Path) -> Error {
    Error::environment(format!("the file is already there: {}", path.display()))
        .with_hint("give another name, or remove the file")
}

fn make_parent(path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(parent) => {
            fs::create_dir_all(parent).map_err(|error| Error::io("make a folder", parent, &error))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_meanwhile_is_not_replaced() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("from"), root.path().join("a/b/to"));
        fs::write(&from, "new").unwrap();
        put_new(&from, &to).unwrap();
        fs::write(&from, "newer").unwrap();
        assert!(put_new(&from, &to).unwrap_err().message.starts_with("the file is already there"));
        assert_eq!((fs::read(&from).unwrap(), fs::read(&to).unwrap()), (b"newer".to_vec(), b"new".to_vec()));
        put(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"newer");
    }
}

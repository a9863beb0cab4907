//! Brings what is whole to its place, where nothing else may be lost. Knows nothing of what it is.

use std::path::Path;
use std::{fs, io};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tapedeck_sdk::Error;

/// Moves what is whole to its place, over a file that lies there.
pub(crate) fn put(from: &Path, to: &Path) -> Result<(), Error> {
    let folder = to.parent().map_or(Ok(()), fs::create_dir_all);
    folder
        .and_then(|()| fs::rename(from, to))
        .map_err(|error| Error::io("put a file in its place", to, &error))
}

/// Moves a file or folder within its file system. Nothing is replaced, also not what was made a moment ago.
///
/// # Errors
/// Of kind `AlreadyExists`: something is at the place. Both are as they were then. Or the system refuses.
pub fn move_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can do that.
        Err(Errno::INVAL | Errno::NOSYS) => move_by_link(from, to),
        moved => Ok(moved?),
    }
}

/// The same where the file system has no such call: by a second name, which replaces nothing either.
fn move_by_link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A folder, or a file system without links: what is made between the look and the move is not seen.
        Err(_) if to.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(from, to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_at_the_place_is_never_replaced() {
        for way in [move_new, move_by_link] {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            fs::write(path("made"), "made").unwrap();
            fs::write(path("precious"), "precious").unwrap();
            fs::create_dir(path("folder")).unwrap();
            std::os::unix::fs::symlink("nowhere", path("link")).unwrap();
            for taken in ["precious", "folder", "link"] {
                let error = way(&path("made"), &path(taken)).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{taken}: {error}");
            }
            assert_eq!(way(&path("folder"), &path("link")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read_to_string(path("precious")).unwrap(), "precious");
            way(&path("made"), &path("new")).unwrap();
            way(&path("folder"), &path("new folder")).unwrap();
            assert_eq!(fs::read_to_string(path("new")).unwrap(), "made");
            assert!(path("new folder").is_dir() && !path("made").exists() && !path("folder").exists());
        }
    }
}

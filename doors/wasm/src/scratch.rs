//! A folder that is one sink's own. Its files are the session's: each artifact that the sink registers is the same file under two
//! names, so that the component writes it without seeing anybody else's. A component that replaces its file by another one parts the two
//! names: settling joins them again.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapedeck_sdk::{Context, Error, Host};

/// What the component calls the folder.
pub(crate) const SEEN_AS: &str = "/session";

/// The folder; removed when dropped, the artifacts stay.
pub(crate) struct Scratch {
    folder: PathBuf,
    artifacts: Vec<Artifact>,
    host: Arc<dyn Host>,
}

/// A file under its two names.
struct Artifact {
    shown: PathBuf,
    path: PathBuf,
}

impl Scratch {
    pub(crate) fn new(context: &Context) -> Result<Self, Error> {
        let folder = context.session.folder.join(format!(".{}.sandbox", context.id));
        let folder = fs::create_dir_all(&folder)
            .and_then(|()| folder.canonicalize())
            .map_err(|error| Error::io("make a folder for a plugin", &folder, &error))?;
        Ok(Self { folder, artifacts: Vec::new(), host: context.host.clone() })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the artifact at `path`, and shows it to the component as `name`. Returns what the component calls it.
    pub(crate) fn show(&mut self, name: &Path, path: &Path) -> Result<String, Error> {
        let failed = |error: std::io::Error| Error::io("make a plugin's file", path, &error);
        let shown = self.folder.join(name);
        if let Some(parent) = shown.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::File::create(path).and_then(|_| fs::hard_link(path, &shown)).map_err(failed)?;
        self.artifacts.push(Artifact { shown, path: path.to_owned() });
        Ok(format!("{SEEN_AS}/{}", name.display()))
    }

    /// Puts the files that the component has replaced into their places in the session.
    pub(crate) fn settle(&self) -> Result<(), Error> {
        self.artifacts.iter().try_for_each(|artifact| {
            artifact.settle().map_err(|error| Error::io("keep a plugin's file", &artifact.path, &error))
        })
    }
}

impl Artifact {
    fn settle(&self) -> std::io::Result<()> {
        // A file that the component has removed stays in the session. Nothing outside of the folder gets there by a link of its making.
        if !self.shown.canonicalize().is_ok_and(|real| real == self.shown) {
            return Ok(());
        }
        let inode = |path: &Path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
        let is_replaced = inode(&self.path).ok() != Some(inode(&self.shown)?);
        if !is_replaced || !self.shown.is_file() {
            return Ok(());
        }
        let mut beside = self.path.clone().into_os_string();
        beside.push(".settling");
        // One is there if an earlier attempt was interrupted.
        drop(fs::remove_file(&beside));
        fs::hard_link(&self.shown, &beside)?;
        fs::rename(&beside, &self.path).inspect_err(|_| drop(fs::remove_file(&beside)))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        match self.settle() {
            // Nothing but second names is in it.
            Ok(()) => drop(fs::remove_dir_all(&self.folder)),
            Err(error) => self.host.warn(&format!("{error}; it is kept in {}", self.folder.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapedeck_sdk::testing::FakeHost;

    /// A scratch folder, and the two names of the artifact "rows.txt" in it.
    fn shown(session: &Path) -> (Arc<FakeHost>, Scratch, PathBuf, PathBuf) {
        let host = FakeHost::new(session);
        let mut scratch = Scratch::new(&host.context("rows")).unwrap();
        let path = session.join("rows.txt");
        assert_eq!(scratch.show(Path::new("rows.txt"), &path).unwrap(), "/session/rows.txt");
        let shown = scratch.folder().join("rows.txt");
        (host, scratch, shown, path)
    }

    fn replace(shown: &Path, text: &str) {
        let fresh = shown.with_extension("new");
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, shown).unwrap();
    }

    #[test]
    fn a_file_that_was_replaced_is_the_sessions_once_it_is_settled() {
        let session = tempfile::tempdir().unwrap();
        let (_host, scratch, shown, path) = shown(session.path());
        for text in ["one", "two"] {
            replace(&shown, text);
            scratch.settle().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::OpenOptions::new()
            .append(true)
            .open(&shown)
            .and_then(|mut file| {
                use std::io::Write as _;
                file.write_all(b", three")
            })
            .unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two, three", "one file under two names again");
        drop(scratch);
        let left: Vec<_> =
            fs::read_dir(session.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["rows.txt"]);
    }

    #[test]
    fn a_file_that_was_replaced_last_of_all_is_kept_when_the_folder_goes() {
        let session = tempfile::tempdir().unwrap();
        let (_host, scratch, shown, path) = shown(session.path());
        replace(&shown, "the end");
        drop(scratch);
        assert_eq!(fs::read_to_string(&path).unwrap(), "the end");
    }

    #[test]
    fn a_file_that_can_not_be_put_in_its_place_stays_where_it_is_and_the_user_is_told() {
        let session = tempfile::tempdir().unwrap();
        let (host, scratch, shown, path) = shown(session.path());
        replace(&shown, "precious");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(scratch.settle().unwrap_err().kind, tapedeck_sdk::ErrorKind::Io);
        drop(scratch);
        assert_eq!(fs::read_to_string(&shown).unwrap(), "precious");
        assert!(host.warnings()[0].contains(".rows.sandbox"), "{:?}", host.warnings());
    }

    #[test]
    fn a_link_out_of_the_folder_brings_nothing_in_and_a_removed_file_stays() {
        let session = tempfile::tempdir().unwrap();
        fs::write(session.path().join("others.txt"), "secret").unwrap();
        let (_host, scratch, shown, path) = shown(session.path());
        fs::write(&shown, "mine").unwrap();
        fs::remove_file(&shown).unwrap();
        scratch.settle().unwrap();
        std::os::unix::fs::symlink("../others.txt", &shown).unwrap();
        scratch.settle().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}

//! A folder that is one sink's own. Its files are the session's: each artifact that the sink registers is the same file under two
//! names, so that the component writes it without seeing anybody else's.

use std::fs;
use std::path::{Path, PathBuf};

use tapedeck_sdk::{Context, Error};

/// What the component calls the folder.
pub(crate) const SEEN_AS: &str = "/session";

/// The folder; removed when dropped, the artifacts stay.
pub(crate) struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    pub(crate) fn new(context: &Context) -> Result<Self, Error> {
        let folder = context.session.folder.join(format!(".{}.sandbox", context.id));
        fs::create_dir_all(&folder)
            .map_err(|error| Error::io("make a folder for a plugin", &folder, &error))?;
        Ok(Self { folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the artifact at `path`, and shows it to the component as `name`. Returns what the component calls it.
    pub(crate) fn show(&self, name: &Path, path: &Path) -> Result<String, Error> {
        let failed = |error: std::io::Error| Error::io("make a plugin's file", path, &error);
        let shown = self.folder.join(name);
        if let Some(parent) = shown.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::File::create(path).and_then(|_| fs::hard_link(path, &shown)).map_err(failed)?;
        Ok(format!("{SEEN_AS}/{}", name.display()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing but second names is in it.
        drop(fs::remove_dir_all(&self.folder));
    }
}

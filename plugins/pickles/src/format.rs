//! Folders of pickles, seen from the reading side.

use std::path::{Path, PathBuf};

use tapedeck_kit::tracks::Tracks;
use tapedeck_sdk::prelude::*;

use crate::track::Track;
use crate::{folder, repair};

/// Folders of numbered, timed pickles.
pub struct PicklesFormat;

impl Format for PicklesFormat {
    fn name(&self) -> &'static str {
        "pickles"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["pickles"]
    }

    fn matches(&self, head: &[u8], path: &Path) -> bool {
        head.is_empty()
            && path.is_dir()
            && (folder::has_frames(path) || folder::folders(path).is_ok_and(|below| !below.is_empty()))
    }

    fn keeps_types(&self) -> bool {
        false
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Recording>, Error> {
        let folders = folders_of(path)?;
        let name = |folder: &Path| {
            let named = if folder == Path::new(".") { folder.canonicalize().ok() } else { None };
            let named = named.as_deref().unwrap_or(folder).file_stem();
            named.map_or_else(|| "stream".to_owned(), |name| name.to_string_lossy().into_owned())
        };
        let tracks = folders.iter().map(|folder| Track::open(folder, &name(folder)));
        Ok(Box::new(Tracks::new(tracks.collect::<Result<_, _>>()?)))
    }

    /// Torn frames, which no sink of ours leaves, are set aside under another name. A frame that was written and not yet in its place gets there.
    fn repair(&self, path: &Path) -> Result<Repair, Error> {
        let mut mended = repair::Mended::default();
        for folder in folders_of(path)? {
            repair::folder(&folder, &mut mended)?;
        }
        Ok(mended.into_repair())
    }
}

/// The folders that are streams: this one, or those in it.
fn folders_of(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        let error = Error::data(format!("not a folder of pickles: {}", path.display()));
        return Err(error.with_hint("a recording is the folder with 000.pickle, 001.pickle … in it"));
    }
    if folder::has_frames(path) {
        return Ok(vec![path.to_owned()]);
    }
    let below = folder::folders(path)?;
    // A recording that was begun and has no frame yet.
    Ok(if below.is_empty() { vec![path.to_owned()] } else { below })
}

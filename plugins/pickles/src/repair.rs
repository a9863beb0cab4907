//! Brings a folder in order after its writer was killed: nothing is deleted, and frames are only renamed.

use std::path::Path;

use rustix::fs::{CWD, RenameFlags};
use tapedeck_sdk::prelude::*;

use crate::{folder, track};

/// What a torn frame is called: `007.pickle.torn`.
const TORN: &str = "torn";

/// What was done.
#[derive(Default)]
pub(crate) struct Mended {
    torn: u64,
    placed: u64,
}

impl Mended {
    pub(crate) fn into_repair(self) -> Repair {
        let mut said = Vec::new();
        if self.placed > 0 {
            said.push(format!("put {} whole frames in their place", self.placed));
        }
        if self.torn > 0 {
            said.push(format!("set {} torn frames aside, as *.{TORN}", self.torn));
        }
        if said.is_empty() { Repair::Intact } else { Repair::Mended(said.join("; ")) }
    }
}

/// Looks at each frame of a folder, and at those that were being written.
pub(crate) fn folder(folder: &Path, mended: &mut Mended) -> Result<(), Error> {
    let mut bytes = Vec::new();
    for name in folder::unplaced(folder)? {
        let path = folder.join(&name);
        let place = name.trim_start_matches('.').trim_end_matches(".tmp");
        if track::seconds_in(&path, &mut bytes).is_ok() && rename(&path, &folder.join(place))? {
            mended.placed += 1;
        } else {
            set_aside(&path, &folder.join(place), mended)?;
        }
    }
    for (_, name) in folder::frames(folder)? {
        let path = folder.join(&name);
        if track::seconds_in(&path, &mut bytes).is_err() {
            set_aside(&path, &path, mended)?;
        }
    }
    Ok(())
}

/// Renames a torn frame after the place that it was made for.
fn set_aside(path: &Path, place: &Path, mended: &mut Mended) -> Result<(), Error> {
    let mut name = place.as_os_str().to_owned();
    name.push(format!(".{TORN}"));
    for copy in 0..100 {
        let mut to = name.clone();
        if copy > 0 {
            to.push(format!("-{copy}"));
        }
        if rename(path, Path::new(&to))? {
            mended.torn += 1;
            return Ok(());
        }
    }
    Err(Error::data(format!("too many torn frames of one number: {}", path.display())))
}

/// Renames a file. False if there is one of that name.
fn rename(from: &Path, to: &Path) -> Result<bool, Error> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::EXIST) => Ok(false),
        Err(error) => Err(Error::io("rename the frame", from, &error.into())),
    }
}

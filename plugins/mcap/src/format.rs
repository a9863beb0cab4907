//! MCAP files, and folders of them as rosbag2 makes them, seen from the reading side.

use std::path::{Path, PathBuf};

use tapedeck_sdk::prelude::*;

use crate::index::Bytes;
use crate::recording::McapRecording;
use crate::{repair, summary};

/// What a rosbag2 folder has beside its recordings.
const ROSBAG_FILE: &str = "metadata.yaml";
/// The most files that a rosbag2 folder may have.
const FILES_MAX: usize = 4096;

/// MCAP recordings (`.mcap`), and rosbag2 folders of them.
pub struct McapFormat;

impl Format for McapFormat {
    fn name(&self) -> &'static str {
        "mcap"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["mcap"]
    }

    fn matches(&self, head: &[u8], path: &Path) -> bool {
        head.starts_with(mcap::MAGIC) || (head.is_empty() && is_rosbag(path))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Recording>, Error> {
        let mut files = Vec::new();
        for path in files_of(path)? {
            let bytes = Bytes::open(&path)?;
            if bytes.length < 8 || bytes.read(0, 8)? != mcap::MAGIC {
                return Err(not_mcap(&bytes)?);
            }
            let contents = summary::contents(&bytes)?;
            files.push((bytes, contents));
        }
        Ok(Box::new(McapRecording::new(files)?))
    }

    fn repair(&self, path: &Path) -> Result<Repair, Error> {
        let files = files_of(path)?;
        let (mut said, mut unreadable) = (Vec::new(), false);
        for file in &files {
            let what = match repair::repair(file)? {
                Repair::Intact => continue,
                Repair::Mended(what) => what,
                Repair::Unreadable(what) => {
                    unreadable = true;
                    what
                }
            };
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            said.push(if files.len() > 1 { format!("{name}: {what}") } else { what });
        }
        Ok(match said.join("; ") {
            said if unreadable => Repair::Unreadable(said),
            said if said.is_empty() => Repair::Intact,
            said => Repair::Mended(said),
        })
    }
}

fn not_mcap(bytes: &Bytes) -> Result<Error, Error> {
    let head = bytes.read(0, bytes.length.min(13))?;
    let error = Error::data(format!("not an MCAP file: {}", bytes.path.display()));
    Ok(if head.starts_with(b"#ROSBAG V2.0") {
        error.with_hint("a ROS 1 bag: convert it with `mcap convert` or `pymcap-cli bag2mcap`")
    } else if head.len() < 8 {
        error.with_hint("the file ends before its header")
    } else {
        error
    })
}

/// Whether a folder is one of rosbag2's. Looks at names only.
fn is_rosbag(path: &Path) -> bool {
    path.is_dir() && path.join(ROSBAG_FILE).is_file() && names(path).is_ok_and(|names| !names.is_empty())
}

/// The recordings in a folder, by name.
fn names(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let reading = |error: &std::io::Error| Error::io("read the folder", folder, error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| reading(&error))? {
        let entry = entry.map_err(|error| reading(&error))?;
        // Nothing is followed out of the folder.
        let regular = entry.file_type().is_ok_and(|kind| kind.is_file());
        let name = entry.file_name().to_string_lossy().into_owned();
        if regular && [".mcap", ".db3", ".mcap.zstd", ".db3.zstd"].iter().any(|end| name.ends_with(end)) {
            names.push(entry.path());
        }
        if names.len() > FILES_MAX {
            return Err(Error::data(format!("more than {FILES_MAX} recordings: {}", folder.display())));
        }
    }
    names.sort();
    Ok(names)
}

/// The files of a recording: the path itself, or those of a rosbag2 folder.
fn files_of(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    if !is_rosbag(path) {
        return Err(Error::data(format!("not a folder of rosbag2's: {}", path.display()))
            .with_hint(format!("a rosbag2 folder has a {ROSBAG_FILE} beside its recordings")));
    }
    let names = names(path)?;
    let mcap = |name: &PathBuf| name.extension().is_some_and(|extension| extension == "mcap");
    match names.iter().find(|name| !mcap(name)) {
        None => Ok(names),
        Some(other) => {
            Err(Error::data(format!("rosbag2 recordings of this form can't be read: {}", other.display()))
                .with_hint("convert them to MCAP without file compression, with `ros2 bag convert`"))
        }
    }
}

//! The numbered files in a folder, in their order, and the bytes of one. Follows no link, waits for nothing, and knows nothing of pickles.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use tapedeck_sdk::Error;

/// The extension of a frame's file.
pub(crate) const EXTENSION: &str = "pickle";
/// The most frames of a folder.
const FILES_MAX: usize = 1 << 24;
/// The most bytes of a frame.
pub(crate) const FILE_BYTES_MAX: usize = 256 << 20;
/// The most folders that are streams of one recording.
const STREAMS_MAX: usize = 1024;

/// The number of a frame, by the digits of its file's name: `7` of `007.pickle`.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    let stem = name.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    if stem.starts_with('.') {
        return None;
    }
    let digits: String = stem.chars().filter(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn entries(folder: &Path) -> Result<Vec<(String, std::fs::FileType)>, Error> {
    let failed = |error: std::io::Error| Error::io("read the folder", folder, &error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let (Ok(name), Ok(kind)) = (entry.file_name().into_string(), entry.file_type()) {
            names.push((name, kind));
        }
        if names.len() > FILES_MAX {
            return Err(Error::data(format!("more than {FILES_MAX} files: {}", folder.display())));
        }
    }
    Ok(names)
}

/// The frames in a folder by number, and their names. Only regular files.
pub(crate) fn frames(folder: &Path) -> Result<Vec<(u64, String)>, Error> {
    let regular = entries(folder)?.into_iter().filter(|(_, kind)| kind.is_file());
    let mut frames: Vec<(u64, String)> =
        regular.filter_map(|(name, _)| number_of(&name).map(|number| (number, name))).collect();
    frames.sort();
    Ok(frames)
}

/// The names of frames that were being written: `.007.pickle.tmp`.
pub(crate) fn unplaced(folder: &Path) -> Result<Vec<String>, Error> {
    let being_written = |name: &str| {
        let name = name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp"));
        name.is_some_and(|name| number_of(name).is_some())
    };
    let regular = entries(folder)?.into_iter().filter(|(_, kind)| kind.is_file());
    Ok(regular.map(|(name, _)| name).filter(|name| being_written(name)).collect())
}

/// Whether frames are in a folder itself.
pub(crate) fn has_frames(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let numbered = name.to_str().is_some_and(|name| number_of(name).is_some());
        numbered && entry.file_type().is_ok_and(|kind| kind.is_file())
    })
}

/// The folders below one that have frames in them, by name.
pub(crate) fn folders(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let below = entries(folder)?.into_iter().filter(|(_, kind)| kind.is_dir());
    let mut below: Vec<PathBuf> = below.map(|(name, _)| folder.join(name)).collect();
    below.sort();
    below.retain(|folder| has_frames(folder));
    if below.len() > STREAMS_MAX {
        return Err(Error::data(format!("more than {STREAMS_MAX} folders of frames: {}", folder.display())));
    }
    Ok(below)
}

fn open(path: &Path) -> Result<File, Error> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let failed = |error: &std::io::Error| Error::io("open the frame", path, error);
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(&error.into()))?;
    let file = File::from(file);
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(file),
        Ok(_) => Err(Error::data(format!("not a regular file: {}", path.display()))),
        Err(error) => Err(failed(&error)),
    }
}

/// The first bytes of a file, at most as many as `buffer` has, and its last byte.
pub(crate) fn head<'b>(path: &Path, buffer: &'b mut [u8]) -> Result<(&'b [u8], Option<u8>), Error> {
    use std::os::unix::fs::FileExt;
    let failed = |error: std::io::Error| Error::io("read the frame", path, &error);
    let file = open(path)?;
    let count = file.read_at(buffer, 0).map_err(failed)?;
    let head = &buffer[..count];
    if count < buffer.len() {
        return Ok((head, head.last().copied()));
    }
    let length = file.metadata().map_err(failed)?.len();
    let mut last = [0];
    let found = file.read_at(&mut last, length.saturating_sub(1)).map_err(failed)?;
    Ok((head, (found == 1).then_some(last[0])))
}

/// All bytes of a file.
pub(crate) fn read(path: &Path, bytes: &mut Vec<u8>) -> Result<(), Error> {
    bytes.clear();
    let file = open(path)?;
    let limit = FILE_BYTES_MAX as u64 + 1;
    file.take(limit).read_to_end(bytes).map_err(|error| Error::io("read the frame", path, &error))?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Error::data(format!("a frame of over {FILE_BYTES_MAX} bytes: {}", path.display())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_in_the_order_of_their_numbers_and_nothing_else_is_one() {
        let root = tempfile::tempdir().unwrap();
        for name in [
            "1000.pickle",
            "999.pickle",
            "000.pickle",
            "frame_7.pickle",
            ".8.pickle.tmp",
            "x.pickle",
            "9.pkl",
        ] {
            std::fs::write(root.path().join(name), "").unwrap();
        }
        std::fs::create_dir(root.path().join("5.pickle")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("6.pickle")).unwrap();
        let numbers: Vec<u64> = frames(root.path()).unwrap().into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, [0, 7, 999, 1000]);
        assert!(has_frames(root.path()) && !has_frames(&root.path().join("5.pickle")));
    }
}

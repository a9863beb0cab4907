//! Reads recordings back: our own exactly, other programs' as far as they have the recording guide's shape. Which dataset is
//! which column is found out in `ours` and `foreign`; which rows come out of them is `track`'s.

mod block;
mod foreign;
mod moments;
mod ours;
mod track;

use std::path::Path;
use std::sync::Arc;

use tapedeck_kit::blocks::Blocks;
use tapedeck_sdk::{
    Batch, Error, ErrorKind, Extent, Format, Recording, Repair, StreamSchema, Timestamp, Wanted,
};

use crate::disk::explain;
use crate::plan::{DESCRIPTION, Description, FORMAT, INTERNAL, internal};
use crate::raw::{Failure, File, Group, Mode};
use moments::Moments;
use track::Track;

/// What an HDF5 file begins with, perhaps behind a block of the user's whose length is a power of two.
pub(crate) const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// Where a file can begin.
pub(crate) fn beginnings() -> impl Iterator<Item = u64> {
    std::iter::once(0).chain(std::iter::successors(Some(512), |&place: &u64| place.checked_mul(2)))
}

/// The most bytes of a description.
const DESCRIPTION_BYTES_MAX: usize = 256 << 20;

/// The reader of HDF5 files.
pub(crate) struct Hdf5Format;

impl Format for Hdf5Format {
    fn name(&self) -> &'static str {
        "hdf5"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["h5", "hdf5"]
    }

    fn matches(&self, head: &[u8], _path: &Path) -> bool {
        let mut places = beginnings().map_while(|place| head.get(usize::try_from(place).ok()?..));
        places.any(|rest| rest.starts_with(&SIGNATURE))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Recording>, Error> {
        readable(path)?;
        let opened = File::open(path, Mode::Read)
            .or_else(|failure| File::open(path, Mode::ReadTorn).map_err(|_as_before| failure));
        let file = opened.map_err(|failure| not_hdf5(path, &failure))?;
        let length = cut_at(path, &file)?;
        let broken = |failure: Failure| not_a_recording(path, &failure);
        let tracks = match description(file.root()).map_err(broken)? {
            Some(description) => ours::tracks(file.root(), &description),
            None => foreign::tracks(file.root(), stem(path)),
        };
        let mut tracks = tracks.map_err(broken)?;
        if let Some(end) = length {
            tracks.iter_mut().try_for_each(|track| track.cut(end)).map_err(broken)?;
        }
        let schemas = tracks.iter().map(|track| track.schema().clone()).collect();
        Ok(Box::new(Reader { schemas, tracks, path: path.to_owned(), failed: false, _file: file }))
    }

    fn repair(&self, path: &Path) -> Result<Repair, Error> {
        readable(path)?;
        crate::repair::repair(path)
    }
}

/// What the operating system has against reading the file, in its own words.
fn readable(path: &Path) -> Result<(), Error> {
    std::fs::File::open(path).map(drop).map_err(|error| Error::io("open an HDF5 file", path, &error))
}

fn not_hdf5(path: &Path, failure: &Failure) -> Error {
    if failure.errno.is_some() {
        return explain("open", path, failure);
    }
    Error::data(format!("can't open an HDF5 file: {}: {}", failure.message, path.display()))
        .with_hint("`tapedeck recover` mends files whose writer was killed")
}

fn not_a_recording(path: &Path, failure: &Failure) -> Error {
    let kind = if failure.errno.is_some() { ErrorKind::Io } else { ErrorKind::Data };
    Error::new(kind, format!("can't read a recording: {}: {}", failure.message, path.display()))
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| !stem.is_empty()).unwrap_or("hdf5")
}

/// Where the file ends, if that is before the end that the library knows of.
pub(crate) fn cut_at(path: &Path, file: &File) -> Result<Option<u64>, Error> {
    let length = std::fs::metadata(path).map_err(|error| Error::io("open an HDF5 file", path, &error))?.len();
    let size = file.size().map_err(|failure| explain("ask for the size of", path, &failure))?;
    Ok((length < size).then_some(length))
}

/// What our own writer wrote down, if it was ours.
pub(crate) fn description(root: &Group) -> Result<Option<Description>, Failure> {
    if !root.contains(INTERNAL) || !root.contains(&internal(DESCRIPTION)) {
        return Ok(None);
    }
    let json = root.dataset(&internal(DESCRIPTION))?.read_all(DESCRIPTION_BYTES_MAX)?;
    let end = json.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let description: Description = serde_json::from_slice(&json[..end])
        .map_err(|error| Failure::new(format!("its description is damaged: {error}")))?;
    if description.format != FORMAT {
        return Err(Failure::new(format!(
            "it is of format {}, this program reads format {FORMAT}",
            description.format
        )));
    }
    Ok(Some(description))
}

/// A file as a source. The datasets stand before the file, which is closed after them.
struct Reader {
    schemas: Vec<Arc<StreamSchema>>,
    tracks: Vec<Track>,
    path: std::path::PathBuf,
    failed: bool,
    _file: File,
}

impl Reader {
    fn advance(&mut self) -> Result<Option<(usize, Batch)>, Error> {
        // The stream that is furthest behind goes on, so that streams come roughly in the order of their time.
        let unread = self.tracks.iter_mut().enumerate().filter(|(_, track)| !track.is_read());
        let Some((output, track)) = unread.min_by_key(|(_, track)| track.time()) else {
            return Ok(None);
        };
        let batch = track.read().map_err(|failure| not_a_recording(&self.path, &failure))?;
        Ok(Some((output, batch)))
    }

    fn seek_all(&mut self, to: Timestamp) -> Result<(), Error> {
        let path = &self.path;
        let mut wanted = self.tracks.iter_mut().filter(|track| track.is_wanted());
        wanted.try_for_each(|track| Moments { track, path }.seek(to))
    }
}

impl Recording for Reader {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.schemas
    }

    fn extent(&self, stream: usize) -> Option<Extent> {
        self.tracks.get(stream).map(Track::extent)
    }

    fn select(&mut self, wanted: &[Wanted]) -> Result<(), Error> {
        let schemas = Wanted::of_streams(wanted, &self.schemas)?;
        for (wanted, track) in wanted.iter().zip(&mut self.tracks) {
            match wanted {
                Wanted::All => {}
                Wanted::Columns(columns) => track.select(columns)?,
                Wanted::Nothing => track.leave_out(),
            }
        }
        self.schemas = schemas;
        Ok(())
    }

    fn seek(&mut self, to: Timestamp) -> Result<(), Error> {
        let found = self.seek_all(to);
        self.failed = found.is_err();
        found
    }

    fn next(&mut self) -> Result<Option<(usize, Batch)>, Error> {
        if self.failed {
            return Ok(None);
        }
        let next = self.advance();
        self.failed = next.is_err();
        next
    }

    fn closest(&mut self, stream: usize, to: Timestamp) -> Result<Option<(Batch, usize)>, Error> {
        let Some(track) = self.tracks.get_mut(stream).filter(|track| track.is_wanted()) else {
            return Ok(None);
        };
        let found = Moments { track, path: &self.path }.nearest(to);
        self.failed |= found.is_err();
        found
    }
}

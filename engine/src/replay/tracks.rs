//! What there is to read at a path: a file, a session's folder with its recordings, or a folder that is a format.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapedeck_sdk::{Batch, Error, Extent, Format, Recording, SessionInfo, StreamSchema, Timestamp, Wanted};

use crate::formats::format_of;
use crate::reading;
use crate::registry::Registry;
use crate::session::{ArtifactRole, MANIFEST, Manifest};

/// One stream of one file, read by itself.
pub(super) struct Track {
    recording: Box<dyn Recording>,
    path: PathBuf,
    /// Which of the recording's streams it is.
    stream: usize,
    batch: Option<Batch>,
    row: usize,
    /// The latest time so far: one that goes back is taken as this.
    reached: i64,
    /// Whether it is given up until the next seek: what follows is damaged.
    given_up: bool,
}

impl Track {
    /// Opens each of a file's streams.
    fn open(format: &Arc<dyn Format>, path: &Path) -> Result<Vec<Self>, Error> {
        let open = || reading::open(format.as_ref(), path);
        let first = open()?;
        let schemas = first.streams().to_vec();
        let mut first = Some(first);
        let mut tracks = Vec::new();
        for stream in 0..schemas.len() {
            let mut recording = first.take().map_or_else(open, Ok)?;
            if schemas.len() > 1 {
                let only = |index| if index == stream { Wanted::All } else { Wanted::Nothing };
                let wanted: Vec<Wanted> = (0..schemas.len()).map(only).collect();
                recording.select(&wanted)?;
            }
            let path = path.to_owned();
            tracks.push(Self {
                recording,
                path,
                stream,
                batch: None,
                row: 0,
                reached: i64::MIN,
                given_up: false,
            });
        }
        Ok(tracks)
    }

    pub(super) fn schema(&self) -> &Arc<StreamSchema> {
        &self.recording.streams()[self.stream]
    }

    pub(super) fn extent(&self) -> Option<Extent> {
        self.recording.extent(self.stream)
    }

    pub(super) fn seek(&mut self, to: Timestamp) -> Result<(), Error> {
        (self.batch, self.row, self.reached, self.given_up) = (None, 0, i64::MIN, false);
        self.recording.seek(to)
    }

    pub(super) fn closest(&mut self, to: Timestamp) -> Result<Option<(Batch, usize)>, Error> {
        (self.batch, self.row) = (None, 0);
        self.recording.closest(self.stream, to)
    }

    /// Gives no more rows until the next seek.
    pub(super) fn give_up(&mut self) {
        (self.batch, self.given_up) = (None, true);
    }

    /// The time of the row that is next; `None` at the end.
    pub(super) fn time(&mut self) -> Result<Option<i64>, Error> {
        while self.batch.as_ref().is_none_or(|batch| self.row >= batch.rows()) {
            if self.given_up {
                return Ok(None);
            }
            let next = self.recording.next().map_err(|error| named(error, &self.path));
            let Some((stream, batch)) = next? else { return Ok(None) };
            if stream == self.stream {
                (self.batch, self.row) = (Some(batch), 0);
            }
        }
        let time = self.batch.as_ref().map(|batch| batch.timestamps()[self.row].max(self.reached));
        Ok(time)
    }

    /// The batch in hand, and the rows of it from the next one on whose time is before `end` (at or before, if `inclusive`); at least
    /// one. They are taken.
    pub(super) fn take(&mut self, end: i64, inclusive: bool) -> Option<(&Batch, std::ops::Range<usize>)> {
        let batch = self.batch.as_ref()?;
        let times = &batch.timestamps()[self.row..];
        let within = |time: i64| if inclusive { time <= end } else { time < end };
        let latest = |times: &[i64]| times.iter().copied().fold(self.reached, i64::max);
        // Most batches go whole; the rows of one whose last has to wait are looked at one by one.
        let whole = times.last().is_some_and(|&last| within(last)) && within(latest(times));
        let count = if whole {
            times.len()
        } else {
            let mut reached = self.reached;
            let due = times.iter().take_while(|&&time| {
                reached = reached.max(time);
                within(reached)
            });
            due.count().max(1)
        };
        self.reached = latest(&times[..count]);
        let rows = self.row..self.row + count;
        self.row += count;
        Some((batch, rows))
    }
}

/// An error that names its file.
fn named(error: Error, path: &Path) -> Error {
    let path = path.display().to_string();
    if error.message.contains(&path) {
        return error;
    }
    Error { message: format!("{}: {path}", error.message), ..error }
}

/// The session that was recorded, if one of the paths is a session's folder: its id, pipeline and start.
pub(crate) fn recorded_session(paths: &[PathBuf]) -> Option<SessionInfo> {
    let manifest = paths.iter().find_map(|path| Manifest::read(path).ok())?;
    Some(SessionInfo {
        id: manifest.session,
        pipeline: manifest.pipeline,
        folder: PathBuf::new(),
        started_at: Timestamp(manifest.started_at_ns),
    })
}

/// Every stream of what is at a path.
pub(super) fn tracks(registry: &Registry, path: &Path) -> Result<Vec<Track>, Error> {
    let is_session = path.file_name().is_some_and(|name| name == MANIFEST) || path.join(MANIFEST).exists();
    if !is_session {
        return Track::open(&format_of(registry, path, None)?, path);
    }
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
    session(registry, folder)
}

/// A session: each stream is read once, from the sink that keeps it most exactly.
fn session(registry: &Registry, folder: &Path) -> Result<Vec<Track>, Error> {
    let manifest = Manifest::read(folder)?;
    let mut sinks = Vec::new();
    for sink in &manifest.sinks {
        let Some(format) = registry.formats().find(|format| format.name() == sink.plugin) else { continue };
        let files = manifest.artifacts.iter().filter(|file| {
            file.sink == sink.id && file.role == ArtifactRole::Recording && folder.join(&file.path).exists()
        });
        sinks.push((format, sink, files.map(|file| folder.join(&file.path)).collect::<Vec<_>>()));
    }
    // The first that keeps types, else the first: the order of the pipeline is the user's.
    sinks.sort_by_key(|(format, ..)| !format.keeps_types());
    let mut read: Vec<&str> = Vec::new();
    let mut tracks = Vec::new();
    for (format, sink, files) in &sinks {
        let streams: Vec<&str> = sink.inputs.iter().map(|input| input.stream.as_str()).collect();
        if files.is_empty() || streams.iter().all(|stream| read.contains(stream)) {
            continue;
        }
        for file in files {
            tracks.extend(Track::open(format, file)?);
        }
        read.extend(streams);
    }
    if sinks.is_empty() {
        return Err(Error::data(format!("the session has no file that can be read: {}", folder.display())));
    }
    Ok(tracks)
}

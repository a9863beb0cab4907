//! What there is to read at a path: a file, a session's folder with its recordings, or a folder that is a format.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapedeck_sdk::{Batch, Error, Extent, Format, Recording, SessionInfo, StreamSchema, Timestamp, Wanted};

use crate::formats::format_of;
use crate::reading;
use crate::registry::Registry;
use crate::session::{ArtifactRole, MANIFEST, Manifest, ManifestArtifact, ManifestInput, ManifestSink};

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
    /// Opens each of a file's streams that is wanted.
    fn open(
        format: &Arc<dyn Format>,
        path: &Path,
        is_wanted: impl Fn(&StreamSchema) -> bool,
    ) -> Result<Vec<Self>, Error> {
        let open = || reading::open(format.as_ref(), path);
        let first = open()?;
        let schemas = first.streams().to_vec();
        let mut first = Some(first);
        let mut tracks = Vec::new();
        for stream in (0..schemas.len()).filter(|&stream| is_wanted(&schemas[stream])) {
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
        if end == i64::MAX && inclusive {
            // No other track has anything left: no time matters any more.
            return Some((batch, std::mem::replace(&mut self.row, batch.rows())..batch.rows()));
        }
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

/// What there is to read at a path.
#[derive(Default)]
pub(super) struct Found {
    pub(super) tracks: Vec<Track>,
    /// Which of several recordings of a stream is read, where they differ.
    pub(super) remarks: Vec<String>,
}

/// Every stream of what is at a path.
pub(super) fn tracks(registry: &Registry, path: &Path) -> Result<Found, Error> {
    let is_session = path.file_name().is_some_and(|name| name == MANIFEST) || path.join(MANIFEST).exists();
    if !is_session {
        let tracks = Track::open(&format_of(registry, path, None)?, path, |_| true)?;
        return Ok(Found { tracks, ..Found::default() });
    }
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
    session(registry, folder)
}

/// A sink of a session, with its recordings.
struct Kept<'s> {
    format: &'s Arc<dyn Format>,
    sink: &'s ManifestSink,
    files: Vec<&'s ManifestArtifact>,
}

/// What makes two inputs of sinks the same stream: its name there, and the source streams that it comes from.
type Origin<'s> = (&'s str, &'s [usize]);

fn origin(input: &ManifestInput) -> Origin<'_> {
    (&input.stream, &input.origins)
}

impl<'s> Kept<'s> {
    /// The inputs that a file is a recording of.
    fn inputs_of(&self, file: &ManifestArtifact) -> &'s [ManifestInput] {
        match file.input {
            Some(input) => self.sink.inputs.get(input..=input).unwrap_or_default(),
            None => &self.sink.inputs,
        }
    }

    /// The input that a stream of a file is of.
    fn input_of(&self, file: &ManifestArtifact, schema: &StreamSchema) -> Option<&'s ManifestInput> {
        match self.inputs_of(file) {
            [only] => Some(only),
            // A file of several inputs names its streams as they were named.
            inputs => inputs.iter().find(|input| input.stream == schema.name()),
        }
    }
}

/// A session: each stream is read once, from the sink that has most of its frames. Of those that have as many, the
/// first that keeps types, else the first: the order of the pipeline is the user's.
fn session(registry: &Registry, folder: &Path) -> Result<Found, Error> {
    let manifest = Manifest::read(folder)?;
    let mut sinks = Vec::new();
    for sink in &manifest.sinks {
        let Some(format) = registry.formats().find(|format| format.name() == sink.plugin) else { continue };
        let files = manifest.artifacts.iter().filter(|file| {
            file.sink == sink.id && file.role == ArtifactRole::Recording && folder.join(&file.path).exists()
        });
        sinks.push(Kept { format, sink, files: files.collect() });
    }
    if sinks.is_empty() {
        return Err(Error::data(format!("the session has no file that can be read: {}", folder.display())));
    }
    sinks.sort_by_key(|kept| !kept.format.keeps_types());
    let (chosen, remarks) = choose(&sinks);
    let mut tracks = Vec::new();
    for (index, kept) in sinks.iter().enumerate() {
        let is_chosen = |input: &ManifestInput| chosen[&origin(input)] == index;
        for file in kept.files.iter().filter(|file| kept.inputs_of(file).iter().any(is_chosen)) {
            let is_wanted = |schema: &StreamSchema| kept.input_of(file, schema).is_none_or(is_chosen);
            tracks.extend(Track::open(kept.format, &folder.join(&file.path), is_wanted)?);
        }
    }
    Ok(Found { tracks, remarks })
}

/// Which sink each stream is read from, and a remark on each stream that another sink has less of.
fn choose<'s>(sinks: &[Kept<'s>]) -> (BTreeMap<Origin<'s>, usize>, Vec<String>) {
    let mut kept: BTreeMap<Origin<'s>, Vec<(u64, usize)>> = BTreeMap::new();
    for (index, sink) in sinks.iter().enumerate() {
        for input in sink.files.iter().flat_map(|file| sink.inputs_of(file)) {
            let of_stream = kept.entry(origin(input)).or_default();
            // A sink may have many files of one input.
            if of_stream.last().is_none_or(|&(_, last)| last != index) {
                of_stream.push((input.written, index));
            }
        }
    }
    let mut remarks = Vec::new();
    let mut chosen = BTreeMap::new();
    for (origin, of_stream) in kept {
        let most = of_stream.iter().max_by_key(|(frames, index)| (*frames, Reverse(*index)));
        let Some(&(frames, index)) = most else { continue };
        if let Some(&(fewer, other)) = of_stream.iter().find(|(other, _)| *other != frames) {
            remarks.push(format!(
                "stream \"{}\" is read from sink \"{}\", which has {frames} frames: \"{}\" has {fewer}",
                origin.0, sinks[index].sink.id, sinks[other].sink.id
            ));
        }
        chosen.insert(origin, index);
    }
    (chosen, remarks)
}

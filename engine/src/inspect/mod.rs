//! Reads a recording back and says what is in it: streams, columns, counts, gaps in `seq`, true rates and intervals.

mod look;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use tapedeck_sdk::{Error, Extent, Format, PluginKind, Recording, StreamSchema};

use crate::accounting::{Account, Found, FoundInSink};
use crate::closing::rate;
use crate::formats::format_of;
use crate::ledger;
use crate::reading;
use crate::recover::RecoveredStream;
use crate::registry::Registry;
use crate::session::{ArtifactRole, LEDGER, MANIFEST, Manifest, Status};

use look::Look;
pub use look::{EventInspection, StreamInspection, TerminalInspection};

/// Up to how many bytes of a file are read for the sake of what its index does not tell, unless all is to be read.
const READ_BYTES_MAX: u64 = 64 << 20;

/// What is in a session's folder.
#[derive(Debug, Serialize)]
pub struct SessionInspection {
    /// The folder.
    pub folder: PathBuf,
    /// Its manifest. The status of a session that was killed is `interrupted`, whatever the file says.
    pub manifest: Manifest,
    /// Its files, or why one can't be read.
    pub files: Vec<FileInspection>,
    /// Of a session that was interrupted: what each sink has of each stream as its files are now, held against the ledger.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub interrupted: Vec<RecoveredStream>,
}

/// What is in a file.
#[derive(Debug, Serialize)]
pub struct FileInspection {
    /// The file.
    pub path: PathBuf,
    /// Its format's name.
    pub format: String,
    /// Its streams.
    pub streams: Vec<StreamInspection>,
    /// Whether its frames were read. Else what is said of them is what its index says.
    pub read: bool,
    /// Why it could not be read, or not to its end. Files that a sink writes for others to read, such as plain text, have no streams here.
    pub error: Option<Error>,
}

/// How far files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Small ones to their ends; of large ones, and of those without an index, what the format needs.
    Index,
    /// All to their ends.
    End,
}

/// Looks at a session's folder or at a single file.
///
/// # Errors
/// The path is neither.
pub fn inspect(
    registry: &Registry,
    path: &Path,
    reach: Reach,
) -> Result<Result<SessionInspection, FileInspection>, Error> {
    // A folder can be a recording of another program.
    if path.is_dir()
        && !path.join(MANIFEST).exists()
        && let Ok(format) = format_of(registry, path, None)
    {
        return file(format.as_ref(), path, reach).map(Err);
    }
    if path.is_dir() || path.file_name().is_some_and(|name| name == MANIFEST) {
        let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
        return session(registry, folder, reach).map(Ok);
    }
    found(registry, path, reach).map(Err)
}

fn session(registry: &Registry, folder: &Path, reach: Reach) -> Result<SessionInspection, Error> {
    let mut manifest = Manifest::read(folder)?;
    if manifest.status == Status::Recording && !ledger::is_live(&folder.join(LEDGER)) {
        manifest.status = Status::Interrupted;
    }
    // What is lost is what can't be read, whatever an index says.
    let reach = if manifest.status == Status::Interrupted { Reach::End } else { reach };
    let recordings = manifest.artifacts.iter().filter(|artifact| artifact.role == ArtifactRole::Recording);
    let files = recordings.map(|artifact| {
        let path = folder.join(&artifact.path);
        let unread = |path, error| FileInspection {
            path,
            format: String::new(),
            streams: Vec::new(),
            read: false,
            error,
        };
        let sink = manifest.sinks.iter().find(|sink| sink.id == artifact.sink);
        let plugin = sink.and_then(|sink| registry.find(PluginKind::Sink, &sink.plugin));
        match plugin.map(|plugin| plugin.format()) {
            Some(Some(format)) => {
                file(format.as_ref(), &path, reach).unwrap_or_else(|error| unread(path, Some(error)))
            }
            // A sink that writes for others to read, such as plain text.
            Some(None) if path.exists() => unread(path, None),
            _ => found(registry, &path, reach).unwrap_or_else(|error| unread(path, Some(error))),
        }
    });
    let files: Vec<FileInspection> = files.collect();
    let interrupted = if manifest.status == Status::Interrupted && manifest.ended_at.is_none() {
        losses(registry, folder, &manifest, &files)
    } else {
        Vec::new()
    };
    Ok(SessionInspection { folder: folder.to_owned(), manifest, files, interrupted })
}

/// What is missing in the files of a session that was killed. Nothing is changed: a file that only `recover` can make readable leaves it
/// unknown.
fn losses(
    registry: &Registry,
    folder: &Path,
    manifest: &Manifest,
    files: &[FileInspection],
) -> Vec<RecoveredStream> {
    let account = match ledger::read(&folder.join(LEDGER)) {
        Ok(entries) => Account::of_ledger(manifest, entries),
        Err(_) => Account::unknown(),
    };
    let recordings = manifest.artifacts.iter().filter(|artifact| artifact.role == ArtifactRole::Recording);
    let files: Vec<_> = recordings.zip(files).collect();
    let mut settled = manifest.clone();
    let mut streams = Vec::new();
    for (index, sink) in manifest.sinks.iter().enumerate() {
        let format = registry.find(PluginKind::Sink, &sink.plugin).and_then(|plugin| plugin.format());
        let own = files.iter().filter(|(artifact, _)| artifact.sink == sink.id);
        let is_readable = own.clone().all(|(_, file)| file.error.is_none());
        let found = own.flat_map(|(artifact, file)| {
            file.streams.iter().map(|stream| Found { input: artifact.input, stream: stream.clone() })
        });
        let found = format.filter(|_| is_readable).map(|format| FoundInSink {
            streams: found.collect(),
            holds_every_frame: format.holds_every_frame(),
            complete: true,
        });
        streams.extend(account.settle(&mut settled, index, found.as_ref()));
    }
    streams
}

/// Looks at a single file.
fn found(registry: &Registry, path: &Path, reach: Reach) -> Result<FileInspection, Error> {
    file(format_of(registry, path, None)?.as_ref(), path, reach)
}

fn file(format: &dyn Format, path: &Path, reach: Reach) -> Result<FileInspection, Error> {
    let is_large = path.metadata().is_ok_and(|found| found.is_file() && found.len() > READ_BYTES_MAX);
    let mut recording = reading::open(format, path)?;
    let indexed = if is_large && reach == Reach::Index { indexed(recording.as_ref()) } else { None };
    let read = indexed.is_none();
    let (streams, error) = match indexed {
        Some(streams) => (streams, None),
        None => read_on(format, recording.as_mut()),
    };
    Ok(FileInspection { path: path.to_owned(), format: format.name().to_owned(), streams, read, error })
}

/// What the index of a file says, if it tells of all streams.
fn indexed(recording: &dyn Recording) -> Option<Vec<StreamInspection>> {
    let look = |(stream, schema): (usize, &Arc<StreamSchema>)| {
        let Extent { frames, seq, timestamps } = recording.extent(stream)?;
        let found = StreamInspection { frames, seq, timestamps, ..StreamInspection::new(schema) };
        let missing =
            seq.and_then(|(first, last)| last.checked_sub(first)?.checked_add(1)?.checked_sub(frames));
        Some(StreamInspection { missing, frames_per_second: rate(frames, timestamps), ..found })
    };
    recording.streams().iter().enumerate().map(look).collect()
}

/// Reads a file to its end. An error in mid-file leaves what was read before.
pub(crate) fn read(
    format: &dyn Format,
    path: &Path,
) -> Result<(Vec<StreamInspection>, Option<Error>), Error> {
    Ok(read_on(format, reading::open(format, path)?.as_mut()))
}

fn read_on(format: &dyn Format, recording: &mut dyn Recording) -> (Vec<StreamInspection>, Option<Error>) {
    let mut looks: Vec<Look> = recording.streams().iter().map(Look::new).collect();
    let error = loop {
        match recording.next() {
            Ok(Some((stream, batch))) => match looks.get_mut(stream) {
                Some(look) => look.take(&batch),
                None => {
                    break Some(Error::plugin(format!(
                        "the reader of {} gave an unknown stream",
                        format.name()
                    )));
                }
            },
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    (looks.into_iter().map(Look::done).collect(), error)
}

//! `session.json`: what a session is, what it holds and what it lost. Written at the start and replaced whole, never edited in place.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use tapedeck_sdk::{Error, ErrorKind, Loss, StreamSchema, Told};

use super::{FRESH_MANIFEST, MANIFEST, open_regular};
use crate::pipeline::Reference;

/// How far a session got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It runs, or was killed and nobody has looked yet.
    Recording,
    /// It ended by itself and its files are whole.
    Complete,
    /// It ended, but a file is not whole.
    Interrupted,
    /// It was killed and `recover` has made its files whole.
    Recovered,
}

/// What ended a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The duration was reached.
    Duration,
    /// The user stopped it.
    Stop,
    /// Every source had ended.
    Sources,
    /// The disk had less space left than `disk_free_min`.
    DiskFree,
    /// No sink was left to record into.
    Failure,
}

/// The manifest. Times are ISO 8601 in UTC, beside them nanoseconds since the Unix epoch on the session's clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this file's layout: 1.
    pub version: u32,
    /// The session's id: the folder's name.
    pub session: String,
    /// How far it got.
    pub status: Status,
    /// The version of the engine that wrote it.
    pub tapedeck: String,
    /// When the clock was anchored.
    pub started_at: String,
    /// The same in ns.
    pub started_at_ns: i64,
    /// When the last file was closed.
    pub ended_at: Option<String>,
    /// The same in ns.
    pub ended_at_ns: Option<i64>,
    /// What ended it.
    pub ended_by: Option<EndedBy>,
    /// All that was lost, over all streams.
    pub loss: Loss,
    /// The source streams, in the order of the ledger.
    pub streams: Vec<ManifestStream>,
    /// The sinks.
    pub sinks: Vec<ManifestSink>,
    /// The files.
    pub artifacts: Vec<ManifestArtifact>,
    /// The journals that are kept or were not yet removed.
    pub journals: Vec<ManifestJournal>,
    /// What happened to the session while it ran: marks, pauses, and what stages were told.
    #[serde(default)]
    pub events: Vec<ManifestEvent>,
    /// How many of them are not here since there were too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub events_left_out: u64,
    /// The pipeline file's text.
    pub pipeline: String,
}

/// Something that happened to a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ManifestEvent {
    /// When, in ns since the Unix epoch on the session's clock, which stands still in a pause.
    pub at_ns: i64,
    /// What.
    #[serde(flatten)]
    pub what: SessionEvent,
}

/// What can happen to a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum SessionEvent {
    /// Somebody set a mark.
    Mark {
        /// What it is called; may be empty.
        label: String,
    },
    /// It paused.
    Pause {
        /// For how long; none: until it ended.
        seconds: Option<f64>,
    },
    /// A stage was told something.
    Told {
        /// The stage's id.
        stage: String,
        /// What it was told.
        #[serde(flatten)]
        told: Told,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A stream as its source gave it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ManifestStream {
    /// The stream's name.
    pub name: String,
    /// The source's id.
    pub source: String,
    /// Frames that it gave.
    pub frames: u64,
    /// Bytes of the frames in memory.
    pub bytes: u64,
    /// What was lost at the source.
    pub loss: Loss,
    /// Those of the late ticks at which what the source samples was not there. Not known of a killed session.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub absent: u64,
    /// The timestamps of the first and the last frame, in ns.
    pub timestamps: Option<(i64, i64)>,
    /// Numbers that a replayed recording does not have: those before its first frame, and those in its gaps. No loss of this session.
    #[serde(default)]
    pub skipped: u64,
    /// Whether `frames` and `loss` are not known: the session was killed and its ledger is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
    /// Where the ledger has what its source lost, for `recover`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<SourceCounts>,
    /// Its columns.
    pub schema: StreamSchema,
}

/// A sink, with what it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ManifestSink {
    /// Its id.
    pub id: String,
    /// Its plugin.
    pub plugin: String,
    /// Its options, so that `recover` can write its file again.
    pub options: serde_json::Value,
    /// Which of them stand for a value of the environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<Reference>,
    /// Its input streams.
    pub inputs: Vec<ManifestInput>,
    /// Why it ended before its time.
    pub error: Option<Error>,
}

/// What a sink took of one stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ManifestInput {
    /// The stream's name at the sink.
    pub stream: String,
    /// The source streams that it came from: indices into `streams`.
    pub origins: Vec<usize>,
    /// Its columns.
    pub schema: StreamSchema,
    /// Frames written.
    pub written: u64,
    /// What was lost on the way from the source to the disk.
    pub loss: Loss,
    /// Whether `written` and `loss` are not known: the session was killed, and the files can't tell.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
    /// Where the ledger has the losses, for `recover`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<LedgerCounts>,
}

/// Where the ledger has the losses of a sink's input: indices into its counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerCounts {
    /// Of the edges on the way.
    pub dropped: Vec<usize>,
    /// Of the transforms on the way.
    pub transforms: Vec<usize>,
    /// Of the sink itself.
    pub own: Vec<usize>,
}

/// Where the ledger has what a source lost: indices into its counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCounts {
    /// Frames that a replay left out because they were too late.
    pub dropped: usize,
    /// Frames that the source had and could not give, at the first of its streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<usize>,
}

/// What a file is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactRole {
    /// It is a recording of inputs of its sink.
    #[default]
    Recording,
    /// It lies beside a recording and is not read back.
    Beside,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ManifestArtifact {
    /// Relative to the session's folder.
    pub path: String,
    /// The sink that made it.
    pub sink: String,
    /// What it is for.
    #[serde(default)]
    pub role: ArtifactRole,
    /// The one input of the sink that it is a recording of; none: of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<usize>,
    /// Its size; none while it is being written.
    pub bytes: Option<u64>,
    /// Its SHA-256 in hex; none while it is being written.
    pub sha256: Option<String>,
}

/// A journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ManifestJournal {
    /// Relative to the session's folder.
    pub path: String,
    /// The sink beside which it is kept.
    pub sink: String,
    /// Which of the sink's inputs it holds.
    pub input: usize,
    /// Whether it stays when the sink's file is whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
}

/// The most bytes of a manifest that is read.
const MANIFEST_BYTES_MAX: u64 = 256 << 20;
/// Bytes by which a session's last manifest may be longer than twice its first one: errors, artifacts, hashes.
const LAST_MANIFEST_GROWTH: u64 = 64 << 10;

impl Manifest {
    /// Reads the manifest of a session folder.
    ///
    /// # Errors
    /// There is none, or it is not one.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(MANIFEST);
        let manifest: Self = parse(&path)?;
        manifest.check_paths(folder)?;
        Ok(manifest)
    }

    /// Whether some of its numbers are not known, since it was killed.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        let mut inputs = self.sinks.iter().flat_map(|sink| &sink.inputs);
        inputs.any(|input| input.unknown) || self.streams.iter().any(|stream| stream.unknown)
    }

    /// The manifest may come from somebody else: it names files inside its folder only, and nothing on the way to one is a link.
    fn check_paths(&self, folder: &Path) -> Result<(), Error> {
        // A recording may be a folder.
        let artifacts = self.artifacts.iter().map(|artifact| (&artifact.path, true));
        for (name, or_folder) in artifacts.chain(self.journals.iter().map(|journal| (&journal.path, false))) {
            if let Err(why) = check_path(folder, Path::new(name), or_folder) {
                return Err(Error::data(format!(
                    "the session's manifest names a file that {why}: {name:?}: {}",
                    folder.join(MANIFEST).display()
                ))
                .with_hint(
                    "the manifest was damaged or made by somebody else; nothing was opened or changed",
                ));
            }
        }
        Ok(())
    }

    /// Replaces the manifest of a session folder; a reader sees the old one or the new one, never half of one.
    ///
    /// While a session is being recorded, room for its last manifest is kept on the disk: a full one does not keep it from ending
    /// with the truth.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        let (path, fresh) = (folder.join(MANIFEST), folder.join(FRESH_MANIFEST));
        let failed = |error: std::io::Error| Error::io("write the session's manifest", &path, &error);
        let text = serde_json::to_vec_pretty(self).map_err(|error| failed(error.into()))?;
        // Not truncated: it may be the room that was kept. Somebody may have put a link in its place, which is not followed.
        let mut options = fs::File::options();
        options.write(true).create(true).truncate(false).custom_flags(libc_nofollow());
        let mut file = options.open(&fresh).map_err(failed)?;
        let written = file.write_all(&text).and_then(|()| file.set_len(text.len() as u64));
        written.and_then(|()| file.sync_data()).map_err(failed)?;
        fs::rename(&fresh, &path).map_err(failed)?;
        if self.status == Status::Recording {
            let room = text.len() as u64 * 2 + LAST_MANIFEST_GROWTH;
            let kept = fs::File::create(&fresh).and_then(|file| {
                Ok(rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, room)?)
            });
            // A file system that keeps no room is no reason not to record.
            drop(kept);
        }
        Ok(())
    }
}

/// Reads a manifest, or what is wanted of it.
pub(super) fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    parse_if_there(path)?.ok_or_else(|| unread(path, &rustix::io::Errno::NOENT.into()))
}

/// The same; none where there is no such file.
pub(super) fn parse_if_there<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let text = match text(path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(unread(path, &error)),
    };
    let parsed = serde_json::from_str(&text).map_err(|error| {
        Error::data(format!("can't read the session's manifest: {error}: {}", path.display()))
    });
    parsed.map(Some)
}

fn text(path: &Path) -> io::Result<String> {
    let file = open_regular(path)?;
    let bytes = file.metadata()?.len().min(MANIFEST_BYTES_MAX);
    // One call reads it all: a folder may have thousands.
    let mut text = String::with_capacity(usize::try_from(bytes).unwrap_or(0) + 1);
    file.take(MANIFEST_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn unread(path: &Path, error: &io::Error) -> Error {
    let kind = match error.kind() {
        // There is no session.
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::Environment,
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => ErrorKind::Data,
        _ => ErrorKind::Io,
    };
    let told = Error::io("read the session's manifest", path, error);
    Error { kind, ..told }.with_hint("name a session folder, such as recordings/<session>")
}

/// `O_NOFOLLOW`, as the standard library takes it.
fn libc_nofollow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

/// Whether a name stays inside the folder and is a plain file there (or a folder, where it may be one), or nothing yet.
pub(crate) fn check_path(folder: &Path, name: &Path, or_folder: bool) -> Result<(), &'static str> {
    let plain = name.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || name.as_os_str().is_empty() || name.to_string_lossy().contains('\0') {
        return Err("leads out of the session folder");
    }
    let parts = name.components().count();
    let mut path = folder.to_owned();
    for (number, part) in (1..).zip(name.components()) {
        path.push(part);
        let Ok(found) = path.symlink_metadata() else { return Ok(()) };
        if found.is_symlink() {
            return Err("is behind a symbolic link");
        }
        if number == parts && !found.is_file() && !(or_folder && found.is_dir()) {
            return Err("is not a regular file");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_names_regular_files_inside_its_folder_only() {
        let root = tempfile::tempdir().unwrap();
        let (folder, outside) = (root.path().join("s"), root.path().join("outside"));
        fs::create_dir_all(folder.join("sub")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("book.csv"), "precious").unwrap();
        fs::write(folder.join("sub/rows.csv"), "").unwrap();
        std::os::unix::fs::symlink(outside.join("book.csv"), folder.join("link.csv")).unwrap();
        std::os::unix::fs::symlink(&outside, folder.join("out")).unwrap();
        for name in ["sub/rows.csv", "not-there-yet.csv"] {
            assert_eq!(check_path(&folder, Path::new(name), false), Ok(()), "{name}");
        }
        for name in ["", "..", "../outside/book.csv", "/etc/shadow", "sub/../../outside/book.csv", "link.csv"]
        {
            assert!(check_path(&folder, Path::new(name), true).is_err(), "{name}");
        }
        for name in ["out/book.csv", "sub", "a\0b"] {
            assert!(check_path(&folder, Path::new(name), false).is_err(), "{name}");
        }
        assert_eq!(check_path(&folder, Path::new("sub"), true), Ok(()));
    }
}

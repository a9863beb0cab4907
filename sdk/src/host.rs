//! What the engine gives to a plugin when it opens it. The SDK's fake host ([`crate::testing::FakeHost`]) implements the same trait.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::{Error, Timestamp};

/// The session that a plugin is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// The session's id, which is its folder's name.
    pub id: String,
    /// The pipeline file's text, as it was read.
    pub pipeline: String,
    /// The session's folder. It is there when sinks are opened, not before. Files in it are made where [`Host::artifact`] says only.
    pub folder: PathBuf,
    /// When the session's clock was anchored.
    pub started_at: Timestamp,
}

/// What was lost so far, in frames. The four are never mixed: each frame that a source gave is written, dropped or failed; a late one
/// was never given, and a partial one is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Loss {
    /// Ticks that the source missed.
    pub late: u64,
    /// Frames that a full queue dropped.
    pub dropped: u64,
    /// Frames that a stage could not take.
    pub failed: u64,
    /// Frames that are there with a value missing: one that the source could not read, or a stage could not hold.
    #[serde(default)]
    pub partial: u64,
}

impl Loss {
    /// Whether anything was lost.
    #[must_use]
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

/// Saturates: the numbers may come from a damaged file.
impl std::ops::Add for Loss {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            late: self.late.saturating_add(other.late),
            dropped: self.dropped.saturating_add(other.dropped),
            failed: self.failed.saturating_add(other.failed),
            partial: self.partial.saturating_add(other.partial),
        }
    }
}

/// How far the recording of a stream is: its watermark. Frames are counted by `seq`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watermark {
    /// Every sink of the stream has taken the frames before this `seq`, or they are among `lost`.
    pub written: u64,
    /// They will survive a `kill -9`, too.
    pub flushed: u64,
    /// Some frames before this `seq` are lost: an edge has dropped them, or a stage could not take them, on the way to any sink. Those
    /// from it on are not, as far as is known. 0 as long as nothing is lost; it only grows.
    pub lost: u64,
}

/// Something that a running stage is told: what it means is the plugin's.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Told {
    /// What is to be done: `set`, `jump`.
    pub name: String,
    /// With what.
    pub value: serde_json::Value,
}

/// What a file is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// It is a recording of all inputs of its sink.
    #[default]
    Recording,
    /// It is a recording of this input of its sink, or of a part of it.
    RecordingOf(usize),
    /// It lies beside a recording, for others to read: facts, a preview. It is not read back.
    Beside,
}

/// The longest label of a mark, in characters; the rest is cut off.
pub const LABEL_CHARACTERS_MAX: usize = 1000;

/// What is called when a watermark moves: see [`Host::follow`].
pub type Follower = Box<dyn FnMut(Watermark) + Send>;

/// What a plugin can ask of the engine. All calls may be made from any thread. `now`, `failed`, `partial`, `absent`, `left_out` and
/// `is_paused` neither lock nor allocate; the others may do both for a moment.
pub trait Host: Send + Sync {
    /// The session clock.
    fn now(&self) -> Timestamp;

    /// Counts frames that a source could not give, or that a transform could not hand on. A sink returns what it refuses in
    /// [`Written`](crate::Written) instead: frames counted here belong to none of its inputs.
    fn failed(&self, frames: u64);

    /// Counts frames that are given, handed on or written with a value missing.
    fn partial(&self, frames: u64);

    /// Counts frames that this stage leaves out by intent, since its options or its format say so: no loss. A conversion tells how
    /// many there are; elsewhere nobody counts them.
    fn left_out(&self, frames: u64) {
        _ = frames;
    }

    /// Tells the user something once. Not for the frame path.
    fn warn(&self, message: &str);

    /// Sets a mark at this moment of the session: it stands in the manifest, with at most [`LABEL_CHARACTERS_MAX`] of the label. Not for
    /// the frame path.
    fn mark(&self, label: &str) {
        _ = label;
    }

    /// Pauses the session: its time stands still, and no source is called but those that say so
    /// ([`Description::runs_in_pause`](crate::Description::runs_in_pause)). The manifest lists the pauses.
    fn pause(&self) {}

    /// Ends a pause.
    fn resume(&self) {}

    /// Whether the session pauses.
    fn is_paused(&self) -> bool {
        false
    }

    /// What the stage was told from outside since the last call, the oldest first; at most 64 wait. For a source, from
    /// [`next`](crate::Source::next).
    fn told(&self) -> Option<Told> {
        None
    }

    /// Registers a file that this stage is about to make, and returns its full path. `name` is relative to the session folder;
    /// folders in between are made. The `role` goes into the manifest: whoever reads the session guesses nothing.
    ///
    /// # Errors
    /// A name that is absolute, contains `..` or NUL, or is already taken by another stage.
    fn artifact(&self, name: &Path, role: Role) -> Result<PathBuf, Error>;

    /// Counts ticks at which a paced source had nothing to sample, since what it samples is not there (its process has exited, its device
    /// is unplugged). They count as late, for that reason, and each uses up a `seq`. To be called before [`next`](crate::Source::next)
    /// returns [`Idle`](crate::Next::Idle).
    fn absent(&self, ticks: u64) {
        _ = ticks;
    }

    /// What was lost so far of the stream (as the stage's input is named), from its source down to this stage. For a file's own
    /// metadata: call it in `finish`.
    fn loss(&self, stream: &str) -> Loss;

    /// For a source that must not outrun its recording: `follower` is told how far the recording of the output is, each time that
    /// changes and once at the beginning, never by two threads at once. It is called on the sinks' threads and must neither block nor
    /// call the host. From now on the sinks of the stream flush whenever they have taken all that waits, rather than after
    /// `flush_interval`.
    ///
    /// A frame that a transform leaves out by intent is passed when the next one is written. To be called once for an output, from the
    /// first [`next`](crate::Source::next) on.
    ///
    /// # Errors
    /// There is no such output, it is followed already, or the host records nothing.
    fn follow(&self, output: usize, follower: Follower) -> Result<(), Error> {
        drop(follower);
        Err(Error::environment(format!(
            "can't follow how far output {output} is recorded: nothing records it"
        ))
        .with_hint("only a source in a session can follow its recording"))
    }
}

/// What a plugin is opened with.
#[derive(Clone)]
pub struct Context {
    /// The stage's id in the pipeline.
    pub id: String,
    /// The session.
    pub session: SessionInfo,
    /// How often the engine calls [`flush`](crate::Sink::flush).
    pub flush_interval: Duration,
    /// The `rate` the pipeline names for a polled source.
    pub rate_hz: Option<f64>,
    /// The engine.
    pub host: Arc<dyn Host>,
}

impl Context {
    /// The path of the file that the stage writes: `path` if the pipeline names one, else the stage's id with `extension`,
    /// inside the session folder.
    ///
    /// # Errors
    /// As for [`Host::artifact`].
    pub fn artifact(&self, path: Option<&Path>, extension: &str) -> Result<PathBuf, Error> {
        let default = PathBuf::from(format!("{}.{extension}", self.id));
        self.host.artifact(path.unwrap_or(&default), Role::Recording)
    }

    /// The paths of the files of a sink that writes one file a stream: as [`artifact`](Self::artifact) for a single input, with the
    /// stream's name before the extension (`rows.game.parquet`) for several.
    ///
    /// # Errors
    /// As for [`Host::artifact`].
    pub fn artifacts(
        &self,
        path: Option<&Path>,
        extension: &str,
        inputs: &[Arc<crate::StreamSchema>],
    ) -> Result<Vec<PathBuf>, Error> {
        if let [_] = inputs {
            return Ok(vec![self.artifact(path, extension)?]);
        }
        let default = PathBuf::from(format!("{}.{extension}", self.id));
        let path = path.unwrap_or(&default);
        let extension = path.extension().map_or(extension.into(), |extension| extension.to_string_lossy());
        let file =
            |schema: &Arc<crate::StreamSchema>| path.with_extension(format!("{}.{extension}", schema.name()));
        let register = |(input, schema)| self.host.artifact(&file(schema), Role::RecordingOf(input));
        inputs.iter().enumerate().map(register).collect()
    }

    /// What a transform calls the stream it makes of `input`: its own id, or `id.input` when it has several inputs.
    #[must_use]
    pub fn stream_name(&self, input: &crate::StreamSchema, inputs: &[Arc<crate::StreamSchema>]) -> String {
        if inputs.len() == 1 { self.id.clone() } else { format!("{}.{}", self.id, input.name()) }
    }
}

//! A pipeline as types: what the TOML declares, after it was parsed and checked. Nothing here runs anything.

mod checks;
mod fields;
mod hints;
mod inputs;
mod load;
mod options_table;
mod order;
mod references;
mod schema;
mod session;
mod stages;
mod tree;
mod variables;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tapedeck_sdk::{Factory, PluginKind};

pub use load::{TEXT_BYTES_MAX, load, parse, read, read_from};
pub use options_table::{OptionRow, option_rows};
pub(crate) use order::topological;
pub use references::Reference;
pub(crate) use references::{with_values, without_values};
pub use variables::Variables;

use crate::diagnostic::{Diagnostics, SourceText, Span};

/// A checked pipeline. Nodes are in the order of the file; edges point backwards and forwards, but never in a circle.
#[derive(Clone)]
pub struct Pipeline {
    /// The file's text, as it was read (variables not replaced), for the manifest.
    pub text: String,
    /// `[session]`.
    pub session: SessionConfig,
    /// Sources, transforms and sinks.
    pub nodes: Vec<Node>,
    /// The text with its file's name, for errors that are found later.
    pub source: Arc<SourceText>,
    /// What is odd about the pipeline, but no error.
    pub warnings: Diagnostics,
    /// The places of each node's table and options.
    places: Vec<load::Place>,
}

/// `[session]`, with its defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// Where session folders go. Default `recordings`.
    pub directory: PathBuf,
    /// How long to record; `None` is until stopped.
    pub duration: Option<Duration>,
    /// How often sinks are flushed; what a `kill -9` can cost. 1 ms to 1 h, default 1 s.
    pub flush_interval: Duration,
    /// The session ends cleanly when the disk has fewer bytes free than this. Default 256 MiB.
    pub disk_free_min: u64,
    /// Whether the session has the id, start and pipeline text of the session that it replays.
    pub as_recorded: bool,
    /// Whether replays are woken before all other threads (`priority = "realtime"`).
    pub realtime: bool,
    /// Whether a journal is kept beside sinks whose files are unreadable until they are finished.
    pub journal: Journal,
}

/// `[session] journal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Journal {
    /// While recording, where a sink needs one; removed when the session is complete. The default.
    Auto,
    /// Where a sink needs one, and kept.
    Keep,
    /// Never: a kill loses what such a sink had not finished.
    Off,
}

/// One stage of the pipeline.
#[derive(Clone)]
pub struct Node {
    /// The id: unique over all three kinds.
    pub id: String,
    /// Source, transform or sink.
    pub kind: PluginKind,
    /// The plugin.
    pub factory: Arc<Factory>,
    /// The plugin's own options: everything in the table that isn't the engine's.
    pub options: Value,
    /// Which of them hold a value of the environment.
    pub references: Vec<Reference>,
    /// `rate` of a polled source, in Hz. From 2 kHz on its thread stays awake between ticks and uses a core.
    pub rate_hz: Option<f64>,
    /// Where frames come from; empty for a source.
    pub inputs: Vec<Input>,
}

/// One edge, seen from the stage that reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// The node that gives the frames: an index into [`Pipeline::nodes`].
    pub from: usize,
    /// Which of that node's streams: a glob ([`glob_matches`](tapedeck_sdk::names::glob_matches)) on what comes after `id.`, or `None` for all of them. That
    /// it matches a stream can only be known when the node is open; several inputs with one `span` come from one
    /// glob on ids, and at least one of them must match.
    pub stream: Option<String>,
    /// The limits of the queue.
    pub queue: QueueConfig,
    /// Where the pipeline says so.
    pub span: Span,
}

/// The limits of an edge, with the defaults filled in. The first limit that is reached counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueConfig {
    /// The most frames. Default 65,536.
    pub frames: usize,
    /// The most bytes. Default 64 MiB.
    pub bytes: u64,
    /// The longest time between the oldest and the newest frame; none by default.
    pub time: Option<Duration>,
    /// What happens then.
    pub when_full: WhenFull,
}

/// What a full queue does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// The stage above waits: nothing is dropped, and a paced source may miss ticks, which are counted as late.
    Block,
    /// The frames that come are dropped and counted.
    DropNewest,
    /// The frames that wait longest are dropped and counted.
    DropOldest,
}

impl Input {
    /// The one stream that it names, if it is no glob.
    pub(crate) fn stream_name(&self) -> Option<&str> {
        self.stream.as_deref().filter(|stream| !tapedeck_sdk::names::is_glob(stream))
    }
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("recordings"),
            duration: None,
            flush_interval: Duration::from_secs(1),
            disk_free_min: 256 << 20,
            as_recorded: false,
            realtime: false,
            journal: Journal::Auto,
        }
    }
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self { frames: 65_536, bytes: 64 << 20, time: None, when_full: WhenFull::Block }
    }
}

#[cfg(test)]
mod tests;

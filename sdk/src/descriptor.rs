//! What a plugin says of itself. A descriptor is data: it is read without opening anything.

use serde_json::Value;

use crate::Kind;

/// Which of the three traits a plugin implements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginKind {
    /// Gives frames.
    Source,
    /// Changes frames.
    Transform,
    /// Keeps frames.
    Sink,
}

impl std::fmt::Display for PluginKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Source => "source",
            Self::Transform => "transform",
            Self::Sink => "sink",
        })
    }
}

/// What an author writes down; [`Factory`](crate::Factory) adds the options' schema to make the [`Descriptor`].
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Description {
    /// The plugin's name, as `plugin = "…"` spells it.
    pub name: String,
    /// Source, transform or sink.
    pub kind: PluginKind,
    /// The plugin's own version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// The stream kinds that it takes (transforms and sinks).
    #[serde(default)]
    pub takes: Vec<Kind>,
    /// The stream kinds that it gives (sources and transforms). Empty for a transform: it gives what it takes.
    #[serde(default)]
    pub gives: Vec<Kind>,
    /// The extension of the one file that a sink writes when no `path` is given; none for sinks without a file.
    #[serde(default)]
    pub extension: Option<String>,
    /// Whether what a sink wrote is unreadable until `finish`: the engine keeps a journal beside it.
    #[serde(default)]
    pub needs_journal: bool,
    /// Whether a source makes sense only with a `rate`.
    #[serde(default)]
    pub needs_rate: bool,
    /// Whether a source gives frames that have their numbers and times already: the engine keeps them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recorded: bool,
    /// Whether nothing that a sink was given reaches anybody before `flush`: the engine then hands it single frames in blocks.
    #[serde(default)]
    pub takes_blocks: bool,
    /// Whether a source is called while the session pauses: it serves somebody meanwhile.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub runs_in_pause: bool,
}

impl Description {
    fn new(kind: PluginKind, name: &str, summary: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: summary.to_owned(),
            takes: Vec::new(),
            gives: Vec::new(),
            extension: None,
            needs_journal: false,
            needs_rate: false,
            recorded: false,
            takes_blocks: false,
            runs_in_pause: false,
        }
    }

    /// A source.
    #[must_use]
    pub fn source(name: &str, summary: &str) -> Self {
        Self::new(PluginKind::Source, name, summary)
    }

    /// A transform that takes and gives streams of any kind until told otherwise.
    #[must_use]
    pub fn transform(name: &str, summary: &str) -> Self {
        Self::new(PluginKind::Transform, name, summary).takes(Kind::ALL)
    }

    /// A sink that takes streams of any kind until told otherwise.
    #[must_use]
    pub fn sink(name: &str, summary: &str) -> Self {
        Self::new(PluginKind::Sink, name, summary).takes(Kind::ALL)
    }

    /// The plugin's own version; without it, the SDK's.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// The stream kinds that it takes.
    #[must_use]
    pub fn takes(mut self, kinds: &[Kind]) -> Self {
        self.takes = kinds.to_vec();
        self
    }

    /// The stream kinds that it gives.
    #[must_use]
    pub fn gives(mut self, kinds: &[Kind]) -> Self {
        self.gives = kinds.to_vec();
        self
    }

    /// The extension (without a dot) of the file that a sink writes.
    #[must_use]
    pub fn writes(mut self, extension: &str) -> Self {
        self.extension = Some(extension.to_owned());
        self
    }

    /// What the sink wrote is unreadable until `finish`.
    #[must_use]
    pub fn needs_journal(mut self) -> Self {
        self.needs_journal = true;
        self
    }

    /// Nothing that the sink is given reaches anybody before `flush`, so single frames may be gathered and handed over in blocks:
    /// a wide row then costs one visit of each column a block, not one a frame.
    #[must_use]
    pub fn takes_blocks(mut self) -> Self {
        self.takes_blocks = true;
        self
    }

    /// The source gives frames that were recorded before: each keeps its `seq`, which rises within a stream, and its time. A gap in the
    /// numbers is one of the recording, and no loss of this session.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.recorded = true;
        self
    }

    /// The source is called while the session pauses: it serves somebody meanwhile. It gives no frames then, except how things
    /// have ended.
    #[must_use]
    pub fn runs_in_pause(mut self) -> Self {
        self.runs_in_pause = true;
        self
    }

    /// The source is polled: a pipeline without a `rate` for it is refused.
    #[must_use]
    pub fn needs_rate(mut self) -> Self {
        self.needs_rate = true;
        self
    }
}

/// What a plugin says of itself, with its options as JSON Schema (draft 2020-12).
///
/// Beyond the standard keywords, an option may carry `"x-unit"` (the unit of a number), the formats `"duration"` and
/// `"bytes"` (see [`crate::options`]), and `"x-recorded"`: its default where all that a sink is given was recorded before, which is
/// to be kept as it is. `"examples"` of the whole table are what `tapedeck new` begins a pipeline with; they may name a `rate`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Descriptor {
    /// Name, kind and stream kinds.
    #[serde(flatten)]
    pub description: Description,
    /// JSON Schema of the options table.
    pub options: Value,
}

impl std::ops::Deref for Descriptor {
    type Target = Description;
    fn deref(&self) -> &Description {
        &self.description
    }
}

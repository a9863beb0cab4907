//! What a plugin says when it can't do something: what was being done, to what, and what to do next.

use std::fmt;

/// What sort of trouble it is. The engine decides from this whether the pipeline is refused (exit code 2) or the run fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// An option is wrong. Found by `check`, before anything was opened or written.
    Options,
    /// The world is not as the pipeline expects: no such process, no permission, no such device.
    Environment,
    /// The data cannot be taken: a schema that the format can't hold, a value out of range.
    Data,
    /// Reading or writing failed: disk full, device gone.
    Io,
    /// The plugin broke its contract, panicked or trapped.
    Plugin,
}

/// An error with its hint.
///
/// The message says what was being done and to what (names in quotes, a path last). The hint says what the user can do
/// next, as a sentence of its own.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Error {
    /// What sort of trouble it is.
    pub kind: ErrorKind,
    /// What was being done, to what, and what went wrong.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// The option to blame, as a path of keys below the plugin's own table (`["attributes", "health", "pattern"]`), so that
    /// the engine can point at its line and column.
    pub option: Vec<String>,
}

impl Error {
    /// An error of a kind with a message.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, option: Vec::new() }
    }

    /// A wrong option. `path` leads to it from the plugin's own table.
    #[must_use]
    pub fn option<S: Into<String>>(path: impl IntoIterator<Item = S>, message: impl Into<String>) -> Self {
        Self { option: path.into_iter().map(Into::into).collect(), ..Self::new(ErrorKind::Options, message) }
    }

    /// The world is not as expected.
    #[must_use]
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Environment, message)
    }

    /// Data that can't be taken.
    #[must_use]
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, message)
    }

    /// Reading or writing failed; `doing` says what was being done (`"write rows"`), the path comes last.
    #[must_use]
    pub fn io(doing: &str, path: &std::path::Path, source: &std::io::Error) -> Self {
        Self::new(ErrorKind::Io, format!("can't {doing}: {source}: {}", path.display()))
    }

    /// A broken contract.
    #[must_use]
    pub fn plugin(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Plugin, message)
    }

    /// Adds what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Points at the option to blame, keeping the error's kind (an absent process stays `Environment`).
    #[must_use]
    pub fn at_option<S: Into<String>>(mut self, path: impl IntoIterator<Item = S>) -> Self {
        self.option = path.into_iter().map(Into::into).collect();
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

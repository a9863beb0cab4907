//! The sink's options, and what they make of a header.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Number, Value};
use tapedeck_kit::terminal::size_of_options;
use tapedeck_sdk::Error;
use tapedeck_sdk::kinds::terminal::Size;

use crate::header::{Facts, Header, Version};
use crate::seconds::Precision;

/// Options of the `asciicast` sink.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AsciicastOptions {
    /// The version of the format that is written: 2 or 3.
    #[serde(default = "three")]
    pub(crate) version: u8,
    /// The file, or for streams with several connections the folder, inside the session folder. Default: the sink's id.
    #[serde(default)]
    pub(crate) path: Option<PathBuf>,
    /// A title for the header.
    #[serde(default)]
    pub(crate) title: Option<String>,
    /// The command that was recorded, for the header.
    #[serde(default)]
    pub(crate) command: Option<String>,
    /// Environment variables for the header. Nothing of the environment is recorded by itself.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// For players: pauses longer than so many seconds are shortened. Nothing is shortened in the file.
    #[serde(default)]
    pub(crate) idle_time_limit: Option<f64>,
    /// Whether input is written. It may hold passwords. Default: false, but true for what was recorded before.
    #[serde(default)]
    #[schemars(extend("x-recorded" = true))]
    pub(crate) input: bool,
    /// Columns of a terminal that does not say how large it is.
    #[serde(default = "columns")]
    pub(crate) width: u16,
    /// Rows of a terminal that does not say how large it is.
    #[serde(default = "rows")]
    pub(crate) height: u16,
    /// Whether a JSON file with facts is written beside each recording. Default: true, but false for a stream with one connection.
    #[serde(default)]
    pub(crate) sidecar: Option<bool>,
    /// To how many digits times are written: `us` or `ns`. Default: `us`, but as they were for an asciicast that is read.
    #[serde(default)]
    pub(crate) precision: Option<Precision>,
}

const fn three() -> u8 {
    3
}

const fn columns() -> u16 {
    80
}

const fn rows() -> u16 {
    24
}

impl AsciicastOptions {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !matches!(self.version, 2 | 3) {
            let message = format!("asciicast version {} can't be written", self.version);
            return Err(
                Error::option(["version"], message).with_hint("The versions that are written are 2 and 3.")
            );
        }
        size_of_options(self.width, self.height)?;
        match self.idle_time_limit {
            Some(seconds) if !(seconds.is_finite() && seconds > 0.0) => {
                Err(Error::option(["idle_time_limit"], "\"idle_time_limit\" is not more than 0 seconds"))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn version(&self) -> Version {
        if self.version == 2 { Version::Two } else { Version::Three }
    }

    pub(crate) fn size(&self) -> Size {
        Size { columns: self.width, rows: self.height }
    }

    /// To how many digits times are written. A recording that is read and written again keeps those it has.
    pub(crate) fn precision(&self, replayed: Option<&Header>) -> Precision {
        self.precision.unwrap_or(if replayed.is_some() { Precision::Nanos } else { Precision::Micros })
    }

    /// What the header says: what the options say, else what the recording said that is replayed.
    pub(crate) fn facts(&self, replayed: Facts) -> Facts {
        let mut facts = replayed;
        let limit = self.idle_time_limit.and_then(Number::from_f64);
        facts.idle_time_limit = limit.or(facts.idle_time_limit);
        facts.command = self.command.clone().or(facts.command);
        facts.title = self.title.clone().or(facts.title);
        if !self.env.is_empty() {
            let text = |(key, value): (&String, &String)| (key.clone(), Value::String(value.clone()));
            facts.env = self.env.iter().map(text).collect();
        }
        facts
    }
}

//! The options of the `lmsp` sink.

use std::path::{Path, PathBuf};

use tapedeck_sdk::prelude::*;

/// The forms that a recording can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Compact JSON, compressed with gzip (`.lmsp.gz`).
    Gzip,
    /// JSON for people, two spaces a level (`.json`).
    Json,
    /// Pickles behind a binary header (`LMSP`).
    Binary,
}

impl Form {
    /// The form of a file of that name.
    fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => Self::Json,
            Some("bin" | "lmsp") => Self::Binary,
            _ => Self::Gzip,
        }
    }

    /// What a file of it ends in.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Gzip => "lmsp.gz",
            Self::Json => "json",
            Self::Binary => "lmsp",
        }
    }
}

/// Options of the `lmsp` sink.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LmspOptions {
    /// The file, inside the session folder. Default: the sink's id with the extension of its form.
    #[serde(default)]
    pub(crate) path: Option<PathBuf>,
    /// The form: `gzip` (`.lmsp.gz`), `json` (`.json`) or `binary` (`.lmsp`). Default: as the name of the file has it, else `gzip`.
    #[serde(default)]
    pub(crate) form: Option<Form>,
    /// The compression level of form `gzip`, from 1 (fast) to 9 (small).
    #[serde(default = "default_level")]
    #[schemars(range(min = 1, max = 9))]
    pub(crate) level: u32,
    /// The Python module of the classes in form `binary`.
    #[serde(default = "default_module")]
    pub(crate) module: String,
    /// Who the recording is of. Default: as the stream says, else the player of its first event.
    #[serde(default)]
    pub(crate) player_id: Option<String>,
    /// What was played. Default: as the stream says, else the challenge of the first state.
    #[serde(default)]
    pub(crate) challenge_id: Option<String>,
}

fn default_level() -> u32 {
    6
}

fn default_module() -> String {
    "lmsp.tas".to_owned()
}

impl LmspOptions {
    pub(crate) fn form(&self) -> Form {
        self.form.unwrap_or_else(|| self.path.as_deref().map_or(Form::Gzip, Form::of))
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if !(1..=9).contains(&self.level) {
            return Err(Error::option(["level"], format!("level is {}: it goes from 1 to 9", self.level)));
        }
        if self.module.is_empty() || self.module.contains(char::is_whitespace) {
            return Err(Error::option(["module"], "module must be the name of a Python module"));
        }
        Ok(())
    }
}

//! The source's options.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tapedeck_kit::terminal::size_of_options;
use tapedeck_sdk::Error;

use crate::keys;

/// Options of the `terminal` source.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TerminalOptions {
    /// The program and its arguments. Default: the user's shell.
    #[serde(default)]
    pub(crate) command: Vec<String>,
    /// Environment variables that the command gets besides those that are there.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// The folder that the command starts in. Default: the present one.
    #[serde(default)]
    pub(crate) cwd: Option<PathBuf>,
    /// Columns of the terminal. Default: those of the user's terminal if attached, else 80.
    #[serde(default)]
    pub(crate) width: Option<u16>,
    /// Rows of the terminal. Default: those of the user's terminal if attached, else 24.
    #[serde(default)]
    pub(crate) height: Option<u16>,
    /// Whether input is recorded. It may hold passwords.
    #[serde(default)]
    pub(crate) input: bool,
    /// Whether the user's terminal is the recorded one: shows its output and takes its input.
    #[serde(default)]
    pub(crate) attach: bool,
    /// The key that sets a mark while attached, such as `ctrl-x`. Default: none.
    #[serde(default = "none")]
    pub(crate) mark_key: String,
    /// The key that pauses the recording while attached, and goes on with it. Default: `ctrl-\`.
    #[serde(default = "control_backslash")]
    pub(crate) pause_key: String,
}

// Both defaults are asciinema's: every other key is wanted by some program.
fn none() -> String {
    "none".to_owned()
}

fn control_backslash() -> String {
    "ctrl-\\".to_owned()
}

/// The keys that are not passed on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Keys {
    pub(crate) mark: Option<u8>,
    pub(crate) pause: Option<u8>,
}

impl TerminalOptions {
    pub(crate) fn check(&self) -> Result<Keys, Error> {
        if self.command.first().is_some_and(String::is_empty) {
            return Err(Error::option(["command"], "the command has no name"));
        }
        if self.command.iter().any(|part| part.contains('\0')) {
            return Err(Error::option(["command"], "the command has a NUL in it"));
        }
        if let Some(name) = self
            .env
            .iter()
            .find(|(name, value)| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0'))
        {
            return Err(Error::option(
                ["env", name.0],
                format!("\"{}\" can't be a variable of a process", name.0),
            ));
        }
        size_of_options(self.width.unwrap_or(80), self.height.unwrap_or(24))?;
        let key =
            |name: &str, text: &str| keys::parse(text).map_err(|message| Error::option([name], message));
        let keys = Keys { mark: key("mark_key", &self.mark_key)?, pause: key("pause_key", &self.pause_key)? };
        if keys.mark.is_some() && keys.mark == keys.pause {
            return Err(Error::option(["mark_key"], "one key can't both set a mark and pause"));
        }
        Ok(keys)
    }

    /// The program and its arguments.
    pub(crate) fn command(&self) -> (String, &[String]) {
        match self.command.split_first() {
            Some((program, arguments)) => (program.clone(), arguments),
            None => {
                let shell = std::env::var("SHELL").ok().filter(|shell| !shell.is_empty());
                (shell.unwrap_or_else(|| "/bin/sh".to_owned()), &[])
            }
        }
    }
}

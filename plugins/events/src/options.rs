//! The options of the `events` source.

use std::path::PathBuf;

use tapedeck_sdk::prelude::*;

/// Where lines come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listen {
    Stdin,
    Unix(PathBuf),
}

/// Options of the `events` source.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsOptions {
    /// Where lines come from: `stdin`, or `unix:PATH` for a socket that clients connect to, which only this user may.
    #[serde(default = "default_listen")]
    listen: String,
    /// Whose events are meant where a line does not say it.
    #[serde(default)]
    pub(crate) player_id: String,
}

fn default_listen() -> String {
    "stdin".to_owned()
}

impl EventsOptions {
    /// Where lines come from.
    pub(crate) fn listen(&self) -> Result<Listen, Error> {
        match self.listen.split_once(':') {
            None if self.listen == "stdin" => Ok(Listen::Stdin),
            // What the kernel has room for in an address.
            Some(("unix", path)) if !path.is_empty() && path.len() < 108 => Ok(Listen::Unix(path.into())),
            _ => Err(Error::option(["listen"], format!("listen is \"{}\"", self.listen))
                .with_hint("write \"stdin\", or \"unix:PATH\" with a path of at most 107 bytes")),
        }
    }
}

//! The transform's options.

use std::collections::BTreeMap;
use std::time::Duration;

use tapedeck_sdk::Error;
use tapedeck_sdk::options::DurationText;

use crate::text::CONTEXT_BYTES_MAX;

/// A set of patterns that need not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Builtin {
    /// Private keys and cloud access keys.
    Keys,
    /// Tokens of well-known services, JSON Web Tokens, authorization headers.
    Tokens,
    /// Numbers of payment cards.
    Cards,
}

/// Options of the `redact` transform.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedactOptions {
    /// Regular expressions of what is masked, by a name for messages. The syntax is that of the `regex` crate.
    #[serde(default)]
    pub(crate) patterns: BTreeMap<String, String>,
    /// The sets of patterns that are used as well: `keys`, `tokens`, `cards`. Default: all.
    #[serde(default = "all")]
    pub(crate) builtin: Vec<Builtin>,
    /// Whether secrets are masked in input.
    #[serde(default = "yes")]
    pub(crate) input: bool,
    /// Whether secrets are masked in output.
    #[serde(default = "yes")]
    pub(crate) output: bool,
    /// For how many bytes of a connection it may be undecided whether they are part of a secret.
    #[serde(default = "hold_bytes_max")]
    #[schemars(extend("x-unit" = "bytes"))]
    pub(crate) hold_bytes_max: usize,
    /// How long a row may wait for what comes after it.
    #[serde(default = "hold_time")]
    pub(crate) hold_time: DurationText,
    /// Whether passwords that are typed at a prompt stay in the input.
    #[serde(default)]
    pub(crate) keep_passwords: bool,
}

fn all() -> Vec<Builtin> {
    vec![Builtin::Keys, Builtin::Tokens, Builtin::Cards]
}

const fn yes() -> bool {
    true
}

const fn hold_bytes_max() -> usize {
    4096
}

const fn hold_time() -> DurationText {
    DurationText(Duration::from_millis(200))
}

impl RedactOptions {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.hold_bytes_max > CONTEXT_BYTES_MAX {
            let message =
                format!("\"hold_bytes_max\" is {}, the limit is {CONTEXT_BYTES_MAX}", self.hold_bytes_max);
            return Err(Error::option(["hold_bytes_max"], message));
        }
        Ok(())
    }
}

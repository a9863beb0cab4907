//! The source's options.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tapedeck_sdk::Error;
use tapedeck_sdk::options::DurationText;

/// What happens to a session when it can't be recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnRecordFailure {
    /// It goes on; the loss is counted.
    #[default]
    Continue,
    /// It ends. Not possible yet.
    Close,
}

/// Options of the `ssh` source.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SshOptions {
    /// The address and port to listen on. Port 0 takes any that is free.
    #[serde(default = "default_listen")]
    pub(crate) listen: String,
    /// The file of the server's own key. Made on the first start, readable by its owner only.
    #[serde(default = "default_host_key")]
    pub(crate) host_key: PathBuf,
    /// The file of public keys that get in, one a line, without options before the key.
    #[serde(default)]
    pub(crate) authorized_keys: Option<PathBuf>,
    /// The file of users with a password, a line each: `user:hash`, the hash an argon2 PHC string (`$argon2id$v=19$…`).
    #[serde(default)]
    pub(crate) passwords: Option<PathBuf>,
    /// The program, and its arguments, that every session runs. Default: the user's shell, or in it what the client asks for.
    #[serde(default)]
    pub(crate) command: Vec<String>,
    /// The environment variables that a client may set; a `*` at the end stands for anything.
    #[serde(default = "default_environment")]
    pub(crate) environment: Vec<String>,
    /// Whether input is recorded. It may hold passwords.
    #[serde(default)]
    pub(crate) input: bool,
    /// The most connections at the same time.
    #[serde(default = "default_connections_max")]
    pub(crate) connections_max: usize,
    /// The most failed logins of an address in a minute; further connections of it are closed at once.
    #[serde(default = "default_failed_logins_max")]
    pub(crate) failed_logins_max: u32,
    /// How long a connection may be without input and output. Default: as long as it likes.
    #[serde(default)]
    pub(crate) idle_timeout: Option<DurationText>,
    /// How long a connection may last. Default: as long as it likes.
    #[serde(default)]
    pub(crate) time_limit: Option<DurationText>,
    /// How often a silent client is asked whether it is still there. Three questions without an answer end the connection.
    #[serde(default = "default_keepalive")]
    pub(crate) keepalive: DurationText,
    /// What happens to a session when it can't be recorded. Only `continue` is possible yet.
    #[serde(default)]
    pub(crate) on_record_failure: OnRecordFailure,
}

fn default_listen() -> String {
    "127.0.0.1:2222".to_owned()
}

fn default_host_key() -> PathBuf {
    PathBuf::from("tapedeck_host_key")
}

/// What `sshd` of most systems lets through.
fn default_environment() -> Vec<String> {
    ["LANG", "LC_*"].map(str::to_owned).into()
}

fn default_connections_max() -> usize {
    64
}

fn default_failed_logins_max() -> u32 {
    5
}

fn default_keepalive() -> DurationText {
    DurationText(Duration::from_secs(30))
}

impl SshOptions {
    pub(crate) fn check(&self) -> Result<SocketAddr, Error> {
        if self.authorized_keys.is_none() && self.passwords.is_none() {
            let hint = "Add `authorized_keys = \"path\"`, a file of public keys, or `passwords = \"path\"`, a file \
                        of lines `user:hash` with argon2 hashes.";
            return Err(Error::option(["authorized_keys"], "nobody could log in").with_hint(hint));
        }
        if self.on_record_failure == OnRecordFailure::Close {
            let message = "a source is not told yet what is on disk, so no session can wait for it";
            return Err(Error::option(["on_record_failure"], message)
                .with_hint("Leave it at \"continue\": the session goes on, and what is lost is counted."));
        }
        if self.command.first().is_some_and(String::is_empty) {
            return Err(Error::option(["command"], "the command has no name"));
        }
        if self.command.iter().any(|part| part.contains('\0')) {
            return Err(Error::option(["command"], "the command has a NUL in it"));
        }
        for (name, zero) in [
            ("connections_max", self.connections_max == 0),
            ("failed_logins_max", self.failed_logins_max == 0),
            ("idle_timeout", self.idle_timeout.is_some_and(|time| time.0.is_zero())),
            ("time_limit", self.time_limit.is_some_and(|time| time.0.is_zero())),
            ("keepalive", self.keepalive.0.is_zero()),
        ] {
            if zero {
                return Err(Error::option([name], format!("with a {name} of 0 nobody could stay")));
            }
        }
        self.listen.parse().map_err(|error| {
            Error::option(["listen"], format!("\"{}\" is no address with a port: {error}", self.listen))
                .with_hint("For example \"127.0.0.1:2222\", or \"[::]:2222\" for everybody.")
        })
    }

    /// Whether a client may set this variable.
    pub(crate) fn allows(&self, variable: &str) -> bool {
        let sound = !variable.is_empty() && !variable.contains(['=', '\0']);
        sound
            && self.environment.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(begin) => variable.starts_with(begin),
                None => variable == pattern,
            })
    }
}

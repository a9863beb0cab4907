//! The source's options.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tapedeck_sdk::Error;
use tapedeck_sdk::names::glob_matches;
use tapedeck_sdk::options::{ByteSize, DurationText};

use crate::channel::backlog::BYTES_MIN;

/// The most connections or channels, and the longest time, that make sense; sums of them don't overflow.
const COUNT_MAX: usize = 1 << 20;
const TIME_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// A session that can't be recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnRecordFailure {
    /// Continues; the loss is counted.
    #[default]
    Continue,
    /// Ends; no byte reaches the client before it would survive a `kill -9`.
    Close,
}

/// The host that sessions go to.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upstream {
    /// Name or address, and port: `host`, `host:22` or `[::1]:22`. Default port: 22.
    pub(crate) address: String,
    /// The user there. Default: the client's user name; then any client is any user there who has authorized
    /// Tapedeck's key.
    #[serde(default)]
    pub(crate) user: Option<String>,
    /// File of the private key to log in with: no passphrase, readable by its owner only.
    pub(crate) key: PathBuf,
    /// File of the host's keys, in OpenSSH's format. A host with another key is refused.
    pub(crate) known_hosts: PathBuf,
}

impl Upstream {
    /// The host and port.
    pub(crate) fn place(&self) -> Result<(String, u16), Error> {
        let wrong = || {
            let message = format!("\"{}\" is not a host with a port", self.address);
            Error::option(["upstream", "address"], message)
                .with_hint("for example \"host.example:22\" or \"[2001:db8::1]:22\"")
        };
        let (host, port) = match self.address.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((host, ""))) => (host, None),
            Some(Some((host, port))) => (host, Some(port.strip_prefix(':').ok_or_else(wrong)?)),
            Some(None) => return Err(wrong()),
            None => match self.address.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (self.address.as_str(), None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?,
            None => 22,
        };
        let sound = |letter: char| !letter.is_whitespace() && !letter.is_control();
        if host.is_empty() || !host.chars().all(sound) { Err(wrong()) } else { Ok((host.to_owned(), port)) }
    }
}

/// What is recorded of transfers: `scp -O`, `rsync`, `git` and others without a terminal whose output
/// is not text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Transfers {
    /// Bytes as they are, marked as such: sinks of text leave them out, `asciicast` keeps them in a
    /// file beside.
    #[default]
    Bytes,
    /// Byte counts only, for known transfer programs.
    Facts,
    /// Like any output.
    Text,
}

/// Options of the `ssh` source.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{ "listen": "127.0.0.1:2222", "authorized_keys": "authorized_keys" }]))]
pub struct SshOptions {
    /// Address and port to listen on. Port 0: a free one.
    #[serde(default = "default_listen")]
    pub(crate) listen: String,
    /// File of the host key. Made on the first start, readable by its owner only.
    #[serde(default = "default_host_key")]
    pub(crate) host_key: PathBuf,
    /// File of authorized public keys, one a line. Lines with options before the key are skipped. Refused if
    /// others can write it.
    #[serde(default)]
    pub(crate) authorized_keys: Option<PathBuf>,
    /// File of users and password hashes, one `user:hash` a line: an argon2 PHC string (`$argon2id$v=19$…`) or
    /// bcrypt (`$2y$…`, as `htpasswd -nB user` prints it; uses the first 72 bytes of a password). Refused if
    /// others can write it.
    #[serde(default)]
    pub(crate) passwords: Option<PathBuf>,
    /// Program and arguments of every session. Default: the user's shell, or the client's command in it.
    #[serde(default)]
    pub(crate) command: Vec<String>,
    /// Environment variables that a client may set; `*` and `?` match as in a shell.
    #[serde(default = "default_environment")]
    pub(crate) environment: Vec<String>,
    /// Whether input is recorded. It may hold passwords; with an `upstream` hidden input can't be told apart.
    #[serde(default)]
    pub(crate) input: bool,
    /// The most connections at a time. When all are taken, a new one evicts a pending login.
    #[serde(default = "default_connections_max")]
    #[schemars(range(min = 1, max = 1_048_576))]
    pub(crate) connections_max: usize,
    /// The most failed logins of an address in a minute; further connections are closed at once.
    #[serde(default = "default_failed_logins_max")]
    #[schemars(range(min = 1))]
    pub(crate) failed_logins_max: u32,
    /// How long a client may take to log in, as `LoginGraceTime` of OpenSSH's server.
    #[serde(default = "default_login_timeout")]
    pub(crate) login_timeout: DurationText,
    /// How long a connection may be without input and output. Default: no limit.
    #[serde(default)]
    pub(crate) idle_timeout: Option<DurationText>,
    /// How long a connection may last. Default: no limit.
    #[serde(default)]
    pub(crate) time_limit: Option<DurationText>,
    /// Interval of keepalive requests to a silent client. Three without an answer end the connection, as does
    /// a client that reads nothing for as long.
    #[serde(default = "default_keepalive")]
    pub(crate) keepalive: DurationText,
    /// The most unread input of a connection. The more waits, the slower the client may send; a session beyond
    /// the limit ends. At least `4MiB`.
    #[serde(default = "default_unread_input_max")]
    pub(crate) unread_input_max: ByteSize,
    /// The most unread input of all connections. Beyond it, sessions with more than an equal share end.
    /// Default: 8 times `unread_input_max`.
    #[serde(default)]
    pub(crate) unread_input_total_max: Option<ByteSize>,
    /// The most channels at a time, over all connections; further ones are refused. Forwarded ports leave a
    /// quarter of them to sessions. A session here takes 4 descriptors, a connection 2, with an upstream 3.
    #[serde(default = "default_channels_max")]
    #[schemars(range(min = 1, max = 1_048_576))]
    pub(crate) channels_max: usize,
    /// What is recorded of transfers (`scp -O`, `rsync`, `git`, output that is not text) without a
    /// terminal.
    #[serde(default)]
    pub(crate) transfers: Transfers,
    /// A session that can't be recorded. `close` also makes sessions wait for their recording; not with `rate`.
    #[serde(default)]
    pub(crate) on_record_failure: OnRecordFailure,
    /// Host that every session goes to, instead of running here.
    #[serde(default)]
    pub(crate) upstream: Option<Upstream>,
    /// Subsystems that a client may ask the upstream for. Bytes are counted, not recorded.
    #[serde(default = "default_subsystems")]
    pub(crate) subsystems: Vec<String>,
    /// Whether clients may forward ports (`ssh -L`, `-W`, `-D`) through the upstream host. Bytes are counted,
    /// not recorded.
    #[serde(default)]
    pub(crate) forwarding: bool,
}

fn default_listen() -> String {
    "127.0.0.1:2222".to_owned()
}

fn default_host_key() -> PathBuf {
    PathBuf::from("tapedeck_host_key")
}

/// What `sshd` of most systems accepts.
fn default_environment() -> Vec<String> {
    ["LANG", "LC_*"].map(str::to_owned).into()
}

fn default_subsystems() -> Vec<String> {
    vec!["sftp".to_owned()]
}

fn default_connections_max() -> usize {
    64
}

fn default_failed_logins_max() -> u32 {
    5
}

fn default_login_timeout() -> DurationText {
    DurationText(Duration::from_secs(60))
}

fn default_unread_input_max() -> ByteSize {
    ByteSize(32 << 20)
}

fn default_channels_max() -> usize {
    128
}

fn default_keepalive() -> DurationText {
    DurationText(Duration::from_secs(30))
}

impl SshOptions {
    pub(crate) fn check(&self) -> Result<SocketAddr, Error> {
        if self.authorized_keys.is_none() && self.passwords.is_none() {
            let hint = "add `authorized_keys = \"path\"`, a file of public keys, or `passwords = \"path\"`, a file \
                        of lines `user:hash` with argon2 or bcrypt hashes";
            return Err(Error::option(["authorized_keys"], "nobody could log in").with_hint(hint));
        }
        match &self.upstream {
            Some(upstream) => {
                upstream.place()?;
                if !self.command.is_empty() {
                    let message = "sessions can't both run a command here and go on to an upstream host";
                    return Err(Error::option(["command"], message).with_hint("remove one of the two"));
                }
            }
            None if self.forwarding => {
                let message = "ports are forwarded by an upstream host only";
                return Err(Error::option(["forwarding"], message)
                    .with_hint("add an `upstream`, or remove `forwarding`"));
            }
            None => {}
        }
        if self.command.first().is_some_and(String::is_empty) {
            return Err(Error::option(["command"], "the command has no name"));
        }
        if self.command.iter().any(|part| part.contains('\0')) {
            return Err(Error::option(["command"], "the command has a NUL in it"));
        }
        self.check_bounds()?;
        if self.unread_input_max.0 < BYTES_MIN {
            let message = "sessions that are only busy would end, as a client may send 2 MiB ahead";
            return Err(Error::option(["unread_input_max"], message).with_hint("take \"4MiB\" or more"));
        }
        if self.unread_input_total_max.is_some_and(|total| total.0 < self.unread_input_max.0) {
            let message = "all connections together may have less unread input than one";
            return Err(Error::option(["unread_input_total_max"], message)
                .with_hint("take `unread_input_max` or more"));
        }
        self.listen.parse().map_err(|error| {
            Error::option(["listen"], format!("\"{}\" is not an address with a port: {error}", self.listen))
                .with_hint("for example \"127.0.0.1:2222\", or \"[::]:2222\" for all addresses")
        })
    }

    fn check_bounds(&self) -> Result<(), Error> {
        if self.failed_logins_max == 0 {
            return Err(Error::option(["failed_logins_max"], "every connection would be turned away")
                .with_hint("take 1 or more"));
        }
        for (name, count) in [("connections_max", self.connections_max), ("channels_max", self.channels_max)]
        {
            if !(1..=COUNT_MAX).contains(&count) {
                return Err(Error::option([name], format!("{count} is out of range"))
                    .with_hint(format!("take 1 to {COUNT_MAX}")));
            }
        }
        for (name, time) in [
            ("login_timeout", Some(self.login_timeout)),
            ("idle_timeout", self.idle_timeout),
            ("time_limit", self.time_limit),
            ("keepalive", Some(self.keepalive)),
        ] {
            if time.is_some_and(|time| time.0.is_zero() || time.0 > TIME_MAX) {
                return Err(Error::option([name], format!("no connection can have a {name} of this length"))
                    .with_hint("take more than 0, and a year at most"));
            }
        }
        Ok(())
    }

    /// Whether sessions wait for their recording and end without it.
    pub(crate) fn is_strict(&self) -> bool {
        self.on_record_failure == OnRecordFailure::Close
    }

    /// The most unread input of a connection, in bytes.
    pub(crate) fn unread_input_bytes_max(&self) -> usize {
        usize::try_from(self.unread_input_max.0).unwrap_or(usize::MAX)
    }

    /// The most unread input of all connections, in bytes.
    pub(crate) fn unread_input_total_bytes_max(&self) -> usize {
        let total = self.unread_input_total_max.map(|total| usize::try_from(total.0).unwrap_or(usize::MAX));
        total.unwrap_or_else(|| self.unread_input_bytes_max().saturating_mul(8))
    }

    /// The most descriptors that the server and its sessions have open at a time.
    pub(crate) fn descriptors_max(&self) -> usize {
        let (connection, channel) = if self.upstream.is_some() { (3, 0) } else { (2, 4) };
        self.connections_max
            .saturating_mul(connection)
            .saturating_add(self.channels_max.saturating_mul(channel))
    }

    /// Whether a client may set this variable.
    pub(crate) fn allows(&self, variable: &str) -> bool {
        let sound = !variable.is_empty() && !variable.contains(['=', '\0']);
        sound && self.environment.iter().any(|pattern| glob_matches(pattern, variable))
    }
}

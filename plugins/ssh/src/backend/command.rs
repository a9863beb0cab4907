//! What is run for a client, and its environment. Does not know channels.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt;

use russh::Pty;

use crate::backend::process::Size;
use crate::options::SshOptions;

/// Variables of Tapedeck's own environment that a session inherits, as from a login.
const INHERITED: [&str; 7] = ["HOME", "USER", "LOGNAME", "PATH", "SHELL", "LANG", "TZ"];

/// The terminal that a client asks for (`pty-req`).
pub(crate) struct PtyRequest {
    pub(crate) term: String,
    pub(crate) size: Size,
    pub(crate) modes: Vec<(Pty, u32)>,
}

/// What a client asks a channel to run.
pub(crate) enum Request {
    Shell,
    Exec(Vec<u8>),
    /// Upstream hosts only.
    Subsystem(String),
}

/// A process to start.
pub(crate) struct CommandSpec {
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    /// The whole environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// The terminal, if any.
    pub(crate) terminal: Option<PtyRequest>,
}

/// Who asks.
pub(crate) struct Origin<'a> {
    pub(crate) user: &'a str,
    pub(crate) peer: SocketAddr,
    pub(crate) here: SocketAddr,
    /// The recording's name.
    pub(crate) connection: &'a str,
}

impl CommandSpec {
    /// The process for a request. Subsystems are upstream's; asked for here, one is a shell.
    pub(crate) fn new(
        options: &SshOptions,
        origin: &Origin<'_>,
        request: &Request,
        terminal: Option<PtyRequest>,
    ) -> Self {
        let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
        let shell = shell.unwrap_or_else(|| "/bin/sh".into());
        let request = match request {
            Request::Exec(command) => Some(OsString::from_vec(command.clone())),
            Request::Shell | Request::Subsystem(_) => None,
        };
        let mut environment: Vec<(OsString, OsString)> =
            INHERITED.iter().filter_map(|&name| Some((name.into(), std::env::var_os(name)?))).collect();
        let mut put = |name: &str, value: OsString| environment.push((name.into(), value));
        let Origin { user, peer, here, connection } = origin;
        put("SSH_CLIENT", format!("{} {} {}", peer.ip(), peer.port(), here.port()).into());
        put("SSH_CONNECTION", format!("{} {} {} {}", peer.ip(), peer.port(), here.ip(), here.port()).into());
        put("TAPEDECK_CONNECTION", connection.into());
        put("TAPEDECK_USER", user.into());
        if let Some(terminal) = &terminal {
            put("TERM", terminal.term.clone().into());
        }
        let (program, arguments) = match (options.command.split_first(), request) {
            (Some((program, arguments)), request) => {
                if let Some(request) = request {
                    put("SSH_ORIGINAL_COMMAND", request);
                }
                (program.into(), arguments.iter().map(OsString::from).collect())
            }
            (None, Some(request)) => (shell, vec!["-c".into(), request]),
            (None, None) => (shell, vec!["-l".into()]),
        };
        Self { program, arguments, environment, terminal }
    }
}

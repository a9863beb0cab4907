//! What is run for a visitor, and the environment that it gets. Knows nothing of channels.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt;

use russh::Pty;

use crate::child::Size;
use crate::options::SshOptions;

/// The variables of Tapedeck's own that a session gets, as from a login.
const INHERITED: [&str; 7] = ["HOME", "USER", "LOGNAME", "PATH", "SHELL", "LANG", "TZ"];

/// The terminal that a client has in front of it.
pub(crate) struct Terminal {
    pub(crate) term: String,
    pub(crate) size: Size,
    pub(crate) modes: Vec<(Pty, u32)>,
}

/// What a client asks for.
pub(crate) enum Wanted {
    Shell,
    Command(Vec<u8>),
    /// Something that only an upstream host has.
    Subsystem(String),
}

/// What to run.
pub(crate) struct Order {
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    /// All variables that it gets.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// The terminal that it gets, if any.
    pub(crate) terminal: Option<Terminal>,
}

/// Who wants something.
pub(crate) struct Visitor<'guest> {
    pub(crate) user: &'guest str,
    pub(crate) peer: SocketAddr,
    pub(crate) here: SocketAddr,
    /// The recording's name.
    pub(crate) connection: &'guest str,
}

impl Order {
    /// What to run for a client. A subsystem is not there; whoever asks for one anyway gets a shell.
    pub(crate) fn new(
        options: &SshOptions,
        visitor: &Visitor<'_>,
        wanted: &Wanted,
        terminal: Option<Terminal>,
    ) -> Self {
        let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
        let shell = shell.unwrap_or_else(|| "/bin/sh".into());
        let wanted = match wanted {
            Wanted::Command(command) => Some(OsString::from_vec(command.clone())),
            Wanted::Shell | Wanted::Subsystem(_) => None,
        };
        let mut environment: Vec<(OsString, OsString)> =
            INHERITED.iter().filter_map(|&name| Some((name.into(), std::env::var_os(name)?))).collect();
        let mut put = |name: &str, value: OsString| environment.push((name.into(), value));
        let Visitor { user, peer, here, connection } = visitor;
        put("SSH_CLIENT", format!("{} {} {}", peer.ip(), peer.port(), here.port()).into());
        put("SSH_CONNECTION", format!("{} {} {} {}", peer.ip(), peer.port(), here.ip(), here.port()).into());
        put("TAPEDECK_CONNECTION", connection.into());
        put("TAPEDECK_USER", user.into());
        if let Some(terminal) = &terminal {
            put("TERM", terminal.term.clone().into());
        }
        let (program, arguments) = match (options.command.split_first(), wanted) {
            (Some((program, arguments)), wanted) => {
                if let Some(wanted) = wanted {
                    put("SSH_ORIGINAL_COMMAND", wanted);
                }
                (program.into(), arguments.iter().map(OsString::from).collect())
            }
            (None, Some(wanted)) => (shell, vec!["-c".into(), wanted]),
            (None, None) => (shell, vec!["-l".into()]),
        };
        Self { program, arguments, environment, terminal }
    }
}

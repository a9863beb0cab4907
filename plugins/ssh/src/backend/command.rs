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

/// Programs that transfer files over their standard input and output, with the words that make them.
const TRANSFERS: [(&str, &[&str]); 8] = [
    ("scp", &["-t", "-f"]),
    ("rsync", &["--server"]),
    ("git-upload-pack", &[]),
    ("git-receive-pack", &[]),
    ("git-upload-archive", &[]),
    ("git", &["upload-pack", "receive-pack", "upload-archive"]),
    ("sftp-server", &[]),
    ("borg", &["serve"]),
];

impl Request {
    /// The transfer program that a command starts with, if it is one.
    pub(crate) fn transfer(&self) -> Option<&'static str> {
        let Self::Exec(command) = self else { return None };
        let mut words = std::str::from_utf8(command).ok()?.split_ascii_whitespace();
        let program = words.next()?.rsplit('/').next()?;
        let (name, modes) = TRANSFERS.iter().find(|(name, _)| *name == program)?;
        let is_mode = |word: &str| {
            modes.iter().any(|mode| match mode.strip_prefix('-') {
                // Short options may stand together, as in `-rt`.
                Some(letter) if letter.len() == 1 => {
                    word.strip_prefix('-').is_some_and(|word| !word.starts_with('-') && word.contains(letter))
                }
                _ => word == *mode,
            })
        };
        (modes.is_empty() || words.any(is_mode)).then_some(*name)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_known_by_its_program_and_mode() {
        for (command, transfer) in [
            ("scp -t /tmp/x", Some("scp")),
            ("/usr/bin/scp -v -prf -- x", Some("scp")),
            ("scp a b", None),
            ("rsync --server -logDtpr . x", Some("rsync")),
            ("rsync --version", None),
            ("git-upload-pack '/srv/a.git'", Some("git-upload-pack")),
            ("git receive-pack a", Some("git")),
            ("git log", None),
            ("echo scp -t", None),
            ("", None),
        ] {
            assert_eq!(Request::Exec(command.into()).transfer(), transfer, "{command}");
        }
        assert_eq!(Request::Shell.transfer(), None);
        assert_eq!(Request::Exec(b"scp -t \xff".to_vec()).transfer(), None);
    }
}

//! Who a origin is, and what a recording is called and warned of it. Knows nothing of what the origin does.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use crate::backend::command::{PtyRequest, Request};

/// The most letters of a user's name in the name of a recording.
const NAME_LETTERS_MAX: usize = 64;

/// Who has logged in.
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) method: &'static str,
    pub(crate) fingerprint: Option<String>,
}

/// The name of a recording: of a connection's `channel`, from 1 on.
pub(crate) fn recording_name(user: &Identity, peer: SocketAddr, connection: u64, channel: u64) -> String {
    // Anybody may call himself anything; what he did call himself is among the facts.
    let plain =
        |letter: char| if letter.is_alphanumeric() || "_.@+-".contains(letter) { letter } else { '_' };
    let user: String = user.name.chars().take(NAME_LETTERS_MAX).map(plain).collect();
    let name = format!("{user}-{}-{connection}", peer.ip().to_canonical());
    if channel > 1 { format!("{name}-{channel}") } else { name }
}

/// What a recording is warned first, beside who it is.
#[derive(Default)]
pub(crate) struct Details<'a> {
    pub(crate) request: Option<&'a Request>,
    pub(crate) terminal: Option<&'a PtyRequest>,
    pub(crate) upstream: Option<&'a str>,
    /// The host and port that are forwarded.
    pub(crate) forwarded: Option<String>,
}

/// The facts of a recording, as JSON.
pub(crate) fn describe(user: &Identity, peer: SocketAddr, details: &Details<'_>) -> String {
    let (command, subsystem) = match details.request {
        Some(Request::Exec(command)) => (Some(String::from_utf8_lossy(command).into_owned()), None),
        Some(Request::Subsystem(name)) => (None, Some(name.clone())),
        Some(Request::Shell) | None => (None, None),
    };
    let mut facts = Map::new();
    let mut put = |key: &str, value: Value| facts.insert(key.to_owned(), value);
    put("username", json!(user.name));
    put("source_ip", json!(peer.ip().to_canonical().to_string()));
    put("source_port", json!(peer.port()));
    put("authentication_method", json!(user.method));
    for (key, value) in [
        ("key_fingerprint", user.fingerprint.clone()),
        ("term", details.terminal.map(|terminal| terminal.term.clone())),
        ("command", command),
        ("upstream", details.upstream.map(str::to_owned)),
        ("subsystem", subsystem),
        ("forwarded", details.forwarded.clone()),
    ] {
        if let Some(value) = value {
            put(key, value.into());
        }
    }
    Value::Object(facts).to_string()
}

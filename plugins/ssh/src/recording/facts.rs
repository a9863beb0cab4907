//! Who a client is, and a recording's name and facts. Does not know what the client does.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use crate::backend::command::{PtyRequest, Request};

/// The most letters of a user's name in a recording's name.
const NAME_LETTERS_MAX: usize = 64;

/// An authenticated client.
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) method: &'static str,
    pub(crate) fingerprint: Option<String>,
}

/// A recording's name: of a connection's `channel`, from 1 on.
pub(crate) fn recording_name(user: &Identity, peer: SocketAddr, connection: u64, channel: u64) -> String {
    // Any name is accepted; the facts have it as given.
    let plain =
        |letter: char| if letter.is_alphanumeric() || "_.@+-".contains(letter) { letter } else { '_' };
    let user: String = user.name.chars().take(NAME_LETTERS_MAX).map(plain).collect();
    let name = format!("{user}-{}-{connection}", peer.ip().to_canonical());
    if channel > 1 { format!("{name}-{channel}") } else { name }
}

/// A recording's first facts, beside the identity.
#[derive(Default)]
pub(crate) struct Details<'a> {
    pub(crate) request: Option<&'a Request>,
    pub(crate) terminal: Option<&'a PtyRequest>,
    pub(crate) upstream: Option<&'a str>,
    /// The forwarded host and port.
    pub(crate) forwarded: Option<String>,
}

/// The facts as JSON.
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

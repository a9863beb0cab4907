//! Who a visitor is, and what a recording is called and told of it. Knows nothing of what the visitor does.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use crate::order::{Terminal, Wanted};

/// The most letters of a user's name in the name of a recording.
const NAME_LETTERS_MAX: usize = 64;

/// Who has logged in.
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) method: &'static str,
    pub(crate) fingerprint: Option<String>,
}

/// The name of a recording: of a connection's `channel`, from 1 on.
pub(crate) fn name(user: &User, peer: SocketAddr, connection: u64, channel: u64) -> String {
    // Anybody may call himself anything; what he did call himself is among the facts.
    let plain =
        |letter: char| if letter.is_alphanumeric() || "_.@+-".contains(letter) { letter } else { '_' };
    let user: String = user.name.chars().take(NAME_LETTERS_MAX).map(plain).collect();
    let name = format!("{user}-{}-{connection}", peer.ip().to_canonical());
    if channel > 1 { format!("{name}-{channel}") } else { name }
}

/// What a recording is told first, beside who it is.
#[derive(Default)]
pub(crate) struct About<'guest> {
    pub(crate) wanted: Option<&'guest Wanted>,
    pub(crate) terminal: Option<&'guest Terminal>,
    pub(crate) upstream: Option<&'guest str>,
    /// The host and port that are forwarded.
    pub(crate) forwarded: Option<String>,
}

/// The facts of a recording, as JSON.
pub(crate) fn facts(user: &User, peer: SocketAddr, about: &About<'_>) -> String {
    let (command, subsystem) = match about.wanted {
        Some(Wanted::Command(command)) => (Some(String::from_utf8_lossy(command).into_owned()), None),
        Some(Wanted::Subsystem(name)) => (None, Some(name.clone())),
        Some(Wanted::Shell) | None => (None, None),
    };
    let mut facts = Map::new();
    let mut put = |key: &str, value: Value| facts.insert(key.to_owned(), value);
    put("username", json!(user.name));
    put("source_ip", json!(peer.ip().to_canonical().to_string()));
    put("source_port", json!(peer.port()));
    put("authentication_method", json!(user.method));
    for (key, value) in [
        ("key_fingerprint", user.fingerprint.clone()),
        ("term", about.terminal.map(|terminal| terminal.term.clone())),
        ("command", command),
        ("upstream", about.upstream.map(str::to_owned)),
        ("subsystem", subsystem),
        ("forwarded", about.forwarded.clone()),
    ] {
        if let Some(value) = value {
            put(key, value.into());
        }
    }
    Value::Object(facts).to_string()
}

//! Who a client is, and a recording's name and facts. Does not know what the client does.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use crate::backend::command::{PtyRequest, Request};
use crate::backend::left_running::LeftProcess;
use crate::backend::{Exit, signals};

/// The most letters of a user's name in a recording's name.
const NAME_LETTERS_MAX: usize = 64;

/// Facts that output or input are bytes of a transfer, not text; the value is [`AS_BYTES`].
pub(crate) const OUTPUT_AS: &str = "output_as";
pub(crate) const INPUT_AS: &str = "input_as";
pub(crate) const AS_BYTES: &str = "bytes";

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
    /// The transfer program that runs.
    pub(crate) transfer: Option<&'static str>,
    /// Whether the transfer's bytes are recorded as such.
    pub(crate) as_bytes: bool,
}

/// Facts of the identity, as JSON.
pub(crate) fn identify(user: &Identity, peer: SocketAddr) -> Map<String, Value> {
    let mut facts = Map::new();
    for (key, value) in [
        ("username", json!(user.name)),
        ("source_ip", json!(peer.ip().to_canonical().to_string())),
        ("source_port", json!(peer.port())),
        ("authentication_method", json!(user.method)),
    ] {
        facts.insert(key.to_owned(), value);
    }
    if let Some(fingerprint) = &user.fingerprint {
        facts.insert("key_fingerprint".to_owned(), json!(fingerprint));
    }
    facts
}

/// Facts of the identity and the request, as JSON.
pub(crate) fn describe(user: &Identity, peer: SocketAddr, details: &Details<'_>) -> String {
    let (command, subsystem) = match details.request {
        Some(Request::Exec(command)) => (Some(String::from_utf8_lossy(command).into_owned()), None),
        Some(Request::Subsystem(name)) => (None, Some(name.clone())),
        Some(Request::Shell) | None => (None, None),
    };
    let mut facts = identify(user, peer);
    let as_bytes = details.as_bytes.then(|| AS_BYTES.to_owned());
    for (key, value) in [
        ("term", details.terminal.map(|terminal| terminal.term.clone())),
        ("command", command),
        ("upstream", details.upstream.map(str::to_owned)),
        ("subsystem", subsystem),
        ("forwarded", details.forwarded.clone()),
        ("transfer", details.transfer.map(str::to_owned)),
        (OUTPUT_AS, as_bytes.clone()),
        (INPUT_AS, as_bytes),
    ] {
        if let Some(value) = value {
            facts.insert(key.to_owned(), value.into());
        }
    }
    Value::Object(facts).to_string()
}

/// A recording's last facts.
#[derive(Default)]
pub(crate) struct Closing<'a> {
    /// Bytes received from the client, and sent to it.
    pub(crate) bytes: (u64, u64),
    pub(crate) exit: Option<&'a Exit>,
    /// Processes that outlive the session; `None` if unknown.
    pub(crate) left_running: Option<&'a [LeftProcess]>,
    /// What ended the session from outside.
    pub(crate) ended_by: Option<&'a str>,
}

impl Closing<'_> {
    /// The facts as JSON.
    pub(crate) fn facts(&self) -> String {
        let (bytes_in, bytes_out) = self.bytes;
        let mut facts = Map::new();
        facts.insert("bytes_in".to_owned(), json!(bytes_in));
        facts.insert("bytes_out".to_owned(), json!(bytes_out));
        if let Some(Exit::Signal { name, .. }) = self.exit {
            facts.insert("exit_signal".to_owned(), json!(signals::text(name)));
        }
        if let Some(left) = self.left_running {
            facts.insert("left_running".to_owned(), LeftProcess::facts(left));
        }
        if let Some(why) = self.ended_by {
            facts.insert("ended_by".to_owned(), json!(why));
        }
        Value::Object(facts).to_string()
    }
}

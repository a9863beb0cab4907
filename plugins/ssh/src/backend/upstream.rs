//! The connection to the upstream host: one per client connection, made on first use, with
//! Tapedeck's own key and a known host key. Does not know what goes through it.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, AuthResult, ChannelOpenHandle, Msg};
use russh::keys::ssh_key::Algorithm;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, Preferred};
use tapedeck_sdk::{Error, Host};
use tokio::net::TcpStream;

use crate::auth::CredentialFile;
use crate::auth::files::{self, Known, KnownHost};
use crate::auth::keys;
use crate::options::Upstream;

/// How long connecting and logging in may take.
const CONNECT_TIME: Duration = Duration::from_secs(15);

/// Interval of keepalive requests; three without an answer end the connection.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The upstream host and Tapedeck's credentials for it.
pub(crate) struct UpstreamHost {
    options: Upstream,
    hosts: CredentialFile<KnownHost>,
    name: String,
    port: u16,
    key: Arc<PrivateKey>,
    host: Arc<dyn Host>,
    /// The last warning: the same one is not repeated for each client.
    last_warning: Mutex<String>,
}

impl UpstreamHost {
    /// Reads the files once, so that errors show before the first client.
    pub(crate) fn new(options: &Upstream, host: Arc<dyn Host>) -> Result<Self, Error> {
        let (name, port) = options.place()?;
        let key = keys::load_own(&options.key).map_err(|error| error.at_option(["upstream", "key"]))?;
        let known = |error: Error| error.at_option(["upstream", "known_hosts"]);
        let path = &options.known_hosts;
        let hosts = CredentialFile::open("the known hosts", path, files::known_hosts, host.clone());
        let hosts = hosts.map_err(known)?;
        if Known::of(&hosts.entries().map_err(known)?, &name, port).keys.is_empty() {
            let message =
                format!("no key of \"{}\" is known: {}", options.address, options.known_hosts.display());
            return Err(known(Error::environment(message)).with_hint(
                "ask the host's administrator for its key, or take it with `ssh-keyscan` over a trusted network",
            ));
        }
        let last_warning = Mutex::default();
        Ok(Self { options: options.clone(), hosts, name, port, key: Arc::new(key), host, last_warning })
    }

    /// The address as the pipeline names it.
    pub(crate) fn address(&self) -> &str {
        &self.options.address
    }

    fn warn(&self, message: &str) {
        let mut last_warning = self.last_warning.lock().unwrap_or_else(PoisonError::into_inner);
        if *last_warning != message {
            message.clone_into(&mut last_warning);
            self.host.warn(message);
        }
    }

    async fn connect(&self, user: &str) -> Result<client::Handle<HostVerifier>, ConnectError> {
        let hosts = self.hosts.entries().map_err(|error| ConnectError::Host(error.message))?;
        let known = Known::of(&hosts, &self.name, self.port);
        let stream = TcpStream::connect((self.name.as_str(), self.port)).await;
        let stream = stream.map_err(|error| ConnectError::Ssh(error.into()))?;
        _ = stream.set_nodelay(true);
        let config = client::Config {
            keepalive_interval: Some(KEEPALIVE),
            keepalive_max: 3,
            preferred: preferred(&known),
            ..client::Config::default()
        };
        let trust = HostVerifier { known, file: self.hosts.path().display().to_string() };
        let mut handle = client::connect_stream(Arc::new(config), stream, trust).await?;
        let hash = match self.key.algorithm() {
            Algorithm::Rsa { .. } => handle.best_supported_rsa_hash().await?.flatten(),
            _ => None,
        };
        let key = PrivateKeyWithHashAlg::new(self.key.clone(), hash);
        match handle.authenticate_publickey(user, key).await? {
            AuthResult::Success => Ok(handle),
            AuthResult::Failure { .. } => Err(ConnectError::Login),
        }
    }
}

/// Prefers key types that are known of the host, or it might show another one.
fn preferred(known: &Known) -> Preferred {
    let is_known = |algorithm: &Algorithm| {
        known.keys.iter().any(|key| match (key.algorithm(), algorithm) {
            (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
            (key, algorithm) => key == *algorithm,
        })
    };
    let mut keys = Preferred::DEFAULT.key.into_owned();
    keys.sort_by_key(|algorithm| !is_known(algorithm));
    Preferred { key: Cow::Owned(keys), ..Preferred::default() }
}

/// Why connecting failed.
#[derive(Debug)]
pub(crate) enum ConnectError {
    Ssh(russh::Error),
    /// The host key is wrong or unknown.
    Host(String),
    Login,
}

impl From<russh::Error> for ConnectError {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

/// A connection to the upstream host. Closed on drop of the last reference.
pub(crate) struct UpstreamConnection {
    host: Arc<UpstreamHost>,
    user: String,
    /// The connection, if there is one. The lock is held while connecting: one connection is
    /// enough.
    handle: tokio::sync::Mutex<Option<Arc<client::Handle<HostVerifier>>>>,
}

impl UpstreamConnection {
    pub(crate) fn new(host: Arc<UpstreamHost>, origin: &str) -> Self {
        let user = host.options.user.clone().unwrap_or_else(|| origin.to_owned());
        Self { host, user, handle: tokio::sync::Mutex::default() }
    }

    /// The upstream host's address.
    pub(crate) fn address(&self) -> &str {
        self.host.address()
    }

    /// Opens a channel for a shell, a command or a subsystem. The error is for the client.
    pub(crate) async fn session(&self) -> Result<Channel<Msg>, String> {
        let handle = self.handle().await?;
        handle.channel_open_session().await.map_err(|error| self.refusal("a session", &error))
    }

    /// Opens a channel to a host and port as the upstream host sees them.
    pub(crate) async fn forward(
        &self,
        to: (String, u32),
        from: (String, u32),
    ) -> Result<Channel<Msg>, String> {
        let handle = self.handle().await?;
        let opened = handle.channel_open_direct_tcpip(to.0, to.1, from.0, from.1).await;
        opened.map_err(|error| self.refusal("the forwarding", &error))
    }

    fn refusal(&self, what: &str, error: &russh::Error) -> String {
        match error {
            russh::Error::ChannelOpenFailure(reason) => {
                format!("the upstream \"{}\" refuses {what}: {reason:?}", self.address())
            }
            _ => self.lost(),
        }
    }

    /// The message after a lost connection.
    pub(crate) fn lost(&self) -> String {
        format!("the connection to the upstream \"{}\" is lost", self.address())
    }

    async fn handle(&self) -> Result<Arc<client::Handle<HostVerifier>>, String> {
        let mut handle = self.handle.lock().await;
        if let Some(open) = handle.as_ref().filter(|handle| !handle.is_closed()) {
            return Ok(open.clone());
        }
        let connected = tokio::time::timeout(CONNECT_TIME, self.host.connect(&self.user)).await;
        let address = self.address();
        let why = match connected {
            Ok(Ok(connected)) => return Ok(handle.insert(Arc::new(connected)).clone()),
            Ok(Err(ConnectError::Ssh(error))) => {
                format!("can't connect to the upstream \"{address}\": {error}")
            }
            Ok(Err(ConnectError::Host(why))) => {
                format!("the upstream \"{address}\" is not to be trusted: {why}")
            }
            Ok(Err(ConnectError::Login)) => {
                format!("the upstream \"{address}\" does not let \"{}\" in with Tapedeck's key", self.user)
            }
            Err(_late) => {
                format!("the upstream \"{address}\" did not answer within {} s", CONNECT_TIME.as_secs())
            }
        };
        self.host.warn(&why);
        Err(why)
    }
}

/// Verifies the host key, and refuses whatever the upstream host opens.
pub(crate) struct HostVerifier {
    known: Known,
    file: String,
}

impl client::Handler for HostVerifier {
    type Error = ConnectError;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, ConnectError> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            return Err(ConnectError::Host("it shows a certificate, which is not supported".to_owned()));
        };
        if self.known.trusts(key) {
            return Ok(true);
        }
        let why =
            if self.known.keys.is_empty() { "none of its keys is known" } else { "it is not the known one" };
        let shown = key.fingerprint(HashAlg::Sha256);
        Err(ConnectError::Host(format!("it shows the key {shown}, and {why}: {}", self.file)))
    }

    // The library accepts channels by default: a dropped reply refuses one.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _address: &str,
        _port: u32,
        _from: &str,
        _from_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), ConnectError> {
        drop(reply);
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _path: &str,
        reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), ConnectError> {
        drop(reply);
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), ConnectError> {
        drop(reply);
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), ConnectError> {
        drop(reply);
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _host: &str,
        _port: u32,
        _from: &str,
        _from_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), ConnectError> {
        drop(reply);
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _path: &str,
        reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), ConnectError> {
        drop(reply);
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _channel: Channel<Msg>,
        _from: &str,
        _from_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), ConnectError> {
        drop(reply);
        Ok(())
    }
}

//! The server: what all connections share, and the SSH library's settings. Does not know sessions.

pub(crate) mod connection;
pub(crate) mod handler;
pub(crate) mod listener;
pub(crate) mod pending;
pub(crate) mod state;
pub(crate) mod stream;
pub(crate) mod warnings;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use russh::server::Config;
use russh::{MethodKind, MethodSet, Preferred, SshId, cipher};
use tapedeck_sdk::{Host, Watermark};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;

use crate::auth::Authenticator;
use crate::auth::failures::FailedLogins;
use crate::backend::upstream::UpstreamHost;
use crate::channel::Slots;
use crate::channel::backlog::{TotalBudget, WINDOW_BYTES};
use crate::options::SshOptions;
use crate::recording::recorder::{FrameQueue, Recorder};
use crate::server::state::ConnectionState;
use crate::server::warnings::{Warning, Warnings};

/// The most keepalive requests without an answer.
const KEEPALIVES_MAX: u8 = 3;

/// Packets of 32 KiB that the library buffers for a channel: 1 MiB.
const CHANNEL_BUFFER_PACKETS: usize = 32;

/// The most passwords checked at the same time: a check takes memory and time on purpose.
const PASSWORD_CHECKS_MAX: usize = 2;

/// Ciphers in order of preference. The library's own list lacks one that some clients insist on.
const CIPHERS: [cipher::Name; 6] = [
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// Channels between the server and the source.
pub(crate) struct Links {
    pub(crate) frames: FrameQueue,
    /// Watermark of the recording, if sessions wait for it.
    pub(crate) marks: Option<watch::Receiver<Watermark>>,
    /// Held by every running task: the source waits for the last one at its end.
    pub(crate) running: mpsc::Sender<()>,
}

/// State shared by all connections.
pub(crate) struct Server {
    pub(crate) options: SshOptions,
    pub(crate) authenticator: Authenticator,
    pub(crate) failures: FailedLogins,
    pub(crate) upstream: Option<Arc<UpstreamHost>>,
    pub(crate) links: Links,
    /// Frames recorded so far, over all connections.
    pub(crate) count: Arc<AtomicU64>,
    pub(crate) host: Arc<dyn Host>,
    /// The address the server listens on.
    pub(crate) address: SocketAddr,
    /// Unread input of all connections.
    pub(crate) unread_input: Arc<TotalBudget>,
    /// Slots for channels, over all connections.
    pub(crate) channels: Slots,
    checks: Semaphore,
    warnings: Warnings,
}

impl Server {
    pub(crate) fn new(
        options: SshOptions,
        authenticator: Authenticator,
        upstream: Option<Arc<UpstreamHost>>,
        address: SocketAddr,
        host: Arc<dyn Host>,
        links: Links,
    ) -> Self {
        Self {
            failures: FailedLogins::new(options.failed_logins_max),
            checks: Semaphore::new(PASSWORD_CHECKS_MAX),
            unread_input: Arc::new(TotalBudget::new(
                options.unread_input_total_bytes_max(),
                options.connections_max,
            )),
            channels: Slots::new(options.channels_max),
            warnings: Warnings::default(),
            count: Arc::default(),
            options,
            authenticator,
            upstream,
            links,
            host,
            address,
        }
    }

    /// A recorder of this name, whose frames count as activity of the connection.
    pub(crate) fn recorder(&self, name: &str, state: Arc<ConnectionState>) -> Recorder {
        let (frames, count) = (self.links.frames.clone(), self.count.clone());
        Recorder::new(frames, self.host.clone(), name.into(), state, count)
    }

    /// Counts a failed login of this address.
    pub(crate) fn count_failure(&self, address: IpAddr) {
        if self.failures.count(address, Instant::now()) {
            self.warn_once(
                Warning::Barred,
                &format!("{address} failed to log in too often; it is turned away for a minute"),
            );
        }
    }

    /// Warns of a connection that the system can't give, at most once a minute.
    pub(crate) fn warn_of_accept(&self, error: &std::io::Error) {
        if self.warnings.accept_is_due(Instant::now()) {
            self.host.warn(&format!("can't accept connections: {error}"));
        }
    }

    /// Warns the user, once a run for each cause.
    pub(crate) fn warn_once(&self, cause: Warning, message: &str) {
        if self.warnings.is_first(cause) {
            self.host.warn(message);
        }
    }

    /// Verifies a password, unless the address is banned. A wrong one counts as a failed login.
    pub(crate) async fn verifies_password(
        self: &Arc<Self>,
        address: IpAddr,
        user: &str,
        password: &str,
    ) -> bool {
        let Ok(_permit) = self.checks.acquire().await else { return false };
        // Checked after the wait: parallel attempts get no more tries than consecutive ones.
        if self.failures.is_banned(address, Instant::now()) {
            return false;
        }
        let (server, user, password) = (self.clone(), user.to_owned(), password.to_owned());
        let check = tokio::task::spawn_blocking(move || {
            let verified = server.authenticator.verifies_password(&user, &password);
            verified.map_err(|error| server.warn_once(Warning::Passwords, &error.message))
        });
        // An unreadable file admits nobody, through no fault of the client's.
        let Ok(Ok(admitted)) = check.await else { return false };
        if !admitted {
            self.count_failure(address);
        }
        admitted
    }

    /// The SSH library's settings.
    fn config(&self, key: russh::keys::PrivateKey) -> Config {
        let mut methods = MethodSet::empty();
        if self.authenticator.accepts_keys() {
            methods.push(MethodKind::PublicKey);
        }
        if self.authenticator.accepts_passwords() {
            methods.push(MethodKind::Password);
        }
        Config {
            server_id: SshId::Standard(concat!("SSH-2.0-Tapedeck_", env!("CARGO_PKG_VERSION")).into()),
            methods,
            auth_rejection_time: Duration::from_millis(500),
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: vec![key],
            preferred: Preferred { cipher: Cow::Borrowed(&CIPHERS), ..Preferred::default() },
            // Idle time is measured in `connection`: keepalives are no activity.
            inactivity_timeout: None,
            keepalive_interval: Some(self.options.keepalive.0),
            keepalive_max: KEEPALIVES_MAX.into(),
            nodelay: true,
            window_size: WINDOW_BYTES,
            max_auth_attempts: 6,
            channel_buffer_size: CHANNEL_BUFFER_PACKETS,
            ..Config::default()
        }
    }
}

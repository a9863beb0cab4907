//! Takes connections and sees to it that they keep to their limits. Knows nothing of what happens inside one.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use russh::server::{Config, Handle};
use russh::{Disconnect, MethodKind, MethodSet, Preferred, SshId, cipher};
use rustix::net::Shutdown;
use tapedeck_sdk::{Host, Watermark};
use tokio::net::TcpListener;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::auth::Door;
use crate::backlog::WINDOW_BYTES;
use crate::guest::Guest;
use crate::life::Life;
use crate::limits::Failures;
use crate::lobby::{Lobby, Ticket};
use crate::options::SshOptions;
use crate::tape::Frame;
use crate::told::{Cause, Told};
use crate::upstream::Target;
use crate::wire::Wire;

/// How often the limits of a connection are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How long a client may take to close a connection that it was told is over.
const FAREWELL_TIME: Duration = Duration::from_millis(500);

/// How long the one that must make room may take.
const ROOM_TIME: Duration = Duration::from_secs(1);

/// How many times `keepalive` a client may take nothing of what is sent to it: as long as one may be silent.
const STUCK_KEEPALIVES: u32 = KEEPALIVES_MAX as u32 + 1;

/// How many questions may stay without an answer.
const KEEPALIVES_MAX: u8 = 3;

/// How long to wait when the system gives no connection (it has no file numbers left, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many passwords are checked at the same time.
const PASSWORD_CHECKS_MAX: usize = 2;

/// The ciphers, in the order of preference. The library's own list leaves one out that some clients insist on.
const CIPHERS: [cipher::Name; 6] = [
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// The ways between the server and the source.
pub(crate) struct Taps {
    pub(crate) frames: mpsc::Sender<Frame>,
    /// How far the recording is, if sessions wait for it.
    pub(crate) marks: Option<watch::Receiver<Watermark>>,
    /// Held by everything that runs: the source waits for it at its end.
    pub(crate) running: mpsc::Sender<()>,
}

/// What all connections have in common.
pub(crate) struct Server {
    pub(crate) options: SshOptions,
    pub(crate) door: Door,
    pub(crate) failures: Failures,
    pub(crate) upstream: Option<Arc<Target>>,
    pub(crate) taps: Taps,
    /// How many frames there are of all connections.
    pub(crate) count: Arc<AtomicU64>,
    pub(crate) host: Arc<dyn Host>,
    /// Where the server listens.
    pub(crate) address: SocketAddr,
    checks: Semaphore,
    told: Told,
}

impl Server {
    pub(crate) fn new(
        options: SshOptions,
        door: Door,
        upstream: Option<Arc<Target>>,
        address: SocketAddr,
        host: Arc<dyn Host>,
        taps: Taps,
    ) -> Self {
        Self {
            failures: Failures::new(options.failed_logins_max),
            checks: Semaphore::new(PASSWORD_CHECKS_MAX),
            told: Told::default(),
            count: Arc::default(),
            options,
            door,
            upstream,
            taps,
            host,
            address,
        }
    }

    pub(crate) fn count_failure(&self, address: IpAddr) {
        if self.failures.count(address, self.host.now()) {
            self.tell_once(
                Cause::Barred,
                &format!("{address} failed to log in too often; it is turned away for a minute"),
            );
        }
    }

    /// Tells the user of a trouble, the first time that it is there.
    pub(crate) fn tell_once(&self, cause: Cause, message: &str) {
        if self.told.is_first(cause) {
            self.host.warn(message);
        }
    }

    /// Whether this is the user's password, and the address has a try left. A wrong one is counted.
    pub(crate) async fn admits_password(
        self: &Arc<Self>,
        address: IpAddr,
        user: &str,
        password: &str,
    ) -> bool {
        let Ok(_permit) = self.checks.acquire().await else { return false };
        // Asked when it is its turn: many that wait for theirs must not have a try each.
        if self.failures.bars(address, self.host.now()) {
            return false;
        }
        let (server, user, password) = (self.clone(), user.to_owned(), password.to_owned());
        let check = tokio::task::spawn_blocking(move || {
            server.door.admits_password(&user, &password).unwrap_or_else(|error| {
                server.tell_once(Cause::Passwords, &error.message);
                false
            })
        });
        let admitted = check.await.unwrap_or(false);
        if !admitted {
            self.count_failure(address);
        }
        admitted
    }

    fn config(&self, key: russh::keys::PrivateKey) -> Config {
        let mut methods = MethodSet::empty();
        if self.door.takes_keys() {
            methods.push(MethodKind::PublicKey);
        }
        if self.door.takes_passwords() {
            methods.push(MethodKind::Password);
        }
        Config {
            server_id: SshId::Standard(concat!("SSH-2.0-Tapedeck_", env!("CARGO_PKG_VERSION")).into()),
            methods,
            auth_rejection_time: Duration::from_millis(500),
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: vec![key],
            preferred: Preferred { cipher: Cow::Borrowed(&CIPHERS), ..Preferred::default() },
            // Silence is watched over here, by the session's clock.
            inactivity_timeout: None,
            keepalive_interval: Some(self.options.keepalive.0),
            keepalive_max: KEEPALIVES_MAX.into(),
            nodelay: true,
            window_size: WINDOW_BYTES,
            max_auth_attempts: 6,
            ..Config::default()
        }
    }
}

/// Takes connections until told to stop.
pub(crate) async fn listen(
    server: Arc<Server>,
    listener: TcpListener,
    key: russh::keys::PrivateKey,
    mut stop: watch::Receiver<bool>,
) {
    let config = Arc::new(server.config(key));
    let places = Arc::new(Semaphore::new(server.options.connections_max));
    let lobby = Arc::new(Lobby::default());
    let mut number = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if server.failures.bars(peer.ip(), server.host.now()) {
            continue;
        }
        // Who is one too many is closed at once: nothing is read, nothing is kept.
        let Some(place) = place(&places, &lobby).await else {
            server.tell_once(
                Cause::Full,
                &format!(
                    "there are {} connections, and more are turned away",
                    server.options.connections_max
                ),
            );
            continue;
        };
        number += 1;
        let (ticket, leave) = lobby.enter(number, peer.ip());
        let connection =
            Connection { server: server.clone(), peer, number, stop: stop.clone(), place, leave };
        tokio::spawn(connection.serve(config.clone(), stream, ticket));
    }
}

/// A place for one more, if need be that of one who has not logged in.
async fn place(places: &Arc<Semaphore>, lobby: &Lobby) -> Option<OwnedSemaphorePermit> {
    if let Ok(place) = places.clone().try_acquire_owned() {
        return Some(place);
    }
    if !lobby.make_room() {
        return None;
    }
    tokio::time::timeout(ROOM_TIME, places.clone().acquire_owned()).await.ok()?.ok()
}

struct Connection {
    server: Arc<Server>,
    peer: SocketAddr,
    number: u64,
    stop: watch::Receiver<bool>,
    place: OwnedSemaphorePermit,
    /// Told when somebody else needs the place.
    leave: Arc<Notify>,
}

impl Connection {
    async fn serve(mut self, config: Arc<Config>, stream: tokio::net::TcpStream, ticket: Ticket) {
        let guard = self.server.taps.running.clone();
        // The session owns the stream; this is how it can still be cut off.
        let Ok((stream, cut)) = twins(stream) else { return };
        _ = stream.set_nodelay(true);
        let life = Arc::new(Life::new(self.server.host.now()));
        let guest = Guest::new(self.server.clone(), self.peer, self.number, life.clone(), ticket);
        let wire = Wire::new(stream, life.clone(), self.server.host.clone());
        // What does not speak SSH is of no interest.
        let mut session = tokio::select! {
            begun = russh::server::run_stream(config, wire, guest) => match begun {
                Ok(session) => session,
                Err(_) => return,
            },
            _why = self.overstays(&life) => return,
        };
        let handle = session.handle();
        tokio::select! {
            _ = &mut session => {}
            why = self.overstays(&life) => {
                // All sessions end, and with them whatever the library may wait for but the network.
                life.end(why);
                let listens = life.logged_in() && {
                    tokio::spawn(say_farewell(handle, why));
                    tokio::time::timeout(FAREWELL_TIME, &mut session).await.is_ok()
                };
                if !listens {
                    // It is not connected any more, if that fails.
                    _ = rustix::net::shutdown(&cut, Shutdown::Both);
                    drop(tokio::time::timeout(FAREWELL_TIME, &mut session).await);
                }
            }
        }
        drop((guard, self.place));
    }

    /// Waits until the connection must end, and says why.
    async fn overstays(&mut self, life: &Life) -> &'static str {
        let options = &self.server.options;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
                () = self.leave.notified(), if !life.logged_in() => return "its place is needed",
                _ = self.stop.wait_for(|stop| *stop) => return "the recording has ended",
            }
            let now = self.server.host.now();
            let age = life.age(now);
            if !life.logged_in() && age >= options.login_timeout.0 {
                return "no login";
            }
            if options.time_limit.is_some_and(|limit| age >= limit.0) {
                return "the time limit is over";
            }
            if options.idle_timeout.is_some_and(|limit| life.silent_for(now) >= limit.0) {
                return "idle for too long";
            }
            if life.stuck_for(now) >= options.keepalive.0 * STUCK_KEEPALIVES {
                return "the client does not read";
            }
        }
    }
}

async fn say_farewell(handle: Handle, why: &'static str) {
    // A session that is over needs no farewell.
    drop(handle.disconnect(Disconnect::ByApplication, why.to_owned(), String::new()).await);
}

fn twins(stream: tokio::net::TcpStream) -> std::io::Result<(tokio::net::TcpStream, TcpStream)> {
    let stream = stream.into_std()?;
    let twin = stream.try_clone()?;
    Ok((tokio::net::TcpStream::from_std(stream)?, twin))
}

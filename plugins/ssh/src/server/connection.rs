//! Supervises one connection: its limits, and its end. Does not know what the client asks for.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use russh::Disconnect;
use russh::server::{Config, Handle};
use rustix::net::Shutdown;
use tokio::sync::{Notify, OwnedSemaphorePermit, watch};

use crate::server::handler::ClientHandler;
use crate::server::pending::PendingLogin;
use crate::server::state::ConnectionState;
use crate::server::stream::MonitoredStream;
use crate::server::{KEEPALIVES_MAX, Server};

/// How often the limits of a connection are checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// How long a client may take to close a connection after a disconnect message.
const DISCONNECT_TIME: Duration = Duration::from_millis(500);

/// `keepalive` intervals that a client may leave its output unread: as many as it may be silent.
const BLOCKED_KEEPALIVES: u32 = KEEPALIVES_MAX as u32 + 1;

/// An accepted connection.
pub(crate) struct Connection {
    pub(crate) server: Arc<Server>,
    pub(crate) peer: SocketAddr,
    pub(crate) number: u64,
    pub(crate) stop: watch::Receiver<bool>,
    /// Its slot among `connections_max`.
    pub(crate) slot: OwnedSemaphorePermit,
    /// Notified when another connection needs the slot.
    pub(crate) evicted: Arc<Notify>,
}

impl Connection {
    /// Serves the connection to its end.
    pub(crate) async fn serve(
        mut self,
        config: Arc<Config>,
        stream: tokio::net::TcpStream,
        pending_login: PendingLogin,
    ) {
        let guard = self.server.links.running.clone();
        // The library owns the stream; the second descriptor can still shut it down.
        let (stream, shutdown) = match duplicate(stream) {
            Ok(pair) => pair,
            Err(error) => return self.server.warn_of_accept(&error),
        };
        _ = stream.set_nodelay(true);
        let connection = Arc::new(ConnectionState::new());
        let handler = ClientHandler::new(
            self.server.clone(),
            self.peer,
            self.number,
            connection.clone(),
            pending_login,
        );
        let stream = MonitoredStream::new(stream, connection.clone());
        // A peer that does not speak SSH leaves no trace.
        let mut session = tokio::select! {
            begun = russh::server::run_stream(config, stream, handler) => match begun {
                Ok(session) => session,
                Err(_) => return,
            },
            _why = self.exceeds_limits(&connection) => return,
        };
        let handle = session.handle();
        tokio::select! {
            _ = &mut session => {}
            why = self.exceeds_limits(&connection) => {
                // Ends all sessions first: the library then waits for nothing but the network.
                connection.end(why);
                let answered = connection.logged_in() && {
                    tokio::spawn(disconnect(handle, why));
                    tokio::time::timeout(DISCONNECT_TIME, &mut session).await.is_ok()
                };
                if !answered {
                    // Fails only if the peer has gone already.
                    _ = rustix::net::shutdown(&shutdown, Shutdown::Both);
                    drop(tokio::time::timeout(DISCONNECT_TIME, &mut session).await);
                }
            }
        }
        connection.close();
        drop((guard, self.slot));
    }

    /// Waits until the connection exceeds a limit; returns the reason.
    async fn exceeds_limits(&mut self, connection: &ConnectionState) -> &'static str {
        let options = &self.server.options;
        loop {
            tokio::select! {
                () = tokio::time::sleep(CHECK_INTERVAL) => {}
                () = self.evicted.notified(), if !connection.logged_in() => return "its slot is needed",
                _ = self.stop.wait_for(|stop| *stop) => return "the recording has ended",
            }
            let age = connection.age();
            if !connection.logged_in() && age >= options.login_timeout.0 {
                return "no login";
            }
            if options.time_limit.is_some_and(|limit| age >= limit.0) {
                return "the time limit is over";
            }
            if options.idle_timeout.is_some_and(|limit| connection.idle_for() >= limit.0) {
                return "idle for too long";
            }
            if connection.blocked_for() >= options.keepalive.0 * BLOCKED_KEEPALIVES {
                return "the client does not read";
            }
        }
    }
}

async fn disconnect(handle: Handle, why: &'static str) {
    // Fails only if the connection has ended already.
    drop(handle.disconnect(Disconnect::ByApplication, why.to_owned(), String::new()).await);
}

fn duplicate(stream: tokio::net::TcpStream) -> std::io::Result<(tokio::net::TcpStream, TcpStream)> {
    let stream = stream.into_std()?;
    let second = stream.try_clone()?;
    Ok((tokio::net::TcpStream::from_std(stream)?, second))
}

//! Accepts connections and gives each a slot. Does not know what happens in a connection.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use crate::server::Server;
use crate::server::connection::Connection;
use crate::server::pending::PendingLogins;
use crate::server::warnings::Warning;

/// How long an evicted connection may take to free its slot.
const EVICTION_TIME: Duration = Duration::from_secs(1);

/// Pause after a failed accept; mostly the process is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until told to stop.
pub(crate) async fn listen(
    server: Arc<Server>,
    listener: TcpListener,
    key: russh::keys::PrivateKey,
    mut stop: watch::Receiver<bool>,
) {
    let config = Arc::new(server.config(key));
    let slots = Arc::new(Semaphore::new(server.options.connections_max));
    let pending = Arc::new(PendingLogins::default());
    let mut number = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            // The client has gone before it was accepted.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                server.warn_of_accept(&error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if server.failures.is_banned(peer.ip(), Instant::now()) {
            continue;
        }
        // One too many is closed at once: nothing is read, nothing is kept.
        let Some(slot) = slot(&slots, &pending).await else {
            server.warn_once(
                Warning::Full,
                &format!(
                    "all {} connections are taken, and more are turned away",
                    server.options.connections_max
                ),
            );
            continue;
        };
        number += 1;
        let (pending_login, evicted) = pending.add(number, peer.ip());
        let connection =
            Connection { server: server.clone(), peer, number, stop: stop.clone(), slot, evicted };
        tokio::spawn(connection.serve(config.clone(), stream, pending_login));
    }
}

/// A slot for a new connection, if necessary that of a pending login.
async fn slot(slots: &Arc<Semaphore>, pending: &PendingLogins) -> Option<OwnedSemaphorePermit> {
    if let Ok(slot) = slots.clone().try_acquire_owned() {
        return Some(slot);
    }
    if !pending.evict_one() {
        return None;
    }
    tokio::time::timeout(EVICTION_TIME, slots.clone().acquire_owned()).await.ok()?.ok()
}

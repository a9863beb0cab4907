//! Handles one client's authentication and requests. Does not know what runs in its channels.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use russh::keys::{HashAlg, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, Pty, Sig};

use crate::backend::command::{PtyRequest, Request};
use crate::backend::process::Size;
use crate::backend::upstream::UpstreamConnection;
use crate::channel::backlog::InputBudget;
use crate::channel::idle::IdleReader;
use crate::channel::session::Control;
use crate::channel::{ChannelState, IdleChannel};
use crate::recording::facts::{self, Identity};
use crate::recording::login::Login;
use crate::server::Server;
use crate::server::pending::PendingLogin;
use crate::server::state::ConnectionState;
use crate::server::warnings::Warning;

/// The most environment variables of a session, and the most bytes of one.
const VARIABLES_MAX: usize = 64;
const VARIABLE_BYTES_MAX: usize = 4096;

/// A client.
pub(crate) struct ClientHandler {
    pub(crate) server: Arc<Server>,
    pub(crate) peer: SocketAddr,
    pub(crate) number: u64,
    pub(crate) connection: Arc<ConnectionState>,
    pub(crate) user: Option<Identity>,
    /// Held until the login.
    pending_login: Option<PendingLogin>,
    /// The upstream host, if sessions go there.
    pub(crate) upstream: Option<Arc<UpstreamConnection>>,
    /// Whether a key was refused and not counted yet.
    failed: bool,
    pub(crate) channels: HashMap<ChannelId, ChannelState>,
    /// Unread input of all channels.
    pub(crate) budget: Arc<InputBudget>,
    pub(crate) channels_opened: u64,
}

impl Drop for ClientHandler {
    fn drop(&mut self) {
        // A client may offer several keys before the right one: only a client that ends without a
        // login has failed.
        if self.failed && self.user.is_none() {
            self.server.count_failure(self.peer.ip());
        }
        self.connection.close();
    }
}

impl ClientHandler {
    pub(crate) fn new(
        server: Arc<Server>,
        peer: SocketAddr,
        number: u64,
        connection: Arc<ConnectionState>,
        pending_login: PendingLogin,
    ) -> Self {
        let budget =
            Arc::new(InputBudget::new(server.options.unread_input_bytes_max(), server.unread_input.clone()));
        Self {
            server,
            peer,
            number,
            connection,
            user: None,
            pending_login: Some(pending_login),
            upstream: None,
            failed: false,
            channels: HashMap::new(),
            budget,
            channels_opened: 0,
        }
    }

    fn admit(&mut self, name: &str, method: &'static str, key: Option<&PublicKey>) -> Auth {
        let fingerprint = key.map(|key| key.fingerprint(HashAlg::Sha256).to_string());
        self.upstream =
            self.server.upstream.clone().map(|host| Arc::new(UpstreamConnection::new(host, name)));
        self.user = Some(Identity { name: name.to_owned(), method, fingerprint });
        Auth::Accept
    }

    /// Whether the key is authorized. A key that is not counts as a failed login.
    fn knows(&mut self, key: &PublicKey) -> bool {
        match self.server.authenticator.authorizes_key(key) {
            Ok(known) => {
                self.failed |= !known;
                known
            }
            // An unreadable file admits nobody, through no fault of the client's.
            Err(error) => {
                self.server.warn_once(Warning::Keys, &error.message);
                false
            }
        }
    }
}

/// Answers a channel request.
fn answer(id: ChannelId, granted: bool, session: &mut russh::server::Session) -> Result<(), russh::Error> {
    if granted { session.channel_success(id) } else { session.channel_failure(id) }
}

impl Handler for ClientHandler {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(if self.knows(offer.public_key) { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        if self.knows(key.public_key) {
            return Ok(self.admit(user, "publickey", Some(key.public_key)));
        }
        Ok(Auth::reject())
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        let admitted = self.server.verifies_password(self.peer.ip(), user, password).await;
        Ok(if admitted { self.admit(user, "password", None) } else { Auth::reject() })
    }

    async fn auth_succeeded(&mut self, _session: &mut russh::server::Session) -> Result<(), Self::Error> {
        self.connection.log_in();
        self.pending_login = None;
        if let Some(user) = &self.user {
            let name = format!("{}-login", facts::recording_name(user, self.peer, self.number, 1));
            let login = Login {
                // The trace itself is no activity of the connection.
                recorder: self.server.recorder(&name, Arc::new(ConnectionState::new())),
                state: self.connection.clone(),
                facts: facts::identify(user, self.peer),
                running: self.server.links.running.clone(),
            };
            tokio::spawn(login.trace());
        }
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        let Some(slot) = self.slot(false) else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        };
        self.channels_opened += 1;
        let (from_client, to_client) = channel.split();
        let id = to_client.id();
        let idle = IdleChannel {
            reader: IdleReader::new(from_client),
            to_client,
            number: self.channels_opened,
            terminal: None,
            variables: Vec::new(),
            slot,
        };
        self.channels.insert(id, ChannelState::Idle(Box::new(idle)));
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        from: &str,
        from_port: u32,
        reply: ChannelOpenHandle,
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        self.forward(channel, (host.to_owned(), port), (from.to_owned(), from_port), reply, session);
        Ok(())
    }

    async fn channel_close(
        &mut self,
        id: ChannelId,
        _session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        self.channels.remove(&id);
        Ok(())
    }

    async fn data(
        &mut self,
        id: ChannelId,
        _data: &[u8],
        _session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        // The channel has the data already.
        if let Some(ChannelState::Active { backlog, .. }) = self.channels.get(&id) {
            tokio::select! {
                () = backlog.throttle() => {}
                () = self.connection.ended() => {}
            }
        }
        Ok(())
    }

    fn adjust_window(&mut self, id: ChannelId, current: u32) -> u32 {
        match self.channels.get(&id) {
            Some(ChannelState::Active { backlog, .. }) => backlog.window(),
            _ => current,
        }
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        modes: &[(Pty, u32)],
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        let sound = !term.contains('\0') && term.len() <= VARIABLE_BYTES_MAX;
        let granted = match self.channels.get_mut(&id) {
            Some(ChannelState::Idle(idle)) if sound => {
                let size = Size::requested((columns, rows), (width, height));
                idle.terminal = Some(PtyRequest { term: term.to_owned(), size, modes: modes.to_vec() });
                true
            }
            _ => false,
        };
        answer(id, granted, session)
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        name: &str,
        value: &str,
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        let sound = self.server.options.allows(name)
            && !value.contains('\0')
            && name.len() + value.len() <= VARIABLE_BYTES_MAX;
        let granted = match self.channels.get_mut(&id) {
            Some(ChannelState::Idle(idle)) if sound && idle.variables.len() < VARIABLES_MAX => {
                idle.variables.push((name.to_owned(), value.to_owned()));
                true
            }
            _ => false,
        };
        answer(id, granted, session)
    }

    async fn shell_request(
        &mut self,
        id: ChannelId,
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        let granted = self.start(id, Request::Shell, session);
        if !granted {
            self.connection.refuse(|| "shell".to_owned());
        }
        answer(id, granted, session)
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        let granted = self.start(id, Request::Exec(command.to_vec()), session);
        if !granted {
            self.connection.refuse(|| "command".to_owned());
        }
        answer(id, granted, session)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        let allowed =
            self.upstream.is_some() && self.server.options.subsystems.iter().any(|known| known == name);
        let granted = allowed && self.start(id, Request::Subsystem(name.to_owned()), session);
        if !granted {
            self.connection.refuse(|| format!("subsystem {name}"));
        }
        answer(id, granted, session)
    }

    async fn x11_request(
        &mut self,
        id: ChannelId,
        _single: bool,
        _protocol: &str,
        _cookie: &str,
        _screen: u32,
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        self.connection.refuse(|| "X11".to_owned());
        answer(id, false, session)
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        _session: &mut russh::server::Session,
    ) -> Result<bool, Self::Error> {
        self.connection.refuse(|| format!("forwarding from {address}:{port}"));
        Ok(false)
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        let granted = match self.channels.get(&id) {
            Some(ChannelState::Active { control, terminal: true, .. }) => {
                control.send(Control::Resize(Size::requested((columns, rows), (width, height)))).await.is_ok()
            }
            _ => false,
        };
        answer(id, granted, session)
    }

    async fn signal(
        &mut self,
        id: ChannelId,
        signal: Sig,
        _session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        if let Some(ChannelState::Active { control, .. }) = self.channels.get(&id) {
            // Fails only if the session is over.
            drop(control.send(Control::Signal(signal)).await);
        }
        Ok(())
    }
}

//! One connection: who it is, and what it asks for. Knows nothing of what then runs.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use russh::keys::{HashAlg, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, Pty, Sig};
use serde_json::json;
use tokio::sync::mpsc;

use crate::accept::Server;
use crate::backlog::Backlog;
use crate::child::{Program, Size};
use crate::limits::Life;
use crate::order::{Order, Terminal, Visitor};
use crate::session::{Control, Session};
use crate::tape::Tape;

/// The most channels of a connection at the same time.
const CHANNELS_MAX: usize = 16;

/// The most environment variables of a session, and the most bytes of one.
const VARIABLES_MAX: usize = 64;
const VARIABLE_BYTES_MAX: usize = 4096;

/// Requests on their way to a session. A client that sends more waits.
const CONTROLS_MAX: usize = 16;

/// The most letters of a user's name in the name of a recording.
const NAME_LETTERS_MAX: usize = 64;

/// Who has logged in.
struct User {
    name: String,
    method: &'static str,
    fingerprint: Option<String>,
}

/// A channel.
enum Room {
    /// Nothing runs in it yet.
    Empty {
        channel: Box<Channel<Msg>>,
        number: u64,
        terminal: Option<Terminal>,
        variables: Vec<(String, String)>,
    },
    Busy {
        control: mpsc::Sender<Control>,
        terminal: bool,
        backlog: Arc<Backlog>,
    },
}

/// A connection.
pub(crate) struct Guest {
    server: Arc<Server>,
    peer: SocketAddr,
    number: u64,
    life: Arc<Life>,
    user: Option<User>,
    /// Whether a login failed in a way that was not counted at once.
    failed: bool,
    rooms: HashMap<ChannelId, Room>,
    channels: u64,
}

impl Drop for Guest {
    fn drop(&mut self) {
        // A client may offer several keys before the right one; only one that goes away without was wrong.
        if self.failed && self.user.is_none() {
            self.server.count_failure(self.peer.ip());
        }
    }
}

impl Guest {
    pub(crate) fn new(server: Arc<Server>, peer: SocketAddr, number: u64, life: Arc<Life>) -> Self {
        Self { server, peer, number, life, user: None, failed: false, rooms: HashMap::new(), channels: 0 }
    }

    fn admit(&mut self, name: &str, method: &'static str, key: Option<&PublicKey>) -> Auth {
        let fingerprint = key.map(|key| key.fingerprint(HashAlg::Sha256).to_string());
        self.user = Some(User { name: name.to_owned(), method, fingerprint });
        Auth::Accept
    }

    fn knows(&self, key: &PublicKey) -> bool {
        // A file that can't be read any more lets nobody in.
        self.server.door.admits_key(key).unwrap_or_else(|error| {
            self.server.tell_once(&error.message);
            false
        })
    }

    /// The recording's name.
    fn name(&self, number: u64) -> String {
        let user = self.user.as_ref().map_or("", |user| &user.name);
        // Anybody may call himself anything; what he did call himself is among the facts.
        let plain =
            |letter: char| if letter.is_alphanumeric() || "_.@+-".contains(letter) { letter } else { '_' };
        let user: String = user.chars().take(NAME_LETTERS_MAX).map(plain).collect();
        let name = format!("{user}-{}-{}", self.peer.ip().to_canonical(), self.number);
        if number > 1 { format!("{name}-{number}") } else { name }
    }

    fn facts(&self, command: Option<&[u8]>, terminal: Option<&Terminal>) -> String {
        let user = self.user.as_ref();
        let mut facts = json!({
            "username": user.map(|user| &user.name),
            "source_ip": self.peer.ip().to_canonical().to_string(),
            "source_port": self.peer.port(),
            "authentication_method": user.map(|user| user.method),
        });
        let mut put = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                facts[key] = value.into();
            }
        };
        put("key_fingerprint", user.and_then(|user| user.fingerprint.clone()));
        put("term", terminal.map(|terminal| terminal.term.clone()));
        put("command", command.map(|command| String::from_utf8_lossy(command).into_owned()));
        facts.to_string()
    }

    /// Starts what the client asks for. Says whether something runs now.
    fn start(&mut self, id: ChannelId, wanted: Option<&[u8]>, session: &russh::server::Session) -> bool {
        let Some(room) = self.rooms.remove(&id) else { return false };
        let Room::Empty { channel, number, terminal, variables } = room else {
            // A channel runs one thing only.
            self.rooms.insert(id, room);
            return false;
        };
        let name = self.name(number);
        let facts = self.facts(wanted, terminal.as_ref());
        let size = terminal.as_ref().map(|terminal| terminal.size);
        let user = self.user.as_ref().map_or("", |user| &user.name);
        let visitor = Visitor { user, peer: self.peer, here: self.server.address, connection: &name };
        let mut order = Order::new(&self.server.options, &visitor, wanted, terminal);
        order.environment.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        let (program, ends) = match Program::start(order) {
            Ok(started) => started,
            Err(error) => {
                let what = self.server.options.command.first().map_or("the shell", String::as_str);
                self.server.tell_once(&format!("can't start \"{what}\" for a session: {error}"));
                return false;
            }
        };
        let (control, requests) = mpsc::channel(CONTROLS_MAX);
        let (from_client, to_client) = channel.split();
        let backlog = Arc::new(Backlog::default());
        let running = Session {
            program,
            ends,
            tape: Tape {
                frames: self.server.frames.clone(),
                host: self.server.host.clone(),
                connection: name.into(),
                life: self.life.clone(),
            },
            handle: session.handle(),
            from_client,
            to_client,
            control: requests,
            records_input: self.server.options.input,
            backlog: backlog.clone(),
        };
        self.rooms.insert(id, Room::Busy { control, terminal: size.is_some(), backlog });
        let guard = self.server.running.clone();
        tokio::spawn(async move {
            running.run(facts, size).await;
            drop(guard);
        });
        true
    }
}

/// Tells the client whether it got what it asked for.
fn answer(id: ChannelId, granted: bool, session: &mut russh::server::Session) -> Result<(), russh::Error> {
    if granted { session.channel_success(id) } else { session.channel_failure(id) }
}

impl Handler for Guest {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        let known = self.knows(offer.public_key);
        self.failed |= !known;
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        if self.knows(key.public_key) {
            return Ok(self.admit(user, "publickey", Some(key.public_key)));
        }
        self.failed = true;
        Ok(Auth::reject())
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        let address = self.peer.ip();
        if self.server.failures.bars(address, self.server.host.now()) {
            return Ok(Auth::reject());
        }
        if self.server.admits_password(user, password).await {
            return Ok(self.admit(user, "password", None));
        }
        self.server.count_failure(address);
        Ok(Auth::reject())
    }

    async fn auth_succeeded(&mut self, _session: &mut russh::server::Session) -> Result<(), Self::Error> {
        self.life.log_in();
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        if self.rooms.len() >= CHANNELS_MAX {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        self.channels += 1;
        let room = Room::Empty {
            number: self.channels,
            terminal: None,
            variables: Vec::new(),
            channel: Box::new(channel),
        };
        if let Room::Empty { channel, .. } = &room {
            self.rooms.insert(channel.id(), room);
        }
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(
        &mut self,
        id: ChannelId,
        _session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        self.rooms.remove(&id);
        Ok(())
    }

    async fn data(
        &mut self,
        id: ChannelId,
        _data: &[u8],
        _session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        // The channel itself has it already.
        if let Some(Room::Busy { backlog, .. }) = self.rooms.get(&id) {
            backlog.brake().await;
        }
        Ok(())
    }

    fn adjust_window(&mut self, id: ChannelId, current: u32) -> u32 {
        match self.rooms.get(&id) {
            Some(Room::Busy { backlog, .. }) => backlog.window(),
            _ => current,
        }
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        _width: u32,
        _height: u32,
        modes: &[(Pty, u32)],
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        let sound = !term.contains('\0') && term.len() <= VARIABLE_BYTES_MAX;
        let granted = match self.rooms.get_mut(&id) {
            Some(Room::Empty { terminal, .. }) if sound => {
                let size = Size::told(columns, rows);
                *terminal = Some(Terminal { term: term.to_owned(), size, modes: modes.to_vec() });
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
        let granted = match self.rooms.get_mut(&id) {
            Some(Room::Empty { variables, .. }) if sound && variables.len() < VARIABLES_MAX => {
                variables.push((name.to_owned(), value.to_owned()));
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
        let granted = self.start(id, None, session);
        answer(id, granted, session)
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        let granted = self.start(id, Some(command), session);
        answer(id, granted, session)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _name: &str,
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        answer(id, false, session)
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
        answer(id, false, session)
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        columns: u32,
        rows: u32,
        _width: u32,
        _height: u32,
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        let granted = match self.rooms.get(&id) {
            Some(Room::Busy { control, terminal: true, .. }) => {
                control.send(Control::Resize(Size::told(columns, rows))).await.is_ok()
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
        if let Some(Room::Busy { control, .. }) = self.rooms.get(&id) {
            // A session that is over needs no signal.
            drop(control.send(Control::Signal(signal)).await);
        }
        Ok(())
    }
}

//! The channels of a connection, and how something begins in one. Knows nothing of logins, nor of the requests themselves.

use std::io;
use std::sync::Arc;

use russh::server::{ChannelOpenHandle, Handle, Msg};
use russh::{Channel, ChannelId, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::mpsc;

use crate::backlog::Backlog;
use crate::child::Size;
use crate::ends::{Inlet, Outlet};
use crate::gate::Gate;
use crate::guest::Guest;
use crate::hall::Hall;
use crate::local;
use crate::order::{Order, Terminal, Visitor, Wanted};
use crate::relay;
use crate::session::{Control, Records, Session};
use crate::tape::Tape;
use crate::told::Cause;
use crate::visitor::{self, About};

/// The most channels of a connection at the same time, and the most with port forwarding, for which one visitor's browser opens many.
const CHANNELS_MAX: usize = 16;
const FORWARDING_CHANNELS_MAX: usize = 128;

/// Requests on their way to a session. A client that sends more waits.
const CONTROLS_MAX: usize = 16;

/// A channel.
pub(crate) enum Room {
    /// Nothing runs in it yet.
    Empty {
        hall: Hall,
        to_client: ChannelWriteHalf<Msg>,
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

/// What of a channel makes it a session, once there is something to connect it to.
struct Line {
    to_client: ChannelWriteHalf<Msg>,
    control: mpsc::Receiver<Control>,
    backlog: Arc<Backlog>,
    tape: Tape,
    gate: Gate,
    handle: Handle,
    records: Records,
}

impl Line {
    async fn run(
        self,
        from_client: ChannelReadHalf,
        (outlet, inlet): (Outlet, Inlet),
        facts: String,
        size: Option<Size>,
    ) {
        let Self { to_client, control, backlog, tape, gate, handle, records } = self;
        let session =
            Session { outlet, inlet, tape, gate, handle, from_client, to_client, control, records, backlog };
        session.run(facts, size).await;
    }
}

impl Guest {
    /// Whether one more channel is too many. Those that are over count no more.
    pub(crate) fn is_full(&mut self) -> bool {
        self.rooms.retain(|_, room| !matches!(room, Room::Busy { control, .. } if control.is_closed()));
        let forwarding = self.server.options.forwarding;
        self.rooms.len() >= if forwarding { FORWARDING_CHANNELS_MAX } else { CHANNELS_MAX }
    }

    /// Makes the channel busy.
    fn occupy(
        &mut self,
        to_client: ChannelWriteHalf<Msg>,
        name: String,
        terminal: bool,
        records: Records,
        handle: Handle,
    ) -> Line {
        let (control, requests) = mpsc::channel(CONTROLS_MAX);
        let backlog = Arc::new(Backlog::new(self.budget.clone()));
        self.rooms.insert(to_client.id(), Room::Busy { control, terminal, backlog: backlog.clone() });
        let server = &self.server;
        let (frames, host, count) = (server.taps.frames.clone(), server.host.clone(), server.count.clone());
        let tape = Tape::new(frames, host, name.into(), self.life.clone(), count);
        let gate = Gate::new(server.taps.marks.clone());
        Line { to_client, control: requests, backlog, tape, gate, handle, records }
    }

    /// Starts what the client asks for. Says whether something runs now, or is on its way.
    pub(crate) fn start(&mut self, id: ChannelId, wanted: Wanted, session: &russh::server::Session) -> bool {
        let Some(user) = self.user.as_ref().filter(|_| self.life.ended().is_none()) else { return false };
        let (hall, to_client, number, terminal, variables) = match self.rooms.remove(&id) {
            Some(Room::Empty { hall, to_client, number, terminal, variables }) => {
                (hall, to_client, number, terminal, variables)
            }
            Some(room) => {
                // A channel runs one thing only.
                self.rooms.insert(id, room);
                return false;
            }
            None => return false,
        };
        let name = visitor::name(user, self.peer, self.number, number);
        let upstream = self.link.as_ref().map(|link| link.address());
        let about =
            About { wanted: Some(&wanted), terminal: terminal.as_ref(), upstream, ..About::default() };
        let facts = visitor::facts(user, self.peer, &about);
        let size = terminal.as_ref().map(|terminal| terminal.size);
        let records = match &wanted {
            Wanted::Subsystem(_) => Records::Counts,
            _ if self.server.options.input => Records::OutputAndInput,
            _ => Records::Output,
        };
        let ends = match &self.link {
            Some(link) => Ok(relay::session(relay::Ask { link: link.clone(), wanted, terminal, variables })),
            None => self.start_here(&name, &wanted, terminal, variables),
        };
        let ends = match ends {
            Ok(ends) => ends,
            Err(error) => {
                let what = self.server.options.command.first().map_or("the shell", String::as_str);
                self.server
                    .tell_once(Cause::Start, &format!("can't start \"{what}\" for a session: {error}"));
                return false;
            }
        };
        let line = self.occupy(to_client, name, size.is_some(), records, session.handle());
        let guard = self.server.taps.running.clone();
        // What comes from here on is input.
        let reader = hall.leave();
        tokio::spawn(async move {
            // Without it the connection has gone already.
            if let Ok(Some(from_client)) = reader.await {
                line.run(from_client, ends, facts, size).await;
            }
            drop(guard);
        });
        true
    }

    fn start_here(
        &self,
        name: &str,
        wanted: &Wanted,
        terminal: Option<Terminal>,
        variables: Vec<(String, String)>,
    ) -> io::Result<(Outlet, Inlet)> {
        let user = self.user.as_ref().map_or("", |user| &user.name);
        let visitor = Visitor { user, peer: self.peer, here: self.server.address, connection: name };
        let mut order = Order::new(&self.server.options, &visitor, wanted, terminal);
        order.environment.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        let (outlet, inlet) = local::start(order)?;
        Ok((Outlet::Local(Box::new(outlet)), Inlet::Local(inlet)))
    }

    /// Connects a channel to a port that the upstream host can reach, or refuses it.
    ///
    /// All that a client's connection does waits for this, and the upstream host may wait for the client: so nothing is waited for here.
    pub(crate) fn forward(
        &mut self,
        channel: Channel<Msg>,
        to: (String, u32),
        from: (String, u32),
        reply: ChannelOpenHandle,
        session: &russh::server::Session,
    ) {
        let full = self.is_full();
        let (Some(user), Some(link)) = (&self.user, &self.link) else { return };
        if full || !self.server.options.forwarding || self.life.ended().is_some() {
            // A reply that is dropped is a refusal.
            return;
        }
        self.channels += 1;
        let name = visitor::name(user, self.peer, self.number, self.channels);
        let forwarded = Some(format!("{}:{}", to.0, to.1));
        let about = About { upstream: Some(link.address()), forwarded, ..About::default() };
        let facts = visitor::facts(user, self.peer, &about);
        let link = link.clone();
        let (from_client, to_client) = channel.split();
        let line = self.occupy(to_client, name, false, Records::Counts, session.handle());
        let guard = self.server.taps.running.clone();
        tokio::spawn(async move {
            match link.forward(to, from).await {
                Ok(channel) => {
                    reply.accept().await;
                    line.run(from_client, relay::forward(channel), facts, None).await;
                }
                Err(_refused) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
            }
            drop(guard);
        });
    }
}

//! Channels of a connection: idle, then running one thing. Does not know logins or requests.

pub(crate) mod backlog;
pub(crate) mod content;
pub(crate) mod idle;
pub(crate) mod input;
pub(crate) mod output;
pub(crate) mod partial_char;
pub(crate) mod session;

use std::io;
use std::sync::Arc;

use russh::server::{ChannelOpenHandle, Handle, Msg};
use russh::{Channel, ChannelId, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::backend::command::{CommandSpec, Origin, PtyRequest, Request};
use crate::backend::local;
use crate::backend::process::Size;
use crate::backend::upstream_channel;
use crate::backend::{Input, Output};
use crate::channel::backlog::Backlog;
use crate::channel::content::Content;
use crate::channel::idle::IdleReader;
use crate::channel::session::{Capture, Control, Session};
use crate::options::Transfers;
use crate::recording::durability::DurabilityGate;
use crate::recording::facts::{self, Details, Identity};
use crate::recording::recorder::Recorder;
use crate::server::handler::ClientHandler;
use crate::server::warnings::Warning;

/// The most sessions of a connection, and the most forwarded ports: a browser opens many.
const SESSIONS_MAX: usize = 16;
const FORWARDS_MAX: usize = 112;

/// Requests queued for a session. A client that sends more waits.
const CONTROLS_MAX: usize = 16;

/// A channel in which nothing runs yet.
pub(crate) struct IdleChannel {
    pub(crate) reader: IdleReader,
    pub(crate) to_client: ChannelWriteHalf<Msg>,
    /// Its number in the connection, from 1 on.
    pub(crate) number: u64,
    pub(crate) terminal: Option<PtyRequest>,
    pub(crate) variables: Vec<(String, String)>,
    /// Its slot among `channels_max`.
    pub(crate) slot: Slot,
}

/// A channel's state.
pub(crate) enum ChannelState {
    Idle(Box<IdleChannel>),
    Active { control: mpsc::Sender<Control>, terminal: bool, forwarded: bool, backlog: Arc<Backlog> },
}

/// A channel's place among those of the server.
pub(crate) struct Slot {
    _channel: OwnedSemaphorePermit,
    /// A forwarded port's place among its like, which leave room for sessions.
    _forward: Option<OwnedSemaphorePermit>,
}

/// How a session is recorded.
struct Plan {
    name: String,
    facts: String,
    size: Option<Size>,
    capture: Capture,
    content: Content,
    /// Whether it is a forwarded port.
    forwarded: bool,
}

/// A session without its back end.
struct SessionParts {
    to_client: ChannelWriteHalf<Msg>,
    control: mpsc::Receiver<Control>,
    backlog: Arc<Backlog>,
    recorder: Recorder,
    gate: DurabilityGate,
    handle: Handle,
    plan: Plan,
    slot: Slot,
}

impl SessionParts {
    async fn run(self, from_client: ChannelReadHalf, (output, input): (Output, Input)) {
        let Self { to_client, control, backlog, recorder, gate, handle, plan, slot } = self;
        let Plan { facts, size, capture, content, .. } = plan;
        recorder.state.begin_session();
        let session = Session {
            output,
            input,
            recorder,
            gate,
            handle,
            from_client,
            to_client,
            control,
            capture,
            content,
            backlog,
        };
        session.run(facts, size).await;
        drop(slot);
    }
}

/// Slots of all channels, and of forwarded ports among them.
#[derive(Debug)]
pub(crate) struct Slots {
    channels: Arc<Semaphore>,
    forwards: Arc<Semaphore>,
}

impl Slots {
    /// A quarter is left to sessions, whatever clients forward.
    pub(crate) fn new(channels_max: usize) -> Self {
        let [channels, forwards] =
            [channels_max, channels_max - channels_max / 4].map(|count| Arc::new(Semaphore::new(count)));
        Self { channels, forwards }
    }

    fn slot(&self, forward: bool) -> Option<Slot> {
        let take = |slots: &Arc<Semaphore>| slots.clone().try_acquire_owned().ok();
        let forward = if forward { Some(take(&self.forwards)?) } else { None };
        Some(Slot { _channel: take(&self.channels)?, _forward: forward })
    }
}

impl ClientHandler {
    /// Whether the connection has all its sessions, or forwarded ports. Finished ones are dropped first.
    fn is_full(&mut self, forward: bool) -> bool {
        self.channels
            .retain(|_, state| !matches!(state, ChannelState::Active { control, .. } if control.is_closed()));
        let is_forward = |state: &ChannelState| matches!(state, ChannelState::Active { forwarded: true, .. });
        let count = self.channels.values().filter(|state| is_forward(state) == forward).count();
        count >= if forward { FORWARDS_MAX } else { SESSIONS_MAX }
    }

    /// A slot for one more session or forwarded port, unless the connection or the server has all of them.
    pub(crate) fn slot(&mut self, forward: bool) -> Option<Slot> {
        if self.is_full(forward) {
            return None;
        }
        let slot = self.server.channels.slot(forward);
        if slot.is_none() {
            let channels_max = self.server.options.channels_max;
            let message = if forward {
                format!(
                    "all channels for forwarded ports are taken ({channels_max} with sessions), and more are refused"
                )
            } else {
                format!("all {channels_max} channels are taken, and more are refused")
            };
            self.server.warn_once(if forward { Warning::Forwards } else { Warning::Channels }, &message);
        }
        slot
    }

    /// Marks the channel as active.
    fn activate(
        &mut self,
        to_client: ChannelWriteHalf<Msg>,
        plan: Plan,
        handle: Handle,
        slot: Slot,
    ) -> SessionParts {
        let (control, requests) = mpsc::channel(CONTROLS_MAX);
        let backlog = Arc::new(Backlog::new(self.budget.clone()));
        let (terminal, forwarded, id) = (plan.size.is_some(), plan.forwarded, to_client.id());
        let state = ChannelState::Active { control, terminal, forwarded, backlog: backlog.clone() };
        self.channels.insert(id, state);
        let recorder = self.server.recorder(&plan.name, self.connection.clone());
        let gate = DurabilityGate::new(self.server.links.marks.clone());
        SessionParts { to_client, control: requests, backlog, recorder, gate, handle, plan, slot }
    }

    /// How the session of a request is recorded.
    fn plan(&self, user: &Identity, idle: &IdleChannel, request: &Request) -> Plan {
        let options = &self.server.options;
        let transfer = request.transfer().filter(|_| idle.terminal.is_none());
        let content = match (&idle.terminal, options.transfers, transfer) {
            (None, Transfers::Bytes, Some(_)) => Content::Bytes,
            (None, Transfers::Bytes, None) => Content::checked(),
            _ => Content::Text,
        };
        let details = Details {
            request: Some(request),
            terminal: idle.terminal.as_ref(),
            upstream: self.upstream.as_ref().map(|upstream| upstream.address()),
            forwarded: None,
            transfer,
            as_bytes: content == Content::Bytes,
        };
        let capture = match request {
            Request::Subsystem(_) => Capture::Counts,
            _ if transfer.is_some() && options.transfers == Transfers::Facts => Capture::Counts,
            _ if options.input => Capture::OutputAndInput,
            _ => Capture::Output,
        };
        Plan {
            name: facts::recording_name(user, self.peer, self.number, idle.number),
            facts: facts::describe(user, self.peer, &details),
            size: idle.terminal.as_ref().map(|terminal| terminal.size),
            capture,
            content,
            forwarded: false,
        }
    }

    /// Starts a request. True if it runs or is about to.
    pub(crate) fn start(
        &mut self,
        id: ChannelId,
        request: Request,
        session: &russh::server::Session,
    ) -> bool {
        if self.connection.end_reason().is_some() {
            return false;
        }
        let idle = match self.channels.remove(&id) {
            Some(ChannelState::Idle(idle)) => idle,
            Some(active) => {
                // A channel runs one thing only.
                self.channels.insert(id, active);
                return false;
            }
            None => return false,
        };
        let Some(user) = &self.user else { return false };
        let plan = self.plan(user, &idle, &request);
        let IdleChannel { reader, to_client, terminal, variables, slot, .. } = *idle;
        let ends = match &self.upstream {
            Some(upstream) => Ok(upstream_channel::session(upstream_channel::ChannelRequest {
                upstream: upstream.clone(),
                request,
                terminal,
                variables,
            })),
            None => self.start_local(&plan.name, &request, terminal, variables),
        };
        let ends = match ends {
            Ok(ends) => ends,
            Err(error) => {
                let what = self.server.options.command.first().map_or("the shell", String::as_str);
                let message = format!("can't start \"{what}\" for a session: {error}");
                self.server.warn_once(Warning::Start, &message);
                return false;
            }
        };
        let parts = self.activate(to_client, plan, session.handle(), slot);
        let running = self.server.links.running.clone();
        // From here on data is input.
        let reader = reader.stop();
        tokio::spawn(async move {
            // Otherwise the connection has gone.
            if let Ok(Some(from_client)) = reader.await {
                parts.run(from_client, ends).await;
            }
            drop(running);
        });
        true
    }

    fn start_local(
        &self,
        name: &str,
        request: &Request,
        terminal: Option<PtyRequest>,
        variables: Vec<(String, String)>,
    ) -> io::Result<(Output, Input)> {
        let user = self.user.as_ref().map_or("", |user| &user.name);
        let origin = Origin { user, peer: self.peer, here: self.server.address, connection: name };
        let mut spec = CommandSpec::new(&self.server.options, &origin, request, terminal);
        spec.environment.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        let (output, input) = local::start(spec)?;
        Ok((Output::Local(Box::new(output)), Input::Local(input)))
    }

    /// Connects a channel to a port that the upstream host can reach, or refuses it.
    ///
    /// Does not wait: it would block the connection, and the upstream host may wait for this
    /// client.
    pub(crate) fn forward(
        &mut self,
        channel: Channel<Msg>,
        to: (String, u32),
        from: (String, u32),
        reply: ChannelOpenHandle,
        session: &russh::server::Session,
    ) {
        if !self.server.options.forwarding || self.connection.end_reason().is_some() {
            // A dropped reply refuses the channel.
            self.connection.refuse(|| format!("forwarding to {}:{}", to.0, to.1));
            return;
        }
        let Some(slot) = self.slot(true) else { return };
        let (Some(user), Some(upstream)) = (&self.user, &self.upstream) else { return };
        self.channels_opened += 1;
        let forwarded = Some(format!("{}:{}", to.0, to.1));
        let details = Details { upstream: Some(upstream.address()), forwarded, ..Details::default() };
        let plan = Plan {
            name: facts::recording_name(user, self.peer, self.number, self.channels_opened),
            facts: facts::describe(user, self.peer, &details),
            size: None,
            capture: Capture::Counts,
            content: Content::Text,
            forwarded: true,
        };
        let upstream = upstream.clone();
        let (from_client, to_client) = channel.split();
        let parts = self.activate(to_client, plan, session.handle(), slot);
        let running = self.server.links.running.clone();
        let state = self.connection.clone();
        tokio::spawn(async move {
            // The upstream host may never answer.
            let opened = tokio::select! {
                opened = upstream.forward(to, from) => Some(opened),
                () = state.closed() => None,
                () = state.ended() => None,
            };
            match opened {
                Some(Ok(channel)) => {
                    reply.accept().await;
                    parts.run(from_client, upstream_channel::forward(channel)).await;
                }
                Some(Err(_refused)) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
                None => {}
            }
            drop(running);
        });
    }
}

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
use tokio::sync::{OwnedSemaphorePermit, mpsc};

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

/// The most channels of a connection; more with port forwarding, as a browser opens many.
const CHANNELS_MAX: usize = 16;
const FORWARDING_CHANNELS_MAX: usize = 128;

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
    pub(crate) slot: OwnedSemaphorePermit,
}

/// A channel's state.
pub(crate) enum ChannelState {
    Idle(Box<IdleChannel>),
    Active { control: mpsc::Sender<Control>, terminal: bool, backlog: Arc<Backlog> },
}

/// How a session is recorded.
struct Plan {
    name: String,
    facts: String,
    size: Option<Size>,
    capture: Capture,
    content: Content,
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
    slot: OwnedSemaphorePermit,
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

impl ClientHandler {
    /// Whether the connection has all its channels. Finished ones are dropped first.
    pub(crate) fn is_full(&mut self) -> bool {
        self.channels
            .retain(|_, state| !matches!(state, ChannelState::Active { control, .. } if control.is_closed()));
        let forwarding = self.server.options.forwarding;
        self.channels.len() >= if forwarding { FORWARDING_CHANNELS_MAX } else { CHANNELS_MAX }
    }

    /// A slot for one more channel, unless the connection or the server has all its channels.
    pub(crate) fn slot(&mut self) -> Option<OwnedSemaphorePermit> {
        if self.is_full() {
            return None;
        }
        let slot = self.server.channels.clone().try_acquire_owned().ok();
        if slot.is_none() {
            let channels_max = self.server.options.channels_max;
            let message = format!("all {channels_max} channels are taken, and more are refused");
            self.server.warn_once(Warning::Channels, &message);
        }
        slot
    }

    /// Marks the channel as active.
    fn activate(
        &mut self,
        to_client: ChannelWriteHalf<Msg>,
        plan: Plan,
        handle: Handle,
        slot: OwnedSemaphorePermit,
    ) -> SessionParts {
        let (control, requests) = mpsc::channel(CONTROLS_MAX);
        let backlog = Arc::new(Backlog::new(self.budget.clone()));
        let (terminal, id) = (plan.size.is_some(), to_client.id());
        self.channels.insert(id, ChannelState::Active { control, terminal, backlog: backlog.clone() });
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
            (None, Transfers::Bytes, None) => Content::Undecided,
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
        let Some(slot) = self.slot() else { return };
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
        };
        let upstream = upstream.clone();
        let (from_client, to_client) = channel.split();
        let parts = self.activate(to_client, plan, session.handle(), slot);
        let running = self.server.links.running.clone();
        tokio::spawn(async move {
            match upstream.forward(to, from).await {
                Ok(channel) => {
                    reply.accept().await;
                    parts.run(from_client, upstream_channel::forward(channel)).await;
                }
                Err(_refused) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
            }
            drop(running);
        });
    }
}

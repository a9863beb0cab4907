//! Channels of a connection: idle, then running one thing. Does not know logins or requests.

pub(crate) mod backlog;
pub(crate) mod idle;
pub(crate) mod input;
pub(crate) mod output;
pub(crate) mod partial_char;
pub(crate) mod session;

use std::io;
use std::sync::Arc;

use russh::server::{ChannelOpenHandle, Handle, Msg};
use russh::{Channel, ChannelId, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::mpsc;

use crate::backend::command::{CommandSpec, Origin, PtyRequest, Request};
use crate::backend::local;
use crate::backend::process::Size;
use crate::backend::upstream_channel;
use crate::backend::{Input, Output};
use crate::channel::backlog::Backlog;
use crate::channel::idle::IdleReader;
use crate::channel::session::{Capture, Control, Session};
use crate::recording::durability::DurabilityGate;
use crate::recording::facts::{self, Details};
use crate::recording::recorder::Recorder;
use crate::server::handler::ClientHandler;
use crate::server::warnings::Warning;

/// The most channels of a connection; more with port forwarding, as a browser opens many.
const CHANNELS_MAX: usize = 16;
const FORWARDING_CHANNELS_MAX: usize = 128;

/// Requests queued for a session. A client that sends more waits.
const CONTROLS_MAX: usize = 16;

/// A channel's state.
pub(crate) enum ChannelState {
    /// Nothing runs in it yet.
    Idle {
        idle_reader: IdleReader,
        to_client: ChannelWriteHalf<Msg>,
        number: u64,
        terminal: Option<PtyRequest>,
        variables: Vec<(String, String)>,
    },
    Active {
        control: mpsc::Sender<Control>,
        terminal: bool,
        backlog: Arc<Backlog>,
    },
}

/// A session without its back end.
struct SessionParts {
    to_client: ChannelWriteHalf<Msg>,
    control: mpsc::Receiver<Control>,
    backlog: Arc<Backlog>,
    recorder: Recorder,
    gate: DurabilityGate,
    handle: Handle,
    capture: Capture,
}

impl SessionParts {
    async fn run(
        self,
        from_client: ChannelReadHalf,
        (output, input): (Output, Input),
        facts: String,
        size: Option<Size>,
    ) {
        let Self { to_client, control, backlog, recorder, gate, handle, capture } = self;
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
            backlog,
        };
        session.run(facts, size).await;
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

    /// Marks the channel as active.
    fn activate(
        &mut self,
        to_client: ChannelWriteHalf<Msg>,
        name: String,
        terminal: bool,
        capture: Capture,
        handle: Handle,
    ) -> SessionParts {
        let (control, requests) = mpsc::channel(CONTROLS_MAX);
        let backlog = Arc::new(Backlog::new(self.budget.clone()));
        self.channels
            .insert(to_client.id(), ChannelState::Active { control, terminal, backlog: backlog.clone() });
        let server = &self.server;
        let (frames, host, count) = (server.links.frames.clone(), server.host.clone(), server.count.clone());
        let recorder = Recorder::new(frames, host, name.into(), self.connection.clone(), count);
        let gate = DurabilityGate::new(server.links.marks.clone());
        SessionParts { to_client, control: requests, backlog, recorder, gate, handle, capture }
    }

    /// Starts a request. True if it runs or is about to.
    pub(crate) fn start(
        &mut self,
        id: ChannelId,
        request: Request,
        session: &russh::server::Session,
    ) -> bool {
        let Some(user) = self.user.as_ref().filter(|_| self.connection.end_reason().is_none()) else {
            return false;
        };
        let (idle_reader, to_client, number, terminal, variables) = match self.channels.remove(&id) {
            Some(ChannelState::Idle { idle_reader, to_client, number, terminal, variables }) => {
                (idle_reader, to_client, number, terminal, variables)
            }
            Some(state) => {
                // A channel runs one thing only.
                self.channels.insert(id, state);
                return false;
            }
            None => return false,
        };
        let name = facts::recording_name(user, self.peer, self.number, number);
        let upstream = self.upstream.as_ref().map(|upstream| upstream.address());
        let details =
            Details { request: Some(&request), terminal: terminal.as_ref(), upstream, ..Details::default() };
        let facts = facts::describe(user, self.peer, &details);
        let size = terminal.as_ref().map(|terminal| terminal.size);
        let capture = match &request {
            Request::Subsystem(_) => Capture::Counts,
            _ if self.server.options.input => Capture::OutputAndInput,
            _ => Capture::Output,
        };
        let ends = match &self.upstream {
            Some(upstream) => Ok(upstream_channel::session(upstream_channel::ChannelRequest {
                upstream: upstream.clone(),
                request,
                terminal,
                variables,
            })),
            None => self.start_local(&name, &request, terminal, variables),
        };
        let ends = match ends {
            Ok(ends) => ends,
            Err(error) => {
                let what = self.server.options.command.first().map_or("the shell", String::as_str);
                self.server
                    .warn_once(Warning::Start, &format!("can't start \"{what}\" for a session: {error}"));
                return false;
            }
        };
        let line = self.activate(to_client, name, size.is_some(), capture, session.handle());
        let guard = self.server.links.running.clone();
        // From here on data is input.
        let reader = idle_reader.evicted();
        tokio::spawn(async move {
            // Otherwise the connection has gone.
            if let Ok(Some(from_client)) = reader.await {
                line.run(from_client, ends, facts, size).await;
            }
            drop(guard);
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
        let full = self.is_full();
        let (Some(user), Some(upstream)) = (&self.user, &self.upstream) else { return };
        if full || !self.server.options.forwarding || self.connection.end_reason().is_some() {
            // A dropped reply refuses the channel.
            return;
        }
        self.channels_opened += 1;
        let name = facts::recording_name(user, self.peer, self.number, self.channels_opened);
        let forwarded = Some(format!("{}:{}", to.0, to.1));
        let details = Details { upstream: Some(upstream.address()), forwarded, ..Details::default() };
        let facts = facts::describe(user, self.peer, &details);
        let upstream = upstream.clone();
        let (from_client, to_client) = channel.split();
        let line = self.activate(to_client, name, false, Capture::Counts, session.handle());
        let guard = self.server.links.running.clone();
        tokio::spawn(async move {
            match upstream.forward(to, from).await {
                Ok(channel) => {
                    reply.accept().await;
                    line.run(from_client, upstream_channel::forward(channel), facts, None).await;
                }
                Err(_refused) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
            }
            drop(guard);
        });
    }
}

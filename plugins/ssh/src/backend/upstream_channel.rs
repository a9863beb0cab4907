//! The upstream back end: one channel of an upstream host. Does not know the client.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;

use crate::backend::command::{PtyRequest, Request};
use crate::backend::process::Size;
use crate::backend::signals;
use crate::backend::upstream::UpstreamConnection;
use crate::backend::{self, Event, Exit};

/// The most signals queued for an upstream host that accepts nothing. Further ones are dropped.
const CONTROLS_MAX: usize = 32;

/// The most messages of 32 KiB an upstream host may send before it answers a request.
const EARLY_MAX: usize = 64;

/// How long closing a channel may take.
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// What is asked of the upstream host.
pub(crate) struct ChannelRequest {
    pub(crate) upstream: Arc<UpstreamConnection>,
    pub(crate) request: Request,
    pub(crate) terminal: Option<PtyRequest>,
    pub(crate) variables: Vec<(String, String)>,
}

/// A session channel. Opened when its output is first waited for.
pub(crate) fn session(ask: ChannelRequest) -> (backend::Output, backend::Input) {
    let (input, coming) = oneshot::channel();
    let output = Output::Coming { ask: Box::new(ask), input: Some(input) };
    (backend::Output::Upstream(output), backend::Input::Upstream(Input::new(Writer::Coming(coming))))
}

/// An open forwarding channel.
pub(crate) fn forward(channel: Channel<Msg>) -> (backend::Output, backend::Input) {
    let (half, other) = channel.split();
    // Forwardings have no exit status: an end is a success.
    let output = Output::Open { half, early: VecDeque::new(), exit: Exit::Status(0), has_status: false };
    (backend::Output::Upstream(output), backend::Input::Upstream(Input::new(Writer::open(other))))
}

/// The channel's output.
pub(crate) enum Output {
    Coming {
        ask: Box<ChannelRequest>,
        /// Where the write half goes once open.
        input: Option<oneshot::Sender<ChannelWriteHalf<Msg>>>,
    },
    Open {
        half: ChannelReadHalf,
        /// Messages that came before the answer.
        early: VecDeque<ChannelMsg>,
        /// The exit if the channel closes now.
        exit: Exit,
        /// Whether an exit status follows the end of output.
        has_status: bool,
    },
}

impl Output {
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            match self {
                Self::Coming { ask, input } => match ask.open().await {
                    Ok((channel, early)) => {
                        let (half, other) = channel.split();
                        // Fails only if the session is over.
                        _ = input.take().map(|input| input.send(other));
                        let exit = Exit::Lost(ask.upstream.lost());
                        *self = Self::Open { half, early, exit, has_status: true };
                    }
                    Err(why) => return Event::Exited(Exit::Lost(why)),
                },
                Self::Open { half, early, exit, has_status } => match next(early, half).await {
                    Some(ChannelMsg::Data { data }) => return Event::Output(data, None),
                    Some(ChannelMsg::ExtendedData { data, ext }) => return Event::Output(data, Some(ext)),
                    Some(ChannelMsg::Eof) => return Event::Eof { status_follows: *has_status },
                    Some(ChannelMsg::ExitStatus { exit_status }) => *exit = Exit::Status(exit_status),
                    Some(ChannelMsg::ExitSignal { signal_name, core_dumped, error_message, lang_tag }) => {
                        *exit = Exit::Signal {
                            number: signals::number(&signal_name).map(rustix::process::Signal::as_raw),
                            name: signal_name,
                            core: core_dumped,
                            message: error_message,
                            language: lang_tag,
                        };
                    }
                    Some(ChannelMsg::Close) | None => {
                        let exit = std::mem::replace(exit, Exit::Status(255));
                        return Event::Exited(exit);
                    }
                    Some(_) => {}
                },
            }
        }
    }
}

async fn next(early: &mut VecDeque<ChannelMsg>, half: &mut ChannelReadHalf) -> Option<ChannelMsg> {
    match early.pop_front() {
        Some(message) => Some(message),
        None => half.wait().await,
    }
}

impl ChannelRequest {
    /// Opens the channel and starts the request. Returns early messages too. The error is for the
    /// client.
    async fn open(&self) -> Result<(Channel<Msg>, VecDeque<ChannelMsg>), String> {
        let mut channel = self.upstream.session().await?;
        let mut early = VecDeque::new();
        let begun = self.begin(&mut channel, &mut early).await;
        if begun.is_err() {
            // Closes the useless channel; fails only if it is closed already.
            drop(channel.close().await);
        }
        begun.map(|()| (channel, early))
    }

    async fn begin(
        &self,
        channel: &mut Channel<Msg>,
        early: &mut VecDeque<ChannelMsg>,
    ) -> Result<(), String> {
        let lost = |_error: russh::Error| self.upstream.lost();
        let refused = |what: &str| format!("the upstream \"{}\" refuses {what}", self.upstream.address());
        if let Some(PtyRequest { term, size, modes }) = &self.terminal {
            let (columns, rows) = (size.columns.into(), size.rows.into());
            let (width, height) = (size.width.into(), size.height.into());
            channel.request_pty(true, term, columns, rows, width, height, modes).await.map_err(lost)?;
            if !granted(channel, early).await {
                return Err(refused("a terminal"));
            }
        }
        for (name, value) in &self.variables {
            channel.set_env(false, name, value).await.map_err(lost)?;
        }
        let (asked, what) = match &self.request {
            Request::Shell => (channel.request_shell(true).await, "a shell".to_owned()),
            Request::Exec(command) => (channel.exec(true, command.clone()).await, "the command".to_owned()),
            Request::Subsystem(name) => {
                (channel.request_subsystem(true, name).await, format!("the subsystem \"{name}\""))
            }
        };
        asked.map_err(lost)?;
        if granted(channel, early).await { Ok(()) } else { Err(refused(&what)) }
    }
}

/// Waits for the answer to a request. Other messages go to `early`: a host may start before it
/// answers.
async fn granted(channel: &mut Channel<Msg>, early: &mut VecDeque<ChannelMsg>) -> bool {
    while early.len() < EARLY_MAX {
        match channel.wait().await {
            Some(ChannelMsg::Success) => return true,
            Some(ChannelMsg::Failure | ChannelMsg::Close) | None => return false,
            Some(ChannelMsg::WindowAdjusted { .. }) => {}
            Some(message) => early.push_back(message),
        }
    }
    false
}

/// A control message, sent between pieces of input.
enum Control {
    Resize(Size),
    Signal(Sig),
    Finish,
}

enum Writer {
    Coming(oneshot::Receiver<ChannelWriteHalf<Msg>>),
    Open { half: ChannelWriteHalf<Msg>, writer: Pin<Box<dyn AsyncWrite + Send + Sync>> },
    Gone,
}

impl Writer {
    fn open(half: ChannelWriteHalf<Msg>) -> Self {
        Self::Open { writer: Box::pin(half.make_writer()), half }
    }
}

/// The channel's input.
pub(crate) struct Input {
    way: Writer,
    controls: VecDeque<Control>,
    finished: bool,
}

impl Input {
    fn new(way: Writer) -> Self {
        Self { way, controls: VecDeque::new(), finished: false }
    }

    /// Makes one step: some bytes accepted, a control message sent (0), or the channel opened (0).
    /// A stalled upstream host delays its own input only.
    pub(crate) async fn advance(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.way {
            Writer::Coming(coming) => {
                self.way = coming.await.map_or(Writer::Gone, Writer::open);
                Ok(0)
            }
            Writer::Open { half, writer } => {
                let done = tokio::select! {
                    done = run(half, self.controls.front()) => done.map(|()| {
                        self.controls.pop_front();
                        0
                    }),
                    written = writer.write(bytes), if !bytes.is_empty() => written,
                };
                if done.is_err() {
                    self.way = Writer::Gone;
                }
                done
            }
            Writer::Gone if bytes.is_empty() => pending().await,
            Writer::Gone => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    pub(crate) fn finish(&mut self) {
        if !std::mem::replace(&mut self.finished, true) {
            self.controls.push_back(Control::Finish);
        }
    }

    /// Only the latest size counts.
    pub(crate) fn resize(&mut self, size: Size) {
        self.controls.retain(|control| !matches!(control, Control::Resize(_)));
        self.controls.push_back(Control::Resize(size));
    }

    pub(crate) fn signal(&mut self, signal: Sig) {
        if self.controls.len() < CONTROLS_MAX {
            self.controls.push_back(Control::Signal(signal));
        }
    }

    /// Closes the channel, which hangs up what runs in it.
    pub(crate) async fn close(self) {
        if let Writer::Open { half, .. } = self.way {
            // Fails only if the host has gone.
            drop(tokio::time::timeout(CLOSE_TIME, half.close()).await);
        }
    }
}

async fn change_window(half: &ChannelWriteHalf<Msg>, size: Size) -> Result<(), russh::Error> {
    let (columns, rows) = (size.columns.into(), size.rows.into());
    half.window_change(columns, rows, size.width.into(), size.height.into()).await
}

/// Sends a control message. Cancel safe.
async fn run(half: &ChannelWriteHalf<Msg>, control: Option<&Control>) -> io::Result<()> {
    let done = match control {
        Some(Control::Resize(size)) => change_window(half, *size).await,
        Some(Control::Signal(signal)) => half.signal(signal.clone()).await,
        Some(Control::Finish) => half.eof().await,
        None => pending().await,
    };
    done.map_err(io::Error::other)
}

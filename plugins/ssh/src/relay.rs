//! The ends of a channel of the upstream host. Knows nothing of the client, nor of how the host is reached.

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

use crate::child::{self, Size};
use crate::ends::{self, Ending, Said};
use crate::order::{Terminal, Wanted};
use crate::upstream::Link;

/// The most signals that wait for an upstream host that takes nothing. Further ones are for nobody.
const ERRANDS_MAX: usize = 32;

/// The most messages that an upstream host may send before it says whether what was asked is granted. Each has 32 KiB at most.
const EARLY_MAX: usize = 64;

/// How long the upstream host may take to take leave.
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// What is asked of the upstream host.
pub(crate) struct Ask {
    pub(crate) link: Arc<Link>,
    pub(crate) wanted: Wanted,
    pub(crate) terminal: Option<Terminal>,
    pub(crate) variables: Vec<(String, String)>,
}

/// The ends of a channel that is still to be opened, which happens when its output is first waited for.
pub(crate) fn session(ask: Ask) -> (ends::Outlet, ends::Inlet) {
    let (inlet, coming) = oneshot::channel();
    let outlet = Outlet::Coming { ask: Box::new(ask), inlet: Some(inlet) };
    (ends::Outlet::Upstream(outlet), ends::Inlet::Upstream(Inlet::new(Way::Coming(coming))))
}

/// The ends of a forwarding.
pub(crate) fn forward(channel: Channel<Msg>) -> (ends::Outlet, ends::Inlet) {
    let (half, other) = channel.split();
    // It has no exit status; that it ends is all that there is to know.
    let outlet = Outlet::Open { half, early: VecDeque::new(), ending: Ending::Status(0), has_status: false };
    (ends::Outlet::Upstream(outlet), ends::Inlet::Upstream(Inlet::new(Way::open(other))))
}

/// Where the channel's output comes from.
pub(crate) enum Outlet {
    Coming {
        ask: Box<Ask>,
        /// Where the other half goes to.
        inlet: Option<oneshot::Sender<ChannelWriteHalf<Msg>>>,
    },
    Open {
        half: ChannelReadHalf,
        /// What came before it was granted.
        early: VecDeque<ChannelMsg>,
        /// How it ended, if the channel is closed now.
        ending: Ending,
        /// Whether the host says how it ends.
        has_status: bool,
    },
}

impl Outlet {
    pub(crate) async fn next(&mut self) -> Said {
        loop {
            match self {
                Self::Coming { ask, inlet } => match ask.open().await {
                    Ok((channel, early)) => {
                        let (half, other) = channel.split();
                        // A session that is over needs no input.
                        _ = inlet.take().map(|inlet| inlet.send(other));
                        let ending = Ending::Lost(ask.link.lost());
                        *self = Self::Open { half, early, ending, has_status: true };
                    }
                    Err(why) => return Said::Ended(Ending::Lost(why)),
                },
                Self::Open { half, early, ending, has_status } => match next(early, half).await {
                    Some(ChannelMsg::Data { data }) => return Said::Output(data, None),
                    Some(ChannelMsg::ExtendedData { data, ext }) => return Said::Output(data, Some(ext)),
                    Some(ChannelMsg::Eof) => return Said::Finished { to_end: *has_status },
                    Some(ChannelMsg::ExitStatus { exit_status }) => *ending = Ending::Status(exit_status),
                    Some(ChannelMsg::ExitSignal { signal_name, core_dumped, error_message, lang_tag }) => {
                        *ending = Ending::Signal {
                            number: child::number(&signal_name).map(rustix::process::Signal::as_raw),
                            name: signal_name,
                            core: core_dumped,
                            message: error_message,
                            language: lang_tag,
                        };
                    }
                    Some(ChannelMsg::Close) | None => {
                        let ending = std::mem::replace(ending, Ending::Status(255));
                        return Said::Ended(ending);
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

impl Ask {
    /// Opens the channel and begins what is wanted. Returns what came of it already, too. An error says why it can't be, in words for the
    /// client.
    async fn open(&self) -> Result<(Channel<Msg>, VecDeque<ChannelMsg>), String> {
        let mut channel = self.link.session().await?;
        let mut early = VecDeque::new();
        let begun = self.begin(&mut channel, &mut early).await;
        if begun.is_err() {
            // What was opened in vain is closed; if that fails, it is not open any more.
            drop(channel.close().await);
        }
        begun.map(|()| (channel, early))
    }

    async fn begin(
        &self,
        channel: &mut Channel<Msg>,
        early: &mut VecDeque<ChannelMsg>,
    ) -> Result<(), String> {
        let lost = |_error: russh::Error| self.link.lost();
        let refused = |what: &str| format!("the upstream \"{}\" refuses {what}", self.link.address());
        if let Some(Terminal { term, size, modes }) = &self.terminal {
            let (columns, rows) = (size.columns.into(), size.rows.into());
            channel.request_pty(true, term, columns, rows, 0, 0, modes).await.map_err(lost)?;
            if !granted(channel, early).await {
                return Err(refused("a terminal"));
            }
        }
        for (name, value) in &self.variables {
            channel.set_env(false, name, value).await.map_err(lost)?;
        }
        let (asked, what) = match &self.wanted {
            Wanted::Shell => (channel.request_shell(true).await, "a shell".to_owned()),
            Wanted::Command(command) => (channel.exec(true, command.clone()).await, "the command".to_owned()),
            Wanted::Subsystem(name) => {
                (channel.request_subsystem(true, name).await, format!("the subsystem \"{name}\""))
            }
        };
        asked.map_err(lost)?;
        if granted(channel, early).await { Ok(()) } else { Err(refused(&what)) }
    }
}

/// What the upstream host answers. What else it says goes to `early`: a host may begin before it answers.
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

/// Something to do beside the input.
enum Errand {
    Resize(Size),
    Signal(Sig),
    Finish,
}

enum Way {
    Coming(oneshot::Receiver<ChannelWriteHalf<Msg>>),
    Open { half: ChannelWriteHalf<Msg>, writer: Pin<Box<dyn AsyncWrite + Send + Sync>> },
    Gone,
}

impl Way {
    fn open(half: ChannelWriteHalf<Msg>) -> Self {
        Self::Open { writer: Box::pin(half.make_writer()), half }
    }
}

/// Where the channel's input goes.
pub(crate) struct Inlet {
    way: Way,
    errands: VecDeque<Errand>,
    finished: bool,
}

impl Inlet {
    fn new(way: Way) -> Self {
        Self { way, errands: VecDeque::new(), finished: false }
    }

    /// Waits for one thing to be done: some of these bytes to be taken, an errand (0), or the channel to come (0).
    ///
    /// Nothing here waits in the client's way: an upstream host that takes nothing holds up its own input only.
    pub(crate) async fn work(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.way {
            Way::Coming(coming) => {
                self.way = coming.await.map_or(Way::Gone, Way::open);
                Ok(0)
            }
            Way::Open { half, writer } => {
                let done = tokio::select! {
                    done = run(half, self.errands.front()) => done.map(|()| {
                        self.errands.pop_front();
                        0
                    }),
                    written = writer.write(bytes), if !bytes.is_empty() => written,
                };
                if done.is_err() {
                    self.way = Way::Gone;
                }
                done
            }
            Way::Gone if bytes.is_empty() => pending().await,
            Way::Gone => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    pub(crate) fn finish(&mut self) {
        if !std::mem::replace(&mut self.finished, true) {
            self.errands.push_back(Errand::Finish);
        }
    }

    /// Only the last size counts.
    pub(crate) fn resize(&mut self, size: Size) {
        self.errands.retain(|errand| !matches!(errand, Errand::Resize(_)));
        self.errands.push_back(Errand::Resize(size));
    }

    pub(crate) fn signal(&mut self, signal: Sig) {
        if self.errands.len() < ERRANDS_MAX {
            self.errands.push_back(Errand::Signal(signal));
        }
    }

    /// Closes the channel, which hangs up what runs in it.
    pub(crate) async fn close(self) {
        if let Way::Open { half, .. } = self.way {
            // Who does not listen any more has gone already.
            drop(tokio::time::timeout(CLOSE_TIME, half.close()).await);
        }
    }
}

/// Does an errand. Given up while it waits, it is not done.
async fn run(half: &ChannelWriteHalf<Msg>, errand: Option<&Errand>) -> io::Result<()> {
    let done = match errand {
        Some(Errand::Resize(size)) => half.window_change(size.columns.into(), size.rows.into(), 0, 0).await,
        Some(Errand::Signal(signal)) => half.signal(signal.clone()).await,
        Some(Errand::Finish) => half.eof().await,
        None => pending().await,
    };
    done.map_err(io::Error::other)
}

//! One channel while something runs in it: output to the recorder and then to the client, input the other way. Knows nothing of logins, nor of
//! what it is that runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use russh::server::{Handle, Msg};
use russh::{ChannelId, ChannelReadHalf, ChannelWriteHalf, Sig};
use serde_json::json;
use tokio::sync::mpsc;

use crate::backend::local::STDERR;
use crate::backend::process::Size;
use crate::backend::{Exit, Input, Output};
use crate::channel::backlog::Backlog;
use crate::channel::input::InputRelay;
use crate::channel::output::OutputRelay;
use crate::recording::durability::DurabilityGate;
use crate::recording::recorder::{LAST, Recorder};

/// How long a client may take to hear why its session ends.
const FAREWELL_TIME: Duration = Duration::from_secs(1);

/// What a client reads when its session can't be recorded.
const UNRECORDED: &str = "tapedeck: this session can't be recorded and ends here\r\n";

/// The exit status that a client gets whose session ends before what runs in it.
const CUT_STATUS: u32 = 255;

/// What a client asks of a session that runs.
pub(crate) enum Control {
    Resize(Size),
    Signal(Sig),
}

/// What of a session is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Capture {
    Output,
    OutputAndInput,
    /// How much went by, but not what: it is no terminal's.
    Counts,
}

/// What a session is made of.
pub(crate) struct Session {
    pub(crate) output: Output,
    pub(crate) input: Input,
    pub(crate) recorder: Recorder,
    pub(crate) gate: DurabilityGate,
    pub(crate) handle: Handle,
    pub(crate) from_client: ChannelReadHalf,
    pub(crate) to_client: ChannelWriteHalf<Msg>,
    pub(crate) control: mpsc::Receiver<Control>,
    pub(crate) capture: Capture,
    pub(crate) backlog: Arc<Backlog>,
}

/// Why a session ends before what runs in it.
pub(crate) enum Interruption {
    /// The client has gone, or the engine takes no more frames.
    ClientGone,
    /// It must not go on without its recording.
    Unrecorded,
    /// What runs does not read its input, and more waits than may.
    UnreadInput,
}

/// How a session ended, and whether the client knows already that no more output comes; or why it is over before, and what is still to
/// be recorded of it.
type Outcome = Result<(Exit, bool), (Interruption, Option<String>)>;

impl Session {
    /// Runs until the end of what runs in it, or the client's, or until the connection is ended from here.
    pub(crate) async fn run(mut self, facts: String, size: Option<Size>) {
        let outcome = match self.begin(facts, size).await {
            Ok((first, last)) => {
                self.gate.begin(first);
                self.serve(last, size.is_some()).await
            }
            Err(over) => Err((over, None)),
        };
        let Self {
            output, input, recorder, mut gate, handle, from_client, to_client, control, backlog, ..
        } = self;
        // The library waits with the whole connection for whoever does not read a channel.
        drop((from_client, control));
        let id = to_client.id();
        let (over, counts) = match outcome {
            Ok((exit, finished)) => {
                _ = end(&handle, id, &exit, finished).await;
                return;
            }
            Err(over) => over,
        };
        let (why, said) = match over {
            Interruption::ClientGone => {
                let ended = recorder.state.end_reason();
                let status = output.hang_up(input).await.map(|exit| exit.number());
                // When the engine takes no more frames, the recording is cut off where it is.
                _ = put_end(&recorder, counts, ended.unwrap_or("the client has gone"), status).await;
                if ended.is_none() {
                    // A client that is still there sees that the session is over.
                    _ = handle.close(id).await;
                }
                return;
            }
            Interruption::Unrecorded => ("a loss of the recording", UNRECORDED.to_owned()),
            Interruption::UnreadInput => ("too much input that nothing reads", unread(backlog.bytes_max())),
        };
        // At once, and so before anything of a later session: it may be lost, too, and that is not the other's loss. But a client does
        // not wait for an engine that stands still.
        let recorded = async {
            let number = put_end(&recorder, counts, why, Some(CUT_STATUS.into())).await?;
            gate.durable(number).await.map_err(|_unrecorded| Interruption::Unrecorded)
        };
        drop(tokio::time::timeout(FAREWELL_TIME, recorded).await);
        let said = to_client.extended_data_bytes(STDERR, Bytes::from(said));
        // A client that does not listen is not waited for.
        drop(tokio::time::timeout(FAREWELL_TIME, said).await);
        output.hang_up(input).await;
        _ = end(&handle, id, &Exit::Status(CUT_STATUS), false).await;
    }

    /// Capture who it is. Returns the numbers of the first and the last frame of this.
    async fn begin(&self, facts: String, size: Option<Size>) -> Result<(u64, u64), Interruption> {
        let warned = async {
            let first = put(&self.recorder, "c", facts).await?;
            let last = match size {
                Some(size) => put(&self.recorder, "r", format!("{}x{}", size.columns, size.rows)).await?,
                None => first,
            };
            Ok((first, last))
        };
        tokio::select! {
            warned = warned => warned,
            () = self.recorder.state.ended() => Err(Interruption::ClientGone),
        }
    }

    /// Passes on everything in both directions.
    async fn serve(&mut self, begun: u64, terminal: bool) -> Outcome {
        let bytes_in = AtomicU64::new(0);
        let gate = self.gate.clone();
        let mut show =
            OutputRelay::new(&self.recorder, &self.handle, &self.to_client, gate, self.capture, terminal);
        let mut typing = InputRelay {
            recorder: &self.recorder,
            from_client: &mut self.from_client,
            control: &mut self.control,
            capture: self.capture,
            backlog: &self.backlog,
            bytes_in: &bytes_in,
        };
        let connection = &self.recorder.state;
        let mut outcome = tokio::select! {
            exit = show.run(&mut self.output, begun) => exit,
            over = typing.run(&mut self.input) => Err(over),
            _unrecorded = self.gate.lost_frame() => Err(Interruption::Unrecorded),
            () = connection.ended() => Err(Interruption::ClientGone),
        };
        if let Ok(exit) = &outcome {
            // Nothing of the client's is recorded any more: the last frame is the one that says how it ended.
            let recorded = tokio::select! {
                recorded = show.record_end(exit, bytes_in.load(Ordering::Relaxed)) => recorded,
                over = typing.drain() => Err(over),
                _unrecorded = self.gate.lost_frame() => Err(Interruption::Unrecorded),
                () = connection.ended() => Err(Interruption::ClientGone),
            };
            outcome = recorded.and(outcome);
        }
        match outcome {
            Ok(exit) => Ok((exit, show.finished())),
            Err(over) => Err((over, show.counts(bytes_in.load(Ordering::Relaxed)))),
        }
    }
}

/// Capture a frame, and returns its number.
pub(crate) async fn put(
    recorder: &Recorder,
    code: &'static str,
    data: impl Into<Bytes>,
) -> Result<u64, Interruption> {
    recorder.put(code, data).await.map_err(|_stopped| Interruption::ClientGone)
}

/// Capture that something ended the session from outside. Returns the number of the last frame.
async fn put_end(
    recorder: &Recorder,
    counts: Option<String>,
    why: &str,
    status: Option<i64>,
) -> Result<u64, Interruption> {
    if !recorder.is_begun() {
        // Nobody knows of it.
        return Err(Interruption::ClientGone);
    }
    if let Some(counts) = counts {
        put(recorder, "c", counts).await?;
    }
    put(recorder, "c", json!({ "ended_by": why }).to_string()).await?;
    put(recorder, LAST, status.map_or(String::new(), |status| status.to_string())).await
}

/// What a client reads whose input nobody does.
fn unread(bytes_max: usize) -> String {
    format!(
        "tapedeck: what runs here does not read its input, and {} MiB of it wait; the session ends here\r\n",
        bytes_max >> 20
    )
}

async fn end(handle: &Handle, id: ChannelId, exit: &Exit, finished: bool) -> Result<(), ()> {
    if !finished {
        handle.eof(id).await?;
    }
    match exit {
        Exit::Status(status) => handle.exit_status_request(id, *status).await?,
        Exit::Signal { name, core, message, language, .. } => {
            handle.exit_signal_request(id, name.clone(), *core, message.clone(), language.clone()).await?;
        }
        Exit::Lost(_) => handle.exit_status_request(id, 255).await?,
    }
    handle.close(id).await
}

//! A session: one channel in which something runs. Couples the relays and records the end. Does not
//! know logins or back ends.

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

/// How long sending a last message may take.
const FAREWELL_TIME: Duration = Duration::from_secs(1);

/// Sent to a client whose session can't be recorded.
const UNRECORDED: &str = "tapedeck: this session can't be recorded and ends here\r\n";

/// The exit status of a session that is cut off.
const CUT_STATUS: u32 = 255;

/// A client's request to a running session.
pub(crate) enum Control {
    Resize(Size),
    Signal(Sig),
}

/// What of a session is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Capture {
    Output,
    OutputAndInput,
    /// Byte counts only: not a terminal.
    Counts,
}

/// Parts of a session.
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

/// Why a session ends before its back end exits.
pub(crate) enum Interruption {
    /// The client has gone, or the engine takes no more frames.
    ClientGone,
    /// Strict mode: a frame was lost.
    Unrecorded,
    /// Too much unread input.
    UnreadInput,
}

/// The exit, and whether EOF was sent; or the interruption, and counts still to be recorded.
type Outcome = Result<(Exit, bool), (Interruption, Option<String>)>;

impl Session {
    /// Runs to the exit of the back end, the client's end or the connection's.
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
        // The library blocks the whole connection on an unread channel.
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
                // If the engine takes no more frames, the recording is cut off here.
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
        // Before any frame of a later session: its loss would not be theirs. But a client does not
        // wait for a stalled engine.
        let recorded = async {
            let number = put_end(&recorder, counts, why, Some(CUT_STATUS.into())).await?;
            gate.durable(number).await.map_err(|_unrecorded| Interruption::Unrecorded)
        };
        drop(tokio::time::timeout(FAREWELL_TIME, recorded).await);
        let said = to_client.extended_data_bytes(STDERR, Bytes::from(said));
        // A client that does not read is not waited for.
        drop(tokio::time::timeout(FAREWELL_TIME, said).await);
        output.hang_up(input).await;
        _ = end(&handle, id, &Exit::Status(CUT_STATUS), false).await;
    }

    /// Records who it is. Returns the numbers of the first and the last of these frames.
    async fn begin(&self, facts: String, size: Option<Size>) -> Result<(u64, u64), Interruption> {
        let facts_recorded = async {
            let first = put(&self.recorder, "c", facts).await?;
            let last = match size {
                Some(size) => put(&self.recorder, "r", format!("{}x{}", size.columns, size.rows)).await?,
                None => first,
            };
            Ok((first, last))
        };
        tokio::select! {
            recorded = facts_recorded => recorded,
            () = self.recorder.state.ended() => Err(Interruption::ClientGone),
        }
    }

    /// Runs both relays.
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
            // No more input is recorded: the exit is the last frame.
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

/// Records a frame and returns its number.
pub(crate) async fn put(
    recorder: &Recorder,
    code: &'static str,
    data: impl Into<Bytes>,
) -> Result<u64, Interruption> {
    recorder.put(code, data).await.map_err(|_stopped| Interruption::ClientGone)
}

/// Records an end from outside. Returns the last frame's number.
async fn put_end(
    recorder: &Recorder,
    counts: Option<String>,
    why: &str,
    status: Option<i64>,
) -> Result<u64, Interruption> {
    if !recorder.is_begun() {
        // Nothing was recorded yet.
        return Err(Interruption::ClientGone);
    }
    if let Some(counts) = counts {
        put(recorder, "c", counts).await?;
    }
    put(recorder, "c", json!({ "ended_by": why }).to_string()).await?;
    put(recorder, LAST, status.map_or(String::new(), |status| status.to_string())).await
}

/// Sent to a client whose input is not read.
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

//! A session: one channel in which something runs. Couples the relays and records the end. Does not
//! know logins or back ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use russh::server::{Handle, Msg};
use russh::{ChannelId, ChannelReadHalf, ChannelWriteHalf, Sig};
use tapedeck_sdk::kinds::terminal::Code;
use tokio::sync::mpsc;

use crate::backend::local::STDERR;
use crate::backend::process::Size;
use crate::backend::{Exit, Input, Output};
use crate::channel::backlog::Backlog;
use crate::channel::content::Content;
use crate::channel::input::InputRelay;
use crate::channel::output::OutputRelay;
use crate::recording::durability::DurabilityGate;
use crate::recording::facts::Closing;
use crate::recording::recorder::Recorder;

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
    pub(crate) content: Content,
    pub(crate) backlog: Arc<Backlog>,
}

/// Why a session ends before its back end exits.
pub(crate) enum Interruption {
    /// The client has gone, or the engine takes no more frames.
    ClientGone,
    /// Strict mode: a frame was lost.
    Unrecorded,
    /// Too much unread input.
    UnreadInput { limit_bytes: usize },
}

/// How a session was served.
enum Outcome {
    Exited {
        exit: Exit,
        /// Whether EOF was sent.
        finished: bool,
    },
    /// With the bytes received from the client, and sent to it.
    Interrupted(Interruption, (u64, u64)),
}

impl Session {
    /// Runs to the exit of the back end, the client's end or the connection's.
    pub(crate) async fn run(mut self, facts: String, size: Option<Size>) {
        let outcome = match self.begin(facts, size).await {
            Ok((first, last)) => {
                self.gate.begin(first);
                self.serve(last, size.is_some()).await
            }
            Err(over) => Outcome::Interrupted(over, (0, 0)),
        };
        match outcome {
            Outcome::Exited { exit, finished } => {
                // The library blocks the whole connection on an unread channel.
                drop((self.from_client, self.control));
                _ = end(&self.handle, self.to_client.id(), &exit, finished).await;
            }
            Outcome::Interrupted(Interruption::ClientGone, bytes) => self.hang_up(bytes).await,
            Outcome::Interrupted(Interruption::Unrecorded, bytes) => {
                self.cut_off("a loss of the recording", UNRECORDED.to_owned(), bytes).await;
            }
            Outcome::Interrupted(Interruption::UnreadInput { limit_bytes }, bytes) => {
                self.cut_off("too much input that nothing reads", unread(limit_bytes), bytes).await;
            }
        }
    }

    /// The client has gone, or the connection ends.
    async fn hang_up(self, bytes: (u64, u64)) {
        let Self { output, input, recorder, handle, from_client, to_client, control, .. } = self;
        drop((from_client, control));
        let ended = recorder.state.end_reason();
        let hung_up = output.hang_up(input).await;
        let closing = Closing {
            bytes,
            exit: hung_up.exit.as_ref(),
            left_running: hung_up.left_running.as_deref(),
            ended_by: Some(ended.unwrap_or("the client has gone")),
        };
        // If the engine takes no more frames, the recording is cut off here.
        _ = put_end(&recorder, &closing).await;
        if ended.is_none() {
            // A client that is still there sees that the session is over.
            _ = handle.close(to_client.id()).await;
        }
    }

    /// Ends the session with a message to the client.
    async fn cut_off(self, why: &str, message: String, bytes: (u64, u64)) {
        let Self { output, input, recorder, mut gate, handle, from_client, to_client, control, .. } = self;
        drop((from_client, control));
        let exit = Exit::Status(CUT_STATUS);
        let closing = Closing { bytes, exit: Some(&exit), ended_by: Some(why), ..Closing::default() };
        // Before any frame of a later session: its loss would not be theirs. But a client does not
        // wait for a stalled engine.
        let recorded = async {
            let number = put_end(&recorder, &closing).await?;
            gate.durable(number).await.map_err(|_unrecorded| Interruption::Unrecorded)
        };
        drop(tokio::time::timeout(FAREWELL_TIME, recorded).await);
        let sent = to_client.extended_data_bytes(STDERR, Bytes::from(message));
        // A client that does not read is not waited for.
        drop(tokio::time::timeout(FAREWELL_TIME, sent).await);
        output.hang_up(input).await;
        _ = end(&handle, to_client.id(), &exit, false).await;
    }

    /// Records who it is. Returns the numbers of the first and the last of these frames.
    async fn begin(&self, facts: String, size: Option<Size>) -> Result<(u64, u64), Interruption> {
        let facts_recorded = async {
            let first = put(&self.recorder, Code::Facts, facts).await?;
            let last = match size {
                Some(size) => put(&self.recorder, Code::Resize, size.text()).await?,
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
        let recording = (self.capture, self.content);
        let gate = self.gate.clone();
        let mut output =
            OutputRelay::new(&self.recorder, &self.handle, &self.to_client, gate, recording, terminal);
        let mut input = InputRelay {
            recorder: &self.recorder,
            from_client: &mut self.from_client,
            control: &mut self.control,
            capture: self.capture,
            content: self.content,
            backlog: &self.backlog,
            bytes_in: &bytes_in,
        };
        let connection = &self.recorder.state;
        let mut outcome = tokio::select! {
            exit = output.run(&mut self.output, begun) => exit,
            over = input.run(&mut self.input) => Err(over),
            _unrecorded = self.gate.lost_frame() => Err(Interruption::Unrecorded),
            () = connection.ended() => Err(Interruption::ClientGone),
        };
        if let Ok(exit) = &outcome {
            let ended = async {
                let left_running = self.output.left_running().await;
                output.record_end(exit, &bytes_in, left_running).await
            };
            // No more input is recorded: the exit is the last frame.
            let recorded = tokio::select! {
                recorded = ended => recorded,
                over = input.drain() => Err(over),
                _unrecorded = self.gate.lost_frame() => Err(Interruption::Unrecorded),
                () = connection.ended() => Err(Interruption::ClientGone),
            };
            outcome = recorded.and(outcome);
        }
        match outcome {
            Ok(exit) => Outcome::Exited { exit, finished: output.finished() },
            Err(over) => Outcome::Interrupted(over, (bytes_in.load(Ordering::Relaxed), output.bytes())),
        }
    }
}

/// Records a frame and returns its number.
pub(crate) async fn put(
    recorder: &Recorder,
    code: Code,
    data: impl Into<Bytes>,
) -> Result<u64, Interruption> {
    recorder.put(code, data).await.map_err(|_stopped| Interruption::ClientGone)
}

/// Records the end of a session. Returns the last frame's number.
pub(crate) async fn put_end(recorder: &Recorder, closing: &Closing<'_>) -> Result<u64, Interruption> {
    if !recorder.is_begun() {
        // Nothing was recorded yet.
        return Err(Interruption::ClientGone);
    }
    put(recorder, Code::Facts, closing.facts()).await?;
    let status = closing.exit.map_or(String::new(), |exit| exit.number().to_string());
    put(recorder, Code::Exit, status).await
}

/// Sent to a client whose input is not read.
fn unread(limit_bytes: usize) -> String {
    format!(
        "tapedeck: what runs here does not read its input, and {} MiB of it wait; the session ends here\r\n",
        limit_bytes >> 20
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

//! One channel while something runs in it: output to the tape and then to the client, input the other way. Knows nothing of logins, nor of
//! what it is that runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use russh::server::{Handle, Msg};
use russh::{ChannelId, ChannelReadHalf, ChannelWriteHalf, Sig};
use serde_json::json;
use tokio::sync::mpsc;

use crate::backlog::Backlog;
use crate::child::Size;
use crate::ends::{Ending, Inlet, Outlet};
use crate::gate::Gate;
use crate::local::STDERR;
use crate::show::Show;
use crate::tape::{LAST, Tape};
use crate::typing::Typing;

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
pub(crate) enum Records {
    Output,
    OutputAndInput,
    /// How much went by, but not what: it is no terminal's.
    Counts,
}

/// What a session is made of.
pub(crate) struct Session {
    pub(crate) outlet: Outlet,
    pub(crate) inlet: Inlet,
    pub(crate) tape: Tape,
    pub(crate) gate: Gate,
    pub(crate) handle: Handle,
    pub(crate) from_client: ChannelReadHalf,
    pub(crate) to_client: ChannelWriteHalf<Msg>,
    pub(crate) control: mpsc::Receiver<Control>,
    pub(crate) records: Records,
    pub(crate) backlog: Arc<Backlog>,
}

/// Why a session ends before what runs in it.
pub(crate) enum Over {
    /// The client has gone, or the engine takes no more frames.
    Gone,
    /// It must not go on without its recording.
    Unrecorded,
    /// What runs does not read its input, and more waits than may.
    Unread,
}

/// How a session ended, and whether the client knows already that no more output comes; or why it is over before, and what is still to
/// be recorded of it.
type Outcome = Result<(Ending, bool), (Over, Option<String>)>;

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
        let Self { outlet, inlet, tape, mut gate, handle, from_client, to_client, control, backlog, .. } =
            self;
        // The library waits with the whole connection for whoever does not read a channel.
        drop((from_client, control));
        let id = to_client.id();
        let (over, counts) = match outcome {
            Ok((ending, finished)) => {
                _ = end(&handle, id, &ending, finished).await;
                return;
            }
            Err(over) => over,
        };
        let (why, said) = match over {
            Over::Gone => {
                let ended = tape.life.ended();
                let status = outlet.hang_up(inlet).await.map(|ending| ending.number());
                // When the engine takes no more frames, the recording is cut off where it is.
                _ = put_end(&tape, counts, ended.unwrap_or("the client has gone"), status).await;
                if ended.is_none() {
                    // A client that is still there sees that the session is over.
                    _ = handle.close(id).await;
                }
                return;
            }
            Over::Unrecorded => ("a loss of the recording", UNRECORDED.to_owned()),
            Over::Unread => ("too much input that nothing reads", unread(backlog.bytes_max())),
        };
        // At once, and so before anything of a later session: it may be lost, too, and that is not the other's loss. But a client does
        // not wait for an engine that stands still.
        let recorded = async {
            let number = put_end(&tape, counts, why, Some(CUT_STATUS.into())).await?;
            gate.passed(number).await.map_err(|_unrecorded| Over::Unrecorded)
        };
        drop(tokio::time::timeout(FAREWELL_TIME, recorded).await);
        let said = to_client.extended_data_bytes(STDERR, Bytes::from(said));
        // A client that does not listen is not waited for.
        drop(tokio::time::timeout(FAREWELL_TIME, said).await);
        outlet.hang_up(inlet).await;
        _ = end(&handle, id, &Ending::Status(CUT_STATUS), false).await;
    }

    /// Records who it is. Returns the numbers of the first and the last frame of this.
    async fn begin(&self, facts: String, size: Option<Size>) -> Result<(u64, u64), Over> {
        let told = async {
            let first = put(&self.tape, "c", facts).await?;
            let last = match size {
                Some(size) => put(&self.tape, "r", format!("{}x{}", size.columns, size.rows)).await?,
                None => first,
            };
            Ok((first, last))
        };
        tokio::select! {
            told = told => told,
            () = self.tape.life.ending() => Err(Over::Gone),
        }
    }

    /// Passes on everything in both directions.
    async fn serve(&mut self, begun: u64, terminal: bool) -> Outcome {
        let bytes_in = AtomicU64::new(0);
        let gate = self.gate.clone();
        let mut show = Show::new(&self.tape, &self.handle, &self.to_client, gate, self.records, terminal);
        let mut typing = Typing {
            tape: &self.tape,
            from_client: &mut self.from_client,
            control: &mut self.control,
            records: self.records,
            backlog: &self.backlog,
            bytes_in: &bytes_in,
        };
        let life = &self.tape.life;
        let mut outcome = tokio::select! {
            ending = show.run(&mut self.outlet, begun) => ending,
            over = typing.run(&mut self.inlet) => Err(over),
            _unrecorded = self.gate.broken() => Err(Over::Unrecorded),
            () = life.ending() => Err(Over::Gone),
        };
        if let Ok(ending) = &outcome {
            // Nothing of the client's is recorded any more: the last frame is the one that says how it ended.
            let recorded = tokio::select! {
                recorded = show.record_end(ending, bytes_in.load(Ordering::Relaxed)) => recorded,
                over = typing.drain() => Err(over),
                _unrecorded = self.gate.broken() => Err(Over::Unrecorded),
                () = life.ending() => Err(Over::Gone),
            };
            outcome = recorded.and(outcome);
        }
        match outcome {
            Ok(ending) => Ok((ending, show.finished())),
            Err(over) => Err((over, show.counts(bytes_in.load(Ordering::Relaxed)))),
        }
    }
}

/// Records a frame, and returns its number.
pub(crate) async fn put(tape: &Tape, code: &'static str, data: impl Into<Bytes>) -> Result<u64, Over> {
    tape.put(code, data).await.map_err(|_stopped| Over::Gone)
}

/// Records that something ended the session from outside. Returns the number of the last frame.
async fn put_end(tape: &Tape, counts: Option<String>, why: &str, status: Option<i64>) -> Result<u64, Over> {
    if !tape.is_begun() {
        // Nobody knows of it.
        return Err(Over::Gone);
    }
    if let Some(counts) = counts {
        put(tape, "c", counts).await?;
    }
    put(tape, "c", json!({ "ended_by": why }).to_string()).await?;
    put(tape, LAST, status.map_or(String::new(), |status| status.to_string())).await
}

/// What a client reads whose input nobody does.
fn unread(bytes_max: usize) -> String {
    format!(
        "tapedeck: what runs here does not read its input, and {} MiB of it wait; the session ends here\r\n",
        bytes_max >> 20
    )
}

async fn end(handle: &Handle, id: ChannelId, ending: &Ending, finished: bool) -> Result<(), ()> {
    if !finished {
        handle.eof(id).await?;
    }
    match ending {
        Ending::Status(status) => handle.exit_status_request(id, *status).await?,
        Ending::Signal { name, core, message, language, .. } => {
            handle.exit_signal_request(id, name.clone(), *core, message.clone(), language.clone()).await?;
        }
        Ending::Lost(_) => handle.exit_status_request(id, 255).await?,
    }
    handle.close(id).await
}

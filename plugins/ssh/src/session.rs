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
use crate::tape::Tape;
use crate::typing::Typing;

/// How long a client may take to hear why its session ends.
const FAREWELL_TIME: Duration = Duration::from_secs(1);

/// What a client reads when its session can't be recorded.
const UNRECORDED: &[u8] = b"tapedeck: this session can't be recorded and ends here\r\n";

/// The exit status that it gets.
const UNRECORDED_STATUS: u32 = 255;

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
}

impl Session {
    /// Runs until the end of what runs in it, or the client's.
    pub(crate) async fn run(mut self, facts: String, size: Option<Size>) {
        let id = self.to_client.id();
        let status = match self.begin(facts, size).await {
            Ok((first, last)) => {
                self.gate.begin(first);
                self.serve(last).await
            }
            Err(over) => Err(over),
        };
        match status {
            Ok((ending, finished)) => _ = end(&self.handle, id, &ending, finished).await,
            Err(Over::Gone) => {
                let why = self.tape.life.ended().unwrap_or("the client has gone");
                let status = self.outlet.hang_up(self.inlet).await.map(|ending| ending.number());
                // When the engine takes no more frames, the recording is cut off where it is.
                _ = put_end(&self.tape, why, status).await;
                // A client that is still there sees that the session is over.
                _ = self.handle.close(id).await;
            }
            Err(Over::Unrecorded) => {
                // At once, and so before anything of a later session: it may be lost, too, and that is not the other's loss.
                _ = put_end(&self.tape, "a loss of the recording", Some(UNRECORDED_STATUS.into())).await;
                let said = self.to_client.extended_data_bytes(STDERR, Bytes::from_static(UNRECORDED));
                // A client that does not listen is not waited for.
                drop(tokio::time::timeout(FAREWELL_TIME, said).await);
                self.outlet.hang_up(self.inlet).await;
                _ = end(&self.handle, id, &Ending::Status(UNRECORDED_STATUS), false).await;
            }
        }
    }

    /// Records who it is. Returns the numbers of the first and the last frame of this.
    async fn begin(&self, facts: String, size: Option<Size>) -> Result<(u64, u64), Over> {
        let first = put(&self.tape, "c", facts).await?;
        let last = match size {
            Some(size) => put(&self.tape, "r", format!("{}x{}", size.columns, size.rows)).await?,
            None => first,
        };
        Ok((first, last))
    }

    /// Passes on everything in both directions. Returns how it ended, and whether the client knows already that no more output comes.
    async fn serve(&mut self, begun: u64) -> Result<(Ending, bool), Over> {
        let bytes_in = AtomicU64::new(0);
        let mut show = Show::new(&self.tape, &self.handle, &self.to_client, self.gate.clone(), self.records);
        let mut typing = Typing {
            tape: &self.tape,
            from_client: &mut self.from_client,
            control: &mut self.control,
            records: self.records,
            backlog: &self.backlog,
            bytes_in: &bytes_in,
        };
        let showing = async {
            let ending = show.run(&mut self.outlet, begun).await?;
            show.record_end(&ending, bytes_in.load(Ordering::Relaxed)).await?;
            Ok(ending)
        };
        let outcome = tokio::select! {
            ending = showing => ending,
            over = typing.run(&mut self.inlet) => Err(over),
            _unrecorded = self.gate.broken() => Err(Over::Unrecorded),
        };
        if outcome.is_err() {
            // Nobody waits for it any more.
            _ = show.put_counts(bytes_in.load(Ordering::Relaxed)).await;
        }
        outcome.map(|ending| (ending, show.finished()))
    }
}

/// Records a frame, and returns its number.
pub(crate) async fn put(tape: &Tape, code: &'static str, data: impl Into<Bytes>) -> Result<u64, Over> {
    tape.put(code, data).await.map_err(|_stopped| Over::Gone)
}

/// Records that something ended the session from outside.
async fn put_end(tape: &Tape, why: &str, status: Option<i64>) -> Result<(), Over> {
    put(tape, "c", json!({ "ended_by": why }).to_string()).await?;
    put(tape, "x", status.map_or(String::new(), |status| status.to_string())).await?;
    Ok(())
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

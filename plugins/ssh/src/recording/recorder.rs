//! Frames on their way from the network's thread to the source. Does not know SSH.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use tapedeck_sdk::{Host, Timestamp};
use tokio::sync::mpsc;

use crate::server::state::ConnectionState;

/// The most queued frames. A frame has 32 KiB at most: 8 MiB.
pub(crate) const FRAMES_MAX: usize = 256;

/// A frame of the stream.
pub(crate) struct Frame {
    pub(crate) at: Timestamp,
    pub(crate) connection: Arc<str>,
    pub(crate) code: &'static str,
    pub(crate) data: Bytes,
}

/// Code of a recording's last frame.
pub(crate) const LAST: &str = "x";

/// The engine takes no more frames, or the recording has its last one.
#[derive(Debug)]
pub(crate) struct Stopped;

/// Records one channel.
pub(crate) struct Recorder {
    frames: mpsc::Sender<Frame>,
    host: Arc<dyn Host>,
    connection: Arc<str>,
    pub(crate) state: Arc<ConnectionState>,
    /// Frames queued so far, over all connections.
    count: Arc<AtomicU64>,
    progress: Progress,
}

/// Progress of a recording.
#[derive(Default)]
struct Progress {
    begun: AtomicBool,
    ended: AtomicBool,
}

impl Recorder {
    pub(crate) fn new(
        frames: mpsc::Sender<Frame>,
        host: Arc<dyn Host>,
        connection: Arc<str>,
        state: Arc<ConnectionState>,
        count: Arc<AtomicU64>,
    ) -> Self {
        Self { frames, host, connection, state, count, progress: Progress::default() }
    }

    /// Whether a frame was recorded.
    pub(crate) fn is_begun(&self) -> bool {
        self.progress.begun.load(Ordering::Relaxed)
    }

    /// Records a frame; waits while the queue is full. Returns the frame's number in the stream,
    /// from 0 on, which is the engine's `seq`. Fails after the last frame: a sink would start
    /// another recording.
    pub(crate) async fn put(&self, code: &'static str, data: impl Into<Bytes>) -> Result<u64, Stopped> {
        let room = self.frames.reserve().await.map_err(|_closed| Stopped)?;
        // Time and number are taken without an `await` before the send, on one thread: times never
        // go back, and numbers are in the queue's order.
        if self.progress.ended.load(Ordering::Relaxed) {
            return Err(Stopped);
        }
        self.progress.begun.store(true, Ordering::Relaxed);
        self.progress.ended.store(code == LAST, Ordering::Relaxed);
        let at = self.host.now();
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        self.state.touch(at);
        room.send(Frame { at, connection: self.connection.clone(), code, data: data.into() });
        Ok(number)
    }

    /// Notes activity that is not recorded.
    pub(crate) fn touch(&self) {
        self.state.touch(self.host.now());
    }
}

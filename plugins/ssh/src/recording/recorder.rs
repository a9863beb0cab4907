//! The way of frames from the network's thread to the engine's. Knows nothing of SSH.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use tapedeck_sdk::{Host, Timestamp};
use tokio::sync::mpsc;

use crate::server::state::ConnectionState;

/// The most frames on their way. A frame has 32 KiB at most, so this is at most 8 MiB.
pub(crate) const FRAMES_MAX: usize = 256;

/// One frame.
pub(crate) struct Frame {
    pub(crate) at: Timestamp,
    pub(crate) connection: Arc<str>,
    pub(crate) code: &'static str,
    pub(crate) data: Bytes,
}

/// The code of a recording's last frame.
pub(crate) const LAST: &str = "x";

/// The engine takes no more frames, or the recording has its last one.
#[derive(Debug)]
pub(crate) struct Stopped;

/// What one channel is recorded on.
pub(crate) struct Recorder {
    frames: mpsc::Sender<Frame>,
    host: Arc<dyn Host>,
    connection: Arc<str>,
    pub(crate) state: Arc<ConnectionState>,
    /// How many frames all connections have put into the queue.
    count: Arc<AtomicU64>,
    progress: Progress,
}

/// How far a recording is.
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

    /// Whether anything is recorded.
    pub(crate) fn is_begun(&self) -> bool {
        self.progress.begun.load(Ordering::Relaxed)
    }

    /// Capture a frame. Waits while the engine has its hands full. Returns the frame's number in the stream, from 0 on, which is the
    /// `seq` that the engine gives it. After the last frame there is none: a sink would take it for another recording's first.
    pub(crate) async fn put(&self, code: &'static str, data: impl Into<Bytes>) -> Result<u64, Stopped> {
        let state = self.frames.reserve().await.map_err(|_closed| Stopped)?;
        // The time and the number are taken where nothing comes between them and the queue: one thread puts all frames, and there is no
        // `await` from here on. So times never go back, and numbers are in the queue's spec.
        if self.progress.ended.load(Ordering::Relaxed) {
            return Err(Stopped);
        }
        self.progress.begun.store(true, Ordering::Relaxed);
        self.progress.ended.store(code == LAST, Ordering::Relaxed);
        let at = self.host.now();
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        self.state.touch(at);
        state.send(Frame { at, connection: self.connection.clone(), code, data: data.into() });
        Ok(number)
    }

    /// Takes note that something went by which is not recorded.
    pub(crate) fn touch(&self) {
        self.state.touch(self.host.now());
    }
}

//! The way of frames from the network's thread to the engine's. Knows nothing of SSH.

use std::sync::Arc;

use bytes::Bytes;
use tapedeck_sdk::{Host, Timestamp};
use tokio::sync::mpsc;

use crate::limits::Life;

/// The most frames on their way. A frame has 32 KiB at most, so this is at most 8 MiB.
pub(crate) const FRAMES_MAX: usize = 256;

/// One frame.
pub(crate) struct Frame {
    pub(crate) at: Timestamp,
    pub(crate) connection: Arc<str>,
    pub(crate) code: &'static str,
    pub(crate) data: Bytes,
}

/// The engine takes no more frames.
#[derive(Debug)]
pub(crate) struct Stopped;

/// What one channel is recorded on.
#[derive(Clone)]
pub(crate) struct Tape {
    pub(crate) frames: mpsc::Sender<Frame>,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) connection: Arc<str>,
    pub(crate) life: Arc<Life>,
}

impl Tape {
    /// Records a frame. Waits while the engine has its hands full.
    pub(crate) async fn put(&self, code: &'static str, data: impl Into<Bytes>) -> Result<(), Stopped> {
        let room = self.frames.reserve().await.map_err(|_closed| Stopped)?;
        // The time is taken where nothing comes between it and the queue: times in a stream never go back.
        let at = self.host.now();
        self.life.touch(at);
        room.send(Frame { at, connection: self.connection.clone(), code, data: data.into() });
        Ok(())
    }
}

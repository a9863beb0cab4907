//! Frames on their way from the network's thread to the source. Does not know SSH.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use tapedeck_sdk::kinds::terminal::Code;
use tapedeck_sdk::{Host, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::server::state::ConnectionState;

/// The most queued frames, and the most bytes in them: facts have the length of what a client asks for. A longer frame is queued alone.
pub(crate) const FRAMES_MAX: usize = 256;
const QUEUE_BYTES_MAX: u32 = 8 << 20;

/// A frame of the stream.
pub(crate) struct Frame {
    pub(crate) at: Timestamp,
    pub(crate) connection: Arc<str>,
    pub(crate) code: Code,
    pub(crate) data: Bytes,
    /// Its bytes of the queue, until it is taken.
    _room: OwnedSemaphorePermit,
}

/// The source's end of the queue is [`mpsc::Receiver`]; this is where frames are put.
#[derive(Clone)]
pub(crate) struct FrameQueue {
    frames: mpsc::Sender<Frame>,
    /// Room in bytes.
    room: Arc<Semaphore>,
}

impl FrameQueue {
    /// A queue, and where frames are taken from it.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Frame>) {
        let (frames, taken) = mpsc::channel(FRAMES_MAX);
        (Self { frames, room: Arc::new(Semaphore::new(QUEUE_BYTES_MAX as usize)) }, taken)
    }

    /// Waits for room for a frame of so many bytes.
    async fn reserve(
        &self,
        bytes: usize,
    ) -> Result<(OwnedSemaphorePermit, mpsc::Permit<'_, Frame>), Stopped> {
        let bytes = u32::try_from(bytes).unwrap_or(QUEUE_BYTES_MAX).min(QUEUE_BYTES_MAX);
        let reserved = async {
            let room = self.room.clone().acquire_many_owned(bytes).await.map_err(|_closed| Stopped)?;
            Ok((room, self.frames.reserve().await.map_err(|_closed| Stopped)?))
        };
        tokio::select! {
            reserved = reserved => reserved,
            // A source that takes no more makes no room.
            () = self.frames.closed() => Err(Stopped),
        }
    }
}

/// The engine takes no more frames, or the recording has its last one.
#[derive(Debug)]
pub(crate) struct Stopped;

/// Records one channel.
pub(crate) struct Recorder {
    queue: FrameQueue,
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
        queue: FrameQueue,
        host: Arc<dyn Host>,
        connection: Arc<str>,
        state: Arc<ConnectionState>,
        count: Arc<AtomicU64>,
    ) -> Self {
        Self { queue, host, connection, state, count, progress: Progress::default() }
    }

    /// Whether a frame was recorded.
    pub(crate) fn is_begun(&self) -> bool {
        self.progress.begun.load(Ordering::Relaxed)
    }

    /// Records a frame; waits while the queue is full. Returns the frame's number in the stream,
    /// from 0 on, which is the engine's `seq`. Fails after the last frame: a sink would start
    /// another recording.
    pub(crate) async fn put(&self, code: Code, data: impl Into<Bytes>) -> Result<u64, Stopped> {
        let data = data.into();
        let (room, place) = self.queue.reserve(data.len()).await?;
        // Time and number are taken without an `await` before the send, on one thread: times never
        // go back, and numbers are in the queue's order.
        if self.progress.ended.load(Ordering::Relaxed) {
            return Err(Stopped);
        }
        self.progress.begun.store(true, Ordering::Relaxed);
        self.progress.ended.store(code == Code::Exit, Ordering::Relaxed);
        let at = self.host.now();
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        self.state.touch();
        place.send(Frame { at, connection: self.connection.clone(), code, data, _room: room });
        Ok(number)
    }

    /// Notes activity that is not recorded.
    pub(crate) fn touch(&self) {
        self.state.touch();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::path::Path;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use tapedeck_sdk::testing::FakeHost;

    use super::*;

    #[test]
    fn few_long_frames_fill_the_queue_as_many_short_ones_do_and_its_end_wakes_who_waits() {
        let (queue, mut frames) = FrameQueue::new();
        let host = FakeHost::new(Path::new("/nonexistent"));
        let recorder =
            Recorder::new(queue, host, "a".into(), Arc::new(ConnectionState::new()), Arc::default());
        let long = || Bytes::from(vec![0; QUEUE_BYTES_MAX as usize / 2 + 1]);
        let mut context = Context::from_waker(Waker::noop());
        let mut first = pin!(recorder.put(Code::Facts, long()));
        assert!(matches!(first.as_mut().poll(&mut context), Poll::Ready(Ok(0))));
        let mut second = pin!(recorder.put(Code::Facts, long()));
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert_eq!(frames.try_recv().unwrap().data.len(), long().len());
        assert!(matches!(second.as_mut().poll(&mut context), Poll::Ready(Ok(1))));
        let mut third = pin!(recorder.put(Code::Output, long()));
        assert!(third.as_mut().poll(&mut context).is_pending());
        frames.close();
        assert!(matches!(third.as_mut().poll(&mut context), Poll::Ready(Err(Stopped))));
    }
}

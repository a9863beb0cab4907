//! A channel in which nothing runs yet.

use russh::ChannelReadHalf;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Discards what a client sends before it asks for something to run, as OpenSSH's server does.
///
/// The SSH library blocks the whole connection on an unread channel.
pub(crate) struct IdleReader {
    reader: JoinHandle<Option<ChannelReadHalf>>,
    /// Dropped, it stops the reader.
    _stay: oneshot::Sender<()>,
}

impl IdleReader {
    pub(crate) fn new(mut half: ChannelReadHalf) -> Self {
        let (stay, mut left) = oneshot::channel();
        let reader = tokio::spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    _ = &mut left => return Some(half),
                    // `None`: the channel is closed.
                    message = half.wait() => message.map(drop)?,
                }
            }
        });
        Self { reader, _stay: stay }
    }

    /// Stops discarding and returns the channel, unless it is closed.
    pub(crate) fn stop(self) -> JoinHandle<Option<ChannelReadHalf>> {
        self.reader
    }
}

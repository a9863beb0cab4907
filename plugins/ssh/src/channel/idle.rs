//! A channel in which nothing runs yet. Knows nothing of what will.

use russh::ChannelReadHalf;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Takes what a client sends before it has asked for something to run, for nobody, as OpenSSH's server does.
///
/// The SSH library waits with the whole connection for whoever does not read a channel, so somebody always must.
pub(crate) struct IdleReader {
    reader: JoinHandle<Option<ChannelReadHalf>>,
    /// Dropped, it ends the reader.
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

    /// What comes from now on is for somebody: gives the channel, unless it is closed.
    pub(crate) fn evicted(self) -> JoinHandle<Option<ChannelReadHalf>> {
        self.reader
    }
}

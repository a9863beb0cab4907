//! How far the recording of each source stream is, told to the source if it asks. Knows nothing of how frames move.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tapedeck_sdk::{Error, Follower, Watermark};

use crate::stats::{InputStats, Reach, StageStats, StreamStats};

/// An input of a sink that a stream comes to.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) input: Arc<InputStats>,
    pub(crate) sink: Arc<StageStats>,
}

impl End {
    /// How many frames were lost on the way here, which may be any that were sent. Of those that the sink itself refused is known up to
    /// where they were; what the source itself missed never had a place in the recording.
    fn lost(&self, streams: &[Arc<StreamStats>]) -> u64 {
        let loss = self.input.loss(streams);
        loss.dropped + loss.failed - self.input.refused.get().min(loss.failed)
    }
}

/// Whom to tell, and what of it was told.
struct Told {
    follower: Follower,
    /// How many frames were lost on their way to the sinks.
    count: u64,
    /// Where the last of them may have been, as in [`Watermark::lost`].
    lost: u64,
    mark: Option<Watermark>,
}

/// Where a stream ends up, and the streams that share the way.
type Ends = (Vec<End>, Arc<[Arc<StreamStats>]>);

/// The watermark of one source stream.
#[derive(Default)]
pub(crate) struct Mark {
    follower: OnceLock<Mutex<Told>>,
    ends: OnceLock<Ends>,
}

impl Mark {
    /// Says where the stream ends up.
    pub(crate) fn connect(&self, ends: Vec<End>, streams: Arc<[Arc<StreamStats>]>) {
        drop(self.ends.set((ends, streams)));
    }

    /// Whether somebody wants to know.
    pub(crate) fn is_followed(&self) -> bool {
        self.follower.get().is_some()
    }

    pub(crate) fn follow(&self, follower: Follower) -> Result<(), Error> {
        let Some((ends, _)) = self.ends.get() else {
            return Err(Error::plugin("a stream is followed before it flows")
                .with_hint("Call `follow` in the first `next`, not in `open`."));
        };
        if ends.is_empty() {
            return Err(Error::environment("no sink records the stream"));
        }
        if let Some(end) = ends.iter().find(|end| end.input.origins.len() > 1) {
            let message = format!("\"{}\" records it mixed with other streams", end.sink.id);
            return Err(Error::environment(message).with_hint("Record it by itself."));
        }
        if let Some(end) = ends.iter().find(|end| end.input.reach.is_unsafe()) {
            let message = format!("a kill would take what \"{}\" has written", end.sink.id);
            return Err(
                Error::environment(message).with_hint("Let it keep its journal: remove `journal = \"off\"`.")
            );
        }
        self.follower
            .set(Mutex::new(Told { follower, count: 0, lost: 0, mark: None }))
            .map_err(|_second| Error::plugin("the stream is followed already"))?;
        self.tell();
        Ok(())
    }

    /// One more than the last `seq` that the source has given away.
    fn sent(ends: &[End], streams: &[Arc<StreamStats>]) -> u64 {
        let origins = ends.iter().flat_map(|end| &end.input.origins).map(|&stream| &streams[stream]);
        // A tick that the source missed has a number, too.
        let sent = |stream: &Arc<StreamStats>| {
            stream.frames.load(Ordering::Relaxed)
                + stream.late.load(Ordering::Relaxed)
                + stream.skipped.load(Ordering::Relaxed)
        };
        origins.map(sent).max().unwrap_or(0)
    }

    /// Tells the follower where the recording is now.
    pub(crate) fn tell(&self) {
        let (Some(follower), Some((ends, streams))) = (self.follower.get(), self.ends.get()) else { return };
        let least = |count: fn(&Reach) -> &AtomicU64| {
            ends.iter().map(|end| count(&end.input.reach).load(Ordering::Acquire)).min().unwrap_or(0)
        };
        // Held while the numbers are read: what the follower is told never goes back.
        let mut told = follower.lock().unwrap_or_else(PoisonError::into_inner);
        // Read before the losses: a frame that is passed because it was lost is known as lost then.
        let (written, flushed) = (least(|reach| &reach.written), least(|reach| &reach.flushed));
        let count = ends.iter().map(|end| end.lost(streams)).sum();
        let grown = count > std::mem::replace(&mut told.count, count);
        if grown || ends.iter().any(|end| end.input.reach.is_unsafe()) {
            told.lost = Self::sent(ends, streams);
        }
        let refused = ends.iter().map(|end| end.input.reach.refused.load(Ordering::Acquire)).max();
        let lost = told.lost.max(refused.unwrap_or(0));
        told.lost = lost;
        let mark = Watermark { written, flushed, lost };
        if told.mark.replace(mark) != Some(mark) {
            (told.follower)(mark);
        }
    }
}

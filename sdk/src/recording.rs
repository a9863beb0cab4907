//! A recording that is read back: which streams it has, how far they go, and their frames from any moment on. Not a
//! [`Source`](crate::Source): nothing is live, so there is no deadline, no waiting, and `seq` and time are as recorded.

use std::sync::Arc;

use crate::{Batch, Error, StreamSchema, Timestamp};

/// What a stream of a recording holds, known without reading its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Extent {
    /// Frames.
    pub frames: u64,
    /// The first and the last `seq`, where the index knows them.
    pub seq: Option<(u64, u64)>,
    /// The earliest and the latest timestamp in ns since the Unix epoch, where the index knows them.
    pub timestamps: Option<(i64, i64)>,
}

/// What a reader wants of one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Every column.
    #[default]
    All,
    /// These payload columns (by index, rising), with `seq` and `timestamp`.
    Columns(Vec<usize>),
    /// No frame of it.
    Nothing,
}

impl Wanted {
    /// The streams as they are once only what is wanted is read. One that is not wanted at all stays as it is.
    ///
    /// # Errors
    /// A column that is not there, or not as many entries as streams.
    pub fn of_streams(
        wanted: &[Self],
        streams: &[Arc<StreamSchema>],
    ) -> Result<Vec<Arc<StreamSchema>>, Error> {
        if wanted.len() != streams.len() {
            return Err(Error::plugin(format!(
                "{} streams were selected from, the recording has {}",
                wanted.len(),
                streams.len()
            )));
        }
        let projected = |(wanted, schema): (&Self, &Arc<StreamSchema>)| match wanted {
            Self::Columns(columns) => schema.projected(columns),
            Self::All | Self::Nothing => Ok(schema.clone()),
        };
        wanted.iter().zip(streams).map(projected).collect()
    }
}

/// An open recording.
///
/// **Life.** [`Format::open`](crate::Format::open) → [`streams`](Self::streams), [`extent`](Self::extent) →
/// [`select`](Self::select) at most once → [`next`](Self::next), [`seek`](Self::seek) and [`closest`](Self::closest) in any
/// order → dropped. All calls of one instance are made on one thread at a time. Every call may block on the disk.
///
/// **Rows** carry the `seq` and `timestamp` they were recorded with. A file without `seq` (made by another program) gets row numbers.
/// A torn end is where the stream ends.
///
/// **Memory** is bounded: a batch is at most a few MiB, whatever the file says of itself.
///
/// **Errors** leave what was given before valid. After an `Err` the recording gives no more frames until the next [`seek`](Self::seek).
pub trait Recording: Send {
    /// The streams, in the order of the index that the other calls take and give. The same for the whole life, but that
    /// [`select`](Self::select) leaves only the columns that are wanted.
    fn streams(&self) -> &[Arc<StreamSchema>];

    /// What a stream holds, from an index or a footer; `None` where only reading to the end would tell.
    fn extent(&self, stream: usize) -> Option<Extent>;

    /// Only these streams and columns are wanted from here on: an entry for each of [`streams`](Self::streams). To be called before
    /// the first `next`, `seek` or `closest`.
    ///
    /// # Errors
    /// A column that is not there, or not as many entries as streams.
    fn select(&mut self, wanted: &[Wanted]) -> Result<(), Error>;

    /// From here on each stream goes on with its first frame, in the order of the file, whose time is at or after `to`.
    /// `Timestamp(i64::MIN)` is the beginning; a time after the last frame is the end.
    ///
    /// # Errors
    /// Reading failed.
    fn seek(&mut self, to: Timestamp) -> Result<(), Error>;

    /// The next frames and the index of their stream: of one stream in order, between streams roughly in the order of their first
    /// timestamps. `None` at the end. Never an empty batch.
    ///
    /// # Errors
    /// Reading failed, or the recording is damaged here.
    fn next(&mut self) -> Result<Option<(usize, Batch)>, Error>;

    /// The frame of a stream that is nearest to a moment, as a batch and its row there; of two that are equally near the earlier one.
    /// `None` where the stream has no frame, or is not wanted. Where times go back within a stream, any nearest frame around the place
    /// that [`seek`](Self::seek) finds. Moves where [`next`](Self::next) goes on: `seek` before it is called again.
    ///
    /// # Errors
    /// As for `next`.
    fn closest(&mut self, stream: usize, to: Timestamp) -> Result<Option<(Batch, usize)>, Error>;
}

//! A recording that is read back. Not a [`Source`](crate::Source): nothing is live, so there is no deadline and no waiting, and `seq`
//! and time are as recorded.

use std::sync::Arc;

use crate::{Batch, Error, StreamSchema};

/// An open recording.
///
/// **Life.** [`Format::open`](crate::Format::open) → [`streams`](Self::streams) → [`next`](Self::next) until `None` → dropped. All
/// calls of one instance are made on one thread at a time. Every call may block on the disk.
///
/// **Rows** carry the `seq` and `timestamp` they were recorded with. A file without `seq` (made by another program) gets row numbers.
/// A torn end is where the stream ends.
///
/// **Errors** leave what was given before valid. After an `Err` the recording gives no more frames.
pub trait Recording: Send {
    /// The streams, in the order of the index that [`next`](Self::next) gives. The same for the whole life.
    fn streams(&self) -> &[Arc<StreamSchema>];

    /// The next frames and the index of their stream: of one stream in order, between streams roughly in the order of their first
    /// timestamps. `None` at the end. Never an empty batch.
    ///
    /// # Errors
    /// Reading failed, or the recording is damaged here.
    fn next(&mut self) -> Result<Option<(usize, Batch)>, Error>;
}

//! The three traits that a plugin implements, and the three that open one. The contract stands above each.

use std::sync::Arc;

use crate::{Batch, Context, Description, Error, StreamSchema, Timestamp, Written};

/// What [`Source::next`] has.
#[derive(Debug)]
pub enum Next {
    /// Frames of one stream, in the order in which they happened.
    Batch {
        /// Which stream: an index into [`Source::streams`].
        output: usize,
        /// The frames. At least one row; the engine drops an empty batch.
        batch: Batch,
    },
    /// Nothing until the deadline. Not a loss.
    Idle,
    /// The source has ended by itself (the target exited, the file is read): it is not called again.
    End,
}

/// Where frames come from.
///
/// **Life.** [`OpenSource::open`] → [`streams`](Self::streams) once → [`next`](Self::next) again and again →
/// [`stop`](Self::stop) at most once → `next` until the end, if `stop` asked for it → dropped. `open` and `streams` are called on the
/// thread that starts the session, all others on one thread of the source's own.
///
/// **Pacing.** With a `rate` in the pipeline the engine calls `next` at each tick of an absolute schedule; the source takes one
/// sample and returns it without waiting. Without one the engine calls `next` in a loop; the source waits for its device
/// until the deadline and returns [`Next::Idle`] if nothing came. One method serves both: wait only if there is nothing to take.
///
/// **May** block until the deadline, never longer by intent: the deadline is how the engine stops a source.
/// **May not** allocate in its steady state, beyond the batch (take it from a [`BatchPool`](crate::BatchPool)).
///
/// **Time.** A row's timestamp is `host.now()` at the moment of taking the sample, or [`Timestamp::UNSET`] to have the engine
/// fill in the time of the call. `seq` is the engine's.
///
/// **Pause.** While the session pauses, `next` is not called, unless the descriptor says
/// [`runs_in_pause`](Description::runs_in_pause). It gives no frames then, except how things have ended.
///
/// **Errors.** An `Err` or a panic ends this source, is reported with its id and makes the exit code 1; what it gave before is
/// recorded whole, and other sources go on. After it, the source is dropped and nothing else is called. A value that is missing for a
/// moment (a dead pointer) is not an error: give null and call `host.partial`.
pub trait Source: Send {
    /// The streams that `next` gives, in the order of its `output` index. The same for the whole life.
    fn streams(&self) -> &[Arc<StreamSchema>];

    /// The next frames.
    ///
    /// # Errors
    /// What ends the source; see the trait.
    fn next(&mut self, deadline: Timestamp) -> Result<Next, Error>;

    /// The session is about to end. A source whose last frames must not be lost, such as what somebody has seen already or how things
    /// have ended, begins to wind up and returns `true`: [`next`](Self::next) is called until [`Next::End`], for two seconds at most.
    /// By default, and for a source that samples the present, there is nothing to wind up. Must not block.
    ///
    /// Not called after [`Next::End`] or an error.
    ///
    /// # Errors
    /// What ends the source at once; see the trait.
    fn stop(&mut self) -> Result<bool, Error> {
        Ok(false)
    }
}

/// Where a transform puts what it made. The engine implements it: a push calls the stage below at once, on the same thread.
pub trait Outputs {
    /// Hands a batch on. `output` is an index into what [`Transform::streams`] returned.
    fn push(&mut self, output: usize, batch: Batch);
}

/// What changes frames on their way.
///
/// **Life.** [`OpenTransform::open`] → [`streams`](Self::streams) once → [`process`](Self::process) and [`flush`](Self::flush) again
/// and again → [`finish`](Self::finish), which consumes it. `open` and `streams` are called on the thread that starts the session, all
/// others on one thread, which may be shared with the stages above and below.
///
/// **May not** block. May allocate only batches in its steady state.
///
/// **Rows.** A row that comes out keeps the `seq` and `timestamp` it came in with, and rows stay in order; a transform may leave
/// rows out, but never makes up a `seq`. A batch is shared: its bytes never change, what comes out is a new batch (or the
/// same one, when nothing is to be changed). Rows left out because they can't be read are counted with `host.failed`.
///
/// **Errors.** An `Err` of `process` counts the rows of the batch in hand that were not handed on as failed, and the next batch comes.
/// An `Err` of kind [`Plugin`](crate::ErrorKind::Plugin), an `Err` of `flush`, a panic, or a row that was not given ends the stage: it
/// is dropped without `finish`; what still comes counts as failed, and so do the rows behind the last one that came
/// out: they were held back. Other stages go on.
pub trait Transform: Send {
    /// Given the streams that come in, the streams that go out. Called once, before anything runs; the indices of `inputs` and
    /// of the returned streams are those of `process` and [`Outputs::push`].
    ///
    /// # Errors
    /// An input that the transform can't work on. The pipeline is refused.
    fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error>;

    /// Takes one batch of stream `input`.
    ///
    /// # Errors
    /// The batch could not be processed: its rows that were not handed on are counted as failed.
    fn process(&mut self, input: usize, batch: Batch, out: &mut dyn Outputs) -> Result<(), Error>;

    /// Hands on rows that were held back long enough: a kill would cost what the sinks do not have. Called with the session's time, at
    /// least once in each `flush_interval`, also when nothing comes. By default nothing is held back.
    ///
    /// # Errors
    /// The stage ends.
    fn flush(&mut self, _now: Timestamp, _out: &mut dyn Outputs) -> Result<(), Error> {
        Ok(())
    }

    /// The streams have ended: hands on what was held back. Returns a sentence for the final report ("ratio 3.9"), if there is
    /// something to say.
    ///
    /// # Errors
    /// What was held back is lost.
    fn finish(self: Box<Self>, _out: &mut dyn Outputs) -> Result<Option<String>, Error> {
        Ok(None)
    }
}

/// Where frames are kept.
///
/// **Life.** [`OpenSink::open`] → [`write`](Self::write) and [`flush`](Self::flush) again and again →
/// [`finish`](Self::finish), which consumes it. `open` is called on the thread that starts the session, all others on one thread.
///
/// **Blocking.** `write` and `flush` may block on the disk: the queue before the sink takes up the time. Steady state allocates
/// nothing per row.
///
/// **Refusals.** A sink that can't keep some frames says which in the [`Written`] that each call returns: rows of the batch in hand, or
/// rows that it was given before and could not keep after all. They count as failed at their input; the rest of the batch is written,
/// and the sink goes on. A row that is kept with a value missing is not refused: it is counted with `host.partial`.
///
/// **Safety of what was written.** After `flush` returns, everything written before it survives a `kill -9` (the bytes are the
/// kernel's; surviving a power cut is not asked). The engine calls it each `flush_interval` (default 1 s) when there is
/// something to flush. A format that can't do that says [`Description::needs_journal`], and the engine keeps a journal beside it.
///
/// **Errors.** An `Err` of `write` or `flush`, or a panic, ends this sink: nothing but `finish` is called, which then
/// saves what it can. All rows since the last successful flush, and all that still come, count as failed. Other sinks go on.
pub trait Sink: Send {
    /// Takes one batch of stream `input` (an index into the `inputs` that `open` was given).
    ///
    /// # Errors
    /// The sink can't take any more; see the trait.
    fn write(&mut self, input: usize, batch: Batch) -> Result<Written, Error>;

    /// Makes everything written so far survive a `kill -9`.
    ///
    /// # Errors
    /// As for `write`.
    fn flush(&mut self) -> Result<Written, Error>;

    /// The streams have ended: writes what is left and closes the files. The file must be whole afterwards.
    ///
    /// # Errors
    /// The file is not whole. What was flushed before must still be recoverable.
    fn finish(self: Box<Self>) -> Result<Written, Error>;
}

/// How a source is made from its options.
pub trait OpenSource: Source + Sized + 'static {
    /// The options, as the pipeline's keys spell them; the doc comments are what `plugins inspect` prints.
    type Options: serde::de::DeserializeOwned + schemars::JsonSchema;

    /// Name, kind and streams, without running anything.
    fn describe() -> Description;

    /// Looks at the options alone; free of side effects, opens nothing.
    ///
    /// # Errors
    /// Options that can't work together; point at the one to blame with [`Error::option`].
    fn check(_options: &Self::Options) -> Result<(), Error> {
        Ok(())
    }

    /// Opens the device. May have side effects, but creates no file.
    ///
    /// # Errors
    /// The device can't be opened. The pipeline is refused, and nothing was written.
    fn open(options: Self::Options, context: Context) -> Result<Self, Error>;
}

/// How a transform is made from its options.
pub trait OpenTransform: Transform + Sized + 'static {
    /// The options, as the pipeline's keys spell them.
    type Options: serde::de::DeserializeOwned + schemars::JsonSchema;

    /// Name, kind and stream kinds, without running anything.
    fn describe() -> Description;

    /// Looks at the options alone; free of side effects.
    ///
    /// # Errors
    /// Options that can't work together.
    fn check(_options: &Self::Options) -> Result<(), Error> {
        Ok(())
    }

    /// Makes the transform.
    ///
    /// # Errors
    /// What it needs is not there.
    fn open(options: Self::Options, context: Context) -> Result<Self, Error>;
}

/// How a sink is made from its options.
pub trait OpenSink: Sink + Sized + 'static {
    /// The options, as the pipeline's keys spell them.
    type Options: serde::de::DeserializeOwned + schemars::JsonSchema;

    /// Name, kind and stream kinds, without running anything.
    fn describe() -> Description;

    /// Looks at the options alone; free of side effects.
    ///
    /// # Errors
    /// Options that can't work together.
    fn check(_options: &Self::Options) -> Result<(), Error> {
        Ok(())
    }

    /// Opens the sink for the streams `inputs`. Files are created only where [`Context::artifact`] says.
    ///
    /// # Errors
    /// A schema that the format can't hold (kind `Data`), or a file that can't be made.
    fn open(options: Self::Options, inputs: &[Arc<StreamSchema>], context: Context) -> Result<Self, Error>;
}

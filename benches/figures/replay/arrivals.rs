//! A sink that notes when each frame reaches it, by the system's steady clock: behind an edge, on the worker thread of a sink. Makes no
//! file.

use std::sync::{Arc, Mutex, PoisonError};

use rustix::thread::ClockId;
use rustix::time::clock_gettime;
use serde_json::json;
use tapedeck_sdk::{
    Batch, Context, Description, Descriptor, Error, Factory, Opener, Sink, StreamSchema, Timestamp, Written,
};

/// A frame that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) seq: u64,
    pub(super) recorded: Timestamp,
    /// On the steady clock.
    pub(super) at: Timestamp,
}

/// What has arrived at the sink called `arrivals`.
#[derive(Clone, Default)]
pub(super) struct Arrivals(Arc<Mutex<Vec<Arrival>>>);

impl Arrivals {
    /// Room for so many frames, so that none waits for memory.
    pub(super) fn with_room(frames: usize) -> Self {
        Self(Arc::new(Mutex::new(Vec::with_capacity(frames))))
    }

    /// The sink.
    pub(super) fn factory(&self) -> Factory {
        let description = Description::sink("arrivals", "Notes when each frame arrives");
        let notes = self.clone();
        let open = move |_: &serde_json::Value, _: &[Arc<StreamSchema>], _: Context| {
            Ok(Box::new(notes.clone()) as Box<dyn Sink>)
        };
        let descriptor = Descriptor { description, options: json!({ "type": "object" }) };
        Factory::from_parts(descriptor, Box::new(|_| Ok(())), Opener::Sink(Box::new(open)))
            .expect("the opener is a sink's")
    }

    /// What has arrived.
    pub(super) fn take(&self) -> Vec<Arrival> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The steady clock.
pub(super) fn steady() -> Timestamp {
    let time = clock_gettime(ClockId::Monotonic);
    Timestamp(time.tv_sec * 1_000_000_000 + time.tv_nsec)
}

impl Sink for Arrivals {
    fn write(&mut self, _input: usize, batch: Batch) -> Result<Written, Error> {
        let at = steady();
        let rows = batch.seq().iter().zip(batch.timestamps());
        let arrived = rows.map(|(&seq, &recorded)| Arrival { seq, recorded: Timestamp(recorded), at });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(arrived);
        Ok(Written::ALL)
    }

    fn flush(&mut self) -> Result<Written, Error> {
        Ok(Written::ALL)
    }

    fn finish(self: Box<Self>) -> Result<Written, Error> {
        Ok(Written::ALL)
    }
}

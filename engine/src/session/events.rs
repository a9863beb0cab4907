//! What happens to a session while it runs: marks, pauses, what stages are told. Kept for the manifest, in order.

use std::sync::{Mutex, PoisonError};

use crossbeam_queue::ArrayQueue;
use tapedeck_sdk::{Error, LABEL_CHARACTERS_MAX, Timestamp, Told};

use super::{ManifestEvent, SessionEvent};
use crate::clock::SessionTime;

/// The most events of a session that are kept.
const EVENTS_MAX: usize = 100_000;
/// The most that a stage may be told before it asks.
const TOLD_MAX: usize = 64;
/// The longest message to a stage, name and value together, in bytes.
const TOLD_BYTES_MAX: usize = 16 << 10;

/// The events of a session.
pub(crate) struct Events {
    time: SessionTime,
    kept: Mutex<Vec<ManifestEvent>>,
}

impl Events {
    pub(crate) fn new(time: SessionTime) -> Self {
        Self { time, kept: Mutex::default() }
    }

    /// All so far.
    pub(crate) fn all(&self) -> Vec<ManifestEvent> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn keep(&self, what: SessionEvent) {
        let at: Timestamp = self.time.now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < EVENTS_MAX {
            kept.push(ManifestEvent { at_ns: at.0, what });
        }
    }

    pub(crate) fn mark(&self, label: &str) {
        self.keep(SessionEvent::Mark { label: label.chars().take(LABEL_CHARACTERS_MAX).collect() });
    }

    pub(crate) fn pause(&self) {
        if self.time.pause() {
            self.keep(SessionEvent::Pause { seconds: None });
        }
    }

    pub(crate) fn resume(&self) {
        let Some(pause) = self.time.resume() else { return };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let paused = kept.iter_mut().rev().find_map(|event| match &mut event.what {
            SessionEvent::Pause { seconds } => Some(seconds),
            _ => None,
        });
        if let Some(seconds) = paused {
            *seconds = Some(pause.as_secs_f64());
        }
    }

    /// Tells a stage something, which its queue keeps until it asks.
    pub(crate) fn tell(&self, stage: &str, ears: &Ears, told: Told) -> Result<(), Error> {
        let bytes = told.name.len() + told.value.to_string().len();
        if bytes > TOLD_BYTES_MAX {
            let message = format!("can't tell \"{stage}\" something of {bytes} bytes");
            return Err(Error::environment(message).with_hint(format!("the limit is {TOLD_BYTES_MAX} bytes")));
        }
        ears.0.push(told.clone()).map_err(|_full| {
            Error::environment(format!("\"{stage}\" does not listen: {TOLD_MAX} things wait for it already"))
                .with_hint("only stages whose plugin says so can be told something")
        })?;
        self.keep(SessionEvent::Told { stage: stage.to_owned(), told });
        Ok(())
    }
}

/// What a stage was told and has not asked for yet.
pub(crate) struct Ears(ArrayQueue<Told>);

impl Default for Ears {
    fn default() -> Self {
        Self(ArrayQueue::new(TOLD_MAX))
    }
}

impl Ears {
    pub(crate) fn told(&self) -> Option<Told> {
        self.0.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SessionClock;

    #[test]
    fn the_label_of_a_mark_has_a_limit() {
        let events = Events::new(SessionTime::new(SessionClock::anchored_now()));
        events.mark(&"ü".repeat(LABEL_CHARACTERS_MAX + 1));
        let SessionEvent::Mark { label } = &events.all()[0].what else { panic!("no mark") };
        assert_eq!(label.chars().count(), LABEL_CHARACTERS_MAX);
    }
}

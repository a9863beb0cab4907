//! What happens to a session while it runs: marks, pauses, what stages are told. Kept for the manifest, in order.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crossbeam_queue::ArrayQueue;
use tapedeck_sdk::{Error, LABEL_CHARACTERS_MAX, Timestamp, Told};

use super::{Manifest, ManifestEvent, SessionEvent};
use crate::clock::SessionTime;

/// The most events of a session that are kept, and the most bytes of their labels and messages: they are written with each manifest.
const EVENTS_MAX: usize = 100_000;
const EVENTS_BYTES_MAX: usize = 16 << 20;
/// The most that a stage may be told before it asks.
const TOLD_MAX: usize = 64;
/// The longest message to a stage, name and value together, in bytes.
const TOLD_BYTES_MAX: usize = 16 << 10;

/// The events of a session.
pub(crate) struct Events {
    time: SessionTime,
    kept: Mutex<Kept>,
}

/// What is kept of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    pub(crate) events: Vec<ManifestEvent>,
    /// How many are not, since there were too many.
    pub(crate) left_out: u64,
    bytes: usize,
}

impl Events {
    pub(crate) fn new(time: SessionTime) -> Self {
        Self { time, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes all so far into a manifest.
    pub(crate) fn write(&self, manifest: &mut Manifest) {
        let kept = self.kept();
        manifest.events.clone_from(&kept.events);
        manifest.events_left_out = kept.left_out;
    }

    /// Whether there is more than a manifest has.
    pub(crate) fn is_ahead_of(&self, manifest: &Manifest) -> bool {
        let kept = self.kept();
        (kept.events.len(), kept.left_out) != (manifest.events.len(), manifest.events_left_out)
    }

    /// `bytes` is the length of its texts.
    fn keep(&self, what: SessionEvent, bytes: usize) {
        let at: Timestamp = self.time.now();
        let mut kept = self.kept();
        if kept.events.len() < EVENTS_MAX && kept.bytes + bytes <= EVENTS_BYTES_MAX {
            kept.events.push(ManifestEvent { at_ns: at.0, what });
            kept.bytes += bytes;
        } else {
            kept.left_out += 1;
        }
    }

    pub(crate) fn mark(&self, label: &str) {
        let label: String = label.chars().take(LABEL_CHARACTERS_MAX).collect();
        let bytes = label.len();
        self.keep(SessionEvent::Mark { label }, bytes);
    }

    pub(crate) fn pause(&self) {
        if self.time.pause() {
            self.keep(SessionEvent::Pause { seconds: None }, 0);
        }
    }

    pub(crate) fn resume(&self) {
        let Some(pause) = self.time.resume() else { return };
        let mut kept = self.kept();
        let paused = kept.events.iter_mut().rev().find_map(|event| match &mut event.what {
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
        self.keep(SessionEvent::Told { stage: stage.to_owned(), told }, stage.len() + bytes);
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
        let SessionEvent::Mark { label } = &events.kept().events[0].what else { panic!("no mark") };
        assert_eq!(label.chars().count(), LABEL_CHARACTERS_MAX);
    }

    #[test]
    fn what_is_too_much_for_a_manifest_is_counted() {
        let events = Events::new(SessionTime::new(SessionClock::anchored_now()));
        let long = Told { name: "n".to_owned(), value: "v".repeat(TOLD_BYTES_MAX - 16).into() };
        let ears = Ears::default();
        let most = EVENTS_BYTES_MAX / (TOLD_BYTES_MAX - 16);
        for _ in 0..=most {
            events.tell("stage", &ears, long.clone()).unwrap();
            ears.told().unwrap();
        }
        let kept = events.kept().clone();
        assert!(kept.bytes <= EVENTS_BYTES_MAX && kept.left_out > 0);
        assert_eq!(kept.events.len() as u64 + kept.left_out, most as u64 + 1);
    }
}

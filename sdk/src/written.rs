//! What a sink has kept of the frames it was given: all of them, except those that it names here.

use std::ops::RangeInclusive;

use crate::Error;

/// What [`Sink::write`](crate::Sink::write), [`flush`](crate::Sink::flush) and [`finish`](crate::Sink::finish) return: everything is
/// kept, except the frames that the sink refuses. The engine counts those as failed at their input, and takes them out of what it has
/// counted as written.
///
/// At most one entry an input: further refusals of the same input are added to its entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    refused: Vec<Refused>,
}

/// Frames of one input that a sink refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which input: an index into the streams that the sink was opened with.
    pub input: usize,
    /// How many frames. All have been given to the sink, and none was refused before.
    pub frames: u64,
    /// The first and the last `seq` of them. Frames between the two may have been kept.
    pub seqs: (u64, u64),
    /// Why; of several refusals the first reason.
    pub reason: Error,
}

impl Written {
    /// Everything was kept. Allocates nothing.
    pub const ALL: Self = Self { refused: Vec::new() };

    /// Frames of one input that are refused. `seqs` are the first and the last `seq` of them, as [`Refused::seqs`] says.
    pub fn refusing(input: usize, frames: u64, seqs: RangeInclusive<u64>, reason: Error) -> Self {
        let mut written = Self::ALL;
        written.refuse(input, frames, seqs, reason);
        written
    }

    /// Refuses frames of one input. Nothing changes if there are none.
    pub fn refuse(&mut self, input: usize, frames: u64, seqs: RangeInclusive<u64>, reason: Error) {
        self.refuse_with(input, frames, seqs, || reason);
    }

    /// As [`refuse`](Self::refuse), for many frames: the reason is made for the first of an input only.
    pub fn refuse_with(
        &mut self,
        input: usize,
        frames: u64,
        seqs: RangeInclusive<u64>,
        reason: impl FnOnce() -> Error,
    ) {
        if frames == 0 {
            return;
        }
        let (first, last) = seqs.into_inner();
        match self.refused.iter_mut().find(|refused| refused.input == input) {
            Some(refused) => {
                refused.frames = refused.frames.saturating_add(frames);
                refused.seqs = (refused.seqs.0.min(first), refused.seqs.1.max(last));
            }
            None => self.refused.push(Refused { input, frames, seqs: (first, last), reason: reason() }),
        }
    }

    /// What was refused, an entry for each input that is concerned.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// How many frames of all inputs were refused.
    #[must_use]
    pub fn refused_frames(&self) -> u64 {
        self.refused.iter().fold(0, |sum, refused| sum.saturating_add(refused.frames))
    }

    /// Adds what another call refused.
    pub fn and(mut self, other: Self) -> Self {
        for Refused { input, frames, seqs: (first, last), reason } in other.refused {
            self.refuse(input, frames, first..=last, reason);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_many_refusals_is_made_once() {
        let (mut written, mut made) = (Written::ALL, 0);
        for seq in 0..1000 {
            written.refuse_with(0, 1, seq..=seq, || {
                made += 1;
                Error::data("too long")
            });
        }
        assert_eq!((written.refused_frames(), made), (1000, 1));
    }

    #[test]
    fn refusals_of_one_input_become_one_entry_with_the_first_reason() {
        let mut written = Written::refusing(1, 2, 7..=9, Error::data("too long"));
        written.refuse(1, 1, 3..=3, Error::data("no text"));
        written.refuse(0, 0, 0..=0, Error::data("nothing"));
        let written = written.and(Written::refusing(0, 4, 1..=4, Error::data("no room")));
        assert_eq!(written.refused_frames(), 7);
        let [one, other] = written.refused() else { panic!("{written:?}") };
        assert_eq!(
            (one.input, one.frames, one.seqs, one.reason.message.as_str()),
            (1, 3, (3, 9), "too long")
        );
        assert_eq!((other.input, other.frames), (0, 4));
    }
}

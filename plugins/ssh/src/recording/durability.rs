//! The durability gate: output is sent at once or, in strict mode, when its frame would survive a
//! `kill -9`. Does not know SSH.

use std::future::pending;

use tapedeck_sdk::Watermark;
use tokio::sync::watch;

/// A frame was lost, or the watermark is no longer reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unrecorded;

/// One session's view of the watermark.
#[derive(Clone)]
pub(crate) struct DurabilityGate {
    /// `None`: not in strict mode.
    marks: Option<watch::Receiver<Watermark>>,
    /// The session's first frame: earlier losses are other sessions'.
    first: u64,
}

impl DurabilityGate {
    /// Before the session's first frame.
    pub(crate) fn new(marks: Option<watch::Receiver<Watermark>>) -> Self {
        Self { marks, first: u64::MAX }
    }

    /// Sets the session's first frame.
    pub(crate) fn begin(&mut self, first: u64) {
        self.first = first;
    }

    /// Whether output is sent at once.
    pub(crate) fn is_open(&self) -> bool {
        self.marks.is_none()
    }

    /// Waits until this frame is durable.
    pub(crate) async fn durable(&mut self, number: u64) -> Result<(), Unrecorded> {
        let Some(marks) = &mut self.marks else { return Ok(()) };
        let first = self.first;
        let mark = marks.wait_for(|mark| mark.lost > first || mark.flushed > number).await;
        match mark {
            Ok(mark) if mark.lost <= first => Ok(()),
            Ok(_) | Err(_) => Err(Unrecorded),
        }
    }

    /// Waits until a frame is lost; never returns outside strict mode.
    pub(crate) async fn lost_frame(&mut self) -> Unrecorded {
        let Some(marks) = &mut self.marks else { return pending().await };
        let first = self.first;
        // A watermark that is no longer reported counts as a loss.
        drop(marks.wait_for(|mark| mark.lost > first).await);
        Unrecorded
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Polls a future once.
    fn ask<F: Future>(future: F) -> Poll<F::Output> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn mark(flushed: u64, lost: u64) -> Watermark {
        Watermark { written: flushed, flushed, lost }
    }

    #[test]
    fn a_frame_passes_when_it_is_flushed_and_not_when_it_is_only_written() {
        let (tell, marks) = watch::channel(mark(0, 0));
        let mut gate = DurabilityGate::new(Some(marks));
        gate.begin(0);
        assert_eq!(ask(gate.durable(0)), Poll::Pending);
        tell.send_replace(Watermark { written: 5, flushed: 4, lost: 0 });
        assert_eq!(ask(gate.durable(3)), Poll::Ready(Ok(())));
        assert_eq!(ask(gate.durable(4)), Poll::Pending);
    }

    #[test]
    fn a_loss_closes_the_gate_and_one_of_frames_from_before_does_not() {
        let (tell, marks) = watch::channel(mark(7, 2));
        let mut gate = DurabilityGate::new(Some(marks));
        gate.begin(6);
        assert_eq!(ask(gate.durable(6)), Poll::Ready(Ok(())));
        // An earlier frame turns out to be lost.
        tell.send_replace(mark(8, 6));
        assert_eq!(ask(gate.lost_frame()), Poll::Pending);
        assert_eq!(ask(gate.durable(7)), Poll::Ready(Ok(())));
        tell.send_replace(mark(100, 7));
        assert_eq!(ask(gate.durable(6)), Poll::Ready(Err(Unrecorded)));
        assert_eq!(ask(gate.lost_frame()), Poll::Ready(Unrecorded));
    }

    #[test]
    fn nothing_passes_when_nobody_says_any_more_how_far_the_recording_is() {
        let (tell, marks) = watch::channel(mark(0, 0));
        let mut gate = DurabilityGate::new(Some(marks));
        drop(tell);
        assert_eq!(ask(gate.durable(0)), Poll::Ready(Err(Unrecorded)));
        assert_eq!(ask(gate.lost_frame()), Poll::Ready(Unrecorded));
    }

    #[test]
    fn without_strict_mode_the_gate_is_always_open() {
        let mut gate = DurabilityGate::new(None);
        assert!(gate.is_open());
        assert_eq!(ask(gate.durable(u64::MAX)), Poll::Ready(Ok(())));
        assert_eq!(ask(gate.lost_frame()), Poll::Pending);
    }
}

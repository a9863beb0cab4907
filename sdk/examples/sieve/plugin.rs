//! A sink that refuses some of what it is given: at once, when it is flushed, and at its end. The same through each door is a test.

use std::path::Path;

use tapedeck_sdk::prelude::*;

/// Options of the `sieve` sink: none.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SieveOptions {}

/// A sink that refuses frames by their number.
pub(crate) struct Sieve {
    /// Frames that are refused later: input and `seq`.
    at_flush: Vec<(usize, u64)>,
    at_end: Vec<(usize, u64)>,
}

fn refused(frames: &mut Vec<(usize, u64)>, why: &str) -> Written {
    let mut written = Written::ALL;
    for (input, seq) in frames.drain(..) {
        written.refuse(input, 1, seq..=seq, Error::new(ErrorKind::Io, why).with_hint("count differently"));
    }
    written
}

impl Sink for Sieve {
    fn write(&mut self, input: usize, batch: Batch) -> Result<Written, Error> {
        let mut odd = Vec::new();
        for &seq in batch.seq() {
            match seq % 6 {
                1 | 3 | 5 => odd.push((input, seq)),
                2 => self.at_flush.push((input, seq)),
                4 => self.at_end.push((input, seq)),
                _ => {}
            }
        }
        Ok(refused(&mut odd, "it is odd"))
    }

    fn flush(&mut self) -> Result<Written, Error> {
        Ok(refused(&mut self.at_flush, "the disk spat it out"))
    }

    fn finish(mut self: Box<Self>) -> Result<Written, Error> {
        Ok(refused(&mut self.at_flush, "the disk spat it out").and(refused(&mut self.at_end, "too late")))
    }
}

impl OpenSink for Sieve {
    type Options = SieveOptions;

    fn describe() -> Description {
        Description::sink("sieve", "Refuses most frames").takes(&[Kind::Attributes])
    }

    fn open(_options: SieveOptions, inputs: &[Arc<StreamSchema>], context: Context) -> Result<Self, Error> {
        let last = inputs.len() - 1;
        for (name, role) in
            [("all", Role::Recording), ("last", Role::RecordingOf(last)), ("facts", Role::Beside)]
        {
            context.host.artifact(Path::new(name), role)?;
        }
        Ok(Self { at_flush: Vec::new(), at_end: Vec::new() })
    }
}

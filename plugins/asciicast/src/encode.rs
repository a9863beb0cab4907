//! Frames as asciicast lines, versions 2 and 3. Pure: makes bytes, writes none, and allocates nothing for a frame.

use tapedeck_kit::Utf8Joiner;
use tapedeck_sdk::kinds::terminal::Code;

use crate::escape;
use crate::header::Version;
use crate::seconds::{self, Precision};

/// How many of [`Code::ALL`] are events of the format: the first ones.
pub(crate) const EVENT_CODES: usize = 5;

/// The code of that letter, if it is one of the format.
pub(crate) fn event_code(letter: &str) -> Option<Code> {
    Code::of(letter).filter(|&code| (code as usize) < EVENT_CODES)
}

/// Writes the events of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Encoder {
    version: Version,
    precision: Precision,
    /// When the last event that was written happened, as its reader will see it: the error of rounding is carried on in what is
    /// left of the true time.
    last: u64,
    output: Utf8Joiner,
    input: Utf8Joiner,
}

impl Encoder {
    pub(crate) fn new(version: Version, precision: Precision) -> Self {
        Self { version, precision, last: 0, output: Utf8Joiner::default(), input: Utf8Joiner::default() }
    }

    /// Adds the line of an event that happened `nanos` after the start. False if there is nothing to write yet: all of the data
    /// is half a character.
    pub(crate) fn event(&mut self, nanos: u64, code: Code, data: &[u8], out: &mut Vec<u8>) -> bool {
        let begin = out.len();
        let at = self.open(nanos, code, out);
        let text = out.len();
        match code {
            Code::Output => self.output.push(data, |part| escape::escape(part, out)),
            Code::Input => self.input.push(data, |part| escape::escape(part, out)),
            // These are whole as they are.
            _ => {
                let mut joiner = Utf8Joiner::default();
                joiner.push(data, |part| escape::escape(part, out));
                joiner.finish(|part| escape::escape(part, out));
            }
        }
        if out.len() == text && !data.is_empty() {
            out.truncate(begin);
            return false;
        }
        out.extend_from_slice(b"\"]\n");
        self.last = at;
        true
    }

    /// Takes out the half character that waits in a direction whose bytes are no events from here on.
    pub(crate) fn take_waiting(&mut self, code: Code) -> Vec<u8> {
        if code == Code::Output { self.output.take() } else { self.input.take() }
    }

    /// The connection has ended: half characters are given out as what they are, no text. Calls `written` for each event.
    pub(crate) fn finish(&mut self, nanos: u64, out: &mut Vec<u8>, mut written: impl FnMut(Code)) {
        for code in [Code::Output, Code::Input] {
            let joiner = if code == Code::Output { &mut self.output } else { &mut self.input };
            if !joiner.is_waiting() {
                continue;
            }
            joiner.finish(|_replacement| {});
            self.last = self.open(nanos, code, out);
            out.extend_from_slice("\u{fffd}\"]\n".as_bytes());
            written(code);
        }
    }

    /// Begins a line, up to the text. Returns when it happened, as a reader will see it.
    fn open(&self, nanos: u64, code: Code, out: &mut Vec<u8>) -> u64 {
        let at = self.precision.round(nanos).max(self.last);
        out.push(b'[');
        seconds::write(if self.version == Version::Three { at - self.last } else { at }, out);
        out.extend_from_slice(b", \"");
        out.extend_from_slice(code.letter().as_bytes());
        out.extend_from_slice(b"\", \"");
        at
    }
}

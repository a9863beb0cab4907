//! What the keys mean while a recording is played. Pure.

use std::time::Duration;

/// How far the arrows go.
const STEP: Duration = Duration::from_secs(5);

/// How much a key changes the speed.
const FASTER: f64 = 1.25;

/// What the user wants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wish {
    PauseOrGoOn,
    /// The next event, while paused.
    Step,
    Back(Duration),
    Forward(Duration),
    /// A part of the whole, in tenths.
    Tenth(u32),
    PreviousMark,
    NextMark,
    /// This many times as fast.
    Speed(f64),
    Quit,
}

/// The keys, for `--help` and the page about it.
pub(crate) const HELP: &str = "Keys: space pauses and goes on, . shows the next event while paused, left and right go 5 s back \
and on, [ and ] go to the previous and next mark, 0 to 9 go to that tenth, - and + change the speed, q or Ctrl-C ends.";

/// Reads what was typed at once.
pub(crate) fn wishes(mut typed: &[u8]) -> Vec<Wish> {
    let mut wishes = Vec::new();
    while let Some((&byte, rest)) = typed.split_first() {
        let (wish, rest) = match (byte, rest) {
            (0x1b, [b'[' | b'O', rest @ ..]) => escape(rest),
            (b' ', _) => (Some(Wish::PauseOrGoOn), rest),
            (b'.', _) => (Some(Wish::Step), rest),
            (b'[', _) => (Some(Wish::PreviousMark), rest),
            (b']', _) => (Some(Wish::NextMark), rest),
            (b'0'..=b'9', _) => (Some(Wish::Tenth(u32::from(byte - b'0'))), rest),
            (b'+' | b'=', _) => (Some(Wish::Speed(FASTER)), rest),
            (b'-', _) => (Some(Wish::Speed(1.0 / FASTER)), rest),
            (b'q' | 0x03, _) => (Some(Wish::Quit), rest),
            _ => (None, rest),
        };
        wishes.extend(wish);
        typed = rest;
    }
    wishes
}

/// What follows `ESC [` or `ESC O`: parameters up to a letter.
fn escape(sequence: &[u8]) -> (Option<Wish>, &[u8]) {
    let end = sequence.iter().position(|byte| (0x40..=0x7e).contains(byte));
    let Some(end) = end else { return (None, &[]) };
    let wish = match (&sequence[..end], sequence[end]) {
        (b"", b'C') => Some(Wish::Forward(STEP)),
        (b"", b'D') => Some(Wish::Back(STEP)),
        (b"", b'H') => Some(Wish::Tenth(0)),
        _ => None,
    };
    (wish, &sequence[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart_also_when_they_come_at_once() {
        let typed = b" .\x1b[C\x1bOD\x1b[1;5C[]7+q\x1b[5~x\x03";
        let wanted = [
            Wish::PauseOrGoOn,
            Wish::Step,
            Wish::Forward(STEP),
            Wish::Back(STEP),
            Wish::PreviousMark,
            Wish::NextMark,
            Wish::Tenth(7),
            Wish::Speed(1.25),
            Wish::Quit,
            Wish::Quit,
        ];
        assert_eq!(wishes(typed), wanted);
        assert_eq!(wishes(b"\x1b[1;"), []);
        assert_eq!(wishes(b"\x1b"), []);
    }
}

//! What the keys mean while a recording is played. Pure.

use std::time::Duration;

use tapedeck_terminal::Key;

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

/// What a key means.
pub(crate) fn wish(key: Key) -> Option<Wish> {
    Some(match key {
        Key::Byte(b' ') => Wish::PauseOrGoOn,
        Key::Byte(b'.') => Wish::Step,
        Key::Byte(b'[') => Wish::PreviousMark,
        Key::Byte(b']') => Wish::NextMark,
        Key::Byte(digit @ b'0'..=b'9') => Wish::Tenth(u32::from(digit - b'0')),
        Key::Byte(b'+' | b'=') => Wish::Speed(FASTER),
        Key::Byte(b'-') => Wish::Speed(1.0 / FASTER),
        Key::Byte(b'q' | 0x03) => Wish::Quit,
        Key::Byte(_) => return None,
        Key::Right => Wish::Forward(STEP),
        Key::Left => Wish::Back(STEP),
        Key::Home => Wish::Tenth(0),
    })
}

#[cfg(test)]
mod tests {
    use tapedeck_sdk::Timestamp;
    use tapedeck_terminal::Typed;

    use super::*;

    #[test]
    fn keys_are_told_apart_also_when_they_come_at_once() {
        let typed = b" .\x1b[C\x1bOD\x1b[1;5C[]7+q\x1b[5~x\x1b]11;rgb:1111/2222/3333\x07\x03";
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
        let mut wishes = Vec::new();
        Typed::default().read(typed, Timestamp(0), |key| wishes.extend(wish(key)));
        assert_eq!(wishes, wanted);
    }
}

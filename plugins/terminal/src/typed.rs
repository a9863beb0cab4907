//! Tells keys from everything else that a terminal sends: answers to questions (OSC, DCS, CSI, APC, PM, SOS), reports of focus and
//! mouse, pasted text. Sequences may come in pieces. Pure; does not know what a key is for.
//!
//! Sources: ECMA-48 (5th edition) §5.4 and §8.3, xterm's `ctlseqs`, the kitty keyboard protocol.

use std::time::Duration;

use tapedeck_sdk::Timestamp;

/// A sequence that is not continued for this long was none: a key that begins like one was pressed.
const SEQUENCE_IDLE_MAX: Duration = Duration::from_secs(2);

/// The most bytes of a CSI sequence that are kept; keys are shorter.
const CSI_BYTES_MAX: usize = 32;

const ESCAPE: u8 = 0x1b;

/// A key that was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The byte that a terminal sends for it: a character, or a control code.
    Byte(u8),
    /// The left arrow.
    Left,
    /// The right arrow.
    Right,
    /// Home.
    Home,
}

/// Where in the input the next byte stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// After ESC.
    Escape,
    /// In a control sequence; its bytes are kept.
    Csi,
    /// After ESC O: a function key's letter follows.
    Ss3,
    /// After the introducer of an OSC, whose number follows.
    OscBegin,
    /// In an OSC, DCS, APC, PM or SOS. `true` if BEL ends it.
    String(bool),
    /// After ESC in one of these.
    StringEscape,
    /// In pasted text, with so many bytes of what ends it.
    Paste(usize),
    /// So many bytes follow that mean nothing.
    Skip(u8),
    /// In a character of several bytes: a first one, and how many are left.
    Character(u8, u8),
}

/// Reads what a terminal sends.
#[derive(Debug, Clone, Default)]
pub struct Typed {
    state: State,
    csi: Vec<u8>,
    /// Whether the sequence was begun by a C1 control, and not by ESC. Elsewhere such bytes are parts of characters.
    is_c1: bool,
    /// When the last byte came.
    last: Option<Timestamp>,
}

/// What ends pasted text.
const PASTE_END: &[u8] = b"\x1b[201~";

impl Typed {
    /// Takes bytes that came at `now`; calls `pressed` for each key among them.
    pub fn read(&mut self, bytes: &[u8], now: Timestamp, mut pressed: impl FnMut(Key)) {
        if bytes.is_empty() {
            return;
        }
        if self.last.replace(now).is_some_and(|last| now.since(last) > SEQUENCE_IDLE_MAX) {
            self.state = State::Ground;
        }
        for &byte in bytes {
            self.step(byte).into_iter().for_each(&mut pressed);
        }
    }

    fn step(&mut self, byte: u8) -> Option<Key> {
        match (self.state, byte) {
            (State::Ground, _) => self.ground(byte),
            (State::Escape, _) => self.escape(byte),
            (State::Skip(left), _) => {
                self.becomes(if left > 1 { State::Skip(left - 1) } else { State::Ground })
            }
            (State::Paste(matched), _) => {
                let matched =
                    if byte == PASTE_END[matched] { matched + 1 } else { usize::from(byte == ESCAPE) };
                self.becomes(if matched == PASTE_END.len() { State::Ground } else { State::Paste(matched) })
            }
            (State::Character(first, left), 0x80..=0xbf) => self.character(first, left, byte),
            // What ended the character is looked at by itself.
            (State::Character(..), _) => self.ground(byte),
            (State::StringEscape, b'\\') => self.becomes(State::Ground),
            (State::StringEscape, _) => self.escape(byte),
            (State::String(_), ESCAPE) => self.becomes(State::StringEscape),
            (State::String(true), 0x07) => self.becomes(State::Ground),
            (State::String(_), 0x9c) if self.is_c1 => self.becomes(State::Ground),
            (State::Csi | State::Ss3 | State::OscBegin, ESCAPE) => self.becomes(State::Escape),
            // No answer has a control code in it: one that comes is a key, and the sequence was none.
            (_, 0..0x20 | 0x7f) => self.ground(byte),
            (State::String(_), _) => None,
            (State::OscBegin, b'0'..=b'9' | b'l' | b'L' | b'I') => self.becomes(State::String(true)),
            // Escape, and then this key.
            (State::OscBegin, _) => {
                self.state = State::Ground;
                self.ground(byte)
            }
            (State::Ss3, _) => {
                self.state = State::Ground;
                letter_key(byte)
            }
            (State::Csi, _) => self.csi(byte),
        }
    }

    fn becomes(&mut self, state: State) -> Option<Key> {
        self.state = state;
        None
    }

    fn ground(&mut self, byte: u8) -> Option<Key> {
        self.state = match byte {
            ESCAPE => State::Escape,
            0xc2..=0xdf => State::Character(byte, 1),
            0xe0..=0xef => State::Character(byte, 2),
            0xf0..=0xf4 => State::Character(byte, 3),
            0x80..=0x9f => return self.introduce(byte - 0x40, true),
            _ => State::Ground,
        };
        (self.state == State::Ground && byte < 0x80).then_some(Key::Byte(byte))
    }

    /// The next byte of a character. In UTF-8 the introducers of one byte are characters, too.
    fn character(&mut self, first: u8, left: u8, byte: u8) -> Option<Key> {
        match (first, byte) {
            (0xc2, 0x80..=0x9f) => self.introduce(byte - 0x40, true),
            _ if left > 1 => self.becomes(State::Character(first, left - 1)),
            _ => self.becomes(State::Ground),
        }
    }

    fn escape(&mut self, byte: u8) -> Option<Key> {
        match byte {
            ESCAPE => self.becomes(State::Escape),
            // Escape, and then this key.
            0..0x20 => self.ground(byte),
            _ => self.introduce(byte, false),
        }
    }

    /// What ESC and this byte begin, or the C1 control that stands for both.
    fn introduce(&mut self, byte: u8, is_c1: bool) -> Option<Key> {
        self.csi.clear();
        self.is_c1 = is_c1;
        self.becomes(match byte {
            b'[' => State::Csi,
            b'O' => State::Ss3,
            b']' => State::OscBegin,
            b'P' | b'_' | b'^' | b'X' => State::String(false),
            // A key with Alt.
            _ => State::Ground,
        })
    }

    fn csi(&mut self, byte: u8) -> Option<Key> {
        let is_final = (0x40..=0x7e).contains(&byte);
        if !is_final {
            if self.csi.len() < CSI_BYTES_MAX {
                self.csi.push(byte);
            }
            return None;
        }
        self.state = match (&self.csi[..], byte) {
            (b"200", b'~') => State::Paste(0),
            // A mouse report of X10: button, column, row.
            (b"", b'M') => State::Skip(3),
            // A function key of the Linux console.
            (b"", b'[') => State::Skip(1),
            _ => State::Ground,
        };
        csi_key(&self.csi, byte)
    }
}

/// An arrow or Home.
fn letter_key(letter: u8) -> Option<Key> {
    match letter {
        b'C' => Some(Key::Right),
        b'D' => Some(Key::Left),
        b'H' => Some(Key::Home),
        _ => None,
    }
}

/// The key of a control sequence. Programs in a recording may have switched the terminal to reports of keys (`CSI u`).
fn csi_key(parameters: &[u8], last: u8) -> Option<Key> {
    let text = std::str::from_utf8(parameters).ok()?;
    let mut fields = [("", ""); 3];
    for (field, text) in fields.iter_mut().zip(text.split(';')) {
        *field = text.split_once(':').unwrap_or((text, ""));
    }
    let [first, second, third] = fields;
    match (first.0, last) {
        ("" | "1", _) if held(second) == Some(0) => letter_key(last),
        (code, b'u') => character_key(code, held(second)?),
        // xterm's modifyOtherKeys: `CSI 27 ; modifiers ; code ~`.
        ("27", b'~') => character_key(third.0, held(second)?),
        _ => None,
    }
}

/// Which modifiers are held: shift 1, alt 2, control 4 and others. `None` for a key that was let go.
fn held((modifiers, event): (&str, &str)) -> Option<u8> {
    let counted: u8 = if modifiers.is_empty() { 1 } else { modifiers.parse().ok()? };
    // Caps lock (64) and num lock (128) are no modifiers here.
    Some(counted.checked_sub(1)? & 0x3f).filter(|_| event != "3")
}

/// The byte of a character's key, with or without control.
fn character_key(code: &str, held: u8) -> Option<Key> {
    let code: u8 = code.parse().ok().filter(u8::is_ascii)?;
    match held {
        0 | 1 => Some(Key::Byte(code)),
        4 | 5 if code >= b'@' => Some(Key::Byte(code.to_ascii_uppercase() & 0x1f)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pieces: &[&[u8]]) -> Vec<Key> {
        let mut typed = Typed::default();
        let mut keys = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            let now = Timestamp(i64::try_from(at).unwrap() * 300_000_000);
            typed.read(piece, now, |key| keys.push(key));
        }
        keys
    }

    /// What terminals send by themselves.
    const ANSWERS: &[&[u8]] = &[
        b"\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\",
        b"\x1b]11;rgb:1e1e/1e1e/1e1e\x07",
        b"\x1b]52;c;cQ==\x1b\\",
        b"\x1b]lqqq 123\x1b\\",
        b"\x1bP>|foot(1.16.2)\x1b\\",
        b"\x1bP1$r0;1m\x1b\\",
        b"\x1bP!|00000000\x1b\\",
        b"\x1b_Gi=31;OK q\x1b\\",
        b"\x1b^q\x1b\\",
        b"\x1bXq\x1b\\",
        b"\x1b[?62;4;6;22c",
        b"\x1b[>0;276;0c",
        b"\x1b[24;80R",
        b"\x1b[?2026;2$y",
        b"\x1b[8;24;80t",
        b"\x1b[?1u",
        b"\x1b[I",
        b"\x1b[O",
        b"\x1b[<0;5;5M",
        b"\x1b[<0;5;5m",
        b"\x1b[Mqqq",
        b"\x1b[200~0123 q \x03\x1c[]\x1b[C\x1b[201~",
        b"\x9d11;rgb:1e1e\x9c",
        b"\xc2\x9b?62c",
        b"\xc2\x9011\x1b\\",
        b"\x1bOP",
        b"\x1b[[A",
        b"\x1b[5~",
        b"\x1b[1;5C",
        b"\x1b[113;1:3u",
        "\x1b]lÜq\x1b\\".as_bytes(),
        "Üé中😀".as_bytes(),
    ];

    #[test]
    fn what_a_terminal_answers_is_no_key_in_whatever_pieces_it_comes() {
        for answer in ANSWERS {
            let name = answer.escape_ascii();
            assert_eq!(keys(&[answer, b"q"]), [Key::Byte(b'q')], "{name}");
            for cut in 1..answer.len() {
                let pieces = [&answer[..cut], &answer[cut..], b"q"];
                assert_eq!(keys(&pieces), [Key::Byte(b'q')], "{name} cut at {cut}");
            }
            let bytes: Vec<&[u8]> = answer.chunks(1).collect();
            assert_eq!(keys(&bytes), [], "{name}");
        }
    }

    #[test]
    fn keys_are_keys_in_every_spelling() {
        for (bytes, key) in [
            (&b"q"[..], Key::Byte(b'q')),
            (b"\x03", Key::Byte(3)),
            (b"\x1b[C", Key::Right),
            (b"\x1bOD", Key::Left),
            (b"\x1b[H", Key::Home),
            (b"\x1b[1;1C", Key::Right),
            (b"\x1b[1;129:1D", Key::Left),
            (b"\x1b[113u", Key::Byte(b'q')),
            (b"\x1b[99;5u", Key::Byte(3)),
            (b"\x1b[93;5:1u", Key::Byte(0x1d)),
            (b"\x1b[27;5;99~", Key::Byte(3)),
        ] {
            assert_eq!(keys(&[bytes]), [key], "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_sequence_that_is_none_does_not_swallow_what_is_pressed_after_it() {
        // Escape, and later a key that could go on with it.
        let mut typed = Typed::default();
        let mut keys = Vec::new();
        typed.read(b"\x1b", Timestamp(0), |key| keys.push(key));
        typed.read(b"]", Timestamp(3_000_000_000), |key| keys.push(key));
        // At once: what no answer begins with, and a control code in whatever was begun.
        typed.read(b"\x1b]q", Timestamp(3_000_000_000), |key| keys.push(key));
        for begun in [&b"\x1b]11"[..], b"\x1bP", b"\x1b_G", b"\x1b[1", b"\x1bO", b"\x1b"] {
            typed.read(begun, Timestamp(3_000_000_000), |key| keys.push(key));
            typed.read(b"\x03", Timestamp(3_000_000_000), |key| keys.push(key));
        }
        assert_eq!(keys, [&[Key::Byte(b']'), Key::Byte(b'q')][..], &[Key::Byte(3); 6]].concat());
    }
}

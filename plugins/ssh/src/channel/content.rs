//! Whether what passes a channel without a terminal is text. Does not know who sends it.

/// The most bytes of an incomplete character.
const PARTIAL_MAX: usize = 3;

/// What is known of the bytes in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Text, or treated as such.
    Text,
    /// Text until a piece is none.
    Checked(Streams),
    /// Bytes of a transfer: sinks of text leave them out.
    Bytes,
}

/// The streams of a direction: standard output and standard error, or standard input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Streams {
    main: Partial,
    error: Partial,
}

/// The incomplete character at the end of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Partial {
    bytes: [u8; PARTIAL_MAX],
    length: usize,
}

impl Content {
    /// Text until a piece is none.
    pub(crate) fn checked() -> Self {
        Self::Checked(Streams::default())
    }

    /// Looks at the next piece of a stream. True if it turns out to be bytes, from this piece on.
    pub(crate) fn turns_to_bytes(&mut self, piece: &[u8], is_error: bool) -> bool {
        let Self::Checked(Streams { main, error }) = self else { return false };
        let stream = if is_error { error } else { main };
        if stream.continues(piece) {
            return false;
        }
        *self = Self::Bytes;
        true
    }
}

impl Partial {
    /// Whether the stream is UTF-8 without NUL with this piece, too. Its last character may be incomplete.
    fn continues(&mut self, piece: &[u8]) -> bool {
        let joined;
        let text = if self.length == 0 {
            piece
        } else {
            joined = [&self.bytes[..self.length], piece].concat();
            &joined
        };
        let partial = match std::str::from_utf8(text) {
            Ok(_) => &[],
            Err(error) if error.error_len().is_none() => &text[error.valid_up_to()..],
            Err(_) => return false,
        };
        self.length = partial.len();
        self.bytes[..partial.len()].copy_from_slice(partial);
        !piece.contains(&0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_piece_that_is_no_text_makes_bytes_and_a_character_may_be_split() {
        for (pieces, expected) in [
            (&[&b"plain\n"[..], b"", b"more"][..], None),
            (&[b"\x1b[1mcaf\xc3", b"\xa9\n"], None),
            (&[b"\xf0", b"\x9f\x98", b"\x80\xe2", b"\x82\xac"], None),
            (&[b"\xf0\x9f", b"\x98x"], Some(1)),
            (&[b"caf\xc3", b"\n"], Some(1)),
            (&[b"caf\xc3\n"], Some(0)),
            (&[b"plain\n", b"a\0b"], Some(1)),
            (&[b"plain\n", b"more\n", b"\x1f\x8b\x08"], Some(2)),
        ] {
            let mut content = Content::checked();
            let turned = pieces.iter().position(|piece| content.turns_to_bytes(piece, false));
            assert_eq!(turned, expected, "{pieces:?}");
            assert_eq!(content == Content::Bytes, expected.is_some(), "{pieces:?}");
            assert!(expected.is_none() || !content.turns_to_bytes(b"\0", false), "it turns once");
        }
        assert!(!Content::Text.clone().turns_to_bytes(b"\0", false));
    }

    #[test]
    fn a_character_that_another_stream_interrupts_is_text() {
        let mut content = Content::checked();
        let pieces =
            [(&b"caf\xc3"[..], false), (b"warning: \xe2", true), (b"\xa9\n", false), (b"\x82\xac", true)];
        for (piece, is_error) in pieces {
            assert!(!content.turns_to_bytes(piece, is_error), "{piece:?}");
        }
        // What standard error says decides nothing for standard output.
        assert!(content.turns_to_bytes(b"\x1f\x8b\x08", false));
    }
}

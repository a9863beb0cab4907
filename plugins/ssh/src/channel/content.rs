//! Whether what passes a channel without a terminal is text. Does not know who sends it.

/// What is known of the bytes in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Text, or treated as such.
    Text,
    /// Decided by the first piece.
    Undecided,
    /// Bytes of a transfer: sinks of text leave them out.
    Bytes,
}

impl Content {
    /// Decides by a piece, unless decided. True if it turned out to be bytes now.
    pub(crate) fn decide(&mut self, piece: &[u8]) -> bool {
        if *self != Self::Undecided || piece.is_empty() {
            return false;
        }
        *self = if is_text(piece) { Self::Text } else { Self::Bytes };
        *self == Self::Bytes
    }
}

/// UTF-8 without NUL; the last character may be incomplete.
fn is_text(piece: &[u8]) -> bool {
    let whole = std::str::from_utf8(piece).map_or_else(|error| error.error_len().is_none(), |_text| true);
    whole && !piece.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_piece_decides_and_half_a_character_at_its_end_is_text() {
        for (piece, expected) in [
            (&b"plain\n"[..], Content::Text),
            (b"\x1b[1mcaf\xc3", Content::Text),
            (b"caf\xc3\n", Content::Bytes),
            (b"a\0b", Content::Bytes),
            (b"\x1f\x8b\x08", Content::Bytes),
        ] {
            let mut content = Content::Undecided;
            assert!(!content.decide(b""));
            assert_eq!(content.decide(piece), expected == Content::Bytes, "{piece:?}");
            assert!(!content.decide(b"\0"));
            assert_eq!(content, expected, "{piece:?}");
        }
    }
}

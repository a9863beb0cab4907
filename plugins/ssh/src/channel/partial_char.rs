//! Length of an incomplete UTF-8 character at the end of a stream.

/// The most bytes of an incomplete character.
const HALF_MAX: usize = 3;

/// The last bytes of the stream.
#[derive(Debug, Default)]
pub(crate) struct PartialChar {
    bytes: [u8; HALF_MAX],
    length: usize,
}

impl PartialChar {
    /// Adds a piece. Returns the length of the incomplete character at the end, which may exceed
    /// the piece.
    pub(crate) fn after(&mut self, piece: &[u8]) -> usize {
        let last = &piece[piece.len().saturating_sub(HALF_MAX)..];
        let kept = self.length.min(HALF_MAX - last.len());
        self.bytes.copy_within(self.length - kept..self.length, 0);
        self.bytes[kept..kept + last.len()].copy_from_slice(last);
        self.length = kept + last.len();
        let half = |&length: &usize| {
            let end = &self.bytes[self.length - length..self.length];
            // A lead byte occurs at the start of a character only, so earlier bytes don't matter.
            std::str::from_utf8(end)
                .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
        };
        (1..=self.length).find(half).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use tapedeck_kit::Utf8Joiner;

    use super::*;

    #[test]
    fn it_is_as_much_as_a_joiner_keeps_wherever_the_text_is_cut() {
        let text = "a\u{e9}\u{20ac}\u{1f600}z".as_bytes();
        let lost_frame =
            [b"\xf0\x9f\xe2\x82\x80\xc3", text, b"\x80\xff\xe2\x82a\xf4\x90\xed\xa0\xe0"].concat();
        for size in 1..=lost_frame.len() {
            let (mut tail, mut joiner, mut shown) = (PartialChar::default(), Utf8Joiner::default(), 0);
            for piece in lost_frame.chunks(size) {
                shown += piece.len();
                joiner.push(piece, |_| {});
                let half = tail.after(piece);
                assert_eq!(half > 0, joiner.is_waiting(), "{:x?} in pieces of {size}", &lost_frame[..shown]);
                assert!(half <= shown);
            }
        }
    }

    #[test]
    fn the_beginning_of_a_character_is_counted_over_pieces() {
        let mut tail = PartialChar::default();
        let steps = [&b"ab"[..], b"\xf0", b"\x9f\x98", b"\x80", b"\xe2\x82", b"x", b"", b"\xc3"];
        assert_eq!(steps.map(|piece| tail.after(piece)), [0, 1, 3, 0, 2, 0, 0, 1]);
    }
}

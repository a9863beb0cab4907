//! Bytes that arrive in pieces as text: a character that is cut in two waits for its other half, a byte that is no text becomes
//! U+FFFD. Knows nothing of terminals.

const REPLACEMENT: &str = "\u{fffd}";

/// Joins what was split. One for each direction of a connection.
#[derive(Debug, Default, Clone)]
pub struct Utf8Joiner {
    /// The beginning of a character; never a whole one.
    held: [u8; 4],
    length: usize,
}

impl Utf8Joiner {
    /// Gives `put` all text that is whole now.
    pub fn push(&mut self, mut bytes: &[u8], mut put: impl FnMut(&str)) {
        while self.length > 0 {
            let Some((&byte, rest)) = bytes.split_first() else { return };
            self.held[self.length] = byte;
            match std::str::from_utf8(&self.held[..=self.length]) {
                Ok(text) => put(text),
                Err(error) if error.error_len().is_none() => {
                    self.length += 1;
                    bytes = rest;
                    continue;
                }
                // What was held is broken off; the new byte is not part of it and begins afresh.
                Err(_) => {
                    put(REPLACEMENT);
                    self.length = 0;
                    break;
                }
            }
            (self.length, bytes) = (0, rest);
        }
        self.push_fresh(bytes, put);
    }

    /// As `push`, with nothing held.
    fn push_fresh(&mut self, mut bytes: &[u8], mut put: impl FnMut(&str)) {
        loop {
            let error = match std::str::from_utf8(bytes) {
                Ok("") => return,
                Ok(text) => return put(text),
                Err(error) => error,
            };
            let (whole, rest) = bytes.split_at(error.valid_up_to());
            if let Ok(text) = std::str::from_utf8(whole)
                && !text.is_empty()
            {
                put(text);
            }
            let Some(broken) = error.error_len() else {
                self.held[..rest.len()].copy_from_slice(rest);
                self.length = rest.len();
                return;
            };
            put(REPLACEMENT);
            bytes = &rest[broken..];
        }
    }

    /// Whether half a character waits.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.length > 0
    }

    /// Takes out the half character that waits: what follows is no text.
    pub fn take(&mut self) -> Vec<u8> {
        self.held[..std::mem::take(&mut self.length)].to_vec()
    }

    /// The other half will not come.
    pub fn finish(&mut self, mut put: impl FnMut(&str)) {
        if std::mem::take(&mut self.length) > 0 {
            put(REPLACEMENT);
        }
    }
}

//! Which channel a message belongs to, found without hashing: the channels that came last, and what tells each apart.

/// What tells the channel of a message apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key<'a> {
    pub(crate) topic: &'a [u8],
    pub(crate) encoding: &'a [u8],
    /// Everything else, as bytes.
    pub(crate) rest: &'a [u8],
}

impl Key<'_> {
    /// The key as one string of bytes.
    pub(crate) fn put(self, out: &mut Vec<u8>) {
        for part in [self.topic, self.encoding, self.rest] {
            out.extend_from_slice(&part.len().to_le_bytes());
            out.extend_from_slice(part);
        }
    }
}

/// A channel that came lately.
#[derive(Debug, Default)]
struct Known {
    topic: Vec<u8>,
    encoding: Vec<u8>,
    rest: Vec<u8>,
    channel: u16,
}

impl Known {
    fn is(&self, key: Key<'_>) -> bool {
        self.topic == key.topic && self.encoding == key.encoding && self.rest == key.rest
    }

    fn set(&mut self, key: Key<'_>, channel: u16) {
        let own = [&mut self.topic, &mut self.encoding, &mut self.rest];
        for (own, part) in own.into_iter().zip([key.topic, key.encoding, key.rest]) {
            own.clear();
            own.extend_from_slice(part);
        }
        self.channel = channel;
    }
}

/// The channels that came last. Topics tend to take turns: the search begins behind the one found before.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    channels: Vec<Known>,
    next: usize,
}

impl Recent {
    /// How many are kept: comparing more would take longer than hashing.
    const MAX: usize = 16;

    pub(crate) fn find(&mut self, key: Key<'_>) -> Option<u16> {
        let count = self.channels.len();
        let places = (self.next..count).chain(0..self.next.min(count));
        let place = places.into_iter().find(|&place| self.channels[place].is(key))?;
        self.next = if place + 1 < count { place + 1 } else { 0 };
        Some(self.channels[place].channel)
    }

    pub(crate) fn put(&mut self, key: Key<'_>, channel: u16) {
        if self.channels.len() < Self::MAX {
            self.channels.push(Known::default());
            self.next = self.channels.len() - 1;
        }
        // The channel whose turn would have been next did not come.
        self.channels[self.next].set(key, channel);
        self.next = (self.next + 1) % self.channels.len();
    }

    pub(crate) fn clear(&mut self) {
        self.channels.clear();
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(topic: &str) -> Key<'_> {
        Key { topic: topic.as_bytes(), encoding: b"cdr", rest: b"" }
    }

    #[test]
    fn channels_are_found_whatever_turns_they_take() {
        let topics: Vec<String> = (0..20).map(|number| format!("/topic/{number}")).collect();
        let mut recent = Recent::default();
        let mut found = 0;
        for turn in 0..1000_u16 {
            let channel = u16::try_from(u32::from(turn).pow(2) % 17).unwrap();
            let key = key(&topics[usize::from(channel)]);
            match recent.find(key) {
                Some(known) => {
                    assert_eq!(known, channel);
                    found += 1;
                }
                None => recent.put(key, channel),
            }
        }
        assert!(found > 900, "{found} of 1000 were found");
        let other = Key { rest: b"x", ..key(&topics[1]) };
        assert_eq!((recent.find(key(&topics[1])), recent.find(other)), (Some(1), None));
        recent.clear();
        assert_eq!(recent.find(key(&topics[1])), None);
    }
}

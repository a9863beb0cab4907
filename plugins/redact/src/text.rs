//! One direction of a connection as one text: which of its bytes are secret, and for which that is not known yet. Knows nothing of
//! batches or of other connections.

use std::collections::VecDeque;
use std::ops::Range;

use crate::patterns::Patterns;

/// How far back a match may begin.
pub(crate) const CONTEXT_BYTES_MAX: usize = 64 << 10;

/// Bytes before those that are searched, for patterns that look back: as much as one character.
const LOOK_BEHIND_BYTES: usize = 4;

/// Bytes that are no longer needed are taken away when there are so many of them.
const SPENT_BYTES_MAX: usize = 16 << 10;

/// A row whose text is here.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    /// What the caller calls the row.
    row: u64,
    begin: u64,
    end: u64,
    /// Whether the text is not what the row itself holds.
    changed: bool,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing in it is secret.
    Clean,
    /// This is left of it.
    Changed(Vec<u8>),
}

/// One direction of a connection. Places are counted in bytes from its beginning.
#[derive(Debug, Default)]
pub(crate) struct Text {
    bytes: Vec<u8>,
    /// For each byte whether it is part of a secret, whatever comes.
    secret: Vec<bool>,
    /// No byte from here on is known to be part of a secret.
    clean_from: u64,
    /// The place of the first of `bytes`.
    base: u64,
    /// From here on the text may still become a match.
    live: u64,
    /// Up to here every byte's lot is decided.
    decided: u64,
    /// Matches that begin in the live part: they may become others.
    tentative: Vec<Range<u64>>,
    waiting: VecDeque<Waiting>,
}

impl Text {
    /// Adds the text of a row. Returns how many secrets are certain now.
    pub(crate) fn push(&mut self, patterns: &mut Patterns, row: u64, text: &[u8], changed: bool) -> u64 {
        let begin = self.end();
        self.bytes.extend_from_slice(text);
        self.secret.resize(self.bytes.len(), false);
        self.waiting.push_back(Waiting { row, begin, end: self.end(), changed });
        let from = self.place(self.live);
        let live = patterns.undecided(&self.bytes, from);
        let mut certain = 0;
        self.tentative.clear();
        let (tentative, secret, base) = (&mut self.tentative, &mut self.secret, self.base);
        let clean_from = &mut self.clean_from;
        patterns.find(&self.bytes, from, |found| {
            if found.start < live {
                *clean_from = (*clean_from).max(base + found.end as u64);
                secret[found].fill(true);
                certain += 1;
            } else {
                tentative.push(base + found.start as u64..base + found.end as u64);
            }
        });
        self.live = self.base + live as u64;
        self.decide(self.live);
        certain
    }

    /// How many bytes may be undecided: those before go the way they would go now.
    pub(crate) fn limit(&mut self, bytes_max: usize) {
        self.decide(self.end().saturating_sub(bytes_max as u64));
    }

    /// Decides everything as if nothing came any more. What may still become a match is remembered nevertheless.
    pub(crate) fn decide_all(&mut self) {
        self.decide(self.end());
    }

    /// How many secrets would be certain if nothing came any more.
    pub(crate) fn tentative(&self) -> u64 {
        self.tentative.len() as u64
    }

    /// The next row that is decided as a whole.
    pub(crate) fn next_decided(&mut self) -> Option<(u64, Decision)> {
        let Some(waiting) = self.waiting.front().copied().filter(|waiting| waiting.end <= self.decided)
        else {
            self.forget();
            return None;
        };
        self.waiting.pop_front();
        let range = self.place(waiting.begin)..self.place(waiting.end);
        let (bytes, secret) = (&self.bytes[range.clone()], &self.secret[range]);
        let changed = waiting.changed || (waiting.begin < self.clean_from && secret.contains(&true));
        Some((waiting.row, if changed { Decision::Changed(mask(bytes, secret)) } else { Decision::Clean }))
    }

    fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    fn place(&self, at: u64) -> usize {
        usize::try_from(at.saturating_sub(self.base)).unwrap_or(usize::MAX).min(self.bytes.len())
    }

    fn decide(&mut self, to: u64) {
        if to <= self.decided {
            return;
        }
        let undecided = self.decided..to;
        for found in &self.tentative {
            let part = found.start.max(undecided.start)..found.end.min(undecided.end);
            if !part.is_empty() {
                self.clean_from = self.clean_from.max(part.end);
                let part = self.place(part.start)..self.place(part.end);
                self.secret[part].fill(true);
            }
        }
        self.decided = to;
    }

    /// Takes away what is needed no more.
    fn forget(&mut self) {
        self.live = self.live.max(self.end().saturating_sub(CONTEXT_BYTES_MAX as u64));
        let oldest = self.waiting.front().map_or(self.live, |waiting| waiting.begin.min(self.live));
        let spent = self.place(oldest).saturating_sub(LOOK_BEHIND_BYTES);
        if spent > SPENT_BYTES_MAX || (spent > 0 && spent + LOOK_BEHIND_BYTES >= self.bytes.len()) {
            self.bytes.drain(..spent);
            self.secret.drain(..spent);
            self.base += spent as u64;
        }
    }
}

/// One `*` for each character that is secret. Line ends stay: they are no secret, and the screen looks as it did.
fn mask(bytes: &[u8], secret: &[bool]) -> Vec<u8> {
    let letter = |(&byte, &secret): (&u8, &bool)| match byte {
        _ if !secret || matches!(byte, b'\r' | b'\n') => Some(byte),
        // The other bytes of a character that has its star already.
        0x80..=0xbf => None,
        _ => Some(b'*'),
    };
    bytes.iter().zip(secret).filter_map(letter).collect()
}

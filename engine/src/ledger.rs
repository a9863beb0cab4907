//! The count of what each source stream gave and of what was lost where, in a file that survives a `kill -9` to the last frame:
//! `recover` compares it with what can be read. The one place of the engine that needs `unsafe`: counters in a memory-mapped file,
//! and what keeps them when somebody cuts that file.

mod guard;

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use memmap2::MmapRaw;
use rustix::fs::FlockOperation;

use crate::session::open_regular;
use guard::Guard;

const MAGIC: u64 = u64::from_le_bytes(*b"TDLEDGR2");
/// `u64` words before the first stream: the magic number, how many streams, how many counts.
const HEAD: usize = 3;
/// `u64` words of one stream: next `seq`, late, read in part, skipped.
const WORDS: usize = 4;
/// The most bytes of a ledger that is read.
const BYTES_MAX: u64 = 64 << 20;

/// What a stream's line in the ledger says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LedgerLine {
    /// The `seq` that the next frame would have got: every number below was given to a frame or to a missed tick.
    pub(crate) next_seq: u64,
    /// Ticks that the source missed.
    pub(crate) late: u64,
    /// Frames that the source could read only in part.
    pub(crate) partial: u64,
    /// Numbers that a replayed recording does not have.
    pub(crate) skipped: u64,
}

impl LedgerLine {
    /// Frames that the source gave.
    pub(crate) fn given(self) -> u64 {
        self.next_seq.saturating_sub(self.late.saturating_add(self.skipped))
    }
}

/// What a ledger says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entries {
    /// A line for each stream, in the manifest's order.
    pub(crate) streams: Vec<LedgerLine>,
    /// Frames lost at edges, stages and inputs of sinks, numbered as the manifest has them.
    pub(crate) counts: Vec<u64>,
}

/// The ledger of a running session, shared by its threads. Each line has one writer.
pub(crate) struct Ledger {
    /// Locked for as long as the process lives: how others tell a running session from a killed one.
    _file: File,
    // Dropped before the map.
    #[cfg_attr(not(test), expect(dead_code, reason = "kept for what it does until it is dropped"))]
    guard: Guard,
    map: MmapRaw,
    streams: usize,
    words: usize,
}

impl Ledger {
    /// Makes the file with a line for each stream and a word for each count.
    ///
    /// # Errors
    /// The file can't be made or mapped.
    pub(crate) fn create(path: &Path, streams: usize, counts: usize) -> io::Result<Arc<Self>> {
        let mut file = File::options().read(true).write(true).create_new(true).open(path)?;
        let words = HEAD + streams * WORDS + counts;
        // Written, not just sized: a hole that can't be filled on a full disk would be a fault in mid-recording.
        let mut bytes = vec![0; words * 8];
        let head = [MAGIC, streams as u64, counts as u64].map(u64::to_le_bytes);
        bytes[..HEAD * 8].copy_from_slice(head.as_flattened());
        file.write_all(&bytes)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let map = MmapRaw::map_raw(&file)?;
        let guard = Guard::new(map.as_mut_ptr().expose_provenance(), map.len());
        Ok(Arc::new(Self { _file: file, guard, map, streams, words }))
    }

    /// Whether somebody has cut the file, so that what is counted from then on is in memory only.
    #[cfg(test)]
    fn is_lost(&self) -> bool {
        self.guard.is_lost()
    }

    /// The line of a stream.
    pub(crate) fn line(self: &Arc<Self>, stream: usize) -> LedgerWriter {
        assert!(stream < self.streams, "stream {stream} of {}", self.streams);
        LedgerWriter { ledger: self.clone(), word: HEAD + stream * WORDS }
    }

    /// The word of a count.
    pub(crate) fn count(self: &Arc<Self>, count: usize) -> LedgerCell {
        let word = HEAD + self.streams * WORDS + count;
        assert!(word < self.words, "count {count} is beyond the ledger");
        LedgerCell { ledger: self.clone(), word }
    }

    #[expect(unsafe_code, reason = "an atomic in mapped memory")]
    fn word(&self, index: usize) -> &AtomicU64 {
        // SAFETY: the map is 8-byte aligned (it begins on a page) and `words` words long; every index comes from `line` or
        // `count`, which check it. The memory is only ever accessed through atomics while the map lives.
        unsafe { AtomicU64::from_ptr(self.map.as_mut_ptr().cast::<u64>().add(index)) }
    }
}

/// Writes one line; kept by the thread that writes it.
pub(crate) struct LedgerWriter {
    ledger: Arc<Ledger>,
    word: usize,
}

impl LedgerWriter {
    /// The next `seq`, after frames were given out.
    pub(crate) fn set_next_seq(&self, next_seq: u64) {
        self.ledger.word(self.word).store(next_seq.to_le(), Ordering::Relaxed);
    }

    /// How many ticks were missed.
    pub(crate) fn set_late(&self, late: u64) {
        self.ledger.word(self.word + 1).store(late.to_le(), Ordering::Relaxed);
    }

    /// How many numbers a replayed recording does not have.
    pub(crate) fn set_skipped(&self, skipped: u64) {
        self.ledger.word(self.word + 3).store(skipped.to_le(), Ordering::Relaxed);
    }

    /// How many frames were read only in part.
    pub(crate) fn set_partial(&self, partial: u64) {
        self.ledger.word(self.word + 2).store(partial.to_le(), Ordering::Relaxed);
    }
}

/// One count in the ledger.
pub(crate) struct LedgerCell {
    ledger: Arc<Ledger>,
    word: usize,
}

/// A count of lost frames: in memory, and in the ledger as soon as there is one. Nothing is lost on the frame path, so what an
/// addition costs does not matter there.
#[derive(Default)]
pub(crate) struct LossCount {
    count: AtomicU64,
    kept: OnceLock<LedgerCell>,
}

impl LossCount {
    /// Adds lost frames, from any thread.
    pub(crate) fn add(&self, frames: u64) {
        self.count.fetch_add(frames, Ordering::Relaxed);
        if let Some(cell) = self.kept.get() {
            // The words of the file are little-endian; where the machine's are not, the addition is done on what they mean.
            let add = |word: u64| Some(u64::from_le(word).wrapping_add(frames).to_le());
            _ = cell.ledger.word(cell.word).fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        }
    }

    /// Frames lost so far.
    pub(crate) fn get(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Keeps the count in the ledger, too, from here on. Called before any frame flows.
    pub(crate) fn keep(&self, ledger: &Arc<Ledger>, count: usize) {
        let lost = self.get();
        let cell = ledger.count(count);
        cell.ledger.word(cell.word).store(lost.to_le(), Ordering::Relaxed);
        drop(self.kept.set(cell));
    }
}

impl fmt::Debug for LossCount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(formatter)
    }
}

/// Reads a ledger file.
///
/// # Errors
/// The file can't be read, is no regular file, or is not a whole ledger.
pub(crate) fn read(path: &Path) -> io::Result<Entries> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut bytes = Vec::new();
    open_regular(path)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
    let (words, rest) = bytes.as_chunks::<8>();
    let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let [MAGIC, streams, counts, words @ ..] = words.as_slice() else { return Err(invalid("not a ledger")) };
    let expected = u128::from(*streams) * WORDS as u128 + u128::from(*counts);
    if words.len() as u128 != expected || !rest.is_empty() {
        return Err(invalid("the ledger is not whole"));
    }
    let (lines, counts) = words.split_at(words.len() - usize::try_from(*counts).unwrap_or(0));
    let line = |line: &[u64; WORDS]| LedgerLine {
        next_seq: line[0],
        late: line[1],
        partial: line[2],
        skipped: line[3],
    };
    let streams: Vec<LedgerLine> = lines.as_chunks::<WORDS>().0.iter().map(line).collect();
    // Each late tick and each skipped number has used up one.
    let possible = |line: &LedgerLine| {
        line.late.checked_add(line.skipped).is_some_and(|without_frame| without_frame <= line.next_seq)
    };
    if !streams.iter().all(possible) {
        return Err(invalid("the ledger counts more than there was"));
    }
    Ok(Entries { streams, counts: counts.to_vec() })
}

/// Whether the session's process still runs.
pub(crate) fn is_live(path: &Path) -> bool {
    open_regular(path)
        .is_ok_and(|file| rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_in_the_file_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let ledger = Ledger::create(&path, 2, 3).unwrap();
        let lost = LossCount::default();
        lost.add(2);
        lost.keep(&ledger, 1);
        lost.add(3);
        let line = ledger.line(1);
        line.set_next_seq(70);
        line.set_late(3);
        line.set_partial(1);
        line.set_skipped(2);
        let expected = LedgerLine { next_seq: 70, late: 3, partial: 1, skipped: 2 };
        assert_eq!(
            read(&path).unwrap(),
            Entries { streams: vec![LedgerLine::default(), expected], counts: vec![0, 5, 0] },
            "read while still mapped, as after a kill"
        );
        assert!(is_live(&path));
        drop((line, lost, ledger));
        assert!(!is_live(&path));
    }

    #[test]
    fn a_file_that_is_cut_short_ends_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let other = Ledger::create(&folder.path().join("other"), 1, 1).unwrap();
        // Several pages.
        let ledger = Ledger::create(&path, 1, 2000).unwrap();
        let lost = LossCount::default();
        lost.keep(&ledger, 1999);
        for _ in 0..2 {
            assert!(!other.is_lost());
            File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
            ledger.line(0).set_next_seq(70);
            lost.add(3);
            assert!(ledger.is_lost());
        }
        assert_eq!(lost.get(), 6, "the count itself is in memory");
        assert!(read(&path).is_err(), "it is not known any more, and is not said to be");
        other.line(0).set_next_seq(7);
        drop((ledger, lost));
        assert_eq!(read(&folder.path().join("other")).unwrap().streams[0].next_seq, 7);
    }

    #[test]
    fn a_file_that_is_no_ledger_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        drop(Ledger::create(&path, 1, 1).unwrap());
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(read(&path).unwrap().counts.len(), 1);
        let cut = &whole[..whole.len() - 8];
        for bytes in [&b""[..], b"TDLEDGE", b"something else entirely", cut, &[&whole[..], &[0]].concat()] {
            std::fs::write(&path, bytes).unwrap();
            assert!(read(&path).is_err());
        }
        for impossible in [[4, 5, 0, 0], [4, 2, 0, 3], [4, u64::MAX, 0, u64::MAX]] {
            let mut bytes = whole.clone();
            bytes[HEAD * 8..][..WORDS * 8].copy_from_slice(impossible.map(u64::to_le_bytes).as_flattened());
            std::fs::write(&path, bytes).unwrap();
            assert!(read(&path).is_err(), "{impossible:?}");
        }
    }
}

//! The count of what each source stream gave, in a file that survives a `kill -9` to the last frame: `recover` compares it with
//! what can be read. The one place of the engine that needs `unsafe`: counters in a memory-mapped file.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::MmapRaw;
use rustix::fs::FlockOperation;

const MAGIC: u64 = u64::from_le_bytes(*b"TDLEDGER");
/// `u64` words of one stream: next `seq`, late, failed in part, reserved.
const WORDS: usize = 4;

/// What a stream's line in the ledger says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LedgerLine {
    /// The `seq` that the next frame would have got: every number below was given to a frame or to a missed tick.
    pub(crate) next_seq: u64,
    /// Ticks that the source missed.
    pub(crate) late: u64,
    /// Frames that the source could read only in part.
    pub(crate) failed: u64,
}

/// The ledger of a running session, shared by the source threads. Each line has one writer.
pub(crate) struct Ledger {
    /// Locked for as long as the process lives: how others tell a running session from a killed one.
    _file: File,
    map: MmapRaw,
    streams: usize,
}

impl Ledger {
    /// Makes the file with a line for each stream.
    ///
    /// # Errors
    /// The file can't be made or mapped.
    pub(crate) fn create(path: &Path, streams: usize) -> io::Result<Arc<Self>> {
        let mut file = File::options().read(true).write(true).create_new(true).open(path)?;
        // Written, not just sized: a hole that can't be filled on a full disk would be a fault in mid-recording.
        let mut bytes = vec![0; (1 + streams * WORDS) * 8];
        bytes[..8].copy_from_slice(&MAGIC.to_le_bytes());
        file.write_all(&bytes)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let map = MmapRaw::map_raw(&file)?;
        Ok(Arc::new(Self { _file: file, map, streams }))
    }

    /// The line of a stream.
    pub(crate) fn line(self: &Arc<Self>, stream: usize) -> LedgerWriter {
        assert!(stream < self.streams, "stream {stream} of {}", self.streams);
        LedgerWriter { ledger: self.clone(), word: 1 + stream * WORDS }
    }

    #[expect(unsafe_code, reason = "an atomic in mapped memory")]
    fn word(&self, index: usize) -> &AtomicU64 {
        // SAFETY: the map is 8-byte aligned (it begins on a page) and `1 + streams * WORDS` words long; every index comes from
        // `line`, which checks it. The memory is only ever accessed through atomics while the map lives.
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

    /// How many frames were read only in part.
    pub(crate) fn set_failed(&self, failed: u64) {
        self.ledger.word(self.word + 2).store(failed.to_le(), Ordering::Relaxed);
    }
}

/// Reads a ledger file: one line a stream, in the manifest's order.
///
/// # Errors
/// The file can't be read, or is not a ledger.
pub(crate) fn read(path: &Path) -> io::Result<Vec<LedgerLine>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(1 << 20).read_to_end(&mut bytes)?;
    let (words, _) = bytes.as_chunks::<8>();
    let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    if words.first() != Some(&MAGIC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a ledger"));
    }
    let lines = words[1..].as_chunks::<WORDS>().0;
    Ok(lines.iter().map(|line| LedgerLine { next_seq: line[0], late: line[1], failed: line[2] }).collect())
}

/// Whether the session's process still runs.
pub(crate) fn is_live(path: &Path) -> bool {
    File::open(path)
        .is_ok_and(|file| rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_in_the_file_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let ledger = Ledger::create(&path, 2).unwrap();
        let line = ledger.line(1);
        line.set_next_seq(70);
        line.set_late(3);
        line.set_failed(1);
        let expected = LedgerLine { next_seq: 70, late: 3, failed: 1 };
        assert_eq!(
            read(&path).unwrap(),
            [LedgerLine::default(), expected],
            "read while still mapped, as after a kill"
        );
        assert!(is_live(&path));
        drop((line, ledger));
        assert!(!is_live(&path));
    }

    #[test]
    fn a_file_that_is_no_ledger_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        for bytes in [&b""[..], b"TDLEDGE", b"something else entirely"] {
            std::fs::write(&path, bytes).unwrap();
            assert!(read(&path).is_err());
        }
    }
}

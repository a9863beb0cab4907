//! Looks for patterns in ranges of memory, chunk by chunk, and can stop after any chunk to go on later. Gets its bytes
//! from a function: knows no process.

use std::io;
use std::ops::Range;

use crate::pattern::Pattern;

/// How many bytes are read and searched at once.
const CHUNK_BYTES: usize = 256 << 10;
/// After so many matches a pattern is not searched any further.
pub(crate) const MATCHES_MAX: usize = 4096;
/// What is skipped when bytes can't be read: the smallest page that Linux has.
const PAGE_BYTES: usize = 4096;

/// One pattern's matches so far.
#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) pattern: Pattern,
    /// Addresses, ascending; at most [`MATCHES_MAX`].
    pub(crate) matches: Vec<usize>,
    /// All places before this address were looked at.
    searched_to: usize,
}

/// A search for several patterns in the same ranges: each byte is read once, whatever the number of patterns.
pub(crate) struct Scan {
    searches: Vec<Search>,
    /// What is left; ascending.
    ranges: Vec<Range<usize>>,
    chunk: Vec<u8>,
    overlap: usize,
}

impl Scan {
    /// `ranges` are ascending and don't touch each other.
    pub(crate) fn new(patterns: impl IntoIterator<Item = Pattern>, ranges: &[Range<usize>]) -> Self {
        Self::with_chunk(patterns, ranges, CHUNK_BYTES)
    }

    fn with_chunk(
        patterns: impl IntoIterator<Item = Pattern>,
        ranges: &[Range<usize>],
        chunk_bytes: usize,
    ) -> Self {
        let search = |pattern| Search { pattern, matches: Vec::new(), searched_to: 0 };
        let searches: Vec<_> = patterns.into_iter().map(search).collect();
        let overlap = searches.iter().map(|search| search.pattern.len() - 1).max().unwrap_or(0);
        let mut ranges = ranges.to_vec();
        ranges.reverse();
        Self { searches, ranges, chunk: vec![0; chunk_bytes + overlap], overlap }
    }

    /// Searches until the end (`true`) or until `keep_going` says no (`false`); at least one chunk. `read` fills a buffer from an
    /// address and says how much of it, as a `read` does; a bad address is `EFAULT`.
    ///
    /// # Errors
    /// What `read` returns, but for `EFAULT`.
    pub(crate) fn advance(
        &mut self,
        mut read: impl FnMut(usize, &mut [u8]) -> io::Result<usize>,
        mut keep_going: impl FnMut() -> bool,
    ) -> io::Result<bool> {
        while let Some(range) = self.ranges.last_mut() {
            let wanted = range.len().min(self.chunk.len());
            let begin = range.start;
            let got = match read(begin, &mut self.chunk[..wanted]) {
                Err(error) if error.raw_os_error() == Some(libc::EFAULT) => 0,
                other => other?,
            };
            range.start = if got == wanted {
                // A match may begin in the last bytes of this chunk and end in the next.
                if got == range.len() { range.end } else { begin + got - self.overlap }
            } else {
                ((begin + got) / PAGE_BYTES + 1).saturating_mul(PAGE_BYTES).min(range.end)
            };
            if range.start >= range.end {
                self.ranges.pop();
            }
            let chunk = &self.chunk[..got];
            self.searches.iter_mut().for_each(|search| search.look(begin, chunk));
            if !keep_going() {
                break;
            }
        }
        Ok(self.ranges.is_empty())
    }

    /// What was found; in the order of the patterns.
    pub(crate) fn searches(&self) -> &[Search] {
        &self.searches
    }
}

impl Search {
    fn look(&mut self, address: usize, bytes: &[u8]) {
        let mut from = self.searched_to.saturating_sub(address);
        while self.matches.len() < MATCHES_MAX {
            let Some(at) = self.pattern.find(bytes, from) else { break };
            self.matches.push(address + at);
            from = at + 1;
        }
        self.searched_to =
            self.searched_to.max((address + bytes.len() + 1).saturating_sub(self.pattern.len()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Memory that begins at address 8192, in which some pages can't be read.
    fn memory<'a>(
        bytes: &'a [u8],
        dead: &'a [usize],
    ) -> impl FnMut(usize, &mut [u8]) -> io::Result<usize> + 'a {
        move |address, into| {
            let mut count = 0;
            while count < into.len() && !dead.contains(&((address + count) / PAGE_BYTES)) {
                into[count] = bytes[address + count - 8192];
                count += 1;
            }
            if count == 0 { Err(io::Error::from_raw_os_error(libc::EFAULT)) } else { Ok(count) }
        }
    }

    fn scan(patterns: &[&str], bytes: &[u8], dead: &[usize], chunk_bytes: usize) -> Vec<Vec<usize>> {
        let patterns = patterns.iter().map(|text| text.parse().unwrap());
        let whole = 8192..8192 + bytes.len();
        let mut scan = Scan::with_chunk(patterns, &[whole], chunk_bytes);
        // Stops after each chunk, which must not change anything.
        while !scan.advance(memory(bytes, dead), || false).unwrap() {}
        scan.searches().iter().map(|search| search.matches.iter().map(|at| at - 8192).collect()).collect()
    }

    proptest! {
        #[test]
        fn every_match_is_found_once_wherever_the_chunks_end(
            bytes in prop::collection::vec(0_u8..2, 1..200), chunk_bytes in 1_usize..30,
        ) {
            let patterns = ["00 01", "01 ?? 01 00 ??", "00"];
            let found = scan(&patterns, &bytes, &[], chunk_bytes);
            for (text, found) in patterns.iter().zip(found) {
                let pattern: Pattern = text.parse().unwrap();
                let mut expected = Vec::new();
                let mut from = 0;
                while let Some(at) = pattern.find(&bytes, from) {
                    expected.push(at);
                    from = at + 1;
                }
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn a_page_that_cannot_be_read_is_stepped_over() {
        let mut bytes = vec![0; 5 * PAGE_BYTES];
        for at in [10, PAGE_BYTES - 1, PAGE_BYTES + 7, 2 * PAGE_BYTES, 5 * PAGE_BYTES - 2] {
            bytes[at..at + 2].copy_from_slice(&[0xAB, 0xCD]);
        }
        // Pages are numbered from address 0: 8192 is the begin of page 2. The second and the fourth of ours are dead.
        for chunk_bytes in [100, 4096, 5000, 1 << 20] {
            let found = scan(&["AB CD"], &bytes, &[3, 5], chunk_bytes);
            assert_eq!(found, [vec![10, 2 * PAGE_BYTES, 5 * PAGE_BYTES - 2]], "{chunk_bytes}");
        }
    }

    #[test]
    fn a_pattern_that_is_everywhere_ends_at_the_limit() {
        assert_eq!(scan(&["00"], &vec![0; 10_000], &[], 1000)[0].len(), MATCHES_MAX);
    }
}

//! Where the rows of a partial chunk wait when the datasets have filters: compressed chunks can't be written in place, and each
//! attempt would leave its bytes behind as a hole in the file. Repair moves the rows into the datasets.
//!
//! The tail is one dataset of bytes, `_tapedeck/tail`, written as a log of blocks from the start for each chunk anew. A block, little-endian:
//! `u64` magic `TDTAIL01`, `u64` number of its first row, `u64` rows, `u64` bytes of the rows, `u64` FNV-1a 64 of the fields before and the
//! rows; then the rows of each dataset of the table, one dataset after the other.

use std::ops::Range;

use crate::raw::{Dataset, Element, Failure, Group, Storage};

/// The name inside the group `_tapedeck`.
pub(crate) const TAIL: &str = "tail";

const MAGIC: u64 = u64::from_le_bytes(*b"TDTAIL01");
const HEADER_BYTES: usize = 40;
const PIECE_BYTES: u64 = 64 << 10;

/// The log of one table's partial chunk.
pub(crate) struct Tail {
    dataset: Dataset,
    /// Where the next block goes.
    at: u64,
    /// Rows of the chunk that are in the log.
    rows: usize,
    block: Vec<u8>,
}

/// Rows that were found in a tail.
pub(crate) struct Block<'log> {
    /// The number of the first row.
    pub(crate) first_row: u64,
    /// How many rows.
    pub(crate) rows: u64,
    /// The rows of each dataset, one dataset after the other.
    pub(crate) bytes: &'log [u8],
}

impl Tail {
    /// A log with room for a chunk of rows, even if they come one at a flush.
    pub(crate) fn create(group: &Group, chunk_rows: usize, row_bytes: usize) -> Result<Self, Failure> {
        // In pieces, so that a short recording does not carry the whole of it.
        let storage = Storage { chunk_rows: PIECE_BYTES, ..Storage::default() };
        let length = (chunk_rows * (row_bytes + HEADER_BYTES)) as u64;
        let dataset = Dataset::create(group, TAIL, Element::Unsigned(1), &[length], storage)?;
        Ok(Self { dataset, at: 0, rows: 0, block: Vec::new() })
    }

    /// Bytes that the log takes in the file.
    pub(crate) fn byte_len(&self) -> u64 {
        self.dataset.rows()
    }

    /// Adds the rows of the chunk in hand that are not in the log yet. `begun` is the number of the chunk's first row; `slices` gives the
    /// bytes of a range of its rows, dataset by dataset.
    pub(crate) fn append<'rows, I>(
        &mut self,
        begun: u64,
        filled: usize,
        slices: impl FnOnce(Range<usize>) -> I,
    ) -> Result<(), Failure>
    where
        I: Iterator<Item = &'rows [u8]>,
    {
        if filled <= self.rows {
            return Ok(());
        }
        self.block.clear();
        self.block.resize(HEADER_BYTES, 0);
        slices(self.rows..filled).for_each(|bytes| self.block.extend_from_slice(bytes));
        let length = (self.block.len() - HEADER_BYTES) as u64;
        let fields = [MAGIC, begun + self.rows as u64, (filled - self.rows) as u64, length];
        for (slot, field) in self.block.as_chunks_mut::<8>().0.iter_mut().zip(fields) {
            *slot = field.to_le_bytes();
        }
        let checksum = checksum(&fields, &self.block[HEADER_BYTES..]);
        self.block[32..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
        self.dataset.write_rows(self.at, &self.block)?;
        self.at += self.block.len() as u64;
        self.rows = filled;
        Ok(())
    }

    /// Begins anew, for the next chunk.
    pub(crate) fn clear(&mut self) {
        (self.at, self.rows) = (0, 0);
    }
}

/// The blocks of a log, up to the first that is not whole.
pub(crate) fn blocks(mut log: &[u8]) -> impl Iterator<Item = Block<'_>> {
    std::iter::from_fn(move || {
        let header = log.first_chunk::<HEADER_BYTES>()?;
        let field =
            |index: usize| header[index * 8..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let [magic, first_row, rows, length, sum] = [field(0), field(1), field(2), field(3), field(4)];
        let rest = &log[HEADER_BYTES..];
        let length_usize = usize::try_from(length).ok().filter(|&length| length <= rest.len())?;
        let (bytes, after) = rest.split_at(length_usize);
        if magic != MAGIC || sum != checksum(&[magic, first_row, rows, length], bytes) {
            return None;
        }
        log = after;
        Some(Block { first_row, rows, bytes })
    })
}

/// FNV-1a, 64 bits, over words of 8 bytes (the last filled up with zeros).
fn checksum(fields: &[u64; 4], bytes: &[u8]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |word: u64| state = (state ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    fields.iter().for_each(|&field| add(field));
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().for_each(|word| add(u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    add(u64::from_le_bytes(last));
    state
}

//! Where rows stand in a file of lines, and when they are: enough to go to any moment without reading what is before it. Knows
//! nothing of what a row holds.

use tapedeck_sdk::Extent;

/// A block has this many rows, but for the last one.
const BLOCK_ROWS: u64 = 1000;

/// Where a row begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The rows before it.
    pub row: u64,
    /// Its first byte in the file.
    pub byte: u64,
    /// The number of its first line, counted from 1.
    pub line: u64,
    /// The time of the row before, for formats that give intervals: nanoseconds since 1970, or `i64::MIN` if there is none.
    pub time_before: i64,
}

/// Consecutive rows.
#[derive(Debug, Clone, Copy)]
struct Block {
    begin: Place,
    /// The earliest and the latest time.
    earliest: i64,
    latest: i64,
}

/// The blocks of a file, as far as it was read. Times may fall: each block knows its earliest and latest.
#[derive(Debug, Default)]
pub(super) struct LineIndex {
    blocks: Vec<Block>,
    rows: u64,
    /// The first and the last `seq`.
    seq: Option<(u64, u64)>,
}

impl LineIndex {
    /// Rows so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds the row that comes next.
    pub(super) fn push(&mut self, place: Place, seq: u64, time: i64) {
        debug_assert_eq!(place.row, self.rows, "rows are added in order");
        match self.blocks.last_mut().filter(|_| !self.rows.is_multiple_of(BLOCK_ROWS)) {
            Some(block) => {
                block.earliest = block.earliest.min(time);
                block.latest = block.latest.max(time);
            }
            None => self.blocks.push(Block { begin: place, earliest: time, latest: time }),
        }
        self.rows += 1;
        self.seq = Some((self.seq.map_or(seq, |(first, _)| first), seq));
    }

    /// What the rows are together.
    pub(super) fn extent(&self) -> Extent {
        let earliest = self.blocks.iter().map(|block| block.earliest).min();
        let latest = self.blocks.iter().map(|block| block.latest).max();
        Extent { frames: self.rows, seq: self.seq, timestamps: earliest.zip(latest) }
    }

    /// Where to read on for the first row whose time is at or after `time`: the block that has it.
    pub(super) fn block_reaching(&self, time: i64) -> Option<Place> {
        self.blocks.iter().find(|block| block.latest >= time).map(|block| block.begin)
    }

    /// Where the last block begins.
    pub(super) fn last_block(&self) -> Option<Place> {
        self.blocks.last().map(|block| block.begin)
    }

    /// All blocks, those first whose rows may be nearest to `time`: how near at best, where the block begins and its rows.
    pub(super) fn nearest_blocks(&self, time: i64) -> Vec<(u64, Place, u64)> {
        let block = |block: &Block| {
            let distance = time.clamp(block.earliest, block.latest).abs_diff(time);
            (distance, block.begin, BLOCK_ROWS.min(self.rows - block.begin.row))
        };
        let mut blocks: Vec<_> = self.blocks.iter().map(block).collect();
        blocks.sort_unstable_by_key(|(distance, begin, _)| (*distance, begin.row));
        blocks
    }
}

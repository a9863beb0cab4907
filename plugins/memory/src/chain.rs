//! Chains of pointers: from the start of each attribute to where its value is now, and the values themselves.
//!
//! A tick reads all pointers and all values together, each where it was the last time, in one vectored read. If no pointer
//! has changed, the values are from the right places, and that was all. If one has, what lies behind it is at
//! another place: the addresses are laid out anew and everything is read again, at most once for each level of pointers. So a tick
//! costs one read a level when the target moves its objects, and one in all when it does not; and never shows bytes from a
//! place that the pointers of the same read don't lead to.

use std::collections::HashMap;
use std::io;

use crate::plan::Plan;

/// How often a target may move its objects under our hands within one tick, beyond the levels of pointers.
const RETRIES_MAX: usize = 3;

/// Where an address is counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Base {
    /// From 0.
    Nothing,
    /// From where a pointer points to.
    Pointer(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    base: Base,
    /// A negative one is its two's complement.
    offset: usize,
    width: PointerWidth,
}

/// How wide the addresses of a target are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PointerWidth {
    Bytes4,
    Bytes8,
}

impl PointerWidth {
    /// From the option, which is 4 or 8.
    pub(crate) fn of(bytes: u32) -> Self {
        if bytes == 4 { Self::Bytes4 } else { Self::Bytes8 }
    }

    /// How many bytes a pointer has.
    fn bytes(self) -> usize {
        match self {
            Self::Bytes4 => 4,
            Self::Bytes8 => 8,
        }
    }

    /// `base` + `offset`, which wraps as it does in the target.
    pub(crate) fn add(self, base: usize, offset: usize) -> usize {
        let sum = base.wrapping_add(offset);
        match self {
            Self::Bytes4 => sum & u32::MAX as usize,
            Self::Bytes8 => sum,
        }
    }

    /// A pointer as it is in memory.
    fn read(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Bytes4 => usize::try_from(u32::from_le_bytes(*bytes.first_chunk()?)).ok(),
            Self::Bytes8 => usize::try_from(u64::from_le_bytes(*bytes.first_chunk()?)).ok(),
        }
    }
}

/// One attribute's way: `start`, then `path`. With `pointers` a pointer is read before each step of the path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) start: usize,
    pub(crate) width: PointerWidth,
    pub(crate) path: &'a [usize],
    pub(crate) pointers: bool,
    pub(crate) length: usize,
}

/// The pointers and values of a target.
#[derive(Debug)]
pub(crate) struct Chain {
    /// The pointers, parents before children; then the values.
    places: Vec<Place>,
    /// What each pointer was the last time; none if it could not be read or was null.
    held: Vec<Option<usize>>,
    /// Whether each pointer, or one before it, changed in the last read.
    moved: Vec<bool>,
    plan: Plan,
    levels: usize,
    /// Whether the plan is not of the pointers held.
    outdated: bool,
    /// Whether the last read saw no pointer change.
    settled: bool,
}

impl Chain {
    pub(crate) fn new(ways: &[Way<'_>]) -> Self {
        let mut pointers: Vec<Place> = Vec::new();
        let mut known: HashMap<Place, usize> = HashMap::new();
        let mut values = Vec::with_capacity(ways.len());
        for way in ways {
            let mut place = Place { base: Base::Nothing, offset: way.start, width: way.width };
            for &step in way.path {
                if way.pointers {
                    // Attributes that share the begin of their way share its pointers.
                    let pointer = *known.entry(place).or_insert_with(|| {
                        pointers.push(place);
                        pointers.len() - 1
                    });
                    place = Place { base: Base::Pointer(pointer), offset: step, width: way.width };
                } else {
                    place.offset = way.width.add(place.offset, step);
                }
            }
            values.push(place);
        }
        let pointer_lengths = pointers.iter().map(|pointer| pointer.width.bytes());
        let lengths = pointer_lengths.chain(ways.iter().map(|way| way.length)).collect();
        let count = pointers.len();
        Self {
            held: vec![None; count],
            moved: vec![false; count],
            places: pointers.into_iter().chain(values).collect(),
            plan: Plan::new(lengths),
            levels: ways.iter().filter(|way| way.pointers).map(|way| way.path.len()).max().unwrap_or(0),
            outdated: true,
            settled: false,
        }
    }

    /// Reads everything. `before_read` is called just before each read; what was read last counts.
    ///
    /// # Errors
    /// The process is gone (`ESRCH`) or may not be read (`EPERM`). A dead pointer is no error.
    pub(crate) fn read(&mut self, pid: i32, mut before_read: impl FnMut()) -> io::Result<()> {
        self.settled = false;
        for _ in 0..=self.levels + RETRIES_MAX {
            if self.outdated {
                let (places, held) = (&self.places, &self.held);
                self.plan.lay(|item| address(places[item], held));
            }
            before_read();
            self.plan.read(pid)?;
            self.settled = !self.follow();
            self.outdated = !self.settled;
            if self.settled {
                break;
            }
        }
        Ok(())
    }

    /// Takes over the pointers that were read. Returns whether one has changed.
    fn follow(&mut self) -> bool {
        let mut any = false;
        for pointer in 0..self.held.len() {
            let Place { base, width, .. } = self.places[pointer];
            let behind_moved = matches!(base, Base::Pointer(parent) if self.moved[parent]);
            let now = self.plan.bytes(pointer).and_then(|bytes| width.read(bytes));
            let now = now.filter(|&address| address != 0);
            let changed = now != self.held[pointer];
            self.held[pointer] = now;
            self.moved[pointer] = changed || behind_moved;
            any |= changed;
        }
        any
    }

    /// The bytes of the attribute `index`, if they could be read the last time.
    pub(crate) fn value(&self, index: usize) -> Option<&[u8]> {
        let item = self.held.len() + index;
        if !self.settled && matches!(self.places[item].base, Base::Pointer(pointer) if self.moved[pointer]) {
            return None;
        }
        self.plan.bytes(item)
    }

    /// How many attributes there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.held.len()
    }
}

fn address(place: Place, held: &[Option<usize>]) -> Option<usize> {
    match place.base {
        Base::Nothing => Some(place.offset),
        Base::Pointer(pointer) => held[pointer].map(|base| place.width.add(base, place.offset)),
    }
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;

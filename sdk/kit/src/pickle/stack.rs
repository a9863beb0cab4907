//! The stack, the marks and the memo that the opcodes of a pickle work on, and the values that they make. Knows no opcode.

use tapedeck_sdk::Error;

use super::tokens::wrong;
use super::{Id, Limits, Value};

/// A value on the stack, and the byte where the opcodes that made it begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) id: Id,
    pub(super) at: usize,
}

/// A tuple of two values, and the opcodes that made the second.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) id: Id,
    pub(super) second: std::ops::Range<usize>,
}

pub(super) struct Stack<'a> {
    pub(super) values: Vec<Value<'a>>,
    /// How deep each value is nested.
    depths: Vec<u32>,
    stack: Vec<Entry>,
    /// How long the stack was at each open mark, and the byte of the mark.
    marks: Vec<(usize, usize)>,
    memo: Vec<Option<Id>>,
    pub(super) memoized: usize,
    pub(super) last_pair: Option<Pair>,
    limits: Limits,
    /// The bytes of the pickle.
    length: usize,
}

impl<'a> Stack<'a> {
    pub(super) fn new(length: usize, limits: Limits) -> Self {
        Self {
            values: Vec::new(),
            depths: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
            memoized: 0,
            last_pair: None,
            limits,
            length,
        }
    }

    /// Opens a mark.
    pub(super) fn mark(&mut self, at: usize) {
        self.marks.push((self.stack.len(), at));
    }

    /// Closes a mark that has nothing above it.
    pub(super) fn close_empty_mark(&mut self) -> bool {
        self.marks.pop_if(|&mut (length, _)| length == self.stack.len()).is_some()
    }

    /// The topmost values, none of them below the last mark.
    pub(super) fn pop_many(&mut self, at: usize, count: usize) -> Result<Vec<Entry>, Error> {
        let from = self.floor(at, count)?;
        Ok(self.stack.split_off(from))
    }

    pub(super) fn recall(&mut self, at: usize, place: i64) -> Result<(), Error> {
        let found = usize::try_from(place).ok().and_then(|place| self.memo.get(place).copied().flatten());
        let id = found.ok_or_else(|| wrong(at, &format!("nothing was kept as number {place}")))?;
        self.stack.push(Entry { id, at });
        Ok(())
    }

    pub(super) fn memoize(&mut self, at: usize, place: usize, id: Id) -> Result<(), Error> {
        // Each is kept by an opcode of its own, so no sound pickle has a number this high.
        if place > self.length {
            return Err(wrong(at, "a value is kept under an impossible number"));
        }
        if place >= self.memo.len() {
            self.memo.resize(place + 1, None);
        }
        self.memo[place] = Some(id);
        self.memoized += 1;
        Ok(())
    }

    pub(super) fn add(&mut self, at: usize, value: Value<'a>, depth: u32) -> Result<Id, Error> {
        let place = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        if self.values.len() >= self.limits.objects_max || place == u32::MAX {
            return Err(wrong(at, &format!("more than {} values", self.limits.objects_max)));
        }
        self.values.push(value);
        self.depths.push(depth);
        Ok(Id(place))
    }

    #[inline]
    pub(super) fn push(&mut self, at: usize, value: Value<'a>) -> Result<(), Error> {
        let id = self.add(at, value, 0)?;
        self.push_again(id, at);
        Ok(())
    }

    /// Pushes a value that is there already.
    pub(super) fn push_again(&mut self, id: Id, at: usize) {
        self.stack.push(Entry { id, at });
    }

    /// Pushes a value that holds others.
    pub(super) fn push_over(&mut self, at: usize, value: Value<'a>, parts: &[Id]) -> Result<(), Error> {
        let depth = self.depth_over(at, parts)?;
        let id = self.add(at, value, depth)?;
        self.push_again(id, at);
        Ok(())
    }

    pub(super) fn depth_over(&self, at: usize, parts: &[Id]) -> Result<u32, Error> {
        let depth = parts.iter().map(|part| self.depths[part.0 as usize] + 1).max().unwrap_or(0);
        if depth > self.limits.depth_max {
            return Err(wrong(at, &format!("values are nested more than {} deep", self.limits.depth_max)));
        }
        Ok(depth)
    }

    pub(super) fn deepen(
        &mut self,
        at: usize,
        container: Id,
        parts: impl IntoIterator<Item = Id>,
    ) -> Result<(), Error> {
        let mut depth = self.depths[container.0 as usize];
        for part in parts {
            if part != container {
                depth = depth.max(self.depths[part.0 as usize] + 1);
            }
        }
        if depth > self.limits.depth_max {
            return Err(wrong(at, &format!("values are nested more than {} deep", self.limits.depth_max)));
        }
        self.depths[container.0 as usize] = depth;
        Ok(())
    }

    /// Where the topmost `count` values begin, none of them below the last mark.
    pub(super) fn floor(&self, at: usize, count: usize) -> Result<usize, Error> {
        let floor = self.marks.last().map_or(0, |&(length, _)| length);
        let from = self.stack.len().checked_sub(count).filter(|&from| from >= floor);
        from.ok_or_else(|| wrong(at, "values are missing on the stack"))
    }

    pub(super) fn top(&self, at: usize) -> Result<Entry, Error> {
        self.floor(at, 1).map(|from| self.stack[from])
    }

    pub(super) fn pop(&mut self, at: usize) -> Result<Entry, Error> {
        let from = self.floor(at, 1)?;
        self.stack.truncate(from + 1);
        self.stack.pop().ok_or_else(|| wrong(at, "values are missing on the stack"))
    }

    /// What was pushed since the last mark, and the byte of the mark.
    pub(super) fn pop_mark(&mut self, at: usize) -> Result<(Vec<Entry>, usize), Error> {
        let (length, begin) = self.marks.pop().ok_or_else(|| wrong(at, "a mark is missing on the stack"))?;
        Ok((self.stack.split_off(length.min(self.stack.len())), begin))
    }
}

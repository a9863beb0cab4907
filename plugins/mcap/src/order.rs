//! The messages of a recording in their order, whatever the parts that they lie in: by time where files are of other programs, whose
//! chunks may overlap, and as they were written where they are ours. Holds few parts at a time.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use tapedeck_sdk::Error;

use crate::chunk::{Loaded, load};
use crate::index::{Bytes, Part};

/// The most bytes of parts that are read at once. One more is held if it is needed.
const OPEN_BYTES_MAX: usize = 128 << 20;
/// The most bytes of parts that were read before.
const CACHE_BYTES_MAX: usize = 32 << 20;

/// The files of a recording and their parts.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) files: Vec<Bytes>,
    pub(crate) parts: Vec<Part>,
    /// Whether messages are ordered by time.
    pub(crate) by_time: bool,
    cache: VecDeque<(usize, Arc<Loaded>)>,
    cached_bytes: usize,
}

impl Store {
    pub(crate) fn new(files: Vec<Bytes>, mut parts: Vec<Part>, by_time: bool) -> Self {
        if by_time {
            // Parts of one start stay in the order of the files.
            parts.sort_by_key(|part| part.start);
        }
        Self { files, parts, by_time, cache: VecDeque::new(), cached_bytes: 0 }
    }

    pub(crate) fn file(&self, part: usize) -> &Bytes {
        &self.files[self.parts[part].file]
    }

    /// A part in memory, not kept.
    pub(crate) fn read(&self, part: usize) -> Result<Loaded, Error> {
        load(self.file(part), &self.parts[part], self.by_time)
    }

    /// A part in memory. The last ones are kept.
    pub(crate) fn load(&mut self, part: usize) -> Result<Arc<Loaded>, Error> {
        if let Some((_, loaded)) = self.cache.iter().find(|(kept, _)| *kept == part) {
            return Ok(loaded.clone());
        }
        let loaded = Arc::new(self.read(part)?);
        self.cached_bytes += loaded.byte_len();
        self.cache.push_back((part, loaded.clone()));
        while self.cached_bytes > CACHE_BYTES_MAX && self.cache.len() > 1 {
            let oldest = self.cache.pop_front();
            self.cached_bytes -= oldest.map_or(0, |(_, oldest)| oldest.byte_len());
        }
        Ok(loaded)
    }
}

/// Messages of a part that follow one another.
pub(crate) struct Stretch {
    pub(crate) part: usize,
    pub(crate) loaded: Arc<Loaded>,
    pub(crate) places: Range<usize>,
}

/// A part that is being read.
struct Open {
    part: usize,
    /// The next message, and its time.
    at: usize,
    time: i64,
    /// Dropped when too much is open, and read again when needed.
    loaded: Option<Arc<Loaded>>,
}

/// Where reading is.
#[derive(Default)]
pub(crate) struct Cursor {
    /// The next part to begin with.
    next: usize,
    /// Of parts that end before this moment no message is wanted.
    from: Option<i64>,
    open: Vec<Open>,
}

impl Cursor {
    /// Goes on at the first part that may have a message at or after a moment.
    pub(crate) fn at(from: i64) -> Self {
        Self { next: 0, from: Some(from), open: Vec::new() }
    }

    /// The next messages, at most `rows_max`. `wanted` selects the parts.
    pub(crate) fn next(
        &mut self,
        store: &mut Store,
        rows_max: usize,
        wanted: &impl Fn(&Part) -> bool,
    ) -> Result<Option<Stretch>, Error> {
        loop {
            let first = self.first(store.by_time);
            let waiting = self.following(store, wanted);
            let begins = |part: usize| match first {
                None => true,
                Some(first) => store.by_time && store.parts[part].start < self.open[first].time,
            };
            if let Some(part) = waiting.filter(|&part| begins(part)) {
                self.begin(store, part)?;
                continue;
            }
            let Some(first) = first else { return Ok(None) };
            let stretch = self.take(store, first, waiting, rows_max)?;
            if !stretch.places.is_empty() {
                return Ok(Some(stretch));
            }
        }
    }

    /// The open part whose message comes next.
    fn first(&self, by_time: bool) -> Option<usize> {
        let numbers = 0..self.open.len();
        numbers.min_by_key(|&number| {
            let open = &self.open[number];
            (if by_time { open.time } else { 0 }, open.part)
        })
    }

    /// The next part that is to be opened.
    fn following(&mut self, store: &Store, wanted: &impl Fn(&Part) -> bool) -> Option<usize> {
        while let Some(part) = store.parts.get(self.next) {
            let early = self.from.is_some_and(|from| part.end < from);
            if !early && wanted(part) {
                // Times may go back within what we wrote: from here on nothing is passed over.
                self.from = self.from.filter(|_| store.by_time);
                return Some(self.next);
            }
            self.next += 1;
        }
        None
    }

    fn begin(&mut self, store: &mut Store, part: usize) -> Result<(), Error> {
        self.next = part + 1;
        let loaded = store.load(part)?;
        if let Some(place) = loaded.places.first() {
            self.open.push(Open { part, at: 0, time: place.time, loaded: Some(loaded) });
        }
        let bytes = |open: &Open| open.loaded.as_ref().map_or(0, |loaded| loaded.byte_len());
        let mut held: usize = self.open.iter().map(bytes).sum();
        // The parts that are needed last are dropped.
        let mut order: Vec<usize> = (0..self.open.len()).collect();
        order.sort_by_key(|&number| std::cmp::Reverse(self.open[number].time));
        for number in order {
            if held <= OPEN_BYTES_MAX {
                break;
            }
            held -= bytes(&self.open[number]);
            self.open[number].loaded = None;
        }
        Ok(())
    }

    /// Takes what comes before any message of another part.
    fn take(
        &mut self,
        store: &mut Store,
        first: usize,
        waiting: Option<usize>,
        rows_max: usize,
    ) -> Result<Stretch, Error> {
        let part = self.open[first].part;
        let loaded = match self.open[first].loaded.take() {
            Some(loaded) => loaded,
            // One that can't be read again is given up.
            None => store.load(part).inspect_err(|_| drop(self.open.swap_remove(first)))?,
        };
        let from = self.open[first].at;
        let rows = (loaded.places.len() - from).min(rows_max);
        let mut to = from + rows;
        if store.by_time {
            for (number, other) in self.open.iter().enumerate() {
                if number != first {
                    let before = (other.time, other.part);
                    to = from + loaded.places[from..to].partition_point(|place| (place.time, part) < before);
                }
            }
            if let Some(begin) = waiting.map(|waiting| store.parts[waiting].start) {
                to = from + loaded.places[from..to].partition_point(|place| place.time <= begin);
            }
        }
        match loaded.places.get(to) {
            Some(place) => {
                let open = &mut self.open[first];
                (open.at, open.time, open.loaded) = (to, place.time, Some(loaded.clone()));
            }
            None => drop(self.open.swap_remove(first)),
        }
        Ok(Stretch { part, loaded, places: from..to })
    }
}

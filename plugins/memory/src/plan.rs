//! Turns addresses into the spans of vectored reads, and reads them. Knows addresses and lengths; not what they mean.
//!
//! All bytes of a tick land in one buffer, in the order of their addresses, and are copied to their columns from there. Why not
//! straight into the batch: neighbours then share a span, which is where the time goes. Measured on Linux 6.18, x86-64: 1,000
//! values of 8 bytes, 64 bytes apart, take 183 µs as 1,000 spans and 4 µs as one; 1,000 values on 1,000 pages take as long with
//! 1,000 places to put them (337 µs) as with one (322 µs). Copying 1,000 values from the buffer takes about 2 µs.

use std::io;
use std::ops::Range;

use crate::system::{SPANS_MAX, Span, read_spans};

/// Items that are no further apart are read in one span: copying so much costs less than a span does (two items a page: 0.86 of
/// the time of single spans; above that it evens out). It is less than a page, so that no page is touched that no item is on.
const GAP_BYTES_MAX: usize = 2048;
/// What is skipped when bytes can't be read: the smallest page that Linux has.
const PAGE_BYTES: usize = 4096;
/// The place of an item that has no address.
const NOWHERE: usize = usize::MAX;

/// What is to be read: items of known length at addresses that may change.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// How many bytes each item has.
    lengths: Vec<usize>,
    /// Where each item begins in `buffer`, or [`NOWHERE`].
    places: Vec<usize>,
    /// The items that have an address, by address.
    order: Vec<u32>,
    spans: Vec<Span>,
    /// Where each span begins in `buffer`; ascending and without gaps.
    begins: Vec<usize>,
    buffer: Vec<u8>,
    /// Parts of the buffer that could not be read; ascending.
    holes: Vec<Range<usize>>,
    nowhere: usize,
}

impl Plan {
    /// A plan for items of these lengths, none of which has an address yet.
    pub(crate) fn new(lengths: Vec<usize>) -> Self {
        let count = lengths.len();
        Self { places: vec![NOWHERE; count], nowhere: count, lengths, ..Self::default() }
    }

    /// Gives every item an address, or none. Allocates only where it has not been that large before.
    pub(crate) fn lay(&mut self, address: impl Fn(usize) -> Option<usize>) {
        self.order.clear();
        self.spans.clear();
        self.begins.clear();
        self.holes.clear();
        // The places hold the addresses until the items are sorted.
        for item in 0..self.lengths.len() {
            let inside =
                |address: &usize| address.checked_add(self.lengths[item]).is_some_and(|end| end < NOWHERE);
            self.places[item] = address(item).filter(inside).unwrap_or(NOWHERE);
            if self.places[item] != NOWHERE {
                self.order.push(u32::try_from(item).expect("there are far fewer items"));
            }
        }
        self.nowhere = self.lengths.len() - self.order.len();
        let places = &mut self.places;
        self.order.sort_unstable_by_key(|&item| places[item as usize]);
        let mut total = 0;
        for &item in &self.order {
            let (address, length) = (places[item as usize], self.lengths[item as usize]);
            let fits = |span: &&mut Span| address.saturating_sub(span.address + span.length) <= GAP_BYTES_MAX;
            let span = match self.spans.last_mut().filter(fits) {
                Some(span) => {
                    let end = (span.address + span.length).max(address + length);
                    total += end - (span.address + span.length);
                    span.length = end - span.address;
                    *span
                }
                None => {
                    self.begins.push(total);
                    self.spans.push(Span { address, length });
                    total += length;
                    Span { address, length }
                }
            };
            places[item as usize] = self.begins[self.begins.len() - 1] + (address - span.address);
        }
        self.buffer.resize(total, 0);
    }

    /// Reads all items that have an address: one call for each 1,024 spans, and one more after each place that can't be read.
    ///
    /// # Errors
    /// The process is gone (`ESRCH`) or may not be read (`EPERM`). What can't be read is no error.
    pub(crate) fn read(&mut self, pid: i32) -> io::Result<()> {
        self.holes.clear();
        let (mut first, mut position) = (0, 0);
        while first < self.spans.len() {
            let last = (first + SPANS_MAX).min(self.spans.len());
            let end = self.begins.get(last).copied().unwrap_or(self.buffer.len());
            let whole = self.spans[first];
            let skip = position - self.begins[first];
            self.spans[first] = Span { address: whole.address + skip, length: whole.length - skip };
            let result = read_spans(pid, &self.spans[first..last], &mut self.buffer[position..end]);
            self.spans[first] = whole;
            position += match result {
                Err(error) if error.raw_os_error() == Some(libc::EFAULT) => 0,
                other => other?,
            };
            if position == end {
                first = last;
                continue;
            }
            let resume = self.after_fault(position);
            self.holes.push(position..resume);
            position = resume;
            first = self.span_at(position);
        }
        Ok(())
    }

    /// The span that holds a place of the buffer; one past the last at the end.
    fn span_at(&self, place: usize) -> usize {
        if place >= self.buffer.len() {
            self.spans.len()
        } else {
            self.begins.partition_point(|&begin| begin <= place) - 1
        }
    }

    /// Where reading goes on after the page that holds `place` turned out unreadable: at the next item that is not on it.
    fn after_fault(&self, place: usize) -> usize {
        let span = self.span_at(place);
        let address = self.spans[span].address + (place - self.begins[span]);
        let page_end = (address | (PAGE_BYTES - 1)).saturating_add(1);
        let span_end = self.begins.get(span + 1).copied().unwrap_or(self.buffer.len());
        let stop = (place + (page_end - address)).min(span_end);
        let next = self.order.partition_point(|&item| self.places[item as usize] < stop);
        self.order.get(next).map_or(self.buffer.len(), |&item| self.places[item as usize])
    }

    /// The bytes of an item, if they could be read the last time.
    pub(crate) fn bytes(&self, item: usize) -> Option<&[u8]> {
        let place = self.places[item];
        if !self.whole() {
            let end = place.checked_add(self.lengths[item]).filter(|_| place != NOWHERE)?;
            let near = self.holes.partition_point(|hole| hole.end <= place);
            if self.holes.get(near).is_some_and(|hole| hole.start < end) {
                return None;
            }
        }
        Some(&self.buffer[place..place + self.lengths[item]])
    }

    /// Whether every item could be read the last time.
    pub(crate) fn whole(&self) -> bool {
        self.nowhere == 0 && self.holes.is_empty()
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

//! Datasets that grow together, a row at a time: rows are gathered column by column in memory and written in whole chunks.
//! Knows nothing of streams or names.
//!
//! Every dataset of a table has the same chunk rows. The rows since the last chunk boundary are kept in memory, and a flush
//! writes that partial chunk where the whole one will be; the next flush writes it there again, longer. With a filter this
//! would leave a hole in the file at each flush: such rows wait in the [`Tail`] until the chunk is full.

use std::ops::Range;

use tapedeck_sdk::{Batch, Error};

use crate::disk::Disk;
use crate::fill::Fill;
use crate::raw::Dataset;
use crate::tail::Tail;

/// What the library may write for a new chunk of a dataset beside the chunk, and for each chunk that there is.
const INDEX_BYTES: u64 = 1024;
const INDEX_BYTES_PER_CHUNK: u64 = 16;

/// One dataset of a table, and what its rows are made of.
pub(crate) struct Channel {
    /// The dataset, with no rows yet.
    pub(crate) dataset: Dataset,
    /// What its rows are made of.
    pub(crate) fill: Fill,
}

/// Datasets that grow together.
pub(crate) struct Table {
    channels: Vec<Channel>,
    /// The rows of the chunk in hand, one column after the other.
    image: Vec<u8>,
    /// Where in `image` each channel's rows begin.
    places: Vec<usize>,
    chunk_rows: usize,
    /// Rows that were taken.
    rows: u64,
    /// Rows that the datasets have.
    written: u64,
    /// Whether `image` is zero behind the rows of the chunk in hand.
    clean: bool,
    tail: Option<Tail>,
    /// Values that were longer than their dataset is wide.
    cut: u64,
}

impl Table {
    /// A table of empty datasets. With a `tail` the datasets have filters.
    pub(crate) fn new(channels: Vec<Channel>, chunk_rows: usize, tail: Option<Tail>) -> Self {
        let mut end = 0;
        let places = channels.iter().map(|channel| {
            let begin = end;
            // Columns a power of two apart would all meet in the same few lines of the processor's cache.
            end += (channel.fill.width() * chunk_rows).next_multiple_of(64) + 64;
            begin
        });
        let places = places.collect();
        Self {
            channels,
            image: vec![0; end],
            places,
            chunk_rows,
            rows: 0,
            written: 0,
            clean: true,
            tail,
            cut: 0,
        }
    }

    /// How many values were cut so far, since the last call.
    pub(crate) fn take_cut(&mut self) -> u64 {
        std::mem::take(&mut self.cut)
    }

    /// One of the datasets.
    pub(crate) fn dataset(&self, channel: usize) -> &Dataset {
        &self.channels[channel].dataset
    }

    /// Bytes of the tail, if there is one.
    pub(crate) fn tail_bytes(&self) -> u64 {
        self.tail.as_ref().map_or(0, Tail::byte_len)
    }

    /// Takes rows.
    pub(crate) fn write(&mut self, batch: &Batch, disk: &mut Disk) -> Result<(), Error> {
        let mut row = 0;
        while row < batch.rows() {
            let filled = self.filled();
            let count = (self.chunk_rows - filled).min(batch.rows() - row);
            let rows = row..row + count;
            if count < self.chunk_rows || !self.write_in_place(batch, &rows, disk)? {
                self.gather(batch, &rows, filled);
                if filled + count == self.chunk_rows {
                    self.write_image(disk)?;
                    self.end_chunk(disk)?;
                }
            }
            row += count;
        }
        Ok(())
    }

    /// Writes the rows of the partial chunk. They are on disk after the file's own flush.
    pub(crate) fn flush(&mut self, disk: &mut Disk) -> Result<(), Error> {
        let Some(mut tail) = self.tail.take() else { return self.write_image(disk) };
        let filled = self.filled();
        let begun = self.rows - filled as u64;
        let (channels, image) = (self.channels.iter().zip(&self.places), &self.image);
        let slices = |rows: Range<usize>| {
            channels.map(move |(channel, &place)| {
                let width = channel.fill.width();
                &image[place + rows.start * width..place + rows.end * width]
            })
        };
        let appended =
            tail.append(begun, filled, slices).map_err(|failure| disk.error("write rows to", &failure));
        self.tail = Some(tail);
        appended
    }

    /// Writes what is left and closes the datasets.
    pub(crate) fn finish(mut self, disk: &mut Disk) -> Result<(), Error> {
        self.write_image(disk)
    }

    /// Rows of the chunk in hand.
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below a usize")]
    fn filled(&self) -> usize {
        (self.rows % self.chunk_rows as u64) as usize
    }

    fn gather(&mut self, batch: &Batch, rows: &Range<usize>, filled: usize) {
        for (channel, &place) in self.channels.iter().zip(&self.places) {
            let width = channel.fill.width();
            let out = &mut self.image[place + filled * width..][..rows.len() * width];
            self.cut += channel.fill.write(batch, rows, out);
        }
        self.rows += rows.len() as u64;
    }

    /// Writes a whole chunk from where it lies in the batch. Returns whether it could; columns that must be converted go through `image`.
    fn write_in_place(&mut self, batch: &Batch, rows: &Range<usize>, disk: &mut Disk) -> Result<bool, Error> {
        if self.tail.is_some() {
            return Ok(false);
        }
        let first = self.rows;
        self.room(disk)?;
        for (channel, &place) in self.channels.iter_mut().zip(&self.places) {
            let bytes = if let Some(bytes) = channel.fill.in_place(batch, rows) {
                bytes
            } else {
                let out = &mut self.image[place..][..rows.len() * channel.fill.width()];
                self.cut += channel.fill.write(batch, rows, out);
                self.clean = false;
                out
            };
            let written = channel.dataset.set_rows(first + rows.len() as u64);
            written
                .and_then(|()| channel.dataset.write_chunk(first, bytes))
                .map_err(|failure| disk.error("write rows to", &failure))?;
        }
        self.rows += rows.len() as u64;
        self.written = self.rows;
        Ok(true)
    }

    /// Writes the chunk in hand, so far as it is filled.
    fn write_image(&mut self, disk: &mut Disk) -> Result<(), Error> {
        if self.written == self.rows {
            return Ok(());
        }
        let chunk_rows = self.chunk_rows as u64;
        let first = (self.rows - 1) / chunk_rows * chunk_rows;
        let filled = usize::try_from(self.rows - first).expect("a chunk's rows are a usize");
        if self.written <= first {
            self.room(disk)?;
        }
        if !self.clean && filled < self.chunk_rows {
            self.wipe(filled);
        }
        for (channel, &place) in self.channels.iter_mut().zip(&self.places) {
            let width = channel.fill.width();
            let grown = channel.dataset.set_rows(self.rows);
            let written = grown.and_then(|()| match self.tail {
                None => channel.dataset.write_chunk(first, &self.image[place..][..self.chunk_rows * width]),
                Some(_) => channel.dataset.write_rows(first, &self.image[place..][..filled * width]),
            });
            written.map_err(|failure| disk.error("write rows to", &failure))?;
        }
        self.written = self.rows;
        Ok(())
    }

    /// The chunk in hand is full and written.
    fn end_chunk(&mut self, disk: &mut Disk) -> Result<(), Error> {
        self.clean = false;
        if let Some(tail) = &mut self.tail {
            // The tail may be used again only when its rows are where they belong.
            disk.flush()?;
            tail.clear();
        }
        Ok(())
    }

    /// So that rows of the chunk before don't get into the file behind the last row.
    fn wipe(&mut self, filled: usize) {
        for (channel, &place) in self.channels.iter().zip(&self.places) {
            let width = channel.fill.width();
            self.image[place + filled * width..place + self.chunk_rows * width].fill(0);
        }
        self.clean = true;
    }

    /// Makes sure of room for one more chunk of every dataset.
    fn room(&self, disk: &mut Disk) -> Result<(), Error> {
        let chunks = self.rows / self.chunk_rows as u64;
        let index = (INDEX_BYTES + INDEX_BYTES_PER_CHUNK * chunks) * self.channels.len() as u64;
        disk.room(self.image.len() as u64 + index)
    }
}

//! Several streams of a recording, each readable by itself, given in the order of time. Knows no format.

use std::sync::Arc;

use tapedeck_sdk::{Batch, Error, Extent, Recording, StreamSchema, Timestamp, Wanted};

use crate::blocks::Blocks;

/// A stream that is read by itself.
pub trait Track: Blocks + Send {
    /// Its schema, with the columns that are wanted.
    fn schema(&self) -> &Arc<StreamSchema>;

    /// Whether its frames are wanted.
    fn is_wanted(&self) -> bool;

    /// Only these columns are wanted from here on; the schema has them.
    fn select(&mut self, wanted: &Wanted, schema: &Arc<StreamSchema>);

    /// What it holds.
    fn extent(&self) -> Extent;

    /// Goes on at the first frame at or after a moment.
    ///
    /// # Errors
    /// Reading failed.
    fn go_to(&mut self, to: Timestamp) -> Result<(), Error>;

    /// The time of the frame that comes next. `None` at the end, and where no frame is wanted.
    ///
    /// # Errors
    /// Reading failed.
    fn next_time(&mut self) -> Result<Option<i64>, Error>;

    /// The next frames; `None` where none of them can be read, and others may follow.
    fn take(&mut self) -> Option<Batch>;

    /// What is wrong with the frames that were left out.
    fn damage(&self) -> Option<Error>;
}

/// Streams that are read as one recording. Damage is told at the end.
pub struct Tracks<T> {
    tracks: Vec<T>,
    schemas: Vec<Arc<StreamSchema>>,
    ended: bool,
}

impl<T: Track> Tracks<T> {
    /// A recording of these streams.
    #[must_use]
    pub fn new(tracks: Vec<T>) -> Self {
        let schemas = tracks.iter().map(|track| track.schema().clone()).collect();
        Self { tracks, schemas, ended: false }
    }

    fn advance(&mut self) -> Result<Option<(usize, Batch)>, Error> {
        loop {
            let mut first: Option<(i64, usize)> = None;
            for (stream, track) in self.tracks.iter_mut().enumerate() {
                let next = track.next_time()?.map(|time| (time, stream));
                first = first.into_iter().chain(next).min();
            }
            let Some((_, stream)) = first else { break };
            if let Some(batch) = self.tracks[stream].take() {
                return Ok(Some((stream, batch)));
            }
        }
        let mut damage = self.tracks.iter().filter(|track| track.is_wanted()).filter_map(Track::damage);
        damage.next().map_or(Ok(None), Err)
    }
}

impl<T: Track> Recording for Tracks<T> {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.schemas
    }

    fn extent(&self, stream: usize) -> Option<Extent> {
        self.tracks.get(stream).map(Track::extent)
    }

    fn select(&mut self, wanted: &[Wanted]) -> Result<(), Error> {
        self.schemas = Wanted::of_streams(wanted, &self.schemas)?;
        for ((track, wanted), schema) in self.tracks.iter_mut().zip(wanted).zip(&self.schemas) {
            track.select(wanted, schema);
        }
        Ok(())
    }

    fn seek(&mut self, to: Timestamp) -> Result<(), Error> {
        self.ended = false;
        self.tracks.iter_mut().try_for_each(|track| track.go_to(to))
    }

    fn next(&mut self) -> Result<Option<(usize, Batch)>, Error> {
        if self.ended {
            return Ok(None);
        }
        let next = self.advance();
        self.ended = !matches!(next, Ok(Some(_)));
        next
    }

    fn closest(&mut self, stream: usize, to: Timestamp) -> Result<Option<(Batch, usize)>, Error> {
        match self.tracks.get_mut(stream).filter(|track| track.is_wanted()) {
            Some(track) => track.nearest(to),
            None => Ok(None),
        }
    }
}

//! A recording that is read back: its streams, merged by time.

use tapedeck_kit::blocks::Blocks;
use tapedeck_sdk::prelude::*;

use crate::track::Track;

/// The streams of a database, read as one.
pub(crate) struct DimosRecording {
    tracks: Vec<Track>,
    schemas: Vec<Arc<StreamSchema>>,
    ended: bool,
}

impl DimosRecording {
    pub(crate) fn new(tracks: Vec<Track>) -> Self {
        let schemas = tracks.iter().map(|track| track.schema.clone()).collect();
        Self { tracks, schemas, ended: false }
    }

    fn advance(&mut self) -> Result<Option<(usize, Batch)>, Error> {
        let mut first: Option<(i64, usize)> = None;
        for (stream, track) in self.tracks.iter_mut().enumerate() {
            let next = track.next_time()?.map(|time| (time, stream));
            first = first.into_iter().chain(next).min();
        }
        if let Some((_, stream)) = first {
            return Ok(self.tracks[stream].take().map(|batch| (stream, batch)));
        }
        let mut damage = self.tracks.iter().filter(|track| track.wanted).filter_map(Track::damage);
        damage.next().map_or(Ok(None), Err)
    }
}

impl Recording for DimosRecording {
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
        match self.tracks.get_mut(stream).filter(|track| track.wanted) {
            Some(track) => track.nearest(to),
            None => Ok(None),
        }
    }
}

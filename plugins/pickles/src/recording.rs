//! A recording that is read back: the streams of its folders, merged by time.

use tapedeck_kit::blocks::Blocks;
use tapedeck_sdk::prelude::*;

use crate::track::Track;

/// Folders of frames, read as one.
pub(crate) struct PicklesRecording {
    tracks: Vec<Track>,
    schemas: Vec<Arc<StreamSchema>>,
    ended: bool,
}

impl PicklesRecording {
    pub(crate) fn new(tracks: Vec<Track>) -> Self {
        let schemas = tracks.iter().map(|track| track.schema.clone()).collect();
        Self { tracks, schemas, ended: false }
    }
}

impl Recording for PicklesRecording {
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
        loop {
            let first = (0..self.tracks.len())
                .filter_map(|stream| self.tracks[stream].next_time().map(|time| (time, stream)))
                .min();
            let Some((_, stream)) = first else { break };
            if let Some(batch) = self.tracks[stream].advance() {
                return Ok(Some((stream, batch)));
            }
        }
        self.ended = true;
        let mut damage = self.tracks.iter().filter(|track| track.wanted).filter_map(Track::damage);
        damage.next().map_or(Ok(None), Err)
    }

    fn closest(&mut self, stream: usize, to: Timestamp) -> Result<Option<(Batch, usize)>, Error> {
        match self.tracks.get_mut(stream).filter(|track| track.wanted) {
            Some(track) => track.nearest(to),
            None => Ok(None),
        }
    }
}

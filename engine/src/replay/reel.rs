//! Any number of recordings as one, in the order of time: row by row where streams interleave, whole batches where they don't.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tapedeck_sdk::{Batch, BatchPool, Error, Extent, StreamSchema, Timestamp};

use super::tracks::{Track, tracks};
use crate::registry::Registry;
use tapedeck_sdk::names::{did_you_mean, glob_matches};

/// A part of a recording, in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    /// From here on; none: from the beginning.
    pub start: Option<Moment>,
    /// For so long; none: to the end.
    pub duration: Option<Duration>,
}

/// A moment in a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// So long after the beginning.
    After(Duration),
    /// At this time.
    At(Timestamp),
}

impl std::str::FromStr for Moment {
    type Err = String;

    /// `10s`, `1.5h`, or a time in ISO 8601.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(time) = Timestamp::from_iso8601(text) {
            return Ok(Self::At(time));
        }
        let after = text.parse::<tapedeck_sdk::options::DurationText>();
        after.map(|after| Self::After(after.0)).map_err(|error| {
            format!(
                "{error}; a moment is a duration from the beginning (10s) or a time (2026-11-25T03:21:24Z)"
            )
        })
    }
}

impl std::fmt::Display for Moment {
    /// As [`from_str`](std::str::FromStr::from_str) reads it.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::After(after) => tapedeck_sdk::options::DurationText(*after).fmt(formatter),
            Self::At(time) => formatter.write_str(&time.to_iso8601()),
        }
    }
}

/// Recordings that are read as one.
pub struct Reel {
    tracks: Vec<Track>,
    /// Which stream each track is of: several files may hold parts of one.
    stream_of: Vec<usize>,
    streams: Vec<Arc<StreamSchema>>,
    pools: Vec<BatchPool>,
    /// The first row that is not wanted.
    end: Option<Timestamp>,
    begin: Option<Timestamp>,
    /// Added to every time, in ns.
    shift: i64,
    /// What was damaged so far, where damage ends only the file that has it.
    damage: Option<Vec<Error>>,
    remarks: Vec<String>,
}

impl Reel {
    /// Opens what is at the paths. `wanted` are names or patterns of streams; none: all.
    ///
    /// # Errors
    /// A path that can't be read, or a name that no stream has.
    pub fn open(registry: &Registry, paths: &[PathBuf], wanted: &[String]) -> Result<Self, Error> {
        let mut reel = Self {
            tracks: Vec::new(),
            stream_of: Vec::new(),
            streams: Vec::new(),
            pools: Vec::new(),
            end: None,
            begin: None,
            shift: 0,
            damage: None,
            remarks: Vec::new(),
        };
        let mut known: Vec<String> = Vec::new();
        for path in paths {
            let found = tracks(registry, path)?;
            reel.remarks.extend(found.remarks);
            for track in found.tracks {
                let name = track.schema().name().to_owned();
                let is_wanted =
                    wanted.is_empty() || wanted.iter().any(|pattern| glob_matches(pattern, &name));
                known.push(name);
                if is_wanted {
                    reel.add(track)?;
                }
            }
        }
        if let Some(missing) =
            wanted.iter().find(|pattern| !known.iter().any(|name| glob_matches(pattern, name)))
        {
            let hint = did_you_mean(missing, known.iter().map(String::as_str), "streams");
            return Err(Error::environment(format!("no stream is called \"{missing}\"")).with_hint(hint));
        }
        reel.seek(Timestamp(i64::MIN))?;
        Ok(reel)
    }

    /// Files with parts of one stream are one stream; another one of the same name gets a number.
    fn add(&mut self, track: Track) -> Result<(), Error> {
        let schema = track.schema().clone();
        let part_of = self.streams.iter().position(|other| {
            other.name() == schema.name()
                && other.fields() == schema.fields()
                && other.kind() == schema.kind()
        });
        let stream = match part_of {
            Some(stream) => stream,
            None => {
                let taken = |name: &str| self.streams.iter().any(|other| other.name() == name);
                let name = schema.name();
                let free =
                    (1..).map(|count| if count == 1 { name.to_owned() } else { format!("{name}-{count}") });
                let free = free.into_iter().find(|name| !taken(name)).unwrap_or_default();
                let schema = if free == name { schema.clone() } else { schema.renamed(&free)? };
                self.pools.push(BatchPool::new(schema.clone()));
                self.streams.push(schema);
                self.streams.len() - 1
            }
        };
        self.tracks.push(track);
        self.stream_of.push(stream);
        Ok(())
    }

    /// Keeps only the streams that are wanted, for as long as the reel lives.
    pub fn retain(&mut self, wanted: impl Fn(&StreamSchema) -> bool) {
        let kept: Vec<bool> = self.streams.iter().map(|schema| wanted(schema)).collect();
        let tracks = std::mem::take(&mut self.stream_of).into_iter().zip(std::mem::take(&mut self.tracks));
        for (stream, track) in tracks.filter(|(stream, _)| kept[*stream]) {
            self.stream_of.push(kept[..stream].iter().filter(|kept| **kept).count());
            self.tracks.push(track);
        }
        let is_kept = |index: usize| kept[index];
        self.streams =
            (0..).zip(&self.streams).filter(|(i, _)| is_kept(*i)).map(|(_, s)| s.clone()).collect();
        self.pools = self.streams.iter().map(|schema| BatchPool::new(schema.clone())).collect();
        self.begin = None;
    }

    /// The streams, in the order of the index that [`read`](Self::read) gives.
    #[must_use]
    pub fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    /// What a stream holds over all its files, if their indices know.
    #[must_use]
    pub fn extent(&self, stream: usize) -> Option<Extent> {
        let parts = self.stream_of.iter().zip(&self.tracks).filter(|(of, _)| **of == stream);
        let join = |one: Option<Extent>, (_, track): (&usize, &Track)| {
            let (part, Some(one)) = (track.extent()?, one) else { return None };
            let both = |one: Option<(i64, i64)>, part: Option<(i64, i64)>| match (one, part) {
                (Some(one), Some(part)) => Some((one.0.min(part.0), one.1.max(part.1))),
                (one, part) => one.or(part),
            };
            Some(Extent {
                frames: one.frames.saturating_add(part.frames),
                seq: one.seq.or(part.seq),
                timestamps: both(one.timestamps, part.timestamps),
            })
        };
        parts.fold(Some(Extent { frames: 0, seq: None, timestamps: None }), join)
    }

    /// The time of the first frame of all; `None` if there is none.
    ///
    /// # Errors
    /// Reading failed.
    pub fn begin(&mut self) -> Result<Option<Timestamp>, Error> {
        if self.begin.is_none() {
            self.seek(Timestamp(i64::MIN))?;
            self.begin = self.earliest()?.map(|(_, time)| Timestamp(time));
        }
        Ok(self.begin)
    }

    /// Goes to a part of the recording; nothing outside of it is given.
    ///
    /// # Errors
    /// Reading failed.
    pub fn show(&mut self, window: Window) -> Result<(), Error> {
        let begin = self.begin()?.unwrap_or(Timestamp(0));
        let start = match window.start {
            Some(Moment::After(after)) => begin + after,
            Some(Moment::At(time)) => time,
            None => begin,
        };
        self.end = window.duration.map(|duration| start + duration);
        // Without a start everything is shown, also what is out of order.
        self.seek(if window.start.is_some() { start } else { Timestamp(i64::MIN) })
    }

    /// Goes to a moment: each stream goes on with its first frame at or after it.
    ///
    /// # Errors
    /// Reading failed.
    pub fn seek(&mut self, to: Timestamp) -> Result<(), Error> {
        self.tracks.iter_mut().try_for_each(|track| track.seek(to))
    }

    /// Adds so many nanoseconds to every time from here on.
    pub fn shift(&mut self, nanos: i64) {
        self.shift = nanos;
    }

    /// Takes what can be read of damaged files: from here on damage ends the file that has it and is no error of [`read`](Self::read).
    pub fn take_damaged(&mut self) {
        self.damage.get_or_insert_default();
    }

    /// What was damaged so far, each once. Empty before [`take_damaged`](Self::take_damaged).
    #[must_use]
    pub fn damage(&self) -> &[Error] {
        self.damage.as_deref().unwrap_or_default()
    }

    /// What the user should know of what is read: where sinks have recorded one stream differently, which of them it
    /// is.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The time of a track's next row; `None` at its end.
    fn time_of(&mut self, track: usize) -> Result<Option<i64>, Error> {
        let track = &mut self.tracks[track];
        match (track.time(), &mut self.damage) {
            (Err(error), Some(damage)) => {
                track.give_up();
                if !damage.contains(&error) {
                    damage.push(error);
                }
                Ok(None)
            }
            (time, _) => time,
        }
    }

    fn earliest(&mut self) -> Result<Option<(usize, i64)>, Error> {
        let mut earliest: Option<(usize, i64)> = None;
        for index in 0..self.tracks.len() {
            if let Some(time) = self.time_of(index)?
                && earliest.is_none_or(|(_, other)| time < other)
            {
                earliest = Some((index, time));
            }
        }
        Ok(earliest)
    }

    /// The next rows in the order of time, of one stream; of rows of one time those of the stream that was opened first. `None` at the
    /// end.
    ///
    /// # Errors
    /// Reading failed.
    pub fn read(&mut self) -> Result<Option<(usize, Batch)>, Error> {
        let Some((track, time)) = self.earliest()? else { return Ok(None) };
        if self.end.is_some_and(|end| time >= end.0) {
            return Ok(None);
        }
        // Up to where another track is due; one that was opened later waits at the same time.
        let mut limit = self.end.map_or((i64::MAX, true), |end| (end.0, false));
        for index in (0..self.tracks.len()).filter(|index| *index != track) {
            let Some(time) = self.time_of(index)? else { continue };
            limit = limit.min((time, index > track));
        }
        let stream = self.stream_of[track];
        let Some((batch, rows)) = self.tracks[track].take(limit.0, limit.1) else { return Ok(None) };
        let whole = rows.len() == batch.rows() && batch.schema() == &self.streams[stream];
        if whole && self.shift == 0 {
            return Ok(Some((stream, batch.clone())));
        }
        let mut builder = self.pools[stream].builder(rows.len());
        builder.append(batch, rows);
        builder.timestamps_mut().iter_mut().for_each(|time| *time = time.saturating_add(self.shift));
        Ok(Some((stream, builder.finish())))
    }

    /// The frame of a stream that is nearest to a moment, as a batch and its row there. Moves where [`read`](Self::read) goes on.
    ///
    /// # Errors
    /// Reading failed.
    pub fn closest(&mut self, stream: usize, to: Timestamp) -> Result<Option<(Batch, usize)>, Error> {
        let mut best: Option<(u64, i64, Batch, usize)> = None;
        let tracks = self.stream_of.iter().zip(&mut self.tracks).filter(|(of, _)| **of == stream);
        for (_, track) in tracks {
            let Some((batch, row)) = track.closest(to)? else { continue };
            let time = batch.timestamps()[row];
            let distance = time.abs_diff(to.0);
            if best.as_ref().is_none_or(|(other, at, ..)| (distance, time) < (*other, *at)) {
                best = Some((distance, time, batch, row));
            }
        }
        Ok(best.map(|(_, _, batch, row)| (batch, row)))
    }

    /// The last frame of a stream at or before a moment, as a batch and its row there. Moves where [`read`](Self::read) goes on.
    ///
    /// # Errors
    /// Reading failed.
    pub fn latest(&mut self, stream: usize, to: Timestamp) -> Result<Option<(Batch, usize)>, Error> {
        let mut back: i64 = 0;
        // The step back doubles each time, from a nanosecond at least: that is all of time.
        for _ in 0..i64::BITS {
            let probe = Timestamp(to.0.saturating_sub(back));
            let Some((batch, row)) = self.closest(stream, probe)? else { return Ok(None) };
            let after = batch.timestamps()[row].saturating_sub(to.0);
            if after <= 0 {
                return Ok(Some((batch, row)));
            }
            // No frame is between the probe and the moment, nor as far before the probe as the one that was found is after it.
            back = back.saturating_mul(2).max(after);
        }
        Ok(None)
    }

    /// The times of a stream's first and last frame; `None` if it has none.
    ///
    /// # Errors
    /// Reading failed.
    pub fn span(&mut self, stream: usize) -> Result<Option<(Timestamp, Timestamp)>, Error> {
        if let Some((first, last)) = self.extent(stream).and_then(|extent| extent.timestamps) {
            return Ok(Some((Timestamp(first), Timestamp(last))));
        }
        let mut time = |at: i64| {
            let found = self.closest(stream, Timestamp(at))?;
            Ok(found.map(|(batch, row)| Timestamp(batch.timestamps()[row])))
        };
        Ok(time(i64::MIN)?.zip(time(i64::MAX)?))
    }
}

//! What an index tells of a stream without reading its messages: how many there are, from when to when, and which is nearest to a moment.
//! Parts are read only where no index says it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use tapedeck_sdk::{Error, Extent};

use crate::chunk::{Loaded, Place};
use crate::index::{Count, Part};
use crate::order::Store;
use crate::streams::Streams;
use crate::summary::{index_count, index_times};

/// For each file the messages of its channels, where the file says.
pub(crate) type Counts = Vec<Option<BTreeMap<u16, u64>>>;

/// How many parts are kept while extents are looked for: the first and the last one of most streams are the same.
const KEPT_PARTS_MAX: usize = 4;

/// The parts that were read last.
#[derive(Default)]
struct Kept(Vec<(usize, Loaded)>);

impl Kept {
    fn part(&mut self, store: &Store, part: usize) -> Result<&Loaded, Error> {
        let at = match self.0.iter().position(|(kept, _)| *kept == part) {
            Some(at) => at,
            None => {
                if self.0.len() >= KEPT_PARTS_MAX {
                    self.0.remove(0);
                }
                self.0.push((part, store.read(part)?));
                self.0.len() - 1
            }
        };
        Ok(&self.0[at].1)
    }
}

/// What each stream holds; `None` where a part can't be read that would tell.
pub(crate) fn all(store: &Store, streams: &Streams, counts: &Counts) -> Vec<Option<Extent>> {
    let mut kept = Kept::default();
    let parts = parts_of(store, streams).into_iter().enumerate();
    parts.map(|(stream, parts)| extent(store, streams, counts, (stream, parts), &mut kept).ok()).collect()
}

/// The parts that may have messages of each stream.
fn parts_of(store: &Store, streams: &Streams) -> Vec<Vec<usize>> {
    let mut of = vec![Vec::new(); streams.schemas.len()];
    for (number, part) in store.parts.iter().enumerate() {
        let Some(channels) = &part.channels else {
            of.iter_mut().for_each(|parts| parts.push(number));
            continue;
        };
        for &(channel, _) in channels {
            let Some(source) = streams.source(part.file, channel) else { continue };
            let parts = &mut of[source.stream];
            if parts.last() != Some(&number) {
                parts.push(number);
            }
        }
    }
    of
}

fn extent(
    store: &Store,
    streams: &Streams,
    counts: &Counts,
    (stream, mut parts): (usize, Vec<usize>),
    kept: &mut Kept,
) -> Result<Extent, Error> {
    let frames = frames(store, streams, counts, &parts, stream)?;
    if frames == 0 {
        return Ok(Extent { frames, seq: None, timestamps: None });
    }
    let seq = if !streams.own[stream] {
        Some((0, frames - 1))
    } else if store.by_time {
        None
    } else {
        numbers_of(store, streams, &parts, stream, kept)?
    };
    let (mut first, mut last) = (i64::MAX, i64::MIN);
    parts.sort_by_key(|&part| store.parts[part].start);
    for &part in &parts {
        if store.parts[part].start >= first {
            break;
        }
        first = times(store, streams, part, stream, kept)?.into_iter().min().unwrap_or(first).min(first);
    }
    parts.sort_by_key(|&part| Reverse(store.parts[part].end));
    for &part in &parts {
        if store.parts[part].end <= last {
            break;
        }
        last = times(store, streams, part, stream, kept)?.into_iter().max().unwrap_or(last).max(last);
    }
    Ok(Extent { frames, seq, timestamps: Some((first, last)).filter(|(first, last)| first <= last) })
}

fn frames(
    store: &Store,
    streams: &Streams,
    counts: &Counts,
    parts: &[usize],
    stream: usize,
) -> Result<u64, Error> {
    let mut frames = 0;
    for (file, counts) in counts.iter().enumerate() {
        match counts {
            Some(counts) => {
                let of_stream = |channel: &u16| streams.is_of(file, *channel, stream);
                let counts = counts.iter().filter(|(channel, _)| of_stream(channel));
                frames = counts.fold(frames, |sum: u64, (_, count)| sum.saturating_add(*count));
            }
            None => {
                for &part in parts.iter().filter(|&&part| store.parts[part].file == file) {
                    frames = u64::saturating_add(frames, count(store, streams, part, stream)?);
                }
            }
        }
    }
    Ok(frames)
}

/// The first and the last `seq`, in the order of the file.
fn numbers_of(
    store: &Store,
    streams: &Streams,
    parts: &[usize],
    stream: usize,
    kept: &mut Kept,
) -> Result<Option<(u64, u64)>, Error> {
    let mut ends = [None; 2];
    for (end, backwards) in ends.iter_mut().zip([false, true]) {
        for turn in 0..parts.len() {
            let part = parts[if backwards { parts.len() - 1 - turn } else { turn }];
            let file = store.parts[part].file;
            let loaded = kept.part(store, part)?;
            let number = |place: &Place| {
                let source = streams.source(file, place.channel).filter(|source| source.stream == stream)?;
                Some(source.base?.wrapping_add(loaded.message(*place).0.sequence.into()))
            };
            let mut places = loaded.places.iter();
            *end = if backwards { places.rev().find_map(number) } else { places.find_map(number) };
            if end.is_some() {
                break;
            }
        }
    }
    Ok(ends[0].zip(ends[1]))
}

fn may_have(streams: &Streams, part: &Part, stream: usize) -> bool {
    part.may_have(|channel| streams.is_of(part.file, channel, stream))
}

/// The times of a stream's messages in a part.
fn times(
    store: &Store,
    streams: &Streams,
    number: usize,
    stream: usize,
    kept: &mut Kept,
) -> Result<Vec<i64>, Error> {
    let part = &store.parts[number];
    let of_stream = |channel: u16| streams.is_of(part.file, channel, stream);
    let indexes = part.channels.iter().flatten().filter(|(channel, _)| of_stream(*channel));
    let mut times = Vec::new();
    for &(_, count) in indexes {
        match count {
            Count::IndexAt(at) | Count::Indexed(_, at) => {
                times.extend(index_times(store.file(number), at)?);
            }
            Count::Known(_) => {
                times.clear();
                break;
            }
        }
    }
    if times.is_empty() {
        let places = &kept.part(store, number)?.places;
        times = places.iter().filter(|place| of_stream(place.channel)).map(|place| place.time).collect();
    }
    Ok(times)
}

/// How many messages of a stream a part has.
fn count(store: &Store, streams: &Streams, number: usize, stream: usize) -> Result<u64, Error> {
    let part = &store.parts[number];
    let of_stream = |channel: u16| streams.is_of(part.file, channel, stream);
    let Some(channels) = &part.channels else {
        let loaded = store.read(number)?;
        return Ok(loaded.places.iter().filter(|place| of_stream(place.channel)).count() as u64);
    };
    let mut sum = 0_u64;
    for &(_, count) in channels.iter().filter(|(channel, _)| of_stream(*channel)) {
        sum = sum.saturating_add(match count {
            Count::Known(count) | Count::Indexed(count, _) => count,
            Count::IndexAt(at) => index_count(store.file(number), at)?,
        });
    }
    Ok(sum)
}

/// Looks up the counts of a part once.
fn resolve(store: &mut Store, number: usize) -> Result<(), Error> {
    let file = store.parts[number].file;
    for (_, count) in store.parts[number].channels.iter_mut().flatten() {
        if let Count::IndexAt(at) = *count {
            *count = Count::Indexed(index_count(&store.files[file], at)?, at);
        }
    }
    Ok(())
}

/// How many messages of a stream come before a moment.
pub(crate) fn rank(store: &mut Store, streams: &Streams, stream: usize, to: i64) -> Result<u64, Error> {
    let mut rank = 0_u64;
    for number in 0..store.parts.len() {
        let part = &store.parts[number];
        if part.start >= to || !may_have(streams, part, stream) {
            continue;
        }
        if part.end < to && part.channels.is_some() {
            resolve(store, number)?;
            rank = rank.saturating_add(count(store, streams, number, stream)?);
            continue;
        }
        let file = part.file;
        let loaded = store.load(number)?;
        let before = loaded
            .places
            .iter()
            .filter(|place| place.time < to && streams.is_of(file, place.channel, stream));
        rank = rank.saturating_add(before.count() as u64);
    }
    Ok(rank)
}

/// The message of a stream that is nearest to a moment, of several the earliest and first: its part and its place there. Looks into the
/// parts whose times are nearest, and stops when no other can have a nearer one.
pub(crate) fn nearest(
    store: &mut Store,
    streams: &Streams,
    stream: usize,
    to: i64,
) -> Result<Option<(usize, Place)>, Error> {
    let distance = |part: &Part| {
        if to < part.start {
            part.start.abs_diff(to)
        } else {
            to.saturating_sub(part.end).max(0).unsigned_abs()
        }
    };
    let numbers = 0..store.parts.len();
    let parts = numbers.filter(|&part| may_have(streams, &store.parts[part], stream));
    let mut parts: Vec<(u64, usize)> = parts.map(|part| (distance(&store.parts[part]), part)).collect();
    parts.sort_unstable();
    let mut best: Option<((u64, i64, usize), Place)> = None;
    for (least, part) in parts {
        if best.is_some_and(|((distance, ..), _)| distance < least) {
            break;
        }
        let file = store.parts[part].file;
        for &place in &store.load(part)?.places {
            if !streams.is_of(file, place.channel, stream) {
                continue;
            }
            let rank = (place.time.abs_diff(to), place.time, part);
            if best.is_none_or(|(best, _)| rank < best) {
                best = Some((rank, place));
            }
        }
    }
    Ok(best.map(|((.., part), place)| (part, place)))
}

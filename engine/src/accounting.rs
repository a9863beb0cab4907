//! What became of each frame of a session that was killed: given = read + dropped + failed, for each input of each sink. Counted anew from
//! the ledger and from what can be read, never corrected: doing it twice gives the same numbers. Knows nothing of how files are mended.

use std::collections::BTreeSet;

use tapedeck_sdk::Loss;

use crate::closing::rate;
use crate::inspect::StreamInspection;
use crate::ledger::{Entries, LedgerLine};
use crate::recover::RecoveredStream;
use crate::session::{Manifest, ManifestInput};
use crate::stats::count;

/// What is known of the frames of a session.
pub(crate) struct Account {
    /// What the sources gave; none where nobody knows.
    streams: Option<Vec<LedgerLine>>,
    /// What was lost where; none where only the manifest's sums are known.
    counts: Option<Vec<u64>>,
}

/// A stream that a sink's file holds.
pub(crate) struct Found {
    /// The sink's input that the file is of, if it is of one.
    pub(crate) input: Option<usize>,
    pub(crate) stream: StreamInspection,
}

/// What the files of a sink hold.
pub(crate) struct FoundInSink {
    pub(crate) streams: Vec<Found>,
    /// Whether a missing frame is a lost one: a format may leave frames out by intent.
    pub(crate) holds_every_frame: bool,
    /// Whether the journal holds no more frames.
    pub(crate) complete: bool,
}

/// What was lost of one input on its way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct OnTheWay {
    dropped: u64,
    /// By transforms.
    failed: u64,
    /// By the sink itself.
    own: u64,
}

impl Account {
    /// The account of a session that was killed, by its ledger; unknown if that is not of this manifest.
    pub(crate) fn of_ledger(manifest: &Manifest, entries: Entries) -> Self {
        let inputs = || manifest.sinks.iter().flat_map(|sink| &sink.inputs);
        let known = |input: &ManifestInput| {
            let counts = input.counts.as_ref();
            counts.is_some_and(|counts| {
                let all = counts.dropped.iter().chain(&counts.transforms).chain(&counts.own);
                all.max().is_none_or(|&last| last < entries.counts.len())
            })
        };
        let sources = manifest.streams.iter().filter_map(|stream| stream.counts.as_ref());
        let last = sources.flat_map(|counts| [Some(counts.dropped), counts.failed]).flatten().max();
        let sources_known = last.is_none_or(|last| last < entries.counts.len());
        if entries.streams.len() != manifest.streams.len() || !inputs().all(known) || !sources_known {
            return Self::unknown();
        }
        Self { streams: Some(entries.streams), counts: Some(entries.counts) }
    }

    /// The account of a session that came to its end, by its own last words.
    pub(crate) fn of_manifest(manifest: &Manifest) -> Self {
        let line = |stream: &crate::session::ManifestStream| LedgerLine {
            next_seq: total([stream.frames, stream.loss.late, stream.skipped, stream.loss.dropped]),
            late: stream.loss.late,
            partial: stream.loss.partial,
            // As in the ledger: what a replay has dropped has a number and is no frame.
            skipped: total([stream.skipped, stream.loss.dropped]),
        };
        Self { streams: Some(manifest.streams.iter().map(line).collect()), counts: None }
    }

    /// Nobody knows.
    pub(crate) fn unknown() -> Self {
        Self { streams: None, counts: None }
    }

    pub(crate) fn is_unknown(&self) -> bool {
        self.streams.is_none()
    }

    fn lines<'a>(&'a self, input: &'a ManifestInput) -> impl Iterator<Item = LedgerLine> + 'a {
        let lines = self.streams.iter().flatten().enumerate();
        lines.filter(|(stream, _)| input.origins.contains(stream)).map(|(_, line)| *line)
    }

    fn sum(&self, places: &[usize]) -> u64 {
        let counts = self.counts.as_deref().unwrap_or_default();
        total(places.iter().filter_map(|&place| counts.get(place)).copied())
    }

    fn on_the_way(&self, input: &ManifestInput) -> OnTheWay {
        match (&self.counts, &input.counts) {
            (Some(_), Some(places)) => OnTheWay {
                dropped: self.sum(&places.dropped),
                failed: self.sum(&places.transforms),
                own: self.sum(&places.own),
            },
            _ => OnTheWay { dropped: input.loss.dropped, failed: 0, own: input.loss.failed },
        }
    }

    /// What was lost of an input before it came to its sink.
    pub(crate) fn loss_before(&self, input: &ManifestInput) -> Loss {
        let way = self.on_the_way(input);
        Loss {
            late: total(self.lines(input).map(|line| line.late)),
            dropped: way.dropped,
            failed: way.failed,
            partial: total(self.lines(input).map(|line| line.partial)),
        }
    }

    /// Writes into the manifest what a sink's files hold (`None`: no reader) and what is missing.
    pub(crate) fn settle(
        &self,
        manifest: &mut Manifest,
        sink: usize,
        found: Option<&FoundInSink>,
    ) -> Vec<RecoveredStream> {
        let rates: Vec<f64> =
            manifest.streams.iter().map(|stream| rate(stream.frames, stream.timestamps)).collect();
        let sink = &mut manifest.sinks[sink];
        let single = sink.inputs.len() == 1;
        let mut streams = Vec::new();
        for (number, input) in sink.inputs.iter_mut().enumerate() {
            let of_input = |found: &&Found| match found.input {
                Some(of) => of == number,
                // A file of all inputs names its streams as they were named.
                None => single || found.stream.schema.name() == input.stream,
            };
            let streams_of = |found: &'_ [Found]| {
                found.iter().filter(of_input).map(|found| found.stream.clone()).collect()
            };
            let read: Option<Vec<StreamInspection>> = found.map(|found| streams_of(&found.streams));
            let all_held = found.is_some_and(|found| found.holds_every_frame);
            let rate = input.origins.iter().filter_map(|&origin| rates.get(origin)).copied();
            let read_rates = read.iter().flatten().map(|stream| stream.frames_per_second);
            let rate = rate.chain(read_rates).fold(0.0, f64::max);
            let mut stream = self.settle_input(input, read.as_deref(), all_held, &sink.id);
            stream.lost_seconds = stream.lost.map(|lost| if rate > 0.0 { count(lost) / rate } else { 0.0 });
            streams.push(stream);
        }
        streams
    }

    fn settle_input(
        &self,
        input: &mut ManifestInput,
        read: Option<&[StreamInspection]>,
        all_held: bool,
        sink: &str,
    ) -> RecoveredStream {
        let frames = read.map(|read| read.iter().map(|stream| stream.frames).sum::<u64>());
        let mut stream = RecoveredStream {
            sink: sink.to_owned(),
            stream: input.stream.clone(),
            frames,
            given: None,
            dropped: None,
            failed: None,
            lost: None,
            lost_seconds: None,
        };
        input.written = frames.unwrap_or(input.written);
        input.unknown = true;
        if self.is_unknown() {
            return stream;
        }
        let given = total(self.lines(input).map(LedgerLine::given));
        let way = self.on_the_way(input);
        (stream.given, stream.dropped) = (Some(given), Some(way.dropped));
        let loss = self.loss_before(input);
        let Some(frames) = frames.filter(|_| all_held) else {
            let failed = way.failed.saturating_add(way.own);
            stream.failed = Some(failed);
            input.loss = Loss { failed, ..loss };
            return stream;
        };
        let mut missing = given.saturating_sub(total([frames, way.dropped, way.failed]));
        // A transform may leave rows out by intent: then only what is missing behind the last row is known to be lost.
        if input.counts.as_ref().is_none_or(|counts| !counts.transforms.is_empty()) {
            let read = read.unwrap_or_default();
            let next =
                read.iter().filter_map(|stream| stream.seq).map(|(_, last)| last.saturating_add(1)).max();
            let given_to = self.lines(input).map(|line| line.next_seq).max().unwrap_or(0);
            missing = missing.min(given_to.saturating_sub(next.unwrap_or(0)).max(way.own));
        }
        let own = way.own.min(missing);
        (stream.failed, stream.lost) = (Some(way.failed.saturating_add(own)), Some(missing - own));
        input.loss = Loss { failed: way.failed.saturating_add(missing), ..loss };
        input.unknown = false;
        stream
    }

    /// Writes into the manifest what the sources gave, and all that was lost, each loss counted once. To be called last.
    pub(crate) fn settle_streams(&self, manifest: &mut Manifest) {
        let Some(lines) = &self.streams else {
            manifest.streams.iter_mut().for_each(|stream| stream.unknown = true);
            return;
        };
        for (stream, line) in manifest.streams.iter_mut().zip(lines) {
            let sum = |place: Option<usize>| {
                place.filter(|_| self.counts.is_some()).map(|place| self.sum(&[place]))
            };
            let counts = stream.counts.as_ref();
            let dropped = sum(counts.map(|counts| counts.dropped)).unwrap_or(stream.loss.dropped);
            let failed = sum(counts.and_then(|counts| counts.failed)).unwrap_or(stream.loss.failed);
            stream.frames = line.given();
            stream.skipped = line.skipped.saturating_sub(dropped);
            stream.loss = Loss { late: line.late, partial: line.partial, dropped, failed };
        }
        let inputs = || manifest.sinks.iter().flat_map(|sink| &sink.inputs);
        let places = |of: fn(&crate::session::LedgerCounts) -> &Vec<usize>| -> BTreeSet<usize> {
            inputs().filter_map(|input| input.counts.as_ref()).flat_map(|counts| of(counts).clone()).collect()
        };
        let late = total(lines.iter().map(|line| line.late));
        let partial = manifest.loss.partial.max(total(lines.iter().map(|line| line.partial)));
        if self.counts.is_none() {
            manifest.loss = Loss { late, partial, ..manifest.loss };
            return;
        }
        let [dropped, transforms] = [places(|counts| &counts.dropped), places(|counts| &counts.transforms)]
            .map(|places| self.sum(&places.into_iter().collect::<Vec<_>>()));
        let by_sinks =
            inputs().map(|input| input.loss.failed - self.on_the_way(input).failed.min(input.loss.failed));
        let by_sources = |of: fn(&Loss) -> u64| total(manifest.streams.iter().map(|stream| of(&stream.loss)));
        manifest.loss = Loss {
            late,
            dropped: total([dropped, by_sources(|loss| loss.dropped)]),
            failed: total(by_sinks.chain([transforms, by_sources(|loss| loss.failed)])),
            partial,
        };
    }
}

/// A sum of numbers that a damaged file may have made as large as it likes.
fn total(numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers.into_iter().fold(0, u64::saturating_add)
}

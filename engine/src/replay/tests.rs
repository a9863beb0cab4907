//! Recordings in a toy format: which of a session are read, when their frames are given, and what is counted of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tapedeck_sdk::prelude::*;

use super::Reel;
use crate::clock::{SessionClock, SessionTime};
use crate::pipeline::{Variables, parse};
use crate::registry::Registry;
use crate::remarks::Remarks;
use crate::report::Report;
use crate::run_tests::{factories, options, taken};
use crate::session::{MANIFEST, Manifest};
use crate::stats::StageStats;
use crate::{begin, convert};

/// Lines of `stream seq time`. A batch ends where the stream changes, or at an empty line.
struct Rows(&'static str);

impl Format for Rows {
    fn name(&self) -> &'static str {
        self.0
    }
    fn extensions(&self) -> &'static [&'static str] {
        &["rows"]
    }
    fn matches(&self, _head: &[u8], path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "rows")
    }
    fn open(&self, path: &Path) -> Result<Box<dyn Recording>, Error> {
        let text = std::fs::read_to_string(path).map_err(|error| Error::io("read", path, &error))?;
        let mut recording = RowsRecording { streams: Vec::new(), batches: Vec::new(), wanted: None, at: 0 };
        for lines in text.split("\n\n") {
            let rows: Vec<Vec<&str>> = lines.lines().map(|line| line.split(' ').collect()).collect();
            for rows in rows.chunk_by(|one, other| one[0] == other[0]) {
                let stream = recording.stream(rows[0][0])?;
                let mut pool = BatchPool::new(recording.streams[stream].clone());
                let mut batch = pool.builder(rows.len());
                for (row, words) in rows.iter().enumerate() {
                    let (seq, time) = (words[1].parse::<u64>().unwrap(), words[2].parse().unwrap());
                    batch.push_row(Timestamp(time)).set(0, seq);
                    batch.seq_mut()[row] = seq;
                }
                recording.batches.push((stream, batch.finish()));
            }
        }
        Ok(Box::new(recording))
    }
    fn repair(&self, _path: &Path) -> Result<Repair, Error> {
        Ok(Repair::Intact)
    }
}

struct RowsRecording {
    streams: Vec<Arc<StreamSchema>>,
    batches: Vec<(usize, Batch)>,
    wanted: Option<Vec<Wanted>>,
    at: usize,
}

impl RowsRecording {
    fn stream(&mut self, name: &str) -> Result<usize, Error> {
        let known = self.streams.iter().position(|schema| schema.name() == name);
        known.map_or_else(
            || {
                let schema = StreamSchema::builder(name, Kind::Attributes).field("n", DataType::UInt64);
                self.streams.push(schema.build()?);
                Ok(self.streams.len() - 1)
            },
            Ok,
        )
    }
}

impl Recording for RowsRecording {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }
    fn extent(&self, _stream: usize) -> Option<Extent> {
        None
    }
    fn select(&mut self, wanted: &[Wanted]) -> Result<(), Error> {
        self.wanted = Some(wanted.to_vec());
        Ok(())
    }
    fn seek(&mut self, to: Timestamp) -> Result<(), Error> {
        assert_eq!(to, Timestamp(i64::MIN), "these tests go to the beginning only");
        self.at = 0;
        Ok(())
    }
    fn next(&mut self) -> Result<Option<(usize, Batch)>, Error> {
        let is_wanted =
            |stream: usize| self.wanted.as_ref().is_none_or(|wanted| wanted[stream] == Wanted::All);
        let next = self.batches[self.at..].iter().position(|(stream, _)| is_wanted(*stream));
        self.at = next.map_or(self.batches.len(), |skipped| self.at + skipped + 1);
        Ok(next.map(|_| self.batches[self.at - 1].clone()))
    }
    fn closest(&mut self, _stream: usize, _to: Timestamp) -> Result<Option<(Batch, usize)>, Error> {
        unreachable!("these tests look for no moment")
    }
}

/// Writes such files; `few` gives up after two calls.
struct RowsSink<const FEW: bool> {
    path: PathBuf,
    text: String,
    calls: u64,
    names: Vec<String>,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

impl<const FEW: bool> Sink for RowsSink<FEW> {
    fn write(&mut self, input: usize, batch: Batch) -> Result<Written, Error> {
        self.calls += 1;
        if FEW && self.calls > 2 {
            return Err(Error::environment("enough"));
        }
        for (seq, time) in batch.seq().iter().zip(batch.timestamps()) {
            writeln!(self.text, "{} {seq} {time}", self.names[input]).unwrap();
        }
        std::fs::write(&self.path, &self.text).map_err(|error| Error::io("write", &self.path, &error))?;
        Ok(Written::ALL)
    }
    fn flush(&mut self) -> Result<Written, Error> {
        Ok(Written::ALL)
    }
    fn finish(self: Box<Self>) -> Result<Written, Error> {
        Ok(Written::ALL)
    }
}

impl<const FEW: bool> OpenSink for RowsSink<FEW> {
    type Options = NoOptions;
    fn describe() -> Description {
        let name = if FEW { "few" } else { "rows" };
        Description::sink(name, "Writes lines").takes(&[Kind::Attributes]).writes("rows")
    }
    fn open(_options: NoOptions, inputs: &[Arc<StreamSchema>], context: Context) -> Result<Self, Error> {
        let names = inputs.iter().map(|input| input.name().to_owned()).collect();
        Ok(Self { path: context.artifact(None, "rows")?, text: String::new(), calls: 0, names })
    }
}

fn registry() -> Registry {
    let rows = Factory::sink::<RowsSink<false>>().with_format(Rows("rows"));
    let few = Factory::sink::<RowsSink<true>>().with_format(Rows("few"));
    Registry::new(factories().into_iter().chain([rows, few]))
}

fn run(folder: &Path, text: &str) -> (Report, Manifest) {
    let text = format!("{text}\n[session]\ndisk_free_min = \"0B\"\n");
    let registry = registry();
    let pipeline = parse("test.toml", &text, &Variables::none(), &registry).unwrap_or_else(|d| panic!("{d}"));
    let session = begin(pipeline, &registry, &options(folder)).unwrap();
    let report = session.wait(Duration::from_secs(1), |_| {}).unwrap();
    (report, Manifest::read(&folder.join("s")).unwrap())
}

/// How many frames are read of each stream.
fn read(reel: &mut Reel) -> BTreeMap<String, usize> {
    let mut frames = BTreeMap::new();
    while let Some((stream, batch)) = reel.read().unwrap() {
        *frames.entry(reel.streams()[stream].name().to_owned()).or_default() += batch.rows();
    }
    frames
}

const TWO_SOURCES: &str =
    "[sources.a]\nplugin = \"counter\"\nframes = 5\n[sources.b]\nplugin = \"counter\"\nframes = 7\n";

#[test]
fn a_stream_that_several_sinks_of_a_session_have_recorded_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    run(
        folder.path(),
        &format!(
            "{TWO_SOURCES}[sinks.x]\nplugin = \"rows\"\ninputs = [\"a\"]\n\
             [sinks.y]\nplugin = \"rows\"\ninputs = [\"a\", \"b\"]\n"
        ),
    );
    for path in [folder.path().join("s"), folder.path().join("s").join(MANIFEST)] {
        let mut reel = Reel::open(&registry(), &[path], &[]).unwrap();
        assert_eq!(read(&mut reel), [("a".to_owned(), 5), ("b".to_owned(), 7)].into());
        assert!(reel.remarks().is_empty(), "the two have the same: {:?}", reel.remarks());
    }
}

#[test]
fn of_several_recordings_of_a_stream_the_one_with_most_frames_is_read_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "{TWO_SOURCES}[sinks.x]\nplugin = \"few\"\ninputs = [\"a\"]\n\
         [sinks.y]\nplugin = \"rows\"\ninputs = [\"a\", \"b\"]\n"
    );
    run(folder.path(), &text);
    let session = folder.path().join("s");
    let wish = convert::Wish {
        from: vec![session.clone()],
        to: folder.path().join("whole.rows"),
        options: serde_json::json!({}),
        ..convert::Wish::default()
    };
    let done = convert::convert(&registry(), &wish).unwrap();
    assert_eq!((done.frames, done.written), (12, 12));
    assert_eq!(done.warnings, ["stream \"a\" is read from sink \"y\", which has 5 frames: \"x\" has 0"]);
}

/// A replay of a file with these lines, opened outside of a session, and its clock.
fn source(
    folder: &Path,
    lines: &str,
    options: &serde_json::Value,
) -> (super::source::ReplaySource, SessionTime) {
    let path = folder.join("recorded.rows");
    std::fs::write(&path, lines).unwrap();
    let mut options = options.clone();
    options["path"] = path.to_str().unwrap().into();
    let time = SessionTime::new(SessionClock::anchored_now());
    let stats = StageStats::new("replay", &Arc::new(Remarks::default()));
    (super::open(&registry(), &options, "replay", &time, &stats).unwrap(), time)
}

#[test]
fn after_late_frames_were_dropped_the_next_one_waits_until_it_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let options = serde_json::json!({"behind": "drop", "late_max": "10s"});
    let (mut source, time) = source(folder.path(), "a 0 0\na 1 20300000000\n", &options);
    // The first frame is 20 s late, the second is due in 0.3 s.
    let played = time.play(Timestamp(0), 1.0).unwrap();
    played.begin(Timestamp(time.running().0 - 20_000_000_000));
    let batch = loop {
        match source.next(Timestamp(0)).unwrap() {
            Next::Batch { batch, .. } => break batch,
            Next::Idle => {}
            Next::End => panic!("nothing was given"),
        }
    };
    assert_eq!(batch.seq(), [1]);
    assert!(time.running() >= played.due(Timestamp(20_300_000_000)), "given early");
}

#[test]
fn what_a_replay_drops_is_counted_at_its_stream_and_is_not_skipped() {
    let folder = tempfile::tempdir().unwrap();
    // Frame 1 of "b" is 20 s late when it comes; 3 and 4 are not in the recording.
    let lines = "a 0 20000000000\n\nb 0 20000000000\n\nb 1 0\nb 2 20001000000\nb 5 20002000000\n";
    std::fs::write(folder.path().join("recorded.rows"), lines).unwrap();
    let (report, manifest) = run(
        folder.path(),
        &format!(
            "[sources.again]\nplugin = \"replay\"\npath = {:?}\nbehind = \"drop\"\nlate_max = \"10s\"\n\
             [sinks.x]\nplugin = \"collect\"\ninputs = [\"again\"]\n",
            folder.path().join("recorded.rows")
        ),
    );
    let counts: Vec<_> = manifest
        .streams
        .iter()
        .map(|stream| (stream.name.as_str(), stream.frames, stream.loss.dropped, stream.skipped))
        .collect();
    assert_eq!(counts, [("a", 1, 0, 0), ("b", 3, 1, 2)]);
    assert_eq!(report.loss.dropped, 1);
    let mut numbers = taken(folder.path(), "x");
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 0, 2, 5]);
}

#[test]
fn a_loop_goes_on_with_rising_numbers_and_times_with_and_without_timing() {
    for timing in ["none", "recorded"] {
        let folder = tempfile::tempdir().unwrap();
        let options = serde_json::json!({"loop": 3, "timing": timing});
        let (mut source, _time) = source(folder.path(), "a 0 0\na 1 1000\n\na 2 2000\n", &options);
        let (mut numbers, mut times) = (Vec::new(), Vec::new());
        loop {
            match source.next(Timestamp(0)).unwrap() {
                Next::Batch { batch, .. } => {
                    numbers.extend_from_slice(batch.seq());
                    times.extend_from_slice(batch.timestamps());
                }
                Next::Idle => {}
                Next::End => break,
            }
        }
        assert_eq!(numbers, (0..9).collect::<Vec<u64>>(), "{timing}");
        assert_eq!(times, (0..9).map(|number| number * 1000).collect::<Vec<i64>>(), "{timing}");
    }
}

/// Gives one batch of 24 MB so many times as the file says.
struct Large;

impl Format for Large {
    fn name(&self) -> &'static str {
        "rows"
    }
    fn extensions(&self) -> &'static [&'static str] {
        &["rows"]
    }
    fn matches(&self, _head: &[u8], _path: &Path) -> bool {
        true
    }
    fn open(&self, path: &Path) -> Result<Box<dyn Recording>, Error> {
        let times = std::fs::read_to_string(path).unwrap().parse().unwrap();
        let schema = StreamSchema::builder("a", Kind::Attributes).field("n", DataType::UInt64).build()?;
        let mut pool = BatchPool::new(schema.clone());
        let mut batch = pool.builder(1_000_000);
        batch.push_rows(1_000_000);
        let batches = vec![(0, batch.finish()); times];
        Ok(Box::new(RowsRecording { streams: vec![schema], batches, wanted: None, at: 0 }))
    }
    fn repair(&self, _path: &Path) -> Result<Repair, Error> {
        Ok(Repair::Intact)
    }
}

/// A reel of so many batches of 24 MB.
pub(super) fn large(folder: &Path, batches: usize) -> Reel {
    let path = folder.join("large.rows");
    std::fs::write(&path, batches.to_string()).unwrap();
    let registry = Registry::new([Factory::sink::<RowsSink<false>>().with_format(Large)]);
    Reel::open(&registry, &[path], &[]).unwrap()
}

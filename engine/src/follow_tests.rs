//! Sources that wait for their recording: the watermark, and what transforms hold back meanwhile.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tapedeck_sdk::prelude::*;
use tapedeck_sdk::{Follower, Watermark};

use crate::pipeline::{Variables, parse};
use crate::report::Report;
use crate::run_tests::code;
use crate::session::Manifest;
use crate::{Registry, RunOptions, begin};

/// How long anything may take before a test gives up: far less than the flush interval of these sessions.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

/// Gives 50 frames, each only when the one before is safe from a kill, or lost.
struct Walker {
    streams: Vec<Arc<StreamSchema>>,
    pool: BatchPool,
    given: u64,
    reached: Arc<Mutex<Vec<Watermark>>>,
    host: Arc<dyn Host>,
}

impl Source for Walker {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn next(&mut self, _deadline: Timestamp) -> Result<Next, Error> {
        if self.given == 0 {
            let reached = self.reached.clone();
            let follower: Follower = Box::new(move |watermark| reached.lock().unwrap().push(watermark));
            self.host.follow(0, follower)?;
            assert!(self.host.follow(0, Box::new(|_| {})).is_err(), "one follower");
            assert!(self.host.follow(1, Box::new(|_| {})).is_err(), "no such output");
        }
        let give_up = self.host.now() + PATIENCE;
        while self.reached.lock().unwrap().last().is_none_or(|mark| mark.flushed < self.given) {
            if self.host.now() > give_up {
                return Err(Error::environment(format!("frame {} was never safe", self.given)));
            }
            std::thread::yield_now();
        }
        if self.given == 50 {
            let reached = self.reached.lock().unwrap();
            let grows = |mark: &[Watermark]| {
                mark[0].written <= mark[1].written
                    && mark[0].flushed <= mark[1].flushed
                    && mark[0].lost <= mark[1].lost
            };
            assert!(reached.windows(2).all(grows), "{reached:?}");
            assert!(reached.iter().all(|mark| mark.flushed <= mark.written));
            self.host.warn(&format!("lost {}", reached.last().map_or(0, |mark| mark.lost)));
            return Ok(Next::End);
        }
        let mut batch = self.pool.builder(1);
        batch.push_row(Timestamp::UNSET).set(0, self.given);
        self.given += 1;
        Ok(Next::Batch { output: 0, batch: batch.finish() })
    }
}

impl OpenSource for Walker {
    type Options = NoOptions;
    fn describe() -> Description {
        Description::source("walker", "Waits for each frame").gives(&[Kind::Attributes])
    }
    fn open(_options: NoOptions, context: Context) -> Result<Self, Error> {
        let early = context.host.follow(0, Box::new(|_| {})).unwrap_err();
        assert!(early.message.contains(&context.id), "nothing flows yet: {early}");
        let schema =
            StreamSchema::builder(&context.id, Kind::Attributes).field("n", DataType::UInt64).build()?;
        let pool = BatchPool::new(schema.clone());
        Ok(Self { streams: vec![schema], pool, given: 0, reached: Arc::default(), host: context.host })
    }
}

/// Holds each batch back until it is asked for.
struct Hold {
    held: Vec<Batch>,
    context: Context,
}

impl Transform for Hold {
    fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
        let builder = inputs[0].to_builder().name(&self.context.stream_name(&inputs[0], inputs));
        Ok(vec![builder.push(inputs[0].payload()[0].clone()).build()?])
    }

    fn process(&mut self, _input: usize, batch: Batch, _out: &mut dyn Outputs) -> Result<(), Error> {
        let schema = self.streams(&[batch.schema().clone()])?.remove(0);
        self.held.push(Batch::from_bytes(schema, batch.as_bytes())?);
        Ok(())
    }

    fn flush(&mut self, now: Timestamp, out: &mut dyn Outputs) -> Result<(), Error> {
        assert!(now >= self.context.session.started_at);
        self.held.drain(..).for_each(|batch| out.push(0, batch));
        Ok(())
    }
}

impl OpenTransform for Hold {
    type Options = NoOptions;
    fn describe() -> Description {
        Description::transform("hold", "Holds back")
    }
    fn open(_options: NoOptions, context: Context) -> Result<Self, Error> {
        Ok(Self { held: Vec::new(), context })
    }
}

/// Refuses every tenth frame, but goes on.
struct Picky;

impl Sink for Picky {
    fn write(&mut self, input: usize, batch: Batch) -> Result<Written, Error> {
        let mut written = Written::ALL;
        for &seq in batch.seq().iter().filter(|&&seq| seq % 10 == 9) {
            written.refuse(input, 1, seq..=seq, Error::data("it ends in 9"));
        }
        Ok(written)
    }

    fn flush(&mut self) -> Result<Written, Error> {
        Ok(Written::ALL)
    }

    fn finish(self: Box<Self>) -> Result<Written, Error> {
        Ok(Written::ALL)
    }
}

impl OpenSink for Picky {
    type Options = NoOptions;
    fn describe() -> Description {
        Description::sink("picky", "Refuses some").takes(&[Kind::Attributes])
    }
    fn open(_options: NoOptions, _inputs: &[Arc<StreamSchema>], _context: Context) -> Result<Self, Error> {
        Ok(Self)
    }
}

/// Takes everything, and refuses it at the next flush.
struct Fickle {
    taken: Vec<(usize, u64)>,
}

impl Fickle {
    fn refuse(&mut self) -> Written {
        let mut written = Written::ALL;
        for (input, seq) in self.taken.drain(..) {
            written.refuse(input, 1, seq..=seq, Error::data("changed its mind"));
        }
        written
    }
}

impl Sink for Fickle {
    fn write(&mut self, input: usize, batch: Batch) -> Result<Written, Error> {
        self.taken.extend(batch.seq().iter().map(|&seq| (input, seq)));
        Ok(Written::ALL)
    }

    fn flush(&mut self) -> Result<Written, Error> {
        Ok(self.refuse())
    }

    fn finish(mut self: Box<Self>) -> Result<Written, Error> {
        Ok(self.refuse())
    }
}

impl OpenSink for Fickle {
    type Options = NoOptions;
    fn describe() -> Description {
        Description::sink("fickle", "Refuses late").takes(&[Kind::Attributes])
    }
    fn open(_options: NoOptions, _inputs: &[Arc<StreamSchema>], _context: Context) -> Result<Self, Error> {
        Ok(Self { taken: Vec::new() })
    }
}

/// Its file is good for nothing before its end.
struct Hoard;

impl Sink for Hoard {
    fn write(&mut self, _input: usize, _batch: Batch) -> Result<Written, Error> {
        Ok(Written::ALL)
    }

    fn flush(&mut self) -> Result<Written, Error> {
        Ok(Written::ALL)
    }

    fn finish(self: Box<Self>) -> Result<Written, Error> {
        Ok(Written::ALL)
    }
}

impl OpenSink for Hoard {
    type Options = NoOptions;
    fn describe() -> Description {
        Description::sink("hoard", "Keeps all to itself").takes(&[Kind::Attributes]).needs_journal()
    }
    fn open(_options: NoOptions, _inputs: &[Arc<StreamSchema>], _context: Context) -> Result<Self, Error> {
        Ok(Self)
    }
}

fn run(stages: &str) -> (Report, Manifest) {
    run_with("", stages)
}

fn run_with(session: &str, stages: &str) -> (Report, Manifest) {
    let registry = Registry::new([
        Factory::source::<Walker>(),
        Factory::transform::<Hold>(),
        Factory::sink::<Picky>(),
        Factory::sink::<Fickle>(),
        Factory::sink::<Hoard>(),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[session]\nflush_interval = \"1h\"\ndisk_free_min = \"0B\"\n{session}\n[sources.walker]\nplugin = \"walker\"\n{stages}"
    );
    let pipeline = parse("test.toml", &text, &Variables::none(), &registry).unwrap_or_else(|d| panic!("{d}"));
    let options = RunOptions {
        directory: Some(folder.path().to_owned()),
        session: Some("s".to_owned()),
        ..RunOptions::default()
    };
    let report = begin(pipeline, &registry, &options).unwrap().wait(PATIENCE, |_| {}).unwrap();
    (report, Manifest::read(&folder.path().join("s")).unwrap())
}

fn remark<'a>(report: &'a Report, stage: &str) -> Option<&'a str> {
    report.stages.iter().find(|other| other.id == stage)?.remarks.first().map(String::as_str)
}

#[test]
fn a_source_can_wait_until_each_frame_is_safe_or_lost() {
    let (report, manifest) = run("[sinks.a]\nplugin = \"picky\"\ninputs = [\"walker\"]\n\
        [sinks.b]\nplugin = \"picky\"\ninputs = [\"walker\"]\n");
    assert_eq!(report.streams[0].frames, 50, "{report:?}");
    assert_eq!((report.loss.failed, code(&report)), (10, 3));
    assert_eq!(remark(&report, "walker"), Some("lost 50"), "the last one was refused");
    for sink in &manifest.sinks {
        let input = &sink.inputs[0];
        assert_eq!((input.written, input.loss.failed), (45, 5), "accepted = written + failed");
    }
}

#[test]
fn what_a_transform_holds_back_is_asked_for_in_time() {
    let (report, _) = run("[transforms.hold]\nplugin = \"hold\"\ninputs = [\"walker\"]\n\
        [sinks.a]\nplugin = \"picky\"\ninputs = [\"hold\"]\n");
    assert_eq!((report.streams[0].frames, report.loss.failed), (50, 5), "{report:?}");
}

#[test]
fn what_a_sink_refuses_is_told_with_its_reason_once_an_input() {
    let (report, _) = run("[sinks.a]\nplugin = \"picky\"\ninputs = [\"walker\"]\n");
    let stage = report.stages.iter().find(|stage| stage.id == "a").unwrap();
    assert_eq!(stage.remarks, ["refused frames of \"walker\", the first with seq 9: it ends in 9"]);
    assert!(stage.error.is_none() && !stage.ended, "it goes on");
}

#[test]
fn what_a_sink_refuses_at_a_flush_is_no_inputs_success() {
    let (report, manifest) = run("[sources.other]\nplugin = \"walker\"\n\
        [sinks.a]\nplugin = \"fickle\"\ninputs = [\"walker\", \"other\"]\n");
    assert_eq!((report.loss.failed, code(&report)), (100, 3), "{report:?}");
    for input in &manifest.sinks[0].inputs {
        assert_eq!((input.written, input.loss.failed), (0, 50), "accepted = written + failed");
    }
}

#[test]
fn who_waits_for_a_sink_that_can_make_nothing_safe_is_told_so() {
    let (report, _) = run_with("journal = \"off\"", "[sinks.a]\nplugin = \"hoard\"\ninputs = [\"walker\"]\n");
    assert_eq!((report.streams[0].frames, code(&report)), (0, 1), "{report:?}");
    let error = report.stages.iter().find_map(|stage| stage.error.as_ref()).unwrap();
    assert!(error.to_string().contains("a kill would take what \"a\" has written"), "{error}");
}

//! Whole runs over toy plugins: what is recorded, what is counted, and what one stage's trouble does to the others.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tapedeck_sdk::prelude::*;

use crate::pipeline::{Variables, parse};
use crate::report::{Outcome, Report};
use crate::session::{LEDGER, MANIFEST, Manifest, Status};
use crate::{OpenError, Registry, RunOptions, begin};

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct ToyOptions {
    /// After so many calls, do the thing that this toy does.
    #[serde(default)]
    after: Option<u64>,
    /// Frames that the source gives before it ends.
    #[serde(default)]
    frames: Option<u64>,
    /// Take so long for a call.
    #[serde(default)]
    slow_ms: u64,
    /// Frames that the source still has to give when it is told to stop.
    #[serde(default)]
    last_words: u64,
    /// What to do: "error" or "panic".
    #[serde(default)]
    how: String,
}

impl ToyOptions {
    /// Does what the pipeline asked for, if it is time.
    fn act(&self, calls: u64, host: &Arc<dyn Host>) -> Result<(), Error> {
        let until = host.now() + Duration::from_millis(self.slow_ms);
        while host.now() < until {
            std::hint::spin_loop();
        }
        match (self.after == Some(calls), self.how.as_str()) {
            (false, _) => Ok(()),
            (true, "panic") => panic!("as told"),
            (true, _) => Err(Error::new(ErrorKind::Io, "as told").with_hint("don't")),
        }
    }
}

/// Counts upwards.
struct Counter {
    streams: Vec<Arc<StreamSchema>>,
    pool: BatchPool,
    given: u64,
    options: ToyOptions,
    host: Arc<dyn Host>,
}

impl Source for Counter {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn next(&mut self, _deadline: Timestamp) -> Result<Next, Error> {
        self.options.act(self.given, &self.host)?;
        if self.options.frames == Some(self.given) {
            return Ok(Next::End);
        }
        let mut batch = self.pool.builder(1);
        batch.push_row(Timestamp::UNSET).set(0, self.given);
        self.given += 1;
        Ok(Next::Batch { output: 0, batch: batch.finish() })
    }

    fn stop(&mut self) -> Result<bool, Error> {
        self.options.frames = Some(self.given + self.options.last_words);
        Ok(self.options.last_words > 0)
    }
}

impl OpenSource for Counter {
    type Options = ToyOptions;
    fn describe() -> Description {
        Description::source("counter", "Counts upwards").gives(&[Kind::Attributes])
    }
    fn open(options: ToyOptions, context: Context) -> Result<Self, Error> {
        let schema =
            StreamSchema::builder(&context.id, Kind::Attributes).field("n", DataType::UInt64).build()?;
        let pool = BatchPool::new(schema.clone());
        Ok(Self { streams: vec![schema], pool, given: 0, options, host: context.host })
    }
}

/// Passes everything on.
struct Pass {
    calls: u64,
    options: ToyOptions,
    context: Context,
}

impl Transform for Pass {
    fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
        let rename = |input: &Arc<StreamSchema>| {
            let mut builder = input.to_builder().name(&self.context.stream_name(input, inputs));
            for field in input.payload() {
                builder = builder.push(field.clone());
            }
            builder.build()
        };
        inputs.iter().map(rename).collect()
    }

    fn process(&mut self, input: usize, batch: Batch, out: &mut dyn Outputs) -> Result<(), Error> {
        self.calls += 1;
        self.options.act(self.calls - 1, &self.context.host)?;
        let schema = self.streams(&[batch.schema().clone()])?.remove(0);
        out.push(input, Batch::from_bytes(schema, batch.as_bytes())?);
        Ok(())
    }

    fn finish(self: Box<Self>, _out: &mut dyn Outputs) -> Result<Option<String>, Error> {
        Ok(Some(format!("{} batches", self.calls)))
    }
}

impl OpenTransform for Pass {
    type Options = ToyOptions;
    fn describe() -> Description {
        Description::transform("pass", "Passes everything on")
    }
    fn open(options: ToyOptions, context: Context) -> Result<Self, Error> {
        Ok(Self { calls: 0, options, context })
    }
}

/// Holds five batches back; "flush" and "finish" fail where they are called.
struct Hold {
    held: std::collections::VecDeque<Batch>,
    pass: Pass,
}

impl Hold {
    fn fails_in(&self, call: &str) -> Result<(), Error> {
        if self.pass.options.how == call { Err(Error::environment("as told")) } else { Ok(()) }
    }
}

impl Transform for Hold {
    fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
        self.pass.streams(inputs)
    }

    fn process(&mut self, input: usize, batch: Batch, out: &mut dyn Outputs) -> Result<(), Error> {
        if self.held.len() == 5
            && let Some(oldest) = self.held.pop_front()
        {
            self.pass.process(input, oldest, out)?;
        }
        self.held.push_back(batch);
        Ok(())
    }

    fn flush(&mut self, _now: Timestamp, _out: &mut dyn Outputs) -> Result<(), Error> {
        if self.held.len() == 5 { self.fails_in("flush") } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>, out: &mut dyn Outputs) -> Result<Option<String>, Error> {
        self.fails_in("finish")?;
        self.held.into_iter().try_for_each(|batch| self.pass.process(0, batch, out))?;
        Ok(None)
    }
}

impl OpenTransform for Hold {
    type Options = ToyOptions;
    fn describe() -> Description {
        Description::transform("hold", "Holds frames back")
    }
    fn open(options: ToyOptions, context: Context) -> Result<Self, Error> {
        Ok(Self { held: std::collections::VecDeque::new(), pass: Pass::open(options, context)? })
    }
}

/// What every sink of this process has taken, by session folder and sink id.
static TAKEN: Mutex<Vec<(std::path::PathBuf, Vec<u64>)>> = Mutex::new(Vec::new());

/// Remembers the numbers.
struct Collect {
    path: std::path::PathBuf,
    numbers: Vec<u64>,
    calls: u64,
    options: ToyOptions,
    host: Arc<dyn Host>,
}

impl Sink for Collect {
    fn write(&mut self, _input: usize, batch: Batch) -> Result<Written, Error> {
        self.options.act(self.calls, &self.host)?;
        self.calls += 1;
        assert_eq!(batch.timestamps().len(), batch.rows());
        self.numbers.extend(batch.column(0).values::<u64>());
        Ok(Written::ALL)
    }

    fn flush(&mut self) -> Result<Written, Error> {
        Ok(Written::ALL)
    }

    fn finish(self: Box<Self>) -> Result<Written, Error> {
        std::fs::write(&self.path, "done").map_err(|error| Error::io("write", &self.path, &error))?;
        TAKEN.lock().unwrap().push((self.path, self.numbers));
        Ok(Written::ALL)
    }
}

impl OpenSink for Collect {
    type Options = ToyOptions;
    fn describe() -> Description {
        Description::sink("collect", "Remembers").takes(&[Kind::Attributes]).writes("txt")
    }
    fn open(options: ToyOptions, _inputs: &[Arc<StreamSchema>], context: Context) -> Result<Self, Error> {
        let path = context.artifact(None, "txt")?;
        Ok(Self { path, numbers: Vec::new(), calls: 0, options, host: context.host })
    }
}

/// Refuses what it was never given.
struct Liar {
    input: usize,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct LiarOptions {
    /// Of which input.
    input: usize,
}

impl Sink for Liar {
    fn write(&mut self, _input: usize, batch: Batch) -> Result<Written, Error> {
        let more = batch.rows() as u64 + 1;
        Ok(Written::refusing(self.input, more, 0..=more, Error::data("a lie")))
    }

    fn flush(&mut self) -> Result<Written, Error> {
        Ok(Written::ALL)
    }

    fn finish(self: Box<Self>) -> Result<Written, Error> {
        Ok(Written::ALL)
    }
}

impl OpenSink for Liar {
    type Options = LiarOptions;
    fn describe() -> Description {
        Description::sink("liar", "Refuses what it was not given").takes(&[Kind::Attributes])
    }
    fn open(options: LiarOptions, _inputs: &[Arc<StreamSchema>], _context: Context) -> Result<Self, Error> {
        Ok(Self { input: options.input })
    }
}

/// Sits where the manifest is to be.
struct Squatter;

impl Sink for Squatter {
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

impl OpenSink for Squatter {
    type Options = ToyOptions;
    fn describe() -> Description {
        Description::sink("squatter", "Takes the manifest's place").takes(&[Kind::Attributes])
    }
    fn open(_options: ToyOptions, _inputs: &[Arc<StreamSchema>], context: Context) -> Result<Self, Error> {
        std::fs::create_dir(context.session.folder.join(MANIFEST)).unwrap();
        Ok(Self)
    }
}

pub(crate) fn factories() -> Vec<Factory> {
    vec![
        Factory::source::<Counter>(),
        Factory::transform::<Pass>(),
        Factory::transform::<Hold>(),
        Factory::sink::<Collect>(),
        Factory::sink::<Liar>(),
        Factory::sink::<Squatter>(),
    ]
}

pub(crate) fn registry() -> Registry {
    Registry::new(factories())
}

/// The exit code that a program would give.
pub(crate) fn code(report: &Report) -> u8 {
    match report.outcome() {
        Outcome::Complete => 0,
        Outcome::Failed => 1,
        Outcome::Partial => 3,
    }
}

pub(crate) fn options(folder: &Path) -> RunOptions {
    RunOptions { directory: Some(folder.to_owned()), session: Some("s".to_owned()), ..RunOptions::default() }
}

fn try_run(folder: &Path, text: &str) -> Result<Report, OpenError> {
    let text = format!("{text}\n[session]\ndisk_free_min = \"0B\"\n");
    let pipeline =
        parse("test.toml", &text, &Variables::none(), &registry()).unwrap_or_else(|d| panic!("{d}"));
    Ok(begin(pipeline, &registry(), &options(folder))?.wait(Duration::from_secs(1), |_| {}).unwrap())
}

fn run(text: &str) -> (Report, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let report = try_run(folder.path(), text).unwrap_or_else(|error| panic!("{error:?}"));
    (report, folder)
}

/// What a sink took.
pub(crate) fn taken(folder: &Path, sink: &str) -> Vec<u64> {
    let path = folder.join("s").join(format!("{sink}.txt"));
    TAKEN
        .lock()
        .unwrap()
        .iter()
        .find(|(other, _)| *other == path)
        .map(|(_, numbers)| numbers.clone())
        .unwrap_or_default()
}

/// On every way from source to sink: accepted = written + dropped + failed.
fn assert_balanced(folder: &Path) {
    let manifest = Manifest::read(&folder.join("s")).unwrap();
    for input in manifest.sinks.iter().flat_map(|sink| &sink.inputs) {
        let given: u64 = input.origins.iter().map(|&origin| manifest.streams[origin].frames).sum();
        assert_eq!(given, input.written + input.loss.dropped + input.loss.failed, "{}", input.stream);
    }
}

const FAN_OUT: &str = r#"
[sources.a]
plugin = "counter"
frames = 1000
[transforms.t]
plugin = "pass"
inputs = ["a"]
[transforms.u]
plugin = "pass"
inputs = ["t"]
[sinks.x]
plugin = "collect"
inputs = ["u"]
[sinks.y]
plugin = "collect"
inputs = ["t"]
"#;

#[test]
fn every_frame_arrives_in_order_over_fused_stages_and_fan_out() {
    let (report, folder) = run(FAN_OUT);
    let all: Vec<u64> = (0..1000).collect();
    assert_eq!((taken(folder.path(), "x"), taken(folder.path(), "y")), (all.clone(), all));
    assert_eq!((code(&report), report.loss, report.status), (0, Loss::default(), Status::Complete));
    assert!(report.stages.iter().any(|stage| stage.remarks == ["1000 batches"]));
    assert_balanced(folder.path());
    let manifest = Manifest::read(&folder.path().join("s")).unwrap();
    assert_eq!(manifest.artifacts.len(), 2);
    assert_eq!(manifest.artifacts[0].bytes, Some(4));
    assert!(!folder.path().join("s").join(LEDGER).exists(), "the manifest says it all");
}

#[test]
fn a_paced_source_gives_exactly_rate_times_duration() {
    let text = "[sources.a]\nplugin = \"counter\"\nrate = 200\n[sinks.x]\nplugin = \"collect\"\ninputs = [\"a\"]\n[session]\nduration = \"250ms\"\ndisk_free_min = \"0B\"";
    let folder = tempfile::tempdir().unwrap();
    let pipeline = parse("test.toml", text, &Variables::none(), &registry()).unwrap();
    let report = begin(pipeline, &registry(), &options(folder.path()))
        .unwrap()
        .wait(Duration::from_secs(1), |_| {})
        .unwrap();
    assert_eq!(report.streams[0].frames + report.loss.late, 50);
    assert_eq!(taken(folder.path(), "x").len() as u64, report.streams[0].frames);
}

#[test]
fn a_sink_that_fails_or_panics_leaves_the_others_whole() {
    for how in ["error", "panic"] {
        let (report, folder) = run(&format!("{FAN_OUT}\nafter = 500\nhow = \"{how}\""));
        assert_eq!(taken(folder.path(), "x"), (0..1000).collect::<Vec<_>>());
        let failed = report.sinks.iter().find(|sink| sink.id == "y").unwrap();
        assert!(failed.error.as_ref().unwrap().message.contains("as told"));
        assert_eq!((failed.loss.failed, code(&report), report.status), (1000, 3, Status::Interrupted));
        assert_balanced(folder.path());
    }
}

#[test]
fn when_every_sink_has_failed_the_session_ends() {
    let (report, folder) = run(
        "[sources.a]\nplugin = \"counter\"\n[sinks.x]\nplugin = \"collect\"\ninputs = [\"a\"]\nafter = 5",
    );
    assert_eq!((code(&report), report.ended_by), (1, crate::session::EndedBy::Failure));
    assert_balanced(folder.path());
}

#[test]
fn a_transform_that_fails_once_loses_that_batch_and_one_that_panics_all_after_it() {
    let text = |how: &str| {
        format!(
            "[sources.a]\nplugin = \"counter\"\nframes = 100\n[transforms.t]\nplugin = \"pass\"\ninputs = [\"a\"]\nafter = 40\nhow = \"{how}\"\n[sinks.x]\nplugin = \"collect\"\ninputs = [\"t\"]"
        )
    };
    let (report, folder) = run(&text("error"));
    assert_eq!(taken(folder.path(), "x"), (0..40).chain(41..100).collect::<Vec<_>>());
    assert_eq!((report.loss.failed, code(&report)), (1, 3));
    assert_balanced(folder.path());

    let (report, folder) = run(&text("panic"));
    assert_eq!(taken(folder.path(), "x"), (0..40).collect::<Vec<_>>());
    assert_eq!((report.loss.failed, code(&report)), (60, 1));
    assert_balanced(folder.path());
}

#[test]
fn what_a_transform_holds_back_when_it_ends_by_an_error_is_counted_as_failed() {
    // Transforms are flushed after three quarters of a second.
    let cases = [
        ("panic", "after = 40", "", Some(40)),
        ("finish", "", "", Some(95)),
        ("flush", "", "rate = 100", None),
    ];
    for (how, after, rate, written) in cases {
        let (report, folder) = run(&format!(
            "[sources.a]\nplugin = \"counter\"\nframes = 100\n{rate}\n\
             [transforms.t]\nplugin = \"hold\"\ninputs = [\"a\"]\nhow = \"{how}\"\n{after}\n\
             [sinks.x]\nplugin = \"collect\"\ninputs = [\"t\"]\n"
        ));
        let taken = taken(folder.path(), "x").len() as u64;
        assert!(written.is_none_or(|written| written == taken), "{how}: {taken}");
        assert!(taken < 100 && report.loss.failed + taken == report.streams[0].frames, "{how}: {report:?}");
        assert_balanced(folder.path());
    }
}

#[test]
fn a_source_that_fails_keeps_what_it_gave() {
    for how in ["error", "panic"] {
        let text = format!(
            "[sources.a]\nplugin = \"counter\"\nafter = 7\nhow = \"{how}\"\n[sinks.x]\nplugin = \"collect\"\ninputs = [\"a\"]"
        );
        let (report, folder) = run(&text);
        assert_eq!(taken(folder.path(), "x"), (0..7).collect::<Vec<_>>());
        assert_eq!((code(&report), report.status), (1, Status::Complete));
        assert!(report.stages[0].error.as_ref().unwrap().message.contains("as told"));
    }
}

#[test]
fn what_a_full_queue_drops_is_counted_and_is_the_gap_in_the_file() {
    let (report, folder) = run(
        "[sources.a]\nplugin = \"counter\"\nframes = 2000\n[sinks.x]\nplugin = \"collect\"\ninputs = [\"a\"]\nslow_ms = 1\nqueue = { frames = 4, when_full = \"drop_newest\" }",
    );
    let taken = taken(folder.path(), "x");
    assert!(report.loss.dropped > 0);
    assert_eq!(taken.len() as u64 + report.loss.dropped, 2000);
    assert_eq!((code(&report), report.status), (3, Status::Complete));
    assert_balanced(folder.path());
}

#[test]
fn a_slow_sink_makes_a_paced_source_late_never_wrong() {
    let text = "[sources.a]\nplugin = \"counter\"\nrate = 1000\n[sinks.x]\nplugin = \"collect\"\ninputs = [\"a\"]\nslow_ms = 20\nqueue = { frames = 1 }\n[session]\nduration = \"300ms\"\ndisk_free_min = \"0B\"";
    let folder = tempfile::tempdir().unwrap();
    let pipeline = parse("test.toml", text, &Variables::none(), &registry()).unwrap();
    let report = begin(pipeline, &registry(), &options(folder.path()))
        .unwrap()
        .wait(Duration::from_secs(1), |_| {})
        .unwrap();
    assert!(report.loss.late > 100, "{:?}", report.loss);
    assert_eq!(report.streams[0].frames + report.loss.late, 300);
    assert_eq!(code(&report), 3);
    assert_balanced(folder.path());
}

#[test]
fn a_session_that_cannot_begin_touches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("s")).unwrap();
    let there = try_run(
        folder.path(),
        "[sources.a]\nplugin = \"counter\"\n[sinks.x]\nplugin = \"collect\"\ninputs = [\"a\"]",
    );
    assert!(
        matches!(&there, Err(OpenError::Folder(error)) if error.message.contains("already there")),
        "{there:?}"
    );
    assert_eq!(std::fs::read_dir(folder.path().join("s")).unwrap().count(), 0);
    std::fs::remove_dir(folder.path().join("s")).unwrap();

    let stream = try_run(
        folder.path(),
        "[sources.a]\nplugin = \"counter\"\n[sinks.x]\nplugin = \"collect\"\ninputs = [\"a.video\"]",
    );
    let Err(OpenError::Pipeline(diagnostics)) = stream else { panic!("{stream:?}") };
    assert!(diagnostics.to_string().contains("no stream of \"a\" is called \"a.video\""), "{diagnostics}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_session_that_gets_no_thread_ends_those_it_has_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[sources.a]\nplugin = \"counter\"\n[sources.b]\nplugin = \"counter\"\n\
        [sinks.x]\nplugin = \"collect\"\ninputs = [\"a\", \"b\"]\n";
    // The sink and one of the sources have theirs.
    for threads in [0, 1, 2] {
        crate::threads::refusals::after(threads);
        let refused = try_run(folder.path(), text);
        crate::threads::refusals::after(usize::MAX);
        let Err(OpenError::Failed(error)) = refused else { panic!("{refused:?}") };
        assert!(error.message.starts_with("can't start a thread"), "{error}");
        let path = folder.path().join("s").join("x.txt");
        let ended = TAKEN.lock().unwrap().iter().filter(|(other, _)| *other == path).count();
        assert_eq!(ended, threads, "each time the sink had a thread, it has come to its end");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_session_whose_manifest_cannot_be_written_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[sources.a]\nplugin = \"counter\"\n[sinks.x]\nplugin = \"squatter\"\ninputs = [\"a\"]\n";
    let refused = try_run(folder.path(), text);
    let Err(OpenError::Failed(error)) = refused else { panic!("{refused:?}") };
    assert!(error.message.contains("write the session's manifest"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_stop_ends_the_session_and_finishes_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[sources.a]\nplugin = \"counter\"\nrate = 100\n[sinks.x]\nplugin = \"collect\"\ninputs = [\"a\"]\n[session]\ndisk_free_min = \"0B\"";
    let pipeline = parse("test.toml", text, &Variables::none(), &registry()).unwrap();
    let session = begin(pipeline, &registry(), &options(folder.path())).unwrap();
    let handle = session.stop_handle();
    let mut looks = 0;
    let report = session
        .wait(Duration::from_millis(50), |progress| {
            looks += 1;
            if progress.frames >= 10 {
                handle.stop();
            }
        })
        .unwrap();
    assert!(looks > 0 && report.streams[0].frames >= 10);
    // A busy machine may miss a tick, and says so.
    let expected = if report.loss.any() { 3 } else { 0 };
    assert_eq!((code(&report), report.ended_by), (expected, crate::session::EndedBy::Stop));
    assert_eq!(taken(folder.path(), "x").len() as u64, report.streams[0].frames);
}

#[test]
fn what_a_source_still_has_to_give_at_the_end_is_recorded() {
    let text = "[sources.a]\nplugin = \"counter\"\nrate = 10\nlast_words = 5\n\
        [sinks.x]\nplugin = \"collect\"\ninputs = [\"a\"]\n[session]\nduration = \"50ms\"\ndisk_free_min = \"0B\"";
    let folder = tempfile::tempdir().unwrap();
    let pipeline = parse("test.toml", text, &Variables::none(), &registry()).unwrap();
    let session = begin(pipeline, &registry(), &options(folder.path())).unwrap();
    let report = session.wait(Duration::from_secs(1), |_| {}).unwrap();
    let stream = &report.streams[0];
    assert_eq!(stream.frames + stream.late, 1 + 5, "the tick at the start, and the last words");
    assert_eq!(taken(folder.path(), "x").len() as u64, stream.frames);
    assert_balanced(folder.path());
}

#[test]
fn a_sink_that_refuses_what_it_was_not_given_is_ended_and_the_others_go_on() {
    for (input, said) in [
        (0, "\"x\" refused 2 frames of \"a\", it was given 1"),
        (7, "\"x\" refused frames of input 7, which it does not have"),
    ] {
        let (report, folder) = run(&format!(
            "[sources.a]\nplugin = \"counter\"\nframes = 50\n\
             [sinks.x]\nplugin = \"liar\"\ninput = {input}\ninputs = [\"a\"]\n\
             [sinks.y]\nplugin = \"collect\"\ninputs = [\"a\"]\n"
        ));
        assert_eq!(code(&report), 3, "{report:?}");
        let manifest = Manifest::read(&folder.path().join("s")).unwrap();
        let liar = manifest.sinks.iter().find(|sink| sink.id == "x").unwrap();
        assert_eq!(liar.error.as_ref().unwrap().message, said);
        assert_eq!((liar.inputs[0].written, liar.inputs[0].loss.failed), (0, 50));
        assert_eq!(taken(folder.path(), "y").len(), 50);
        assert_balanced(folder.path());
    }
}

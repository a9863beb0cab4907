//! Tests of the suite: small plugins that keep the contract, and break one promise at a time when told to. A check that can't fail
//! would be worth nothing.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::prelude::*;
use crate::testing::samples;

mod slabs;

use slabs::TestFormat;

/// Which promise to break.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// None, or its name.
    #[serde(default)]
    fault: String,
}

struct TestSource {
    streams: Vec<Arc<StreamSchema>>,
    fault: String,
    calls: i64,
    host: Arc<dyn Host>,
}

impl Source for TestSource {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn next(&mut self, deadline: Timestamp) -> Result<Next, Error> {
        self.calls += 1;
        let time = if self.fault == "falling times" { Timestamp(-self.calls) } else { self.host.now() };
        let schema = if self.fault == "other schema" {
            samples::fixed_schema("conform")
        } else {
            self.streams[0].clone()
        };
        let rows = usize::from(self.fault != "no rows");
        let mut pool = BatchPool::new(schema);
        let mut builder = pool.builder(1);
        (0..rows).for_each(|_| builder.push_rows(1).for_each(drop));
        builder.timestamps_mut().fill(time.nanos());
        match self.fault.as_str() {
            "late" => while self.host.now() < deadline + Duration::from_secs(1) {},
            "panic" => panic!("a bug"),
            "error" => return Err(Error::data("no luck")),
            "new stream" => self.streams.push(samples::fixed_schema("conform.b")),
            _ => {}
        }
        let output = usize::from(self.fault == "no such output");
        Ok(Next::Batch { output, batch: builder.finish() })
    }
}

impl OpenSource for TestSource {
    type Options = Options;
    fn describe() -> Description {
        Description::source("test", "Gives empty rows").gives(&[Kind::Attributes])
    }
    fn open(options: Options, context: Context) -> Result<Self, Error> {
        let (name, kind) = match options.fault.as_str() {
            "other name" => ("elsewhere", Kind::Attributes),
            "other kind" => ("conform", Kind::Event),
            _ => ("conform", Kind::Attributes),
        };
        if options.fault == "file" {
            let path = context.host.artifact(Path::new("x"), Role::Recording)?;
            File::create(&path).map_err(|error| Error::io("make a file", &path, &error))?;
        }
        let streams = vec![StreamSchema::builder(name, kind).field("a", DataType::Int64).build()?];
        Ok(Self { streams, fault: options.fault, calls: 0, host: context.host })
    }
}

struct TestTransform {
    context: Context,
    streams: Vec<Arc<StreamSchema>>,
    fault: String,
    held: Option<Batch>,
}

impl Transform for TestTransform {
    fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
        let rename = |input: &Arc<StreamSchema>| {
            let name = self.context.stream_name(input, inputs);
            let builder = StreamSchema::builder(
                if self.fault == "other name" { "elsewhere" } else { &name },
                input.kind(),
            );
            input.payload().iter().cloned().fold(builder, crate::SchemaBuilder::push).build()
        };
        self.streams = inputs.iter().map(rename).collect::<Result<_, _>>()?;
        Ok(self.streams.clone())
    }

    fn process(&mut self, input: usize, batch: Batch, out: &mut dyn Outputs) -> Result<(), Error> {
        let relabel = Relabel::new(batch.schema().clone(), self.streams[input].clone())?;
        let mut batch = if self.fault == "other schema" { batch } else { relabel.apply(batch)? };
        match self.fault.as_str() {
            "made up" => batch.stamp(1 << 40, Timestamp(0)),
            // The batch before comes once more, after this one.
            "out of order" if input == 0 => {
                out.push(input, batch.clone());
                batch = self.held.replace(batch.clone()).unwrap_or(batch);
            }
            "needs rows" => drop(batch.seq()[0]),
            "one row" if batch.rows() != 1 => return Err(Error::data("more than one row")),
            _ => {}
        }
        out.push(if self.fault == "no such output" { 7 } else { input }, batch);
        Ok(())
    }
}

impl OpenTransform for TestTransform {
    type Options = Options;
    fn describe() -> Description {
        Description::transform("test", "Changes nothing")
    }
    fn open(options: Options, context: Context) -> Result<Self, Error> {
        Ok(Self { context, streams: Vec::new(), fault: options.fault, held: None })
    }
}

/// Writes slabs one after the other, each with its length before it.
struct TestSink {
    file: File,
    path: PathBuf,
    waiting: Vec<u8>,
    fault: String,
    host: Arc<dyn Host>,
}

impl TestSink {
    fn save(&mut self) -> Result<Written, Error> {
        let saved = self.file.write_all(&std::mem::take(&mut self.waiting));
        saved.map(|()| Written::ALL).map_err(|error| Error::io("write", &self.path, &error))
    }
}

impl Sink for TestSink {
    fn write(&mut self, _input: usize, batch: Batch) -> Result<Written, Error> {
        if batch.rows() == 0 || (self.fault == "drops" && batch.seq()[0] == 0) {
            return Ok(Written::ALL);
        }
        if self.fault == "refuses" && batch.seq()[0] == 0 {
            let rows = batch.rows() as u64;
            return Ok(Written::refusing(0, rows, 0..=rows - 1, Error::data("not today")));
        }
        if self.fault == "counts" {
            self.host.failed(1);
        }
        let batch = if self.fault == "other times" { later(&batch) } else { batch };
        self.waiting.extend_from_slice(&(batch.byte_len() as u64).to_le_bytes());
        self.waiting.extend_from_slice(batch.as_bytes());
        Ok(Written::ALL)
    }
    fn flush(&mut self) -> Result<Written, Error> {
        if self.fault == "no flush" { Ok(Written::ALL) } else { self.save() }
    }
    fn finish(mut self: Box<Self>) -> Result<Written, Error> {
        if self.fault == "stray file" {
            std::fs::write(self.path.with_extension("tmp"), "x")
                .map_err(|error| Error::io("write", &self.path, &error))?;
        }
        if self.fault == "no finish" { Ok(Written::ALL) } else { self.save() }
    }
}

fn later(batch: &Batch) -> Batch {
    let mut pool = BatchPool::new(batch.schema().clone());
    let mut builder = pool.builder(batch.rows());
    builder.append(batch, 0..batch.rows());
    builder.timestamps_mut().iter_mut().for_each(|time| *time += 1);
    builder.finish()
}

impl OpenSink for TestSink {
    type Options = Options;
    fn describe() -> Description {
        Description::sink("test", "Writes slabs").takes(&[Kind::Attributes]).writes("slabs")
    }
    fn open(options: Options, inputs: &[Arc<StreamSchema>], context: Context) -> Result<Self, Error> {
        if inputs[0].kind() != Kind::Attributes && options.fault != "any kind" {
            return Err(Error::data("only attributes"));
        }
        let path = context.artifact(None, "slabs")?;
        let mut file = File::create(&path).map_err(|error| Error::io("make a file", &path, &error))?;
        let schema = serde_json::to_vec(&*inputs[0]);
        let schema = schema.map_err(|error| Error::plugin(error.to_string()))?;
        let head = [&(schema.len() as u64).to_le_bytes()[..], &schema].concat();
        file.write_all(&head).map_err(|error| Error::io("write", &path, &error))?;
        Ok(Self { file, path, waiting: Vec::new(), fault: options.fault, host: context.host })
    }
}

fn found(outcome: Outcome) -> Vec<String> {
    outcome
        .map_or_else(|violations| violations.iter().map(ToString::to_string).collect(), |_report| Vec::new())
}

/// Each fault is found, in these words.
fn expect(faults: &[(&str, &str)], run: impl Fn(&str) -> Outcome) {
    assert_eq!(found(run("")), Vec::<String>::new());
    for (fault, words) in faults {
        let violations = found(run(fault));
        assert!(violations.iter().any(|violation| violation.contains(words)), "{fault}: {violations:?}");
    }
}

#[test]
fn a_source_that_breaks_a_promise_is_found_out() {
    let faults = [
        ("falling times", "comes after one at"),
        ("other schema", "has another schema"),
        ("no rows", "batch without rows"),
        ("late", "after its deadline"),
        ("panic", "panicked: a bug"),
        ("error", "no luck"),
        ("new stream", "its streams changed"),
        ("no such output", "which it has not declared"),
        ("other name", "not named after the source's id"),
        ("other kind", "which it does not say it gives"),
        ("file", "it made the file"),
    ];
    expect(&faults, |fault| source(&Factory::source::<TestSource>(), &json!({ "fault": fault })));
}

#[test]
fn a_transform_that_breaks_a_promise_is_found_out() {
    let faults = [
        ("other name", "not named after the transform's id"),
        ("other schema", "has another schema"),
        ("made up", "that no input has"),
        ("out of order", "that no input has, or not in this order"),
        ("needs rows", "batches without rows: panicked"),
        ("one row", "a batch of 4,096 rows: it can't process"),
        ("no such output", "which it has not declared"),
    ];
    let input = samples::batches(&samples::schema(Kind::Attributes, "in"), &[2, 1, 5]);
    let event = samples::batches(&samples::schema(Kind::Event, "other"), &[3]);
    expect(&faults, |fault| {
        transform(
            &Factory::transform::<TestTransform>(),
            &json!({ "fault": fault }),
            &[input.clone(), event.clone()],
        )
    });
}

#[test]
fn a_sink_that_breaks_a_promise_is_found_out() {
    let faults = [
        ("drops", "rows were read"),
        ("other times", "seq and timestamp are"),
        ("refuses", "it refused 2 frames of input 0, seq 0 to 1: not today"),
        ("counts", "a sink returns what it refuses"),
        ("no flush", "what was flushed survives a kill: stream"),
        ("no finish", "reads back, and is whole: stream"),
        ("stray file", "without asking for it"),
        ("any kind", "which it does not say it takes"),
    ];
    let case =
        SinkCase::new(vec![samples::batches(&samples::schema(Kind::Attributes, "in"), &[2, 1, 5, 30])]);
    let factory = |fault| Factory::sink::<TestSink>().with_format(TestFormat(fault));
    expect(&faults, |fault| sink(&factory(""), &json!({ "fault": fault }), &case));
    let faults = [
        ("panics", "panicked: a bug"),
        ("always mends", "is still not whole"),
        ("no rows", "gave a batch without rows"),
        ("stranger", "does not take it for one of its own"),
        ("more frames", "its extent is"),
        ("other range", "its extent is"),
        ("stays", "frames come"),
        ("whole batches", "frames come"),
        ("first of batch", "the closest frame is another one"),
        ("never close", "there is no closest frame"),
        ("every column", "are not those that were selected"),
        ("selects anything", "a selection of a stream that is not there was taken"),
    ];
    expect(&faults, |fault| {
        let fault = faults.iter().map(|(name, _)| *name).find(|name| *name == fault).unwrap_or_default();
        sink(&factory(fault), &json!({}), &case)
    });
}

#[test]
fn a_descriptor_that_says_too_little_is_found_out() {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Loose {
        #[serde(default)]
        _undescribed: u32,
    }
    struct Silent;
    impl Transform for Silent {
        fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
            Ok(inputs.to_vec())
        }
        fn process(&mut self, _input: usize, _batch: Batch, _out: &mut dyn Outputs) -> Result<(), Error> {
            Ok(())
        }
    }
    impl OpenTransform for Silent {
        type Options = Loose;
        fn describe() -> Description {
            Description::transform("Bad Name", "").takes(&[])
        }
        fn open(_options: Loose, _context: Context) -> Result<Self, Error> {
            Ok(Self)
        }
    }
    let input = samples::batches(&samples::schema(Kind::Attributes, "in"), &[2]);
    let violations = found(transform(&Factory::transform::<Silent>(), &json!({}), &[input]));
    for words in ["is no name", "has no description", "\"no_such_option\" was taken"] {
        assert!(violations.iter().any(|violation| violation.contains(words)), "{words}: {violations:?}");
    }
}

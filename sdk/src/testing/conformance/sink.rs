//! Whether a sink, and the reader of its files, keep the contract.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::cells::Fidelity;
use super::{Outcome, Run, descriptor, moments, read_back, told};
use crate::testing::scratch::{Scratch, parts};
use crate::testing::{FakeHost, samples};
use crate::{Batch, Error, Factory, Format, Kind, Opener, PluginKind, Sink, StreamSchema, Written};

/// How many rows the large batch has.
const LARGE_ROWS: usize = 4096;

/// How much of a flushed file is left by each of the cuts that the reader must survive, in thousandths.
const CUTS: [u64; 6] = [0, 3, 250, 500, 900, 999];

/// What a sink is tried with.
#[derive(Debug, Clone)]
pub struct SinkCase {
    /// The batches of each input stream; at least one each. [`samples::batches`] makes some for any schema.
    pub inputs: Vec<Vec<Batch>>,
    /// How faithfully the format reads back.
    pub fidelity: Fidelity,
    /// How far off times may be that are read back: of a format that has seconds as floats, say.
    pub time_error_max: Duration,
}

impl SinkCase {
    /// A case whose format reads back exactly.
    #[must_use]
    pub fn new(inputs: Vec<Vec<Batch>>) -> Self {
        Self { inputs, fidelity: Fidelity::Exact, time_error_max: Duration::ZERO }
    }

    /// The same for a format that is less faithful.
    #[must_use]
    pub fn fidelity(mut self, fidelity: Fidelity) -> Self {
        self.fidelity = fidelity;
        self
    }

    /// The same for a format whose times are not exact.
    #[must_use]
    pub fn time_error_max(mut self, time_error_max: Duration) -> Self {
        self.time_error_max = time_error_max;
        self
    }

    fn changed(&self, change: impl Fn(&[Batch]) -> Vec<Batch>) -> Self {
        Self { inputs: self.inputs.iter().map(|input| change(input)).collect(), ..*self }
    }

    fn schemas(&self) -> Result<Vec<Arc<StreamSchema>>, String> {
        let first = |input: &Vec<Batch>| input.first().map(|batch| batch.schema().clone());
        self.inputs
            .iter()
            .map(first)
            .collect::<Option<_>>()
            .ok_or_else(|| "an input to check with has no batches".to_owned())
    }
}

/// Writes the case's batches in several ways and reads the files back through the factory's format, if it has one.
///
/// # Errors
/// What was found to break the contract.
pub fn sink(factory: &Factory, options: &Value, case: &SinkCase) -> Outcome {
    let mut run = Run::new(factory);
    descriptor::check(&mut run, factory, options, PluginKind::Sink);
    run.check("what was written and finished reads back, and is whole", || whole(factory, options, case));
    run.check("batches of one row", || {
        whole(factory, options, &case.changed(|input| samples::split(input, 1)))
    });
    run.check("a batch of 4,096 rows", || {
        whole(
            factory,
            options,
            &case.changed(|input| samples::cycle(input, LARGE_ROWS).into_iter().collect()),
        )
    });
    run.check("batches without rows", || {
        let empty = |input: &[Batch]| {
            input.first().map(|batch| samples::batches(batch.schema(), &[0])).unwrap_or_default()
        };
        whole(factory, options, &case.changed(|input| [empty(input), input.to_vec(), empty(input)].concat()))
    });
    run.check("streams that end before the first frame", || {
        let nothing = |input: &[Batch]| {
            input.first().map(|batch| samples::batches(batch.schema(), &[0])).unwrap_or_default()
        };
        whole(factory, options, &case.changed(nothing))?;
        Open::new(factory, options, &case.schemas()?)?.finish().map(drop)
    });
    run.check("any moment of a file is found, and only what is wanted is read", || {
        finds(factory, options, case)?;
        finds(
            factory,
            options,
            &case.changed(|input| samples::cycle(input, LARGE_ROWS).into_iter().collect()),
        )
    });
    run.check("what was flushed survives a kill", || killed(factory, options, case));
    run.check("torn files are refused or mended, without a panic", || torn(factory, options, case));
    run.check("a kind of stream that it does not take is refused", || refuses(factory, options));
    run.outcome()
}

/// A sink at work in a folder of its own.
struct Open {
    sink: Box<dyn Sink>,
    scratch: Scratch,
    host: Arc<FakeHost>,
}

impl Open {
    /// The session folder stands in another one, so that what is written beside it is seen.
    fn new(factory: &Factory, options: &Value, schemas: &[Arc<StreamSchema>]) -> Result<Self, String> {
        let scratch = Scratch::new()?;
        let session = scratch.path().join("session");
        std::fs::create_dir(&session).map_err(|error| error.to_string())?;
        let host = FakeHost::new(&session);
        let Opener::Sink(open) = factory.opener() else { return Err("it does not open a sink".to_owned()) };
        let sink = open(options, schemas, host.context("conform"))
            .map_err(|error| told("it does not open", &error))?;
        Ok(Self { sink, scratch, host })
    }

    /// Writes batches, the inputs in turn.
    fn write(&mut self, inputs: &[&[Batch]]) -> Result<(), String> {
        let turns = inputs.iter().map(|input| input.len()).max().unwrap_or(0);
        for turn in 0..turns {
            for (index, input) in inputs.iter().enumerate() {
                let Some(batch) = input.get(turn) else { continue };
                kept("it can't write a batch", self.sink.write(index, batch.clone()))?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), String> {
        kept("it can't flush", self.sink.flush())
    }

    /// Finishes, drops the sink and looks at what lies in the folder.
    fn finish(self) -> Result<(Scratch, Arc<FakeHost>), String> {
        kept("it can't finish", self.sink.finish())?;
        let counted = self.host.failed_frames();
        if counted > 0 {
            return Err(format!("it counted {counted} frames as failed: a sink returns what it refuses"));
        }
        let registered = self.host.artifacts();
        let stray = self
            .scratch
            .files()?
            .into_iter()
            // A file may lie in a folder that is registered.
            .find(|file| !registered.iter().any(|path| self.scratch.path().join(file).starts_with(path)));
        match stray {
            Some(file) => Err(format!("it made the file {} without asking for it", file.display())),
            None => Ok((self.scratch, self.host)),
        }
    }
}

/// Every frame that a sink is tried with is one that it says it takes: none may be refused.
fn kept(what: &str, written: Result<Written, Error>) -> Result<(), String> {
    let written = written.map_err(|error| told(what, &error))?;
    let Some(refused) = written.refused().first() else { return Ok(()) };
    let (first, last) = refused.seqs;
    let frames = format!("{} frames of input {}, seq {first} to {last}", refused.frames, refused.input);
    Err(told(&format!("it refused {frames}"), &refused.reason))
}

fn halves(case: &SinkCase) -> (Vec<&[Batch]>, Vec<&[Batch]>) {
    case.inputs.iter().map(|input| input.split_at(input.len() / 2)).unzip()
}

fn files(format: &dyn Format, host: &FakeHost, written: &Scratch, folder: &Scratch) -> Vec<PathBuf> {
    read_back::readable(format, &host.artifacts(), written.path(), folder.path())
}

fn compare(case: &SinkCase, written: &[&[Batch]], read: &[Batch]) -> Result<(), String> {
    let schemas = case.schemas()?;
    for (schema, written) in schemas.iter().zip(written) {
        read_back::compare(case, schema, schemas.len() == 1, written, read)?;
    }
    Ok(())
}

/// Writes all of it with a flush in between, finishes, reads back, and repairs what needs no repair.
fn whole(factory: &Factory, options: &Value, case: &SinkCase) -> Result<(), String> {
    let mut open = Open::new(factory, options, &case.schemas()?)?;
    let (first, second) = halves(case);
    open.write(&first)?;
    open.flush()?;
    open.write(&second)?;
    let (scratch, host) = open.finish()?;
    let Some(format) = factory.format() else { return Ok(()) };
    let files = files(format.as_ref(), &host, &scratch, &scratch);
    let all: Vec<&[Batch]> = case.inputs.iter().map(Vec::as_slice).collect();
    compare(case, &all, &read_back::read(format.as_ref(), &files)?)?;
    for file in &files {
        let repair =
            format.repair(file).map_err(|error| told("a finished file can't be repaired", &error))?;
        if repair != crate::Repair::Intact {
            return Err(format!("a finished file is not whole: {repair:?}"));
        }
    }
    compare(case, &all, &read_back::read(format.as_ref(), &files)?)
        .map_err(|wrong| format!("after a repair of nothing: {wrong}"))
}

/// Looks for moments in finished files.
fn finds(factory: &Factory, options: &Value, case: &SinkCase) -> Result<(), String> {
    let Some(format) = factory.format() else { return Ok(()) };
    let mut open = Open::new(factory, options, &case.schemas()?)?;
    let all: Vec<&[Batch]> = case.inputs.iter().map(Vec::as_slice).collect();
    open.write(&all)?;
    let (scratch, host) = open.finish()?;
    let files = files(format.as_ref(), &host, &scratch, &scratch);
    files.iter().try_for_each(|file| moments::recording(format.as_ref(), file))
}

/// Looks at the files as they are after a flush, when more is being written: everything flushed must be there.
fn killed(factory: &Factory, options: &Value, case: &SinkCase) -> Result<(), String> {
    let mut open = Open::new(factory, options, &case.schemas()?)?;
    let (first, second) = halves(case);
    open.flush()?;
    open.write(&first)?;
    open.flush()?;
    let after_first = open.scratch.snapshot()?;
    open.write(&second)?;
    open.flush()?;
    let after_second = open.scratch.snapshot()?;
    let Open { sink, scratch, host } = open;
    drop(sink);
    let Some(format) = factory.format().filter(|_| !factory.descriptor().needs_journal) else {
        return Ok(());
    };
    let all: Vec<&[Batch]> = case.inputs.iter().map(Vec::as_slice).collect();
    for (snapshot, written) in [(&after_first, &first), (&after_second, &all)] {
        let files = files(format.as_ref(), &host, &scratch, snapshot);
        // A reader may look before anybody repaired, and must not be worse off than after.
        let before = read_back::read(format.as_ref(), &files);
        read_back::repair(format.as_ref(), &files)?;
        let after = read_back::read(format.as_ref(), &files)?;
        compare(case, written, &after)?;
        let rows = |batches: &[Batch]| batches.iter().map(Batch::rows).sum::<usize>();
        if before.is_ok_and(|before| rows(&before) > rows(&after)) {
            return Err("repairing lost frames that could be read before".to_owned());
        }
    }
    Ok(())
}

/// Cuts files short, and gives the reader noise.
fn torn(factory: &Factory, options: &Value, case: &SinkCase) -> Result<(), String> {
    let Some(format) = factory.format() else { return Ok(()) };
    let mut open = Open::new(factory, options, &case.schemas()?)?;
    let all: Vec<&[Batch]> = case.inputs.iter().map(Vec::as_slice).collect();
    open.write(&all)?;
    open.flush()?;
    for cut in CUTS {
        let snapshot = open.scratch.snapshot()?;
        for file in files(format.as_ref(), &open.host, &open.scratch, &snapshot) {
            for part in parts(&file)? {
                let told = |error: std::io::Error| format!("can't cut a file to check with: {error}");
                let handle = std::fs::OpenOptions::new().write(true).open(&part).map_err(told)?;
                let length = handle.metadata().map_err(told)?.len();
                handle.set_len(length * cut / 1000).map_err(told)?;
            }
            survives(format.as_ref(), &file).map_err(|wrong| format!("cut to {cut} thousandths: {wrong}"))?;
        }
    }
    let scratch = Scratch::new()?;
    let file =
        scratch.path().join("noise").with_extension(format.extensions().first().copied().unwrap_or("bin"));
    let noise: Vec<u8> =
        (0..4096_u32).map(|place| place.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    std::fs::write(&file, noise).map_err(|error| error.to_string())?;
    survives(format.as_ref(), &file).map_err(|wrong| format!("noise: {wrong}"))
}

/// Reads what can be read; what was repaired must open.
fn survives(format: &dyn Format, file: &PathBuf) -> Result<(), String> {
    let files = std::slice::from_ref(file);
    drop(read_back::read(format, files));
    match format.repair(file) {
        Ok(crate::Repair::Intact | crate::Repair::Mended(_)) => read_back::read(format, files).map(drop),
        Ok(crate::Repair::Unreadable(_)) | Err(_) => Ok(()),
    }
}

fn refuses(factory: &Factory, options: &Value) -> Result<(), String> {
    for &kind in Kind::ALL.iter().filter(|kind| !factory.descriptor().takes.contains(kind)) {
        if Open::new(factory, options, &[samples::schema(kind, "conform")]).is_ok() {
            return Err(format!("it opened for a stream of kind \"{kind}\", which it does not say it takes"));
        }
    }
    Ok(())
}

//! Whether a source keeps the contract.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{Outcome, Run, descriptor, told, well_formed};
use crate::testing::FakeHost;
use crate::testing::scratch::Scratch;
use crate::{Context, Factory, Host, Next, Opener, PluginKind, Source, StreamSchema, Timestamp};

/// How often `next` is called at the most.
const CALLS_MAX: usize = 64;

/// How long the source has for each call.
const DEADLINE: Duration = Duration::from_millis(20);

/// How far the test's clock moves each time it is read.
const TICK: Duration = Duration::from_micros(10);

/// Opens the source with these options and calls it some dozens of times, with a `rate` and, unless it needs one, without.
///
/// # Errors
/// What was found to break the contract.
pub fn source(factory: &Factory, options: &Value) -> Outcome {
    let mut run = Run::new(factory);
    descriptor::check(&mut run, factory, options, PluginKind::Source);
    run.check("polled at a rate, it gives frames as it declared them", || {
        frames(factory, options, Some(60.0))
    });
    if !factory.descriptor().needs_rate {
        run.check("without a rate, it gives frames as it declared them", || frames(factory, options, None));
    }
    run.check("opened and dropped, it makes no file", || {
        let scratch = Scratch::new()?;
        let host = FakeHost::new(scratch.path());
        drop(open(factory, options, host.context("conform"))?);
        no_files(&scratch)
    });
    run.outcome()
}

fn open(factory: &Factory, options: &Value, context: Context) -> Result<Box<dyn Source>, String> {
    let Opener::Source(open) = factory.opener() else { return Err("it does not open a source".to_owned()) };
    open(options, context).map_err(|error| told("it does not open", &error))
}

fn no_files(scratch: &Scratch) -> Result<(), String> {
    match scratch.files()?.first() {
        Some(file) => Err(format!("it made the file {}", file.display())),
        None => Ok(()),
    }
}

fn frames(factory: &Factory, options: &Value, rate_hz: Option<f64>) -> Result<(), String> {
    let scratch = Scratch::new()?;
    let host = FakeHost::new(scratch.path());
    host.tick_by(TICK);
    let mut source = open(factory, options, Context { rate_hz, ..host.context("conform") })?;
    let streams = source.streams().to_vec();
    declared(factory, &streams)?;
    let mut last = vec![Timestamp::UNSET; streams.len()];
    for _ in 0..CALLS_MAX {
        let called_at = host.now();
        let deadline = called_at + DEADLINE;
        let next = source.next(deadline).map_err(|error| told("it failed", &error))?;
        let late = host.now().since(deadline);
        if late > DEADLINE {
            return Err(format!("it came back {late:?} after its deadline"));
        }
        match next {
            Next::Batch { output, batch } => {
                let schema = streams
                    .get(output)
                    .ok_or(format!("it gave stream {output}, which it has not declared"))?;
                well_formed(&batch, schema)?;
                if batch.rows() == 0 {
                    return Err("it gave a batch without rows; that is Next::Idle".to_owned());
                }
                in_time(&mut last[output], batch.timestamps())?;
            }
            Next::Idle => host.advance(DEADLINE),
            Next::End => break,
        }
        if source.streams() != streams {
            return Err("its streams changed while it ran".to_owned());
        }
    }
    drop(source);
    no_files(&scratch)
}

fn declared(factory: &Factory, streams: &[Arc<StreamSchema>]) -> Result<(), String> {
    if streams.is_empty() {
        return Err("it has no streams".to_owned());
    }
    for (index, schema) in streams.iter().enumerate() {
        let name = schema.name();
        if name != "conform" && !name.starts_with("conform.") {
            return Err(format!(
                "stream \"{name}\" is not named after the source's id: \"conform\" or \"conform.part\""
            ));
        }
        if streams[..index].iter().any(|other| other.name() == name) {
            return Err(format!("two streams are named \"{name}\""));
        }
        if !factory.descriptor().gives.contains(&schema.kind()) {
            return Err(format!(
                "stream \"{name}\" is of kind \"{}\", which it does not say it gives",
                schema.kind()
            ));
        }
    }
    Ok(())
}

/// Times never fall. Rows without one are stamped by the engine.
fn in_time(last: &mut Timestamp, timestamps: &[i64]) -> Result<(), String> {
    for &nanos in timestamps.iter().filter(|&&nanos| nanos != Timestamp::UNSET.nanos()) {
        if nanos < last.nanos() {
            return Err(format!("a row at {nanos} ns comes after one at {last}"));
        }
        *last = Timestamp(nanos);
    }
    Ok(())
}

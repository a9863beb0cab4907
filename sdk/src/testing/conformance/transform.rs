//! Whether a transform keeps the contract.

use std::sync::Arc;

use serde_json::Value;

use super::{Outcome, Run, descriptor, told, well_formed};
use crate::testing::scratch::Scratch;
use crate::testing::{FakeHost, samples};
use crate::{Batch, Factory, Opener, Outputs, PluginKind, StreamSchema};

/// How many rows the large batch has.
const LARGE_ROWS: usize = 4096;

/// Runs the transform over the batches, one list for each input stream, as they are and cut up in several ways.
///
/// The lists must not be empty: an input without frames is tried anyway. [`samples::batches`] makes some for any schema.
///
/// # Errors
/// What was found to break the contract.
pub fn transform(factory: &Factory, options: &Value, inputs: &[Vec<Batch>]) -> Outcome {
    let mut run = Run::new(factory);
    descriptor::check(&mut run, factory, options, PluginKind::Transform);
    let tried = |inputs: &[Vec<Batch>]| pass(factory, options, inputs).map(drop);
    let each = |change: &dyn Fn(&[Batch]) -> Vec<Batch>| {
        inputs.iter().map(|input| change(input)).collect::<Vec<_>>()
    };
    run.check("rows keep seq, timestamp and order, and match the declared schema", || tried(inputs));
    run.check("the same frames give the same frames", || {
        let same = pass(factory, options, inputs)? == pass(factory, options, inputs)?;
        if same { Ok(()) } else { Err("a second run gave something else".to_owned()) }
    });
    run.check("batches of one row", || tried(&each(&|input| samples::split(input, 1))));
    run.check("a batch of 4,096 rows", || {
        tried(&each(&|input| samples::cycle(input, LARGE_ROWS).into_iter().collect()))
    });
    run.check("batches without rows", || {
        let empty = |input: &[Batch]| {
            input.first().map(|batch| samples::batches(batch.schema(), &[0])).unwrap_or_default()
        };
        tried(&each(&|input| [empty(input), input.to_vec(), empty(input)].concat()))
    });
    run.check("streams that end before the first frame", || {
        let schemas = schemas(inputs)?;
        open(factory, options, &schemas, |_, _| Ok(())).map(drop)
    });
    run.outcome()
}

fn schemas(inputs: &[Vec<Batch>]) -> Result<Vec<Arc<StreamSchema>>, String> {
    let first = |input: &Vec<Batch>| input.first().map(|batch| batch.schema().clone());
    inputs
        .iter()
        .map(first)
        .collect::<Option<_>>()
        .ok_or_else(|| "an input to check with has no batches".to_owned())
}

/// What came out, and what has not been looked at yet.
struct Collected {
    streams: Vec<Arc<StreamSchema>>,
    batches: Vec<Vec<Batch>>,
    wrong: Option<String>,
}

impl Outputs for Collected {
    fn push(&mut self, output: usize, batch: Batch) {
        let Some(schema) = self.streams.get(output) else {
            self.wrong = Some(format!("it gave stream {output}, which it has not declared"));
            return;
        };
        if let Err(wrong) = well_formed(&batch, schema) {
            self.wrong = Some(wrong);
        }
        self.batches[output].push(batch);
    }
}

type Feed<'a> = &'a mut dyn FnMut(usize, Batch) -> Result<(), String>;

/// Opens, lets `body` feed, finishes.
fn open(
    factory: &Factory,
    options: &Value,
    schemas: &[Arc<StreamSchema>],
    body: impl FnOnce(&[Arc<StreamSchema>], Feed<'_>) -> Result<(), String>,
) -> Result<Collected, String> {
    let scratch = Scratch::new()?;
    let host = FakeHost::new(scratch.path());
    let Opener::Transform(open) = factory.opener() else {
        return Err("it does not open a transform".to_owned());
    };
    let opened = open(options, host.context("conform"));
    let mut transform = opened.map_err(|error| told("it does not open", &error))?;
    let streams = transform.streams(schemas).map_err(|error| told("it does not take the streams", &error))?;
    if let Some(stream) = streams.iter().find(|stream| stream.name().split('.').next() != Some("conform")) {
        return Err(format!("stream \"{}\" is not named after the transform's id", stream.name()));
    }
    let mut collected =
        Collected { batches: vec![Vec::new(); streams.len()], streams: streams.clone(), wrong: None };
    body(&streams, &mut |input, batch| {
        transform
            .process(input, batch, &mut collected)
            .map_err(|error| told("it can't process a batch", &error))
    })?;
    transform.finish(&mut collected).map_err(|error| told("it can't finish", &error))?;
    match collected.wrong.take() {
        Some(wrong) => Err(wrong),
        None => Ok(collected),
    }
}

/// Feeds everything, the inputs in turn, and looks at the rows that come out.
fn pass(factory: &Factory, options: &Value, inputs: &[Vec<Batch>]) -> Result<Vec<Vec<Batch>>, String> {
    let schemas = schemas(inputs)?;
    let turns = inputs.iter().map(Vec::len).max().unwrap_or(0);
    let collected = open(factory, options, &schemas, |_, feed| {
        for turn in 0..turns {
            for (index, input) in inputs.iter().enumerate() {
                if let Some(batch) = input.get(turn) {
                    feed(index, batch.clone())?;
                }
            }
        }
        Ok(())
    })?;
    let known: Vec<Vec<(u64, i64)>> = inputs.iter().map(|input| rows(input)).collect();
    for (schema, batches) in collected.streams.iter().zip(&collected.batches) {
        follows(schema.name(), &rows(batches), &known)?;
    }
    Ok(collected.batches)
}

fn rows(batches: &[Batch]) -> Vec<(u64, i64)> {
    batches
        .iter()
        .flat_map(|batch| batch.seq().iter().copied().zip(batch.timestamps().iter().copied()))
        .collect()
}

/// The rows of an output are rows of one input, in its order.
fn follows(stream: &str, made: &[(u64, i64)], known: &[Vec<(u64, i64)>]) -> Result<(), String> {
    let mut first_wrong = None;
    for input in known {
        let mut rest = input.iter().peekable();
        let wrong = made.iter().find(|row| {
            // A row may come out as several; it is left behind when a later one comes.
            while rest.peek().is_some_and(|known| known != row) {
                rest.next();
            }
            rest.peek().is_none()
        });
        match wrong {
            None => return Ok(()),
            Some(row) => first_wrong = first_wrong.or(Some(row)),
        }
    }
    let Some((seq, timestamp)) = first_wrong else { return Ok(()) };
    Err(format!(
        "stream \"{stream}\" has a row with seq {seq} at {timestamp} ns that no input has, or not in this order"
    ))
}

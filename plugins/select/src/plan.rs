//! What the options mean for one input: made once, so that a batch costs only its copies.

use tapedeck_sdk::names::{did_you_mean, glob_matches, is_glob, list};
use tapedeck_sdk::prelude::*;

use crate::{SelectOptions, cast};

/// Where columns come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The values of a run of neighbouring columns as they are.
    Copy { to: usize, from: usize, count: usize },
    /// The values of one column as the output column's type.
    Cast { to: usize, from: usize },
}

/// What to do with the batches of one input.
pub(crate) enum Plan {
    /// Only names change.
    Relabel(Relabel),
    /// All steps together fill each output column once.
    Steps { pool: BatchPool, steps: Vec<Step> },
}

impl Plan {
    pub(crate) fn new(options: &SelectOptions, input: &Arc<StreamSchema>, name: &str) -> Result<Self, Error> {
        let chosen = chosen(options, input);
        if chosen.is_empty() {
            let error = Error::data(format!("no column is left of stream \"{}\"", input.name()));
            return Err(error.at_option([if options.keep.is_some() { "keep" } else { "drop" }]));
        }
        let mut builder = input.to_builder().name(name);
        let (mut steps, mut made_columns) = (Vec::new(), 0);
        for from in chosen {
            let field = &input.payload()[from];
            let wanted = options.cast.get(&field.name).copied().filter(|wanted| *wanted != field.data_type);
            let mut made = field.clone();
            if let Some(wanted) = wanted {
                if !cast::possible(field.data_type) {
                    let message = format!(
                        "column \"{}\" is of type {}, which can't be cast",
                        field.name, field.data_type
                    );
                    return Err(Error::data(message).at_option(["cast", &field.name]));
                }
                made.data_type = wanted;
                made.nullable |= !cast::always_fits(field.data_type, wanted);
            }
            if let Some(name) = options.rename.get(&field.name) {
                made.name.clone_from(name);
            }
            step(&mut steps, made_columns, from, wanted.is_some());
            made_columns += 1;
            builder = builder.push(made);
        }
        let schema = builder.build().map_err(|error| error.at_option(["rename"]))?;
        if steps == [Step::Copy { to: 0, from: 0, count: input.payload().len() }] {
            return Ok(Self::Relabel(Relabel::new(input.clone(), schema)?));
        }
        Ok(Self::Steps { pool: BatchPool::new(schema), steps })
    }

    pub(crate) fn schema(&self) -> &Arc<StreamSchema> {
        match self {
            Self::Relabel(relabel) => relabel.schema(),
            Self::Steps { pool, .. } => pool.schema(),
        }
    }
}

/// Adds the step for one column, which may make the run before it longer.
fn step(steps: &mut Vec<Step>, to: usize, from: usize, cast: bool) {
    if cast {
        return steps.push(Step::Cast { to, from });
    }
    match steps.last_mut() {
        Some(Step::Copy { from: begin, count, .. }) if *begin + *count == from => *count += 1,
        _ => steps.push(Step::Copy { to, from, count: 1 }),
    }
}

/// The columns that go on, in order.
fn chosen(options: &SelectOptions, input: &StreamSchema) -> Vec<usize> {
    let dropped = |name: &str| options.drop.iter().any(|pattern| glob_matches(pattern, name));
    let mut taken = vec![false; input.payload().len()];
    let mut chosen = Vec::new();
    let everything = ["*".to_owned()];
    for pattern in options.keep.as_deref().unwrap_or(&everything) {
        for (index, field) in input.payload().iter().enumerate() {
            if !taken[index] && glob_matches(pattern, &field.name) && !dropped(&field.name) {
                taken[index] = true;
                chosen.push(index);
            }
        }
    }
    chosen
}

/// Every name and pattern must mean a column of at least one input; a cast or rename, one that goes on.
pub(crate) fn names_exist(options: &SelectOptions, inputs: &[Arc<StreamSchema>]) -> Result<(), Error> {
    let all: Vec<&str> =
        inputs.iter().flat_map(|input| input.payload()).map(|field| field.name.as_str()).collect();
    let lists = [("keep", options.keep.as_deref().unwrap_or_default()), ("drop", options.drop.as_slice())];
    for (option, pattern) in
        lists.iter().flat_map(|(option, list)| list.iter().map(move |pattern| (option, pattern)))
    {
        if !all.iter().any(|name| glob_matches(pattern, name)) {
            return Err(unknown(pattern, &all, inputs).at_option([*option]));
        }
    }
    let left = |input: &'_ Arc<StreamSchema>| {
        let names = chosen(options, input).into_iter().map(|index| input.payload()[index].name.clone());
        names.collect::<Vec<_>>()
    };
    let left: Vec<String> = inputs.iter().flat_map(left).collect();
    let renamed = options.rename.keys().map(|name| ("rename", name));
    for (option, name) in renamed.chain(options.cast.keys().map(|name| ("cast", name))) {
        if !all.contains(&name.as_str()) {
            return Err(unknown(name, &all, inputs).at_option([option, name]));
        }
        if !left.contains(name) {
            let error = Error::data(format!("column \"{name}\" is not kept")).at_option([option, name]);
            return Err(error.with_hint(format!("Keep it, or take it out of \"{option}\".")));
        }
    }
    Ok(())
}

fn unknown(name: &str, all: &[&str], inputs: &[Arc<StreamSchema>]) -> Error {
    let streams: Vec<String> = inputs.iter().map(|input| format!("\"{}\"", input.name())).collect();
    let streams = format!("{} {}", if streams.len() == 1 { "stream" } else { "streams" }, streams.join(", "));
    if is_glob(name) {
        let hint = format!("columns: {}", list(all.iter().copied()));
        return Error::data(format!("no column of {streams} fits \"{name}\"")).with_hint(hint);
    }
    Error::data(format!("no column of {streams} is called \"{name}\"")).with_hint(did_you_mean(
        name,
        all.iter().copied(),
        "columns",
    ))
}

//! Connects stages: which nodes each declared input means. Knows ids and globs, nothing of plugins.

use tapedeck_sdk::PluginKind;

use super::stages::{Declared, Stage};
use super::{Input, QueueConfig};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use tapedeck_sdk::names::did_you_mean;
use tapedeck_sdk::names::{glob_matches, is_glob};

/// The inputs of each stage, in the order in which they are declared.
pub(super) fn resolve(stages: &[Stage], diagnostics: &mut Diagnostics) -> Vec<Vec<Input>> {
    (0..stages.len()).map(|reader| inputs_of(stages, reader, diagnostics)).collect()
}

fn inputs_of(stages: &[Stage], reader: usize, diagnostics: &mut Diagnostics) -> Vec<Input> {
    let stage = &stages[reader];
    let mut inputs: Vec<Input> = Vec::new();
    for declared in &stage.inputs {
        let found = matching(stages, reader, declared);
        if found.is_empty() {
            diagnostics.push(nothing(stages, reader, declared));
        }
        for input in found {
            match inputs.iter().find(|other| overlap(other, &input)) {
                Some(first) => diagnostics.push(twice(stages, declared, &input, first)),
                None => inputs.push(input),
            }
        }
    }
    if stage.kind != PluginKind::Source && stage.inputs.is_empty() && stage.inputs_sound {
        let message = format!("the {} \"{}\" has no inputs", stage.kind, stage.id);
        let hint = match ids(stages, reader).next() {
            Some(id) => format!("say where frames come from: `inputs = [\"{id}\"]`"),
            None => "say where frames come from: `inputs = [\"id\"]`".to_owned(),
        };
        diagnostics.push(Diagnostic::new(Code::NoInput, stage.id_span.clone(), message).hint(hint));
    }
    inputs
}

/// The ids that the stage can read from.
fn ids(stages: &[Stage], reader: usize) -> impl Iterator<Item = &str> {
    let others =
        stages.iter().enumerate().filter(move |(at, stage)| *at != reader && stage.kind != PluginKind::Sink);
    others.map(|(_, stage)| stage.id.as_str())
}

/// What comes before the first dot, and what after.
fn split(pattern: &str) -> (&str, Option<&str>) {
    pattern.split_once('.').map_or((pattern, None), |(id, stream)| (id, Some(stream)))
}

fn matching(stages: &[Stage], reader: usize, declared: &Declared) -> Vec<Input> {
    let (id, stream) = split(&declared.pattern);
    if stream == Some("") {
        return Vec::new();
    }
    let glob = is_glob(id);
    // A glob means the other stages; a stage that names itself is a circle, and is reported as one.
    let meant = |at: usize, stage: &Stage| {
        stage.kind != PluginKind::Sink
            && if glob { at != reader && glob_matches(id, &stage.id) } else { stage.id == id }
    };
    let found = stages.iter().enumerate().filter(|(at, stage)| meant(*at, stage));
    found
        .map(|(from, _)| Input {
            from,
            stream: stream.map(str::to_owned),
            queue: declared.queue.over(QueueConfig::default()),
            span: declared.span.clone(),
        })
        .take(if glob { usize::MAX } else { 1 })
        .collect()
}

fn nothing(stages: &[Stage], reader: usize, declared: &Declared) -> Diagnostic {
    let (id, stream) = split(&declared.pattern);
    let sink = stages.iter().find(|stage| stage.kind == PluginKind::Sink && stage.id == id);
    let message = match sink {
        Some(_) => format!("\"{id}\" is a sink: nothing can be read from it"),
        None => format!("the input \"{}\" matches nothing", declared.pattern),
    };
    let hint = if stream == Some("") {
        "behind the dot stands the name of a stream: `id.stream`".to_owned()
    } else {
        did_you_mean(id, ids(stages, reader), "sources and transforms")
    };
    Diagnostic::new(Code::UnknownInput, declared.span.clone(), message).hint(hint)
}

/// Whether two inputs can mean the same stream. Two different globs on streams are taken to be apart.
fn overlap(left: &Input, right: &Input) -> bool {
    left.from == right.from
        && match (&left.stream, &right.stream) {
            (Some(left), Some(right)) => glob_matches(left, right) || glob_matches(right, left),
            _ => true,
        }
}

fn twice(stages: &[Stage], declared: &Declared, input: &Input, first: &Input) -> Diagnostic {
    let id = &stages[input.from].id;
    let message = if declared.pattern == *id {
        format!("the input \"{id}\" is listed twice")
    } else {
        format!("the input \"{}\" means \"{id}\", which is listed already", declared.pattern)
    };
    Diagnostic::new(Code::DuplicateInput, declared.span.clone(), message)
        .label("listed again")
        .other(first.span.clone(), "first listed here")
        .hint("every frame would be written twice: name each stream once")
}

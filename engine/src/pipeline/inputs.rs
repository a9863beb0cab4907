//! Connects stages: which nodes each declared input means. Knows ids and globs, nothing of plugins.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tapedeck_sdk::PluginKind;

use super::hints::Hints;
use super::stages::{Declared, Stage};
use super::{Input, QueueConfig};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use tapedeck_sdk::names::{glob_matches, is_glob};

/// The most inputs of all stages together. A glob makes one of each stage that it matches.
const INPUTS_MAX: usize = 200_000;

/// How many names are compared with globs, over the whole pipeline.
const COMPARED_MAX: usize = 1_000_000;

/// The inputs of each stage, in the order in which they are declared.
pub(super) fn resolve(stages: &[Stage], diagnostics: &mut Diagnostics) -> Vec<Vec<Input>> {
    let mut resolver = Resolver::new(stages, diagnostics);
    (0..stages.len()).map(|reader| resolver.inputs_of(reader)).collect()
}

struct Resolver<'s, 'd> {
    stages: &'s [Stage],
    diagnostics: &'d mut Diagnostics,
    /// The ids of sources and transforms with their places among the stages.
    ids: BTreeSet<(&'s str, usize)>,
    sinks: HashSet<&'s str>,
    /// The stages that each glob matches, in their order.
    globs: HashMap<&'s str, Arc<[usize]>>,
    hints: Hints,
    work: Work,
}

/// What may still be done before the pipeline is refused.
struct Work {
    inputs: usize,
    compared: usize,
    /// What there was too much of.
    exceeded: Option<&'static str>,
}

impl Work {
    /// Whether the glob matches the name. Nothing does when too many were compared before.
    fn matches(&mut self, glob: &str, name: &str) -> bool {
        if self.compared == 0 {
            self.exceeded = Some("globs to compare with names");
            return false;
        }
        self.compared -= 1;
        glob_matches(glob, name)
    }

    /// Whether there may be one more input.
    fn takes_input(&mut self) -> bool {
        if self.inputs == 0 {
            self.exceeded = Some("inputs");
            return false;
        }
        self.inputs -= 1;
        true
    }
}

/// What a stage reads from one other, by what can name the same stream twice. Numbers are places among the stage's inputs.
#[derive(Default)]
struct Known<'s> {
    first: Option<usize>,
    /// The input of all streams.
    whole: Option<usize>,
    names: HashMap<&'s str, usize>,
    globs: Vec<(&'s str, usize)>,
}

impl<'s> Known<'s> {
    /// The first input that can mean a stream of this one. Two different globs are taken to be apart.
    fn overlapping(&self, stream: Option<&str>, work: &mut Work) -> Option<usize> {
        let Some(stream) = stream else { return self.first };
        let mut found = self.whole.into_iter().chain(self.names.get(stream).copied()).min();
        let mut consider = |input: usize| found = found.into_iter().chain([input]).min();
        let is_new_glob = is_glob(stream);
        for &(glob, input) in &self.globs {
            if work.matches(glob, stream) || (is_new_glob && work.matches(stream, glob)) {
                consider(input);
            }
        }
        if is_new_glob {
            let matching = self.names.iter().filter(|(name, _)| work.matches(stream, name));
            matching.for_each(|(_, &input)| consider(input));
        }
        found
    }

    fn insert(&mut self, stream: Option<&'s str>, input: usize) {
        self.first.get_or_insert(input);
        match stream {
            None => self.whole = Some(input),
            Some(glob) if is_glob(glob) => self.globs.push((glob, input)),
            Some(name) => _ = self.names.insert(name, input),
        }
    }
}

/// What comes before the first dot, and what after.
fn split(pattern: &str) -> (&str, Option<&str>) {
    pattern.split_once('.').map_or((pattern, None), |(id, stream)| (id, Some(stream)))
}

impl<'s, 'd> Resolver<'s, 'd> {
    fn new(stages: &'s [Stage], diagnostics: &'d mut Diagnostics) -> Self {
        let ids = stages.iter().enumerate().filter(|(_, stage)| stage.kind != PluginKind::Sink);
        let sinks = stages.iter().filter(|stage| stage.kind == PluginKind::Sink);
        Self {
            stages,
            diagnostics,
            ids: ids.map(|(at, stage)| (stage.id.as_str(), at)).collect(),
            sinks: sinks.map(|stage| stage.id.as_str()).collect(),
            globs: HashMap::new(),
            hints: Hints::new(),
            work: Work { inputs: INPUTS_MAX, compared: COMPARED_MAX, exceeded: None },
        }
    }

    fn inputs_of(&mut self, reader: usize) -> Vec<Input> {
        let stage = &self.stages[reader];
        let mut inputs: Vec<Input> = Vec::new();
        let mut known: HashMap<usize, Known<'s>> = HashMap::new();
        for declared in &stage.inputs {
            if self.work.exceeded.is_some() {
                break;
            }
            let (id, stream) = split(&declared.pattern);
            let found = self.matching(reader, id, stream);
            if found.is_empty() {
                let nothing = self.nothing(reader, declared);
                self.diagnostics.push(nothing);
            }
            for &from in &*found {
                if !self.work.takes_input() {
                    break;
                }
                let known = known.entry(from).or_default();
                if let Some(first) = known.overlapping(stream, &mut self.work) {
                    self.diagnostics.push(twice(&self.stages[from].id, declared, &inputs[first]));
                    continue;
                }
                known.insert(stream, inputs.len());
                let queue = declared.queue.over(QueueConfig::default());
                let stream = stream.map(str::to_owned);
                inputs.push(Input { from, stream, queue, span: declared.span.clone() });
            }
            self.refuse_excess(declared);
        }
        if stage.kind != PluginKind::Source && stage.inputs.is_empty() && stage.inputs_sound {
            let message = format!("the {} \"{}\" has no inputs", stage.kind, stage.id);
            let id = self.readable(reader).next().unwrap_or("id");
            let hint = format!("say where frames come from: `inputs = [\"{id}\"]`");
            self.diagnostics.push(Diagnostic::new(Code::NoInput, stage.id_span.clone(), message).hint(hint));
        }
        inputs
    }

    /// Says once that there is too much of something.
    fn refuse_excess(&mut self, declared: &Declared) {
        let Some(what) = self.work.exceeded else { return };
        let limit = if what == "inputs" { INPUTS_MAX } else { COMPARED_MAX };
        let message = format!("the pipeline has too many {what}, the limit is {limit}");
        self.diagnostics.push(
            Diagnostic::new(Code::TooLarge, declared.span.clone(), message)
                .hint("name the stages that are meant, or split the pipeline"),
        );
    }

    /// The ids that the stage can read from, in the order of the file.
    fn readable(&self, reader: usize) -> impl Iterator<Item = &'s str> {
        let stages = self.stages.iter().enumerate();
        let others = stages.filter(move |(at, stage)| *at != reader && stage.kind != PluginKind::Sink);
        others.map(|(_, stage)| stage.id.as_str())
    }

    /// The stages that a pattern's id means.
    fn matching(&mut self, reader: usize, id: &'s str, stream: Option<&str>) -> Arc<[usize]> {
        if stream == Some("") {
            return Arc::default();
        }
        if !is_glob(id) {
            return self.ids.range((id, 0)..=(id, usize::MAX)).take(1).map(|&(_, at)| at).collect();
        }
        let found = match self.globs.get(id) {
            Some(found) => found.clone(),
            None => {
                let start = &id[..id.find(['*', '?']).unwrap_or(id.len())];
                let like = self.ids.range((start, 0)..).take_while(|(other, _)| other.starts_with(start));
                let found = like.filter(|(other, _)| self.work.matches(id, other));
                let mut found: Vec<usize> = found.map(|&(_, at)| at).collect();
                found.sort_unstable();
                let found: Arc<[usize]> = found.into();
                self.globs.insert(id, found.clone());
                found
            }
        };
        // A glob means the other stages; a stage that names itself is a circle, and is reported as one.
        if found.binary_search(&reader).is_err() {
            return found;
        }
        found.iter().copied().filter(|&at| at != reader).collect()
    }

    fn nothing(&self, reader: usize, declared: &Declared) -> Diagnostic {
        let (id, stream) = split(&declared.pattern);
        let message = if self.sinks.contains(id) {
            format!("\"{id}\" is a sink: nothing can be read from it")
        } else {
            format!("the input \"{}\" matches nothing", declared.pattern)
        };
        let hint = if stream == Some("") {
            "behind the dot stands the name of a stream: `id.stream`".to_owned()
        } else {
            self.hints.did_you_mean(id, self.readable(reader), "sources and transforms")
        };
        Diagnostic::new(Code::UnknownInput, declared.span.clone(), message).hint(hint)
    }
}

fn twice(id: &str, declared: &Declared, first: &Input) -> Diagnostic {
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

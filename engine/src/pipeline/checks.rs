//! What must hold between stages: there is a source and a sink, no circle, kinds that are taken, a rate where one is needed, and
//! one file for each sink. Knows descriptors, never what a plugin does.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use tapedeck_sdk::{Kind, PluginKind};

use super::stages::{KINDS, Stage};
use super::tree::Table;
use super::{Input, Span, topological};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::session::RESERVED;
use tapedeck_sdk::names::list;

/// How many stages of a circle a message names.
const CYCLE_SHOWN_MAX: usize = 16;

/// Checks what no stage can check alone.
pub(super) fn check(root: &Table, stages: &[Stage], inputs: &[Vec<Input>], diagnostics: &mut Diagnostics) {
    for (table, kind) in KINDS.iter().filter(|(_, kind)| *kind != PluginKind::Transform) {
        if !stages.iter().any(|stage| stage.kind == *kind) {
            diagnostics.push(none_of(root, table, *kind));
        }
    }
    check_read(stages, inputs, diagnostics);
    check_rates(stages, diagnostics);
    check_files(stages, diagnostics);
    match order(inputs) {
        Ok(order) => check_kinds(stages, inputs, &order, diagnostics),
        Err(circle) => diagnostics.push(cycle(stages, inputs, &circle)),
    }
}

fn none_of(root: &Table, table: &str, kind: PluginKind) -> Diagnostic {
    let (code, what) = match kind {
        PluginKind::Sink => (Code::NoSink, "keeps frames"),
        _ => (Code::NoSource, "gives frames"),
    };
    let span = root.get(table).map_or(0..0, |entry| entry.key_span.clone());
    let hint = format!("add a table `[{table}.NAME]` with `plugin = \"…\"`");
    Diagnostic::new(code, span, format!("the pipeline has no {kind}: nothing {what}")).hint(hint)
}

fn check_read(stages: &[Stage], inputs: &[Vec<Input>], diagnostics: &mut Diagnostics) {
    // A reader whose inputs could not be read, or match nothing, may have meant any stage.
    let about_inputs = [Code::NoInput, Code::UnknownInput, Code::DuplicateInput, Code::TooLarge];
    if stages.iter().any(|stage| !stage.inputs_sound)
        || diagnostics.iter().any(|one| about_inputs.contains(&one.code))
    {
        return;
    }
    let mut read = vec![false; stages.len()];
    inputs.iter().flatten().for_each(|input| read[input.from] = true);
    for (stage, _) in stages.iter().zip(read).filter(|(stage, read)| !read && stage.kind != PluginKind::Sink)
    {
        let message = format!("nothing reads the {} \"{}\"", stage.kind, stage.id);
        let hint = format!("name it in the `inputs` of a sink or transform: `inputs = [\"{}\"]`", stage.id);
        diagnostics.push(Diagnostic::new(Code::Unread, stage.id_span.clone(), message).hint(hint));
    }
}

fn check_rates(stages: &[Stage], diagnostics: &mut Diagnostics) {
    for stage in stages {
        let Some(factory) = &stage.factory else { continue };
        if stage.kind == PluginKind::Source && factory.descriptor().needs_rate && !stage.has_rate {
            let plugin = &factory.descriptor().name;
            let message = format!("the source \"{}\" has no rate: \"{plugin}\" is polled", stage.id);
            let hint = "say how often, in Hz: `rate = 60`";
            diagnostics.push(Diagnostic::new(Code::MissingRate, stage.id_span.clone(), message).hint(hint));
        }
    }
}

/// Sources before what reads them, or the nodes of one circle, in the order in which frames would flow: what is left
/// lies on a circle or below one, so a walk upwards among what is left comes back to itself.
fn order(inputs: &[Vec<Input>]) -> Result<Vec<usize>, Vec<usize>> {
    let slices: Vec<_> = inputs.iter().map(Vec::as_slice).collect();
    let is_left = match topological(&slices) {
        Ok(order) => return Ok(order),
        Err(is_left) => is_left,
    };
    let start = is_left.iter().position(|&left| left).expect("something is left");
    let mut walk = vec![start];
    let mut places = vec![None; inputs.len()];
    loop {
        let at = walk[walk.len() - 1];
        let above = inputs[at].iter().map(|input| input.from).find(|from| is_left[*from]);
        let above = above.expect("what is left waits for something that is left");
        places[at] = Some(walk.len() - 1);
        if let Some(first) = places[above] {
            let mut circle = walk.split_off(first);
            circle.reverse();
            return Err(circle);
        }
        walk.push(above);
    }
}

fn cycle(stages: &[Stage], inputs: &[Vec<Input>], circle: &[usize]) -> Diagnostic {
    // Begin with the stage that the file names first, so that the message is the same whatever the walk was.
    let begin = (0..circle.len()).min_by_key(|at| circle[*at]).unwrap_or(0);
    let rotated = circle[begin..].iter().chain(&circle[..begin]);
    let nodes: Vec<usize> = rotated.copied().collect();
    let shown = nodes.len().min(CYCLE_SHOWN_MAX);
    let mut path: Vec<&str> = nodes[..shown].iter().map(|node| stages[*node].id.as_str()).collect();
    path.extend((shown < nodes.len()).then_some("…"));
    path.push(&stages[nodes[0]].id);
    let (first, last) = (nodes[0], nodes[nodes.len() - 1]);
    let closing = inputs[first].iter().find(|input| input.from == last);
    let span: Span = closing.map_or(stages[first].id_span.clone(), |input| input.span.clone());
    let hint = "frames flow from sources to sinks: take one of these inputs out";
    Diagnostic::new(Code::Cycle, span, format!("the stages feed themselves: {}", path.join(" -> ")))
        .hint(hint)
}

/// Follows the kinds from sources to sinks. An edge is wrong if none of the kinds that may come is taken.
fn check_kinds(stages: &[Stage], inputs: &[Vec<Input>], order: &[usize], diagnostics: &mut Diagnostics) {
    // `None`: nothing is known (an unknown plugin, or a source that doesn't say), so nothing is refused.
    let mut gives: Vec<Option<Vec<Kind>>> = vec![None; stages.len()];
    for &node in order {
        let Some(descriptor) = stages[node].factory.as_ref().map(|factory| factory.descriptor()) else {
            continue;
        };
        let mut coming: Option<Vec<Kind>> = Some(Vec::new());
        for input in &inputs[node] {
            let Some(kinds) = &gives[input.from] else {
                coming = None;
                continue;
            };
            let taken: Vec<Kind> =
                kinds.iter().filter(|kind| descriptor.takes.contains(kind)).copied().collect();
            if let Some(coming) = coming.as_mut() {
                // Each kind once: through layers of stages that read all of the one above, they would double in each.
                let news: Vec<Kind> = taken.iter().filter(|kind| !coming.contains(kind)).copied().collect();
                coming.extend(news);
            }
            if taken.is_empty() && !kinds.is_empty() {
                diagnostics.push(refused(stages, node, input, kinds, &descriptor.takes));
            }
        }
        gives[node] = match (descriptor.kind, descriptor.gives.is_empty()) {
            (_, false) => Some(descriptor.gives.clone()),
            (PluginKind::Transform, true) => coming.filter(|kinds| !kinds.is_empty()),
            (_, true) => None,
        };
    }
}

fn refused(stages: &[Stage], node: usize, input: &Input, kinds: &[Kind], takes: &[Kind]) -> Diagnostic {
    let names = |kinds: &[Kind]| list(kinds.iter().map(|kind| kind.name()));
    let (reader, from) = (&stages[node], &stages[input.from]);
    let message = format!("the {} \"{}\" can't take what \"{}\" gives", reader.kind, reader.id, from.id);
    Diagnostic::new(Code::KindRefused, input.span.clone(), message)
        .label(format!("gives {}", names(kinds)))
        .hint(format!("\"{}\" takes {}: choose another {} for it", reader.id, names(takes), reader.kind))
}

/// The file of each sink: its option `path`, else its id with the plugin's extension.
fn check_files(stages: &[Stage], diagnostics: &mut Diagnostics) {
    let mut files: HashMap<PathBuf, &Stage> = HashMap::new();
    for stage in stages.iter().filter(|stage| stage.kind == PluginKind::Sink) {
        let Some(descriptor) = stage.factory.as_ref().map(|factory| factory.descriptor()) else { continue };
        let default = descriptor.extension.as_ref().map(|extension| format!("{}.{extension}", stage.id));
        let (name, span) = match (stage.text_option("path"), &default) {
            (Some((path, span)), _) => (path, span),
            (None, Some(default)) => (default.as_str(), stage.id_span.clone()),
            (None, None) => continue,
        };
        let Some(file) = inside(name) else {
            let message = format!("the file \"{name}\" is not inside the session folder");
            let hint = format!(
                "write a path without a leading `/` and without `..`, or leave it out for the id \"{}\"",
                stage.id
            );
            diagnostics.push(Diagnostic::new(Code::FileOutside, span, message).hint(hint));
            continue;
        };
        let first = file.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
        if let Some(name) = first.filter(|name| RESERVED.contains(&name.as_str())) {
            let message = format!("\"{name}\" is the file of the session itself");
            diagnostics
                .push(Diagnostic::new(Code::SharedFile, span, message).hint("give the sink another `path`"));
            continue;
        }
        if let Some(first) = files.get(&file) {
            let message = format!(
                "the sinks \"{}\" and \"{}\" write the same file: {}",
                first.id,
                stage.id,
                file.display()
            );
            let first_span = first.text_option("path").map_or(first.id_span.clone(), |(_, span)| span);
            diagnostics.push(
                Diagnostic::new(Code::SharedFile, span, message)
                    .other(first_span, "the other one")
                    .hint("give one of the two another `path`"),
            );
        } else {
            files.insert(file, stage);
        }
    }
}

/// The path without `.`; `None` if it could leave the folder, or names no file.
fn inside(name: &str) -> Option<PathBuf> {
    if name.contains('\0') || name.ends_with('/') {
        return None;
    }
    let mut file = PathBuf::new();
    for component in Path::new(name).components() {
        match component {
            Component::Normal(part) => file.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!file.as_os_str().is_empty()).then_some(file)
}

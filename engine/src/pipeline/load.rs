//! From a file or a text to a checked [`Pipeline`], or to everything that is wrong with it. Opens no plugin.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use tapedeck_sdk::{Error, ErrorKind};

use super::stages::{KINDS, Stage};
use super::tree::{Located, Table};
use super::{Node, Pipeline, Span, Variables, checks, fields, inputs, session, stages, tree, variables};
use crate::Registry;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceText};

/// The longest text of a pipeline, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 << 20;

/// Where a node is in the text.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The id in the header.
    id: Span,
    /// The plugin's name.
    plugin: Span,
    /// The plugin's options with their places.
    options: Located,
}

/// Reads and checks a pipeline's file.
///
/// # Errors
/// Everything that is wrong with it, sorted by place.
pub fn load(path: &Path, variables: &Variables, registry: &Registry) -> Result<Pipeline, Diagnostics> {
    parse(&path.display().to_string(), &read(path)?, variables, registry)
}

/// Reads a pipeline's file and checks nothing but that it is a text.
///
/// # Errors
/// The file can't be read, is too long, or is not UTF-8.
pub fn read(path: &Path) -> Result<String, Diagnostics> {
    let name = path.display().to_string();
    let opened = std::fs::File::open(path).map_err(|error| unreadable(&name, &error))?;
    read_from(&name, opened)
}

/// The same of anything that can be read: `name` is what diagnostics call it.
///
/// # Errors
/// As for [`read`].
pub fn read_from(name: &str, input: impl Read) -> Result<String, Diagnostics> {
    let mut bytes = Vec::new();
    // One byte more, so that a longer text is told from one that just fits.
    let read = input.take(TEXT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(name, &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let diagnostic = Diagnostic::new(Code::Syntax, at..at + 1, "invalid TOML: the text is not UTF-8");
        only(SourceText::new(name, text), diagnostic.hint("save the file with the encoding UTF-8"))
    })
}

fn unreadable(name: &str, error: &std::io::Error) -> Diagnostics {
    let diagnostic = Diagnostic::nowhere(Code::Unreadable, format!("can't read the pipeline: {error}"));
    only(SourceText::new(name, ""), diagnostic.hint("give the path of a pipeline's TOML file"))
}

fn only(source: SourceText, diagnostic: Diagnostic) -> Diagnostics {
    let mut diagnostics = Diagnostics::new(Arc::new(source));
    diagnostics.push(diagnostic);
    diagnostics
}

/// Checks a pipeline's text. `name` is what diagnostics call it: the file's path.
///
/// # Errors
/// Everything that is wrong with it, sorted by place.
pub fn parse(
    name: &str,
    text: &str,
    variables: &Variables,
    registry: &Registry,
) -> Result<Pipeline, Diagnostics> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("the pipeline has {} bytes, the limit is {TEXT_BYTES_MAX}", text.len());
        let diagnostic = Diagnostic::nowhere(Code::Unreadable, message);
        return Err(only(SourceText::new(name, ""), diagnostic.hint("is this a pipeline's TOML file?")));
    }
    let source = Arc::new(SourceText::new(name, text));
    let mut diagnostics = Diagnostics::new(source.clone());
    let Some(mut root) = tree::parse(&source, &mut diagnostics) else { return Err(diagnostics) };
    variables::replace(&source, &mut root, variables, &mut diagnostics);
    check_top_level(&root, &mut diagnostics);
    let session_table = root.get("session").and_then(|entry| fields::table(entry, &mut diagnostics));
    let session = session::session(session_table, &mut diagnostics);
    let stages = stages::read(&root, registry, &mut diagnostics);
    let inputs = inputs::resolve(&stages, &mut diagnostics);
    checks::check(&root, &stages, &inputs, &mut diagnostics);
    if diagnostics.errors() > 0 {
        return Err(diagnostics);
    }
    let places = stages.iter().map(Place::of).collect();
    let nodes = stages.into_iter().zip(inputs).filter_map(|(stage, inputs)| node(stage, inputs)).collect();
    Ok(Pipeline { text: text.to_owned(), session, nodes, source, warnings: diagnostics, places })
}

/// The stage as a node. Every stage has a plugin once there was no error.
fn node(stage: Stage, inputs: Vec<super::Input>) -> Option<Node> {
    let (options, references) = (stage.options_json(), stage.references());
    let factory = stage.factory?;
    let (id, kind, rate_hz) = (stage.id, stage.kind, stage.rate_hz);
    Some(Node { id, kind, factory, options, references, rate_hz, inputs })
}

fn check_top_level(root: &Table, diagnostics: &mut Diagnostics) {
    let known: Vec<&str> = KINDS.iter().map(|(name, _)| *name).chain(["session"]).collect();
    for entry in root.entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
        diagnostics.push(fields::unknown_key(entry, &known, "at the top of the pipeline"));
    }
}

impl Place {
    fn of(stage: &Stage) -> Self {
        Self { id: stage.id_span.clone(), plugin: stage.plugin_span.clone(), options: stage.options.clone() }
    }
}

impl Pipeline {
    /// Where an option of a node is in the text: as far as `path` (keys below the plugin's own table, indices of arrays) leads.
    /// Without a path, where the plugin is named; for a node that there isn't, the beginning of the text.
    #[must_use]
    pub fn locate<S: AsRef<str>>(&self, node: usize, path: &[S]) -> Span {
        let Some(place) = self.places.get(node) else { return 0..0 };
        if path.is_empty() { place.plugin.clone() } else { place.options.locate(path) }
    }

    /// Where a node's id is in the text.
    #[must_use]
    pub fn locate_id(&self, node: usize) -> Span {
        self.places.get(node).map_or(0..0, |place| place.id.clone())
    }

    /// An error of a plugin, found when the node was opened, as a diagnostic at the option that is to blame.
    #[must_use]
    pub fn diagnose(&self, node: usize, error: &Error) -> Diagnostics {
        let code = match error.kind {
            ErrorKind::Options => Code::PluginOptions,
            ErrorKind::Environment => Code::Environment,
            ErrorKind::Data => Code::Data,
            ErrorKind::Io => Code::Io,
            ErrorKind::Plugin => Code::Plugin,
        };
        let stage =
            self.nodes.get(node).map_or(String::new(), |node| format!("{} \"{}\": ", node.kind, node.id));
        let message = format!("{stage}{}", error.message);
        let inputs = self.nodes.get(node).and_then(|node| node.inputs.first());
        let span = match (error.option.as_slice(), inputs) {
            ([key], Some(input)) if key == "inputs" => input.span.clone(),
            _ => self.locate(node, &error.option),
        };
        let mut diagnostic = Diagnostic::new(code, span, message);
        diagnostic.hint.clone_from(&error.hint);
        let mut diagnostics = Diagnostics::new(self.source.clone());
        diagnostics.push(diagnostic);
        diagnostics
    }
}

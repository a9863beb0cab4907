//! A pipeline as a picture: for terminals, for Mermaid, and for Graphviz. Knows the plan, not how it runs.

use std::fmt::Write;

use tapedeck_sdk::PluginKind;
use tapedeck_sdk::options::ByteSize;

use crate::pipeline::{Input, Node, Pipeline, WhenFull};

/// The notation of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraphFormat {
    /// A list of stages, each with what it reads.
    Text,
    /// A Mermaid flowchart.
    Mermaid,
    /// Graphviz.
    Dot,
}

/// The pipeline as a picture, with a newline at its end.
#[must_use]
pub fn render(pipeline: &Pipeline, format: GraphFormat) -> String {
    let mut out = String::new();
    let written = match format {
        GraphFormat::Text => text(pipeline, &mut out),
        GraphFormat::Mermaid => mermaid(pipeline, &mut out),
        GraphFormat::Dot => dot(pipeline, &mut out),
    };
    written.expect("writing into a string never fails");
    out
}

fn rate(node: &Node) -> String {
    node.rate_hz.map_or(String::new(), |rate| format!("{rate} Hz"))
}

/// What an edge is: its streams, limits and policy.
fn edge(input: &Input) -> String {
    let queue = &input.queue;
    let time = queue.time.map_or(String::new(), |time| format!(", {time:?}"));
    let policy = match queue.when_full {
        WhenFull::Block => "block",
        WhenFull::DropNewest => "drop newest",
        WhenFull::DropOldest => "drop oldest",
    };
    format!("{policy} at {} frames, {}{time}", queue.frames, ByteSize(queue.bytes))
}

fn text(pipeline: &Pipeline, out: &mut String) -> std::fmt::Result {
    let width = pipeline.nodes.iter().map(|node| node.id.len()).max().unwrap_or(0);
    let plugin_width =
        pipeline.nodes.iter().map(|node| node.factory.descriptor().name.len()).max().unwrap_or(0);
    for kind in [PluginKind::Source, PluginKind::Transform, PluginKind::Sink] {
        let nodes: Vec<&Node> = pipeline.nodes.iter().filter(|node| node.kind == kind).collect();
        if nodes.is_empty() {
            continue;
        }
        writeln!(out, "{kind}s")?;
        for node in nodes {
            let line = format!(
                "  {:width$}  {:plugin_width$}  {}",
                node.id,
                node.factory.descriptor().name,
                rate(node)
            );
            writeln!(out, "{}", line.trim_end())?;
            for input in &node.inputs {
                let stream = input.stream.as_ref().map_or(String::new(), |stream| format!(".{stream}"));
                writeln!(out, "    <- {}{stream}  ({})", pipeline.nodes[input.from].id, edge(input))?;
            }
        }
    }
    Ok(())
}

/// Line breaks differ between the notations, what stands in a box doesn't.
fn label(node: &Node, newline: &str) -> String {
    let rate = node.rate_hz.map_or(String::new(), |rate| format!("{newline}{rate} Hz"));
    format!("{}{newline}{}{rate}", node.id, node.factory.descriptor().name)
}

fn edge_label(input: &Input, newline: &str) -> String {
    let stream = input.stream.as_ref().map_or(String::new(), |stream| format!("{stream}{newline}"));
    format!("{stream}{}", edge(input))
}

fn mermaid(pipeline: &Pipeline, out: &mut String) -> std::fmt::Result {
    // Mermaid has words that can't be ids ("end"), so nodes are numbered. `#quot;` is its entity for a quotation mark.
    let quote = |text: String| text.replace('"', "#quot;");
    writeln!(out, "flowchart LR")?;
    for (at, node) in pipeline.nodes.iter().enumerate() {
        let label = quote(label(node, "<br/>"));
        match node.kind {
            PluginKind::Source => writeln!(out, "    n{at}([\"{label}\"])")?,
            PluginKind::Transform => writeln!(out, "    n{at}[\"{label}\"]")?,
            PluginKind::Sink => writeln!(out, "    n{at}[(\"{label}\")]")?,
        }
    }
    for (at, node) in pipeline.nodes.iter().enumerate() {
        for input in &node.inputs {
            writeln!(out, "    n{} -->|\"{}\"| n{at}", input.from, quote(edge_label(input, "<br/>")))?;
        }
    }
    Ok(())
}

fn dot(pipeline: &Pipeline, out: &mut String) -> std::fmt::Result {
    let quote = |text: String| text.replace('"', "\\\"");
    writeln!(out, "digraph pipeline {{\n    rankdir=LR;")?;
    for (at, node) in pipeline.nodes.iter().enumerate() {
        let shape = match node.kind {
            PluginKind::Source => "oval",
            PluginKind::Transform => "box",
            PluginKind::Sink => "cylinder",
        };
        writeln!(out, "    n{at} [shape={shape}, label=\"{}\"];", quote(label(node, "\\n")))?;
    }
    for (at, node) in pipeline.nodes.iter().enumerate() {
        for input in &node.inputs {
            writeln!(out, "    n{} -> n{at} [label=\"{}\"];", input.from, quote(edge_label(input, "\\n")))?;
        }
    }
    writeln!(out, "}}")
}

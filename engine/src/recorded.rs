//! Sinks that are given recordings only keep what these have: an option whose schema says `x-recorded` then has that default. What the
//! options are for, the plugin knows.

use serde_json::{Map, Value};
use tapedeck_sdk::{Factory, PluginKind};

use crate::layout;
use crate::pipeline::Pipeline;

/// Fills in the options of a plugin that are given nowhere and have a default of their own for what was recorded before.
pub(crate) fn keep(factory: &Factory, options: &mut Value) {
    let properties = factory.descriptor().options.get("properties").and_then(Value::as_object);
    let defaults = properties.into_iter().flatten().filter_map(|(name, schema)| {
        let default = schema.get("x-recorded")?;
        Some((name.clone(), default.clone()))
    });
    let defaults: Map<String, Value> = defaults.collect();
    let Some(table) = options.as_object_mut() else { return };
    for (name, default) in defaults {
        table.entry(name).or_insert(default);
    }
}

/// Does so for each sink of a pipeline that nothing reaches but recordings.
pub(crate) fn keep_in(pipeline: &mut Pipeline) {
    if !pipeline.nodes.iter().any(|node| node.factory.descriptor().recorded) {
        return;
    }
    let mut recorded = vec![false; pipeline.nodes.len()];
    for index in layout::topological(pipeline) {
        let node = &pipeline.nodes[index];
        recorded[index] = match node.kind {
            PluginKind::Source => node.factory.descriptor().recorded,
            _ => node.inputs.iter().all(|input| recorded[input.from]),
        };
    }
    let sinks = pipeline.nodes.iter_mut().zip(recorded);
    for (sink, _) in sinks.filter(|(node, recorded)| *recorded && node.kind == PluginKind::Sink) {
        keep(&sink.factory, &mut sink.options);
    }
}

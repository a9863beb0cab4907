//! Which stages share a thread: a linear run of transforms is fused with the stage below it. A pure function of the edges.

use tapedeck_sdk::PluginKind;

use crate::pipeline::{self, Pipeline, QueueConfig};

/// How many transforms are fused in a row at most: each calls the next one, and a thread's stack has an end.
const FUSED_MAX: usize = 64;

/// The threads below the sources: each is a list of nodes from top to bottom. Sources are not in it: each has a thread of its own.
pub(crate) fn threads(pipeline: &Pipeline) -> Vec<Vec<usize>> {
    let (order, readers) = (topological(pipeline), readers(pipeline));
    // From the bottom up, so that the stage below has found its thread before.
    let mut root_of: Vec<usize> = (0..pipeline.nodes.len()).collect();
    let mut fused = vec![0; pipeline.nodes.len()];
    for &node in order.iter().rev() {
        let below = fused_with(pipeline, node, &readers[node]).filter(|&below| fused[below] < FUSED_MAX);
        if let Some(below) = below {
            (root_of[node], fused[node]) = (root_of[below], fused[below] + 1);
        }
    }
    let mut threads = vec![Vec::new(); pipeline.nodes.len()];
    for &node in order.iter().filter(|&&node| !is_source(pipeline, node)) {
        threads[root_of[node]].push(node);
    }
    order
        .into_iter()
        .map(|root| std::mem::take(&mut threads[root]))
        .filter(|nodes| !nodes.is_empty())
        .collect()
}

/// Which nodes read each node, and over which input.
fn readers(pipeline: &Pipeline) -> Vec<Vec<(usize, usize)>> {
    let mut readers = vec![Vec::new(); pipeline.nodes.len()];
    for (reader, node) in pipeline.nodes.iter().enumerate() {
        let inputs = node.inputs.iter().enumerate();
        inputs.for_each(|(at, input)| readers[input.from].push((reader, at)));
    }
    readers
}

/// The stage below a transform, if it is the only one and the pipeline asks for no queue between the two.
fn fused_with(pipeline: &Pipeline, node: usize, readers: &[(usize, usize)]) -> Option<usize> {
    let &(below, _) = readers.first().filter(|_| pipeline.nodes[node].kind == PluginKind::Transform)?;
    let direct = |&(reader, at): &(usize, usize)| {
        reader == below && pipeline.nodes[reader].inputs[at].queue == QueueConfig::default()
    };
    readers.iter().all(direct).then_some(below)
}

fn is_source(pipeline: &Pipeline, node: usize) -> bool {
    pipeline.nodes[node].kind == PluginKind::Source
}

/// The nodes in an order in which each stands after those it reads, and else in that of the file.
pub(crate) fn topological(pipeline: &Pipeline) -> Vec<usize> {
    let inputs: Vec<_> = pipeline.nodes.iter().map(|node| node.inputs.as_slice()).collect();
    pipeline::topological(&inputs).expect("the check has refused circles")
}

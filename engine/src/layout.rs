//! Which stages share a thread: a linear run of transforms is fused with the stage below it. A pure function of the edges.

use tapedeck_sdk::PluginKind;

use crate::pipeline::{Pipeline, QueueConfig};

/// The threads below the sources: each is a list of nodes from top to bottom. Sources are not in it: each has a thread of its own.
pub(crate) fn threads(pipeline: &Pipeline) -> Vec<Vec<usize>> {
    let order = topological(pipeline);
    let mut root_of: Vec<usize> = (0..pipeline.nodes.len()).collect();
    // From the bottom up, so that the stage below has found its thread before.
    for &node in order.iter().rev() {
        if let Some(below) = fused_with(pipeline, node) {
            root_of[node] = root_of[below];
        }
    }
    let roots = order.iter().copied().filter(|&node| root_of[node] == node && !is_source(pipeline, node));
    roots.map(|root| order.iter().copied().filter(|&node| root_of[node] == root).collect()).collect()
}

/// The stage below a transform, if it is the only one and the pipeline asks for no queue between the two.
fn fused_with(pipeline: &Pipeline, node: usize) -> Option<usize> {
    if pipeline.nodes[node].kind != PluginKind::Transform {
        return None;
    }
    let mut below = None;
    for (index, other) in pipeline.nodes.iter().enumerate() {
        for input in other.inputs.iter().filter(|input| input.from == node) {
            if below.is_some_and(|below| below != index) || input.queue != QueueConfig::default() {
                return None;
            }
            below = Some(index);
        }
    }
    below
}

fn is_source(pipeline: &Pipeline, node: usize) -> bool {
    pipeline.nodes[node].kind == PluginKind::Source
}

/// The nodes in an order in which each stands after those it reads.
pub(crate) fn topological(pipeline: &Pipeline) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::with_capacity(pipeline.nodes.len());
    let mut placed = vec![false; pipeline.nodes.len()];
    while order.len() < pipeline.nodes.len() {
        let ready = |node: &usize| {
            !placed[*node] && pipeline.nodes[*node].inputs.iter().all(|input| placed[input.from])
        };
        let next = (0..pipeline.nodes.len()).find(ready).expect("the check has refused cycles");
        placed[next] = true;
        order.push(next);
    }
    order
}

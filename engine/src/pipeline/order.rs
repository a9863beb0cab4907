//! An order of stages in which each stands after those it reads. Knows their inputs only.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Input;

/// Of stages with these inputs, each after those it reads, and else in the order of the file; or, where some feed
/// themselves, what is left: those that lie on a circle or below one (Kahn, 1962).
pub(crate) fn topological(inputs: &[&[Input]]) -> Result<Vec<usize>, Vec<bool>> {
    let mut readers = vec![Vec::new(); inputs.len()];
    for (reader, inputs) in inputs.iter().enumerate() {
        inputs.iter().for_each(|input| readers[input.from].push(reader));
    }
    let mut waiting: Vec<usize> = inputs.iter().map(|inputs| inputs.len()).collect();
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..inputs.len()).filter(|&node| waiting[node] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(inputs.len());
    while let Some(Reverse(node)) = ready.pop() {
        order.push(node);
        for &reader in &readers[node] {
            waiting[reader] -= 1;
            if waiting[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    if order.len() == inputs.len() {
        Ok(order)
    } else {
        Err(waiting.iter().map(|&count| count > 0).collect())
    }
}

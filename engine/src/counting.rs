//! Where in the ledger each loss of a session is counted.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use crate::ledger::Ledger;
use crate::opening::Opened;
use crate::session::{LEDGER, LedgerCounts, SourceCounts};
use crate::stats::InputStats;

/// Where the ledger has what was lost.
pub(crate) struct Counts {
    /// For each input of each sink, in the order of `sinks`.
    pub(crate) sinks: Vec<Vec<LedgerCounts>>,
    /// For each stream of the sources.
    pub(crate) sources: Vec<(usize, SourceCounts)>,
}

/// Makes the ledger and keeps each count of losses in it: every edge, transform and input of a sink has one, and every source.
/// `first_stream` has the first of a source's streams, of which there are `streams` in all.
///
/// # Errors
/// The file can't be made.
pub(crate) fn keep_counts(
    opened: &Opened,
    sinks: &[(usize, Vec<Arc<InputStats>>)],
    first_stream: &HashMap<usize, usize>,
    streams: usize,
) -> io::Result<(Arc<Ledger>, Counts)> {
    let (mut edges, mut stages, mut inputs) = (HashMap::new(), HashMap::new(), 0);
    let place = |known: &mut HashMap<*const (), usize>, count: *const ()| {
        let next = known.len();
        *known.entry(count).or_insert(next)
    };
    // Numbered by kind first, since how many there are of the others is not known yet.
    let mut of_input = |input: &Arc<InputStats>| {
        inputs += 2;
        let dropped = input.edges.iter().map(|edge| place(&mut edges, Arc::as_ptr(edge).cast()));
        let transforms = input.stages.iter().map(|stage| place(&mut stages, Arc::as_ptr(stage).cast()));
        LedgerCounts {
            dropped: dropped.collect(),
            transforms: transforms.collect(),
            own: vec![inputs - 2, inputs - 1],
        }
    };
    let mut counts_of: Vec<Vec<LedgerCounts>> =
        sinks.iter().map(|(_, sink)| sink.iter().map(&mut of_input).collect()).collect();
    let (first_stage, first_input) = (edges.len(), edges.len() + stages.len());
    let first_source = first_input + inputs;
    let all = first_source + 2 * streams;
    let ledger = Ledger::create(&opened.folder().path().join(LEDGER), streams, all)?;
    for (input, counts) in sinks.iter().flat_map(|(_, sink)| sink).zip(counts_of.iter_mut().flatten()) {
        counts.transforms.iter_mut().for_each(|count| *count += first_stage);
        counts.own.iter_mut().for_each(|count| *count += first_input);
        input.edges.iter().zip(&counts.dropped).for_each(|(edge, &count)| edge.keep(&ledger, count));
        let stages = input.stages.iter().zip(&counts.transforms);
        stages.for_each(|(stage, &count)| stage.failed.keep(&ledger, count));
        let own = [&input.failed, &input.refused].into_iter().zip(&counts.own);
        own.for_each(|(lost, &count)| lost.keep(&ledger, count));
    }
    let mut sources = Vec::new();
    for (&node, &first) in first_stream {
        let stats = &opened.nodes[node].stats;
        for (output, stream) in (first..first + opened.nodes[node].outputs.len()).enumerate() {
            let dropped = first_source + 2 * stream;
            let failed = (output == 0).then_some(dropped + 1);
            stats.keep_dropped(output, &ledger, dropped);
            failed.into_iter().for_each(|failed| stats.failed.keep(&ledger, failed));
            sources.push((stream, SourceCounts { dropped, failed }));
        }
    }
    Ok((ledger, Counts { sinks: counts_of, sources }))
}

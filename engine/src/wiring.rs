//! Connects opened stages: who hands to whom on the same thread, who over an edge, and which losses lie on whose way.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use tapedeck_sdk::{PluginKind, StreamSchema};

use crate::edge::{EdgeCounters, EdgeReceiver, edge};
use crate::feed::{Feed, FeedTimes, Outlet};
use crate::layout;
use crate::ledger::{Ledger, LossCount};
use crate::lineage::Lineage;
use crate::opening::{OpenInput, Opened, Stage};
use crate::pipeline::Pipeline;
use crate::session::{LEDGER, LedgerCounts};
use crate::sink_stage::SinkStage;
use crate::stats::{InputStats, Reach, StageStats, StreamStats};
use crate::tap::TapPoint;
use crate::watch::Parts;
use crate::watermark::{End, Mark};
use crate::worker::{Inlet, Route, Slot, Target, Worker};

/// How long a session that plays as fast as possible waits with what is not finished: what is written when must follow from the recording
/// alone.
const UNTIMED: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// Everything that is to run, and the counters that are read meanwhile.
pub(crate) struct Wired {
    pub(crate) feeds: Vec<(usize, Feed)>,
    /// The node at the end of the thread, and the thread.
    pub(crate) workers: Vec<(usize, Worker)>,
    pub(crate) parts: Parts,
    /// For each input of each sink, in the order of `sinks`: where the ledger has its losses.
    pub(crate) counts: Vec<Vec<LedgerCounts>>,
}

/// Where a stream has been: what can be lost on its way.
#[derive(Clone, Default)]
struct Way {
    origins: Vec<usize>,
    edges: Vec<Arc<EdgeCounters>>,
    stages: Vec<Arc<StageStats>>,
}

impl Way {
    fn join(ways: &[Self]) -> Self {
        let mut joined = Self::default();
        for way in ways {
            joined.origins.extend(
                way.origins.iter().filter(|origin| !joined.origins.contains(origin)).collect::<Vec<_>>(),
            );
            for edge in &way.edges {
                if !joined.edges.iter().any(|other| Arc::ptr_eq(other, edge)) {
                    joined.edges.push(edge.clone());
                }
            }
            for stage in &way.stages {
                if !joined.stages.iter().any(|other| Arc::ptr_eq(other, stage)) {
                    joined.stages.push(stage.clone());
                }
            }
        }
        joined
    }
}

/// Connects the stages. Takes them out of `opened`.
pub(crate) fn wire(pipeline: &Pipeline, opened: &mut Opened, stop: &Arc<AtomicBool>) -> io::Result<Wired> {
    let mut wiring = Wiring::new(pipeline, opened);
    wiring.number_streams(opened);
    let order = layout::topological(pipeline);
    for &node in &order {
        wiring.connect_inputs(opened, node);
    }
    wiring.connect_marks(opened);
    let (ledger, counts) = wiring.keep_counts(&opened.folder().path().join(LEDGER))?;
    let threads = std::mem::take(&mut wiring.threads);
    let workers = threads.into_iter().map(|nodes| wiring.worker(pipeline, opened, &nodes)).collect();
    let feeds = order.iter().filter(|&&node| pipeline.nodes[node].kind == PluginKind::Source);
    let feeds = feeds.map(|&node| (node, wiring.feed(pipeline, opened, node, &ledger, stop))).collect();
    let stages = opened.nodes.iter().map(|node| node.stats.clone()).collect();
    let parts = Parts { streams: wiring.streams, sinks: wiring.sinks, stages, taps: wiring.taps };
    Ok(Wired { feeds, workers, parts, counts })
}

struct Wiring {
    threads: Vec<Vec<usize>>,
    /// Thread and slot of each node below the sources.
    places: HashMap<usize, (usize, usize)>,
    streams: Vec<Arc<StreamStats>>,
    /// The watermark of each stream.
    marks: Vec<Arc<Mark>>,
    /// The first stream of each source.
    first_stream: HashMap<usize, usize>,
    routes: Vec<Vec<Route>>,
    taps: Vec<(Arc<StreamSchema>, Arc<TapPoint>)>,
    /// Node and input → the receiving end.
    receivers: Vec<(usize, usize, EdgeReceiver)>,
    ways: HashMap<(usize, usize), Way>,
    sinks: Vec<(usize, Vec<Arc<InputStats>>)>,
}

impl Wiring {
    fn new(pipeline: &Pipeline, opened: &Opened) -> Self {
        let threads = layout::threads(pipeline);
        let mut places = HashMap::new();
        for (thread, nodes) in threads.iter().enumerate() {
            places.extend(nodes.iter().enumerate().map(|(slot, &node)| (node, (thread, slot))));
        }
        let route = |schema: &Arc<_>| {
            let tap = Arc::default();
            Route { schema: Arc::clone(schema), tap, targets: Vec::new() }
        };
        let routes: Vec<Vec<Route>> =
            opened.nodes.iter().map(|node| node.outputs.iter().map(route).collect()).collect();
        let taps = routes.iter().flatten().map(|route| (route.schema.clone(), route.tap.clone())).collect();
        Self {
            threads,
            places,
            streams: Vec::new(),
            marks: Vec::new(),
            first_stream: HashMap::new(),
            routes,
            taps,
            receivers: Vec::new(),
            ways: HashMap::new(),
            sinks: Vec::new(),
        }
    }

    /// Makes the ledger and keeps each count of losses in it: every edge, transform and input of a sink has one.
    fn keep_counts(&self, path: &Path) -> io::Result<(Arc<Ledger>, Vec<Vec<LedgerCounts>>)> {
        let (mut edges, mut stages, mut inputs) = (Vec::new(), Vec::new(), 0);
        let place = |known: &mut Vec<*const ()>, count: *const ()| {
            known.iter().position(|other| *other == count).unwrap_or_else(|| {
                known.push(count);
                known.len() - 1
            })
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
        let mut counts: Vec<Vec<LedgerCounts>> =
            self.sinks.iter().map(|(_, sink)| sink.iter().map(&mut of_input).collect()).collect();
        let (first_stage, first_input) = (edges.len(), edges.len() + stages.len());
        let ledger = Ledger::create(path, self.streams.len(), first_input + inputs)?;
        for (input, counts) in self.sinks.iter().flat_map(|(_, sink)| sink).zip(counts.iter_mut().flatten()) {
            counts.transforms.iter_mut().for_each(|count| *count += first_stage);
            counts.own.iter_mut().for_each(|count| *count += first_input);
            input.edges.iter().zip(&counts.dropped).for_each(|(edge, &count)| edge.keep(&ledger, count));
            let stages = input.stages.iter().zip(&counts.transforms);
            stages.for_each(|(stage, &count)| stage.failed.keep(&ledger, count));
            let own = [&input.failed, &input.refused].into_iter().zip(&counts.own);
            own.for_each(|(lost, &count)| lost.keep(&ledger, count));
        }
        Ok((ledger, counts))
    }

    fn number_streams(&mut self, opened: &Opened) {
        for (index, node) in opened.nodes.iter().enumerate() {
            if !matches!(node.stage, Some(Stage::Source(_))) {
                continue;
            }
            self.first_stream.insert(index, self.streams.len());
            for (output, schema) in node.outputs.iter().enumerate() {
                let way = Way { origins: vec![self.streams.len()], ..Way::default() };
                self.ways.insert((index, output), way);
                self.streams.push(Arc::new(StreamStats::new(schema.clone(), &node.stats.id)));
                self.marks.push(Arc::default());
            }
        }
    }

    /// Tells the watermarks where their streams end up, and the sources where they find them.
    fn connect_marks(&self, opened: &Opened) {
        for (stream, mark) in self.marks.iter().enumerate() {
            let of_sink = |(node, inputs): &(usize, Vec<Arc<InputStats>>)| {
                let sink = opened.nodes[*node].stats.clone();
                let reached = inputs.iter().filter(|input| input.origins.contains(&stream));
                reached.map(|input| End { input: input.clone(), sink: sink.clone() }).collect::<Vec<_>>()
            };
            mark.connect(self.sinks.iter().flat_map(of_sink).collect(), self.streams.clone());
        }
        for (&node, &first) in &self.first_stream {
            let marks = self.marks[first..first + opened.nodes[node].outputs.len()].to_vec();
            drop(opened.nodes[node].host.marks.set(marks));
        }
    }

    /// The watermarks of all streams that come to a stage.
    fn marks_at(&self, opened: &Opened, node: usize) -> impl Iterator<Item = usize> {
        let ways = opened.nodes[node].inputs.iter().map(|input| &self.ways[&(input.from, input.output)]);
        ways.flat_map(|way| way.origins.clone()).collect::<Vec<_>>().into_iter()
    }

    /// Connects a stage to those above it, which were connected before.
    fn connect_inputs(&mut self, opened: &Opened, node: usize) {
        let inputs = &opened.nodes[node].inputs;
        let mut ways: Vec<Way> = Vec::with_capacity(inputs.len());
        for (index, input) in inputs.iter().enumerate() {
            ways.push(self.connect(node, index, input));
        }
        match opened.nodes[node].stage {
            Some(Stage::Transform(_)) => self.pass_on(opened, node, &ways),
            Some(Stage::Sink { .. }) => self.account(opened, node, ways),
            _ => {}
        }
    }

    fn connect(&mut self, node: usize, index: usize, input: &OpenInput) -> Way {
        let mut way = self.ways[&(input.from, input.output)].clone();
        let (thread, slot) = self.places[&node];
        let targets = &mut self.routes[input.from][input.output].targets;
        if self.places.get(&input.from).is_some_and(|&(above, _)| above == thread) {
            targets.push(Target::Local { slot, input: index });
        } else {
            let (sender, receiver) = edge(input.queue);
            way.edges.push(sender.counters().clone());
            targets.push(Target::Edge(sender));
            self.receivers.push((node, index, receiver));
        }
        way
    }

    /// A transform with as many outputs as inputs is taken to map one to one; else each output may hold of every input.
    fn pass_on(&mut self, opened: &Opened, node: usize, ways: &[Way]) {
        let outputs = opened.nodes[node].outputs.len();
        for output in 0..outputs {
            let mut way = if outputs == ways.len() { ways[output].clone() } else { Way::join(ways) };
            way.stages.push(opened.nodes[node].stats.clone());
            self.ways.insert((node, output), way);
        }
    }

    fn account(&mut self, opened: &Opened, node: usize, ways: Vec<Way>) {
        let inputs = opened.nodes[node].inputs.iter().zip(ways).map(|(input, way)| {
            Arc::new(InputStats {
                stream: input.schema.name().to_owned(),
                origins: way.origins,
                edges: way.edges,
                stages: way.stages,
                written: AtomicU64::new(0),
                flushed: AtomicU64::new(0),
                failed: LossCount::default(),
                refused: LossCount::default(),
                reach: Reach::default(),
            })
        });
        self.sinks.push((node, inputs.collect()));
    }

    fn worker(&mut self, pipeline: &Pipeline, opened: &mut Opened, nodes: &[usize]) -> (usize, Worker) {
        let slots = nodes.iter().map(|&node| self.slot(pipeline, opened, node)).collect();
        let mut inlets = Vec::new();
        let (mine, others) =
            std::mem::take(&mut self.receivers).into_iter().partition(|(node, ..)| nodes.contains(node));
        self.receivers = others;
        let mine: Vec<_> = mine;
        for (node, input, receiver) in mine {
            inlets.push(Inlet { receiver, slot: self.places[&node].1, input });
        }
        let flush_interval = if opened.untimed { UNTIMED } else { pipeline.session.flush_interval };
        let mut streams: Vec<usize> = nodes.iter().flat_map(|&node| self.marks_at(opened, node)).collect();
        streams.sort_unstable();
        streams.dedup();
        let marks = streams.into_iter().map(|stream| self.marks[stream].clone()).collect();
        let last = *nodes.last().expect("a thread has at least one stage");
        (last, Worker { slots, inlets, marks, flush_interval, time: opened.time.clone() })
    }

    fn slot(&mut self, pipeline: &Pipeline, opened: &mut Opened, node: usize) -> Slot {
        let stats = opened.nodes[node].stats.clone();
        match opened.nodes[node].stage.take() {
            Some(Stage::Transform(transform)) => Slot::Transform {
                transform: Some(transform),
                lineage: Lineage::new(opened.nodes[node].inputs.len(), opened.nodes[node].outputs.len()),
                routes: std::mem::take(&mut self.routes[node]),
                stats,
            },
            Some(Stage::Sink { sink, journal }) => {
                let inputs =
                    self.sinks.iter().find(|(sink, _)| *sink == node).map(|(_, inputs)| inputs.clone());
                let inputs = inputs.expect("each sink was accounted for when it was connected");
                let accounts =
                    crate::session::Accounts { inputs: inputs.clone(), streams: self.streams.clone() };
                drop(opened.nodes[node].host.accounts.set(accounts));
                let description = &pipeline.nodes[node].factory.descriptor().description;
                let schemas: Vec<_> =
                    opened.nodes[node].inputs.iter().map(|input| input.schema.clone()).collect();
                Slot::Sink(Box::new(SinkStage::new(
                    sink,
                    journal,
                    description,
                    &schemas,
                    stats,
                    inputs,
                    opened.time.clone(),
                )))
            }
            _ => unreachable!("sources have threads of their own, and each stage is taken once"),
        }
    }

    fn feed(
        &mut self,
        pipeline: &Pipeline,
        opened: &mut Opened,
        node: usize,
        ledger: &Arc<Ledger>,
        stop: &Arc<AtomicBool>,
    ) -> Feed {
        let Some(Stage::Source(source)) = opened.nodes[node].stage.take() else {
            unreachable!("only sources come here")
        };
        let first = self.first_stream[&node];
        let routes = std::mem::take(&mut self.routes[node]).into_iter().enumerate();
        let outlets = routes.map(|(output, route)| Outlet {
            route,
            stats: self.streams[first + output].clone(),
            ledger: ledger.line(first + output),
            next_seq: 0,
        });
        let descriptor = pipeline.nodes[node].factory.descriptor();
        Feed {
            source,
            outlets: outlets.collect(),
            stats: opened.nodes[node].stats.clone(),
            time: opened.time.clone(),
            recorded: descriptor.recorded,
            runs_in_pause: descriptor.runs_in_pause,
            realtime: pipeline.session.realtime && descriptor.recorded,
            rate_hz: pipeline.nodes[node].rate_hz,
            stop: stop.clone(),
            times: FeedTimes::new(),
            ended: false,
        }
    }
}

//! Connects opened stages: who hands to whom on the same thread, who over an edge, and which losses lie on whose way.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use tapedeck_sdk::{PluginKind, StreamSchema};

use crate::counting::{Counts, keep_counts};
use crate::edge::{EdgeCounters, EdgeReceiver, edge};
use crate::feed::{Feed, FeedTimes, Outlet};
use crate::layout;
use crate::ledger::{Ledger, LossCount};
use crate::lineage::Lineage;
use crate::opening::{OpenInput, Opened, Stage};
use crate::pipeline::Pipeline;
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
    /// Where the ledger has what was lost.
    pub(crate) counts: Counts,
}

/// The most edges and stages on the ways of all inputs of sinks together.
const WAYS_MAX: usize = 4_000_000;

/// Where a stream has been: what can be lost on its way.
#[derive(Default)]
struct Way {
    origins: Vec<usize>,
    edges: Vec<Arc<EdgeCounters>>,
    stages: Vec<Arc<StageStats>>,
}

/// One place that streams pass. It knows the places above it by their numbers, which are lower, and not the whole way.
#[derive(Default)]
struct Place {
    above: Vec<usize>,
    origin: Option<usize>,
    edge: Option<Arc<EdgeCounters>>,
    stage: Option<Arc<StageStats>>,
}

/// The places that streams pass, from the sources down.
#[derive(Default)]
struct Places(Vec<Place>);

impl Places {
    fn add(&mut self, place: Place) -> usize {
        self.0.push(place);
        self.0.len() - 1
    }

    /// Everything above some places, and they themselves, from the sources down.
    fn way(&self, to: impl IntoIterator<Item = usize>) -> Way {
        let mut passed = HashSet::new();
        let mut next: Vec<usize> = to.into_iter().collect();
        while let Some(place) = next.pop() {
            if passed.insert(place) {
                next.extend(&self.0[place].above);
            }
        }
        let mut passed: Vec<usize> = passed.into_iter().collect();
        passed.sort_unstable();
        let mut way = Way::default();
        let mut stages = HashSet::new();
        for place in passed.into_iter().map(|place| &self.0[place]) {
            way.origins.extend(place.origin);
            way.edges.extend(place.edge.clone());
            // A stage is passed once for each of its outputs.
            let stage = place.stage.iter().filter(|stage| stages.insert(Arc::as_ptr(stage)));
            way.stages.extend(stage.cloned());
        }
        way
    }
}

/// Connects the stages. Takes them out of `opened`.
pub(crate) fn wire(pipeline: &Pipeline, opened: &mut Opened, stop: &Arc<AtomicBool>) -> io::Result<Wired> {
    let mut wiring = Wiring::new(pipeline, opened);
    wiring.number_streams(opened);
    let order = layout::topological(pipeline);
    for &node in &order {
        wiring.connect_inputs(opened, node)?;
    }
    wiring.connect_marks(opened);
    let (ledger, counts) = keep_counts(opened, &wiring.sinks, &wiring.first_stream, wiring.streams.len())?;
    let threads = std::mem::take(&mut wiring.threads);
    let workers = threads.into_iter().map(|nodes| wiring.worker(pipeline, opened, &nodes)).collect();
    let feeds = order.iter().filter(|&&node| pipeline.nodes[node].kind == PluginKind::Source);
    let feeds = feeds.map(|&node| (node, wiring.feed(pipeline, opened, node, &ledger, stop))).collect();
    let stages = opened.nodes.iter().map(|node| node.stats.clone()).collect();
    let parts = Parts { streams: wiring.streams.to_vec(), sinks: wiring.sinks, stages, taps: wiring.taps };
    Ok(Wired { feeds, workers, parts, counts })
}

struct Wiring {
    threads: Vec<Vec<usize>>,
    /// Thread and slot of each node below the sources.
    slots: HashMap<usize, (usize, usize)>,
    streams: Arc<[Arc<StreamStats>]>,
    /// The watermark of each stream.
    marks: Vec<Arc<Mark>>,
    /// The first stream of each source.
    first_stream: HashMap<usize, usize>,
    routes: Vec<Vec<Route>>,
    taps: Vec<(Arc<StreamSchema>, Arc<TapPoint>)>,
    /// For each thread: node and input, the place that the stream comes from, and the receiving end.
    receivers: Vec<Vec<(usize, usize, usize, EdgeReceiver)>>,
    places: Places,
    /// Where each output of each node is.
    place_of: HashMap<(usize, usize), usize>,
    sinks: Vec<(usize, Vec<Arc<InputStats>>)>,
    /// Where each sink is among the sinks.
    sink_of: HashMap<usize, usize>,
    /// How many edges and stages there are on the ways to sinks.
    passed: usize,
}

impl Wiring {
    fn new(pipeline: &Pipeline, opened: &Opened) -> Self {
        let threads = layout::threads(pipeline);
        let mut slots = HashMap::new();
        for (thread, nodes) in threads.iter().enumerate() {
            slots.extend(nodes.iter().enumerate().map(|(slot, &node)| (node, (thread, slot))));
        }
        let route = |schema: &Arc<_>| {
            let tap = Arc::default();
            Route { schema: Arc::clone(schema), tap, targets: Vec::new() }
        };
        let routes: Vec<Vec<Route>> =
            opened.nodes.iter().map(|node| node.outputs.iter().map(route).collect()).collect();
        let taps = routes.iter().flatten().map(|route| (route.schema.clone(), route.tap.clone())).collect();
        let receivers = threads.iter().map(|_| Vec::new()).collect();
        Self {
            threads,
            slots,
            streams: Arc::default(),
            marks: Vec::new(),
            first_stream: HashMap::new(),
            routes,
            taps,
            receivers,
            places: Places::default(),
            place_of: HashMap::new(),
            sinks: Vec::new(),
            sink_of: HashMap::new(),
            passed: 0,
        }
    }

    fn number_streams(&mut self, opened: &Opened) {
        let mut streams = Vec::new();
        for (index, node) in opened.nodes.iter().enumerate() {
            if !matches!(node.stage, Some(Stage::Source(_))) {
                continue;
            }
            self.first_stream.insert(index, streams.len());
            for (output, schema) in node.outputs.iter().enumerate() {
                let place = Place { origin: Some(streams.len()), ..Place::default() };
                self.place_of.insert((index, output), self.places.add(place));
                streams.push(Arc::new(StreamStats::new(schema.clone(), &node.stats.id)));
                self.marks.push(Arc::default());
            }
        }
        self.streams = streams.into();
    }

    /// Tells the watermarks where their streams end up, and the sources where they find them.
    fn connect_marks(&self, opened: &Opened) {
        let mut ends: Vec<Vec<End>> = self.marks.iter().map(|_| Vec::new()).collect();
        for (node, inputs) in &self.sinks {
            let sink = &opened.nodes[*node].stats;
            for input in inputs {
                let end = || End { input: input.clone(), sink: sink.clone() };
                input.origins.iter().for_each(|&stream| ends[stream].push(end()));
            }
        }
        for (mark, ends) in self.marks.iter().zip(ends) {
            mark.connect(ends, self.streams.clone());
        }
        for (&node, &first) in &self.first_stream {
            let marks = self.marks[first..first + opened.nodes[node].outputs.len()].to_vec();
            drop(opened.nodes[node].host.marks.set(marks));
        }
    }

    /// Connects a stage to those above it, which were connected before.
    fn connect_inputs(&mut self, opened: &Opened, node: usize) -> io::Result<()> {
        let inputs = &opened.nodes[node].inputs;
        let mut places: Vec<usize> = Vec::with_capacity(inputs.len());
        for (index, input) in inputs.iter().enumerate() {
            places.push(self.connect(node, index, input));
        }
        match opened.nodes[node].stage {
            Some(Stage::Transform(_)) => self.pass_on(opened, node, &places),
            Some(Stage::Sink { .. }) => self.account(opened, node, &places)?,
            _ => {}
        }
        Ok(())
    }

    /// Connects one input. Returns the place that its stream comes from.
    fn connect(&mut self, node: usize, index: usize, input: &OpenInput) -> usize {
        let above = self.place_of[&(input.from, input.output)];
        let (thread, slot) = self.slots[&node];
        let targets = &mut self.routes[input.from][input.output].targets;
        if self.slots.get(&input.from).is_some_and(|&(above, _)| above == thread) {
            targets.push(Target::Local { slot, input: index });
            return above;
        }
        let (sender, receiver) = edge(input.queue);
        let edge = Some(sender.counters().clone());
        let place = self.places.add(Place { above: vec![above], edge, ..Place::default() });
        targets.push(Target::Edge(sender));
        self.receivers[thread].push((node, index, place, receiver));
        place
    }

    /// A transform with as many outputs as inputs is taken to map one to one; else each output may hold of every input.
    fn pass_on(&mut self, opened: &Opened, node: usize, places: &[usize]) {
        let outputs = opened.nodes[node].outputs.len();
        let joined = (outputs != places.len())
            .then(|| self.places.add(Place { above: places.to_vec(), ..Place::default() }));
        let above: Vec<usize> = joined.map_or_else(|| places.to_vec(), |joined| vec![joined; outputs]);
        for (output, above) in above.into_iter().enumerate() {
            let above = vec![above];
            let stage = Some(opened.nodes[node].stats.clone());
            let place = self.places.add(Place { above, stage, ..Place::default() });
            self.place_of.insert((node, output), place);
        }
    }

    fn account(&mut self, opened: &Opened, node: usize, places: &[usize]) -> io::Result<()> {
        let mut inputs = Vec::with_capacity(places.len());
        for (input, &place) in opened.nodes[node].inputs.iter().zip(places) {
            let way = self.places.way([place]);
            self.passed += way.edges.len() + way.stages.len();
            if self.passed > WAYS_MAX {
                let message = format!("the ways to all sinks have more than {WAYS_MAX} stages together");
                return Err(io::Error::other(message));
            }
            inputs.push(Arc::new(InputStats {
                stream: input.schema.name().to_owned(),
                origins: way.origins,
                edges: way.edges,
                stages: way.stages,
                written: AtomicU64::new(0),
                flushed: AtomicU64::new(0),
                failed: LossCount::default(),
                refused: LossCount::default(),
                reach: Reach::default(),
            }));
        }
        self.sink_of.insert(node, self.sinks.len());
        self.sinks.push((node, inputs));
        Ok(())
    }

    fn worker(&mut self, pipeline: &Pipeline, opened: &mut Opened, nodes: &[usize]) -> (usize, Worker) {
        let slots = nodes.iter().map(|&node| self.slot(pipeline, opened, node)).collect();
        let last = *nodes.last().expect("a thread has at least one stage");
        let receivers = std::mem::take(&mut self.receivers[self.slots[&last].0]);
        // All that comes to the thread comes over its edges.
        let streams = self.places.way(receivers.iter().map(|&(_, _, place, _)| place)).origins;
        let marks = streams.into_iter().map(|stream| self.marks[stream].clone()).collect();
        let inlets = receivers.into_iter();
        let inlets = inlets
            .map(|(node, input, _, receiver)| Inlet { receiver, slot: self.slots[&node].1, input })
            .collect();
        let flush_interval = if opened.untimed { UNTIMED } else { pipeline.session.flush_interval };
        let (untimed, time) = (opened.untimed, opened.time.clone());
        (last, Worker { slots, inlets, marks, flush_interval, untimed, time })
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
                // Each sink was accounted for when it was connected.
                let inputs = self.sinks[self.sink_of[&node]].1.clone();
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

//! What the frame path may cost: heap allocations, counted by the allocator on the threads of the source and the sink.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tapedeck_engine::pipeline::{Variables, parse};
use tapedeck_engine::{Registry, RunOptions, begin};
use tapedeck_sdk::prelude::*;
use tapedeck_sdk::{Descriptor, Opener};

/// Counts allocations of the threads that asked for it.
struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

fn note() {
    if COUNTED.try_with(Cell::get).unwrap_or(false) {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
}

#[expect(unsafe_code, reason = "an allocator is unsafe to be one")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: as the caller promised.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations so far, at each frame that the source is asked for.
static AT_FRAME: Mutex<Vec<u64>> = Mutex::new(Vec::new());

/// A source whose thread is counted, and that takes notes.
struct CountedSource(Box<dyn Source>);

impl Source for CountedSource {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        self.0.streams()
    }

    fn next(&mut self, deadline: Timestamp) -> Result<Next, Error> {
        COUNTED.set(false);
        AT_FRAME.lock().unwrap().push(COUNT.load(Ordering::Relaxed));
        COUNTED.set(true);
        self.0.next(deadline)
    }
}

/// A sink whose thread is counted.
struct CountedSink(Box<dyn Sink>);

impl Sink for CountedSink {
    fn write(&mut self, input: usize, batch: Batch) -> Result<Written, Error> {
        COUNTED.set(true);
        self.0.write(input, batch)
    }

    fn flush(&mut self) -> Result<Written, Error> {
        self.0.flush()
    }

    fn finish(self: Box<Self>) -> Result<Written, Error> {
        COUNTED.set(false);
        self.0.finish()
    }
}

fn counted(inner: Factory) -> Factory {
    let inner = Arc::new(inner);
    let descriptor: Descriptor = inner.descriptor().clone();
    let opening = inner.clone();
    let opener = match inner.opener() {
        Opener::Source(_) => Opener::Source(Box::new(move |options, context| {
            let Opener::Source(open) = opening.opener() else { unreachable!() };
            Ok(Box::new(CountedSource(open(options, context)?)) as Box<dyn Source>)
        })),
        Opener::Sink(_) => Opener::Sink(Box::new(move |options, inputs, context| {
            let Opener::Sink(open) = opening.opener() else { unreachable!() };
            Ok(Box::new(CountedSink(open(options, inputs, context)?)) as Box<dyn Sink>)
        })),
        Opener::Transform(_) => unreachable!("no transform is counted"),
    };
    Factory::from_parts(descriptor, Box::new(move |options| inner.check(options)), opener).unwrap()
}

/// Records 1,000 variables of this very process, 400 frames; returns allocations a frame over the last 300.
fn allocations_per_frame(sink: Factory, name: &str) -> f64 {
    let variables: Vec<u64> = (0..1000).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut text = format!(
        "[session]\nduration = \"2s\"\nflush_interval = \"1h\"\ndisk_free_min = \"0B\"\njournal = \"off\"\n[sources.me]\nplugin = \"memory\"\nrate = 200\npid = {}\n[sinks.x]\nplugin = \"{name}\"\ninputs = [\"me\"]\n",
        std::process::id()
    );
    for (index, variable) in variables.iter().enumerate() {
        let address = std::ptr::from_ref(variable).addr();
        text.push_str(&format!("[sources.me.attributes.v{index}]\naddress = {address}\ntype = \"u64\"\n"));
    }
    let registry = Registry::new([counted(tapedeck_memory::factory()), counted(sink)]);
    let pipeline = parse("test.toml", &text, &Variables::none(), &registry).unwrap_or_else(|d| panic!("{d}"));
    let options = RunOptions { directory: Some(folder.path().to_owned()), ..RunOptions::default() };
    AT_FRAME.lock().unwrap().clear();
    let session = begin(pipeline, &registry, &options).unwrap_or_else(|error| panic!("{error:?}"));
    let report = session.wait(Duration::from_secs(10), |_| {}).unwrap();
    assert_eq!(report.loss.failed + report.loss.dropped, 0, "{report:?}");
    let at_frame = AT_FRAME.lock().unwrap().clone();
    assert!(at_frame.len() > 150, "{} frames", at_frame.len());
    let (first, last) = (at_frame[50], at_frame[at_frame.len() - 1]);
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let per_frame = (last - first) as f64 / (at_frame.len() - 51) as f64;
    per_frame
}

#[test]
fn a_frame_of_a_thousand_attributes_costs_at_most_two_allocations() {
    // One test, one after the other: the counter is one for all.
    for (name, factory) in [
        ("null", tapedeck_null::factory as fn() -> Factory),
        ("arrow", tapedeck_arrow::factory),
        ("hdf5", tapedeck_hdf5::factory),
        ("parquet", tapedeck_parquet::factory),
    ] {
        let per_frame = allocations_per_frame(factory(), name);
        assert!(per_frame <= 2.0, "{name}: {per_frame} allocations a frame");
        assert!(per_frame > 0.0, "{name}: nothing was counted");
    }
}

//! What it costs to let a stream be listened to: nothing while nobody does, and no frame when twenty do who are slow.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use rustix::thread::ClockId;
use rustix::time::clock_gettime;
use tapedeck_engine::tap::TapPoint;
use tapedeck_engine::{RunOptions, begin};
use tapedeck_sdk::{Batch, BatchPool, DataType, Kind, StreamSchema, Timestamp};

use super::arrivals::Arrivals;
use super::{f64_of, registry};
use crate::engine::{folder, parsed};
use crate::{Figure, median};

const OFFERS: i64 = 10_000_000;
const RUNS: usize = 15;
const LISTENERS: usize = 20;
/// How many batches wait for a listener, which looks once in `LOOK`: most batches give way.
const WAITING_MAX: usize = 4;
const LOOK: Duration = Duration::from_millis(500);
/// A rate without loss is the best of some tries.
const TRIES: usize = 3;
const PIPELINE: &str = "[sources.made]\nplugin = \"synthetic\"\nrate = 60\ncolumns = 1000\ncount = 600\n\
    [sinks.rows]\nplugin = \"arrow\"\ninputs = [\"made\"]\n";

fn batch() -> Batch {
    let schema = StreamSchema::builder("s", Kind::Attributes).field("c", DataType::Float64);
    let mut pool = BatchPool::new(schema.build().expect("the names differ"));
    let mut builder = pool.builder(1);
    builder.push_row(Timestamp(1));
    builder.finish()
}

/// Nanoseconds of this thread's own processor time that one pass of a loop takes: others on the processor do not count.
fn nanos(mut each: impl FnMut()) -> f64 {
    let used = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        f64_of(time.tv_sec * 1_000_000_000 + time.tv_nsec)
    };
    let begun = used();
    for _ in 0..OFFERS {
        each();
    }
    (used() - begun) / f64_of(OFFERS)
}

/// What an offer that nobody hears costs, without the loop around it.
fn unheard() -> Figure {
    let (point, batch) = (Arc::new(TapPoint::default()), batch());
    let turn = || {
        let bare = nanos(|| _ = black_box(&batch));
        nanos(|| black_box(&point).offer(black_box(&batch))) - bare
    };
    let cost = median((0..RUNS).map(|_| turn()).collect());
    let title = "tap with nobody listening, a batch";
    Figure::new(title, format!("{cost:.2} ns"), "<= 2 ns", cost <= 2.0)
}

/// Late and dropped frames of a recording that so many listen to, and the batches that the slowest of them missed.
fn listened_to(listeners: usize) -> (u64, u64, usize) {
    let (folder, registry) = (folder(), registry(&Arrivals::default()));
    let options = RunOptions { directory: Some(folder.path().to_owned()), ..RunOptions::default() };
    let session =
        begin(parsed(&registry, PIPELINE), &registry, &options).unwrap_or_else(|error| panic!("{error:?}"));
    let watch = session.watch();
    let missed = std::thread::scope(|scope| {
        let listen = |_| {
            let tap = watch.tap("made", WAITING_MAX).expect("the stream is there");
            let watch = watch.clone();
            scope.spawn(move || {
                // It holds what it has heard until it looks again.
                let mut _held = None;
                while watch.wait_for(LOOK).is_none() {
                    _held = tap.newest();
                }
                tap.missed()
            })
        };
        let threads: Vec<_> = (0..listeners).map(listen).collect();
        session.wait(Duration::from_secs(3600), |_| {}).expect("the manifest can be written");
        threads.into_iter().map(|thread| thread.join().expect("it only listens")).max().unwrap_or(0)
    });
    let report = watch.report().expect("it has ended").expect("the manifest was written");
    assert!(report.loss.failed == 0, "{report:?}");
    (report.loss.late, report.loss.dropped, missed)
}

/// The figures.
pub(super) fn measure() -> Vec<Figure> {
    let (late_alone, ..) = listened_to(0);
    let tries = (0..TRIES).map(|_| listened_to(LISTENERS));
    let best = tries.min_by_key(|(late, dropped, _)| late + dropped);
    let (late, dropped, missed) = best.expect("there are tries");
    let measured = format!(
        "{late} late, {dropped} dropped ({late_alone} late with nobody listening; the slowest missed {missed} batches, which is no loss)"
    );
    let title = format!("{LISTENERS} slow listeners, 60 Hz of 1,000 attributes, 10 s");
    vec![unheard(), Figure::new(title, measured, "0 late, 0 dropped", late + dropped == 0)]
}

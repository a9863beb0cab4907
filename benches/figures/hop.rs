//! What an edge adds to the channel it stands on: send and receive of one row, against the same of a bare pointer.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use tapedeck_engine::edge::edge;
use tapedeck_engine::pipeline::QueueConfig;
use tapedeck_sdk::{Batch, BatchPool, DataType, Kind, StreamSchema, Timestamp};

use crate::engine::to_f64;
use crate::{Figure, median};

const HOPS: u64 = 200_000;
const RUNS: usize = 15;

fn batch(columns: usize) -> Batch {
    let mut schema = StreamSchema::builder("s", Kind::Attributes);
    for column in 0..columns {
        schema = schema.field(&format!("c{column}"), DataType::Float64);
    }
    let mut pool = BatchPool::new(schema.build().expect("the names differ"));
    let mut builder = pool.builder(1);
    builder.push_row(Timestamp(1));
    builder.finish()
}

/// Nanoseconds a hop over an edge. The batch goes round and round: making one is not part of a hop.
fn over_edge(batch: &Batch) -> f64 {
    let (mut sender, receiver) = edge(QueueConfig::default());
    let mut batch = Some(batch.clone());
    let begin = Instant::now();
    for _ in 0..HOPS {
        sender.send(batch.take().expect("it came back"));
        batch = receiver.recv_timeout(Duration::ZERO).ok();
    }
    to_f64(u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX)) / to_f64(HOPS)
}

/// Nanoseconds a hop of a pointer over a bare channel.
fn over_channel() -> f64 {
    let (sender, receiver) = bounded(QueueConfig::default().frames);
    let mut pointer = Some(Arc::new(1_u64));
    let begin = Instant::now();
    for _ in 0..HOPS {
        sender.send(pointer.take().expect("it came back")).expect("the other end is open");
        pointer = black_box(receiver.recv().ok());
    }
    to_f64(u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX)) / to_f64(HOPS)
}

/// The figures.
pub(crate) fn measure() -> Vec<Figure> {
    let figure = |columns: usize| {
        let batch = batch(columns);
        let runs: Vec<(f64, f64)> = (0..RUNS).map(|_| (over_channel(), over_edge(&batch))).collect();
        let ratio = median(runs.iter().map(|(bare, ours)| ours / bare).collect());
        let [bare, ours] = [0, 1]
            .map(|which| median(runs.iter().map(|run| if which == 0 { run.0 } else { run.1 }).collect()));
        let measured = format!("{ratio:.2} x ({ours:.0} ns against {bare:.0} ns)");
        Figure::new(
            format!("edge hop, one row of {columns} attributes, against a bare channel"),
            measured,
            "<= 1.3 x",
            ratio <= 1.3,
        )
    };
    vec![figure(10), figure(1000)]
}

//! What it costs to get a batch into a component and back out, in three shapes: as a slab in a `list<u8>`, as Arrow IPC in a `list<u8>`,
//! and as typed lists of columns. The figures stand in `sdk/wit/README.md`; this makes them again. Knows nothing of plugins or the door.
//!
//! ```text
//! cargo bench -p tapedeck-wasm --bench crossing
//! ```
//!
//! The guests touch no value: they hand on what they were given. Arrow IPC is encoded and decoded natively on both sides, which a guest
//! could only do more slowly.

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench reads the clock and prints")]

mod arrow;
mod guest;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tapedeck_sdk::{Batch, BatchPool, DataType, Kind, SchemaBuilder, StreamSchema, Timestamp};

/// How many rounds there are; what is reported is the median over them.
const ROUNDS: usize = 31;
/// About how long one shape is measured in a round.
const TURN: Duration = Duration::from_millis(10);
/// Rows and columns of `f64`.
const SHAPES: [(usize, usize); 4] = [(1, 10), (1, 1000), (60, 100), (4096, 10)];

/// A batch of `rows` frames of `columns` values.
fn batch(rows: usize, columns: usize) -> Batch {
    let builder = StreamSchema::builder("game", Kind::Attributes);
    let add = |builder: SchemaBuilder, column| builder.field(&format!("value_{column}"), DataType::Float64);
    let schema: Arc<StreamSchema> = (0..columns).fold(builder, add).build().expect("the names differ");
    let mut pool = BatchPool::new(schema);
    let mut builder = pool.builder(rows);
    builder.push_rows(rows);
    builder.timestamps_mut().fill(1_700_000_000_000_000_000);
    (0..columns).for_each(|column| builder.column_mut::<f64>(column).fill(1.5));
    let mut batch = builder.finish();
    batch.stamp(0, Timestamp(0));
    batch
}

/// Nanoseconds a call, over as many calls as fit into the turn.
#[expect(clippy::cast_precision_loss, reason = "a turn is far shorter than 2^53 ns")]
fn turn(call: &mut dyn FnMut()) -> f64 {
    let begun = Instant::now();
    call();
    let calls = (TURN.as_nanos() / begun.elapsed().as_nanos().max(1)).clamp(10, 100_000);
    let begun = Instant::now();
    (0..calls).for_each(|_| call());
    begun.elapsed().as_nanos() as f64 / calls as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Microseconds for each way: slab, Arrow IPC, typed lists; then the share of Arrow IPC that one crossing there and back is.
fn measured(rows: usize, columns: usize) -> [f64; 4] {
    // Lent to the guests for as long as the program runs.
    let batch: &'static Batch = Box::leak(Box::new(batch(rows, columns)));
    let mut ipc = arrow::Ipc::new(batch);
    let message: &'static [u8] = ipc.message(batch).leak();
    let (mut slab, mut messages, mut typed) =
        (guest::Bytes::<&[u8]>::new(), guest::Bytes::<Vec<u8>>::new(), guest::Lists::new(batch));
    assert_eq!(slab.cross(batch.as_bytes()), batch.as_bytes());
    assert_eq!(&typed.cross(), batch);
    let mut times: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        times[0].push(turn(&mut || {
            black_box(
                Batch::from_bytes(batch.schema().clone(), slab.cross(batch.as_bytes())).expect("whole"),
            );
        }));
        times[1].push(turn(&mut || {
            // Ours to the guest, which decodes and encodes it, and back.
            let there = ipc.message(batch);
            let inside = ipc.decoded(&there);
            let back = ipc.encoded(&inside);
            black_box(ipc.decoded(messages.cross(back)));
        }));
        times[2].push(turn(&mut || {
            black_box(typed.cross());
        }));
        times[3].push(turn(&mut || {
            black_box(slab.cross(message));
        }));
    }
    times.map(|times| median(times) / 1000.0)
}

fn main() {
    println!(
        "| rows x columns | slab, us | Arrow IPC, us | of it the crossing, us | typed lists, us | IPC / slab | lists / slab |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (rows, columns) in SHAPES {
        let [slab, ipc, lists, crossing] = measured(rows, columns);
        println!(
            "| {rows} x {columns} | {slab:.2} | {ipc:.1} | {crossing:.2} | {lists:.2} | {:.1} | {:.1} |",
            ipc / slab,
            lists / slab
        );
    }
}

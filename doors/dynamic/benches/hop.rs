//! What the dynamic door costs a batch: the same transform built in and through the library, in one process, taking turns. It must not
//! cost more than 100 ns, whatever the width.
//!
//! ```text
//! cargo build --release -p tapedeck-dynamic --examples && cargo bench -p tapedeck-dynamic
//! ```

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench reads the clock and prints")]

#[path = "../examples/gain/plugin.rs"]
mod plugin;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use tapedeck_sdk::testing::FakeHost;
use tapedeck_sdk::{
    Batch, BatchPool, DataType, Factory, Kind, Opener, Outputs, SchemaBuilder, StreamSchema, Timestamp,
    Transform,
};

/// How many rounds there are. Each opens both sides anew: where memory happens to lie moves a copy of 80 kB by hundreds of nanoseconds.
const ROUNDS: usize = 101;
/// How many turns each side has in a round. What is reported is the median over the rounds of the medians over the turns.
const TURNS: usize = 9;
/// About how long a turn takes.
const TURN: Duration = Duration::from_micros(300);
/// What the door may cost, in nanoseconds.
const BUDGET_NS: f64 = 100.0;

/// Takes what comes out as a stage below would: drops it.
struct Dropped;

impl Outputs for Dropped {
    fn push(&mut self, _output: usize, batch: Batch) {
        drop(std::hint::black_box(batch));
    }
}

/// `rows` frames of `columns` values.
fn batch(rows: usize, columns: usize) -> Batch {
    let builder = StreamSchema::builder("game", Kind::Attributes);
    let add = |builder: SchemaBuilder, column| builder.field(&format!("value_{column}"), DataType::Float64);
    let schema = (0..columns).fold(builder, add).build().expect("the names differ");
    let mut pool = BatchPool::new(schema);
    let mut builder = pool.builder(rows);
    builder.push_rows(rows);
    builder.timestamps_mut().fill(Timestamp::UNSET.0);
    (0..columns).for_each(|column| builder.column_mut::<f64>(column).fill(1.5));
    builder.finish()
}

fn open(factory: &Factory, gain: f64, batch: &Batch) -> Box<dyn Transform> {
    let Opener::Transform(open) = factory.opener() else { panic!("it is a transform") };
    let host = FakeHost::new(Path::new("."));
    let mut transform = open(&json!({ "gain": gain }), host.context("gain")).expect("it opens");
    transform.streams(std::slice::from_ref(batch.schema())).expect("it takes attributes");
    transform
}

/// Nanoseconds a call, over so many calls.
#[expect(clippy::cast_precision_loss, reason = "a turn is far shorter than 2^53 ns")]
fn turn(transform: &mut dyn Transform, batch: &Batch, calls: u32) -> f64 {
    let begun = Instant::now();
    for _ in 0..calls {
        transform.process(0, batch.clone(), &mut Dropped).expect("it takes the batch");
    }
    begun.elapsed().as_nanos() as f64 / f64::from(calls)
}

/// The built-in transform's time, the library's, and the difference turn by turn.
type Times = [f64; 3];

fn medians(times: &[Times]) -> Times {
    [0, 1, 2].map(|side| {
        let mut values: Vec<f64> = times.iter().map(|times| times[side]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    })
}

/// One round: both sides are opened, then take turns.
fn round(number: usize, sides: [&Factory; 2], gain: f64, shape: (usize, usize)) -> Times {
    // Something in the way, of another size each time, so that a lucky place is nobody's for long.
    let _spacers = [number, number * 7 % 64].map(|pages| std::hint::black_box(vec![1_u8; pages * 4160 + 64]));
    let batch = batch(shape.0, shape.1);
    let [mut own, mut library] = sides.map(|factory| open(factory, gain, &batch));
    // Memory is taken in the first call: in one round out of two by the library first.
    let mut warm = [0.0_f64; 2];
    for side in [number % 2, (number + 1) % 2] {
        warm[side] = turn(if side == 0 { own.as_mut() } else { library.as_mut() }, &batch, 100);
    }
    let warm = warm[0].max(warm[1]);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    let calls = (TURN.as_secs_f64() * 1e9 / warm).clamp(10.0, 1e6) as u32;
    let turns = (0..TURNS).map(|number| {
        // Who goes first takes turns too.
        let (built_in, through) = if number % 2 == 0 {
            let first = turn(own.as_mut(), &batch, calls);
            (first, turn(library.as_mut(), &batch, calls))
        } else {
            let first = turn(library.as_mut(), &batch, calls);
            (turn(own.as_mut(), &batch, calls), first)
        };
        [built_in, through, through - built_in]
    });
    medians(&turns.collect::<Vec<_>>())
}

fn library() -> PathBuf {
    let bench = std::env::current_exe().expect("the bench knows where it is");
    let folder = bench.ancestors().nth(2).expect("benches lie in `deps`");
    let library = folder.join("examples").join(format!(
        "{}gain{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    ));
    assert!(library.exists(), "first: cargo build --release -p tapedeck-dynamic --examples");
    library
}

/// The medians over all rounds.
fn measured(sides: [&Factory; 2], gain: f64, shape: (usize, usize)) -> Times {
    medians(&(0..ROUNDS).map(|number| round(number, sides, gain, shape)).collect::<Vec<_>>())
}

fn main() {
    let own = Factory::transform::<plugin::Gain>();
    let library = tapedeck_dynamic::load(&library()).expect("it is a plugin");
    println!(
        "| rows x columns | transform | built in, ns | library, ns | door, ns | built in against itself, ns | |"
    );
    println!("|---|---|---|---|---|---|---|");
    for shape in [(1, 10), (1, 1000), (4096, 10)] {
        for (name, gain) in [("pass-through", 1.0), ("multiplies", 2.0)] {
            // What the same comparison says where there is no door: so much is noise.
            let [_, _, noise] = measured([&own, &own], gain, shape);
            let [built_in, through, door] = measured([&own, &library], gain, shape);
            let kept = if door <= BUDGET_NS { "kept" } else { "OVER" };
            let (rows, columns) = shape;
            println!(
                "| {rows} x {columns} | {name} | {built_in:.0} | {through:.0} | {door:+.0} | {noise:+.0} | {kept} |"
            );
        }
    }
}

//! What the doors cost: one transform built in, as a dynamic library and as a component, in one process and taking turns; a chain of
//! components at 60 Hz; a start with compiled code on disk; the memory of an idle instance.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tapedeck_sdk::testing::FakeHost;
use tapedeck_sdk::{
    Batch, BatchPool, DataType, Factory, Kind, Opener, Outputs, SchemaBuilder, StreamSchema, Timestamp,
    Transform,
};
use tapedeck_wasm::{StartThread, WasmDoor};

use crate::engine::{folder, to_f64};
use crate::{Figure, median};

#[expect(clippy::unwrap_used, reason = "shared with the tests")]
#[path = "../../tests/guest.rs"]
mod guest;
#[path = "../../sdk/examples/scale/plugin.rs"]
mod scale;

/// How many rounds there are. Each opens all sides anew: where memory happens to lie moves a copy of 80 kB by hundreds of nanoseconds.
const ROUNDS: usize = 41;
/// How many turns each side has in a round. What is reported is the median over the rounds of the medians over the turns.
const TURNS: usize = 9;
/// About how long a turn takes.
const TURN: Duration = Duration::from_micros(300);
/// Instances that are opened to see how much memory one takes.
const INSTANCES: u32 = 50;
/// How long the chain runs.
const CHAIN_SECONDS: u64 = 10;
/// A frame of 60 a second, in microseconds.
const FRAME_US: f64 = 1e6 / 60.0;

/// Takes what comes out as a stage below would: drops it.
struct Dropped;

impl Outputs for Dropped {
    fn push(&mut self, _output: usize, batch: Batch) {
        drop(black_box(batch));
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
    (0..columns).for_each(|column| builder.column_mut::<f64>(column).fill(1.5));
    let mut batch = builder.finish();
    batch.stamp(0, Timestamp(0));
    batch
}

fn open(factory: &Factory, gain: f64, batch: &Batch) -> Box<dyn Transform> {
    let Opener::Transform(open) = factory.opener() else { panic!("it is a transform") };
    let host = FakeHost::new(Path::new("."));
    let mut transform = open(&json!({ "gain": gain }), host.context("scale")).expect("it opens");
    transform.streams(std::slice::from_ref(batch.schema())).expect("it takes attributes");
    transform
}

/// Nanoseconds a call, over so many calls.
fn turn(transform: &mut dyn Transform, batch: &Batch, calls: u32) -> f64 {
    let begun = Instant::now();
    for _ in 0..calls {
        transform.process(0, batch.clone(), &mut Dropped).expect("it takes the batch");
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
}

/// The transform through each door.
struct Sides([Factory; 3]);

/// Nanoseconds: built in, library, component; then library less built in, turn by turn.
type Times = [f64; 4];

fn medians(times: &[Times]) -> Times {
    [0, 1, 2, 3].map(|side| median(times.iter().map(|times| times[side]).collect()))
}

impl Sides {
    fn new(door: &WasmDoor) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_tapedeck"));
        let library = program.with_file_name("examples").join("libscale.so");
        assert!(library.exists(), "first: cargo build --release -p tapedeck-sdk --examples");
        let library = tapedeck_dynamic::load(&library).expect("it is a plugin");
        let component = door.load(&guest::guest("scale")).expect("it is a plugin");
        Self([Factory::transform::<scale::Scale>(), library, component])
    }

    /// One round: all sides are opened, then take turns.
    fn round(&self, number: usize, gain: f64, batch: &Batch) -> Times {
        // Something in the way, of another size each time, so that a lucky place is nobody's for long.
        let _spacers = [number, number * 7 % 64].map(|pages| black_box(vec![1_u8; pages * 4160 + 64]));
        let mut sides = self.0.each_ref().map(|factory| open(factory, gain, batch));
        let mut calls = [0_u32; 3];
        for offset in 0..3 {
            // Memory is taken in the first calls: each side is first in one round out of three.
            let side = (number + offset) % 3;
            let warm = turn(sides[side].as_mut(), batch, 100);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
            let fitting = (TURN.as_secs_f64() * 1e9 / warm).clamp(10.0, 1e6) as u32;
            calls[side] = fitting;
        }
        let turns = (0..TURNS).map(|number| {
            let mut times = [0.0; 4];
            for offset in 0..3 {
                let side = (number + offset) % 3;
                times[side] = turn(sides[side].as_mut(), batch, calls[side]);
            }
            times[3] = times[1] - times[0];
            times
        });
        medians(&turns.collect::<Vec<_>>())
    }

    fn measured(&self, gain: f64, rows: usize, columns: usize) -> Times {
        let batch = batch(rows, columns);
        medians(&(0..ROUNDS).map(|number| self.round(number, gain, &batch)).collect::<Vec<_>>())
    }

    /// The figures of one shape.
    fn figures(&self, gain: f64, rows: usize, columns: usize) -> Vec<Figure> {
        let [built_in, dynamic, component, difference] = self.measured(gain, rows, columns);
        let what = if gain == 1.0 { "pass-through" } else { "multiplies" };
        let name = format!("{rows} x {columns} f64, {what}, built in {built_in:.0} ns");
        let (wanted, reached) = match (rows, columns, gain == 1.0) {
            (1, 10, true) => ("<= 1 us", component <= 1000.0),
            (1, 1000, true) => ("<= 4 us", component <= 4000.0),
            (4096, 10, false) => ("<= 1.5 x", component <= 1.5 * built_in),
            _ => ("no limit", true),
        };
        vec![
            Figure::new(
                format!("{name}: dynamic"),
                format!("{dynamic:.0} ns, {difference:+.0} ns"),
                "<= built in + 100 ns",
                difference <= 100.0,
            ),
            Figure::new(
                format!("{name}: wasm"),
                format!("{component:.0} ns, {:.2} x", component / built_in),
                wanted,
                reached,
            ),
        ]
    }
}

/// What three components in a row take of a frame: as calls in this process, and as a run of the program.
fn chain(sides: &Sides) -> Vec<Figure> {
    let [_, _, component, _] = sides.measured(1.01, 1, 100);
    let share = 100.0 * 3.0 * component / 1e3 / FRAME_US;
    let chained = run_chain(&["a", "b", "c"]);
    let bare = run_chain(&[]);
    let count = |name: &str| chained["loss"][name].as_u64().unwrap_or(u64::MAX);
    let (late, dropped, failed) = (count("late"), count("dropped"), count("failed"));
    let cpu =
        |report: &Value| 100.0 * report["cpu_seconds"].as_f64().unwrap_or(f64::NAN) / to_f64(CHAIN_SECONDS);
    vec![
        Figure::new(
            format!("60 Hz x 100 attributes through three components, {CHAIN_SECONDS} s"),
            format!(
                "{} frames, {late} late, {dropped} dropped, {failed} failed",
                chained["streams"][0]["frames"]
            ),
            "0 late, 0 dropped",
            [late, dropped, failed] == [0; 3],
        ),
        Figure::new(
            "  all three calls against a frame of 16.67 ms",
            format!("{share:.3} %"),
            "<= 1 %",
            share <= 1.0,
        ),
        Figure::new(
            "  the whole process, compiled code loaded and the ticker included",
            format!("{:.2} % of a core; without the components {:.2} %", cpu(&chained), cpu(&bare)),
            "no limit",
            true,
        ),
    ]
}

/// Runs the program with the components in a row; returns its report.
fn run_chain(ids: &[&str]) -> Value {
    let folder = folder();
    let component = guest::guest("scale");
    let mut text = "[sources.made]\nplugin = \"synthetic\"\nrate = 60\ncolumns = 100\n".to_owned();
    let mut input = "made";
    for id in ids {
        text.push_str(&format!(
            "[transforms.{id}]\nplugin = \"{}\"\ninputs = [\"{input}\"]\ngain = 1.01\n",
            component.display()
        ));
        input = id;
    }
    text.push_str(&format!("[sinks.out]\nplugin = \"null\"\ninputs = [\"{input}\"]\n"));
    std::fs::write(folder.path().join("p.toml"), text).expect("the folder can be written");
    let output = Command::new(env!("CARGO_BIN_EXE_tapedeck"))
        .args(["run", "p.toml", "--duration", &format!("{CHAIN_SECONDS}s"), "--session", "s", "--json"])
        .current_dir(folder.path())
        .env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("figures-cache"))
        .output()
        .expect("the program can be started");
    let text = String::from_utf8_lossy(&output.stdout);
    let last: Value = text
        .lines()
        .last()
        .and_then(|line| serde_json::from_str(line).ok())
        .unwrap_or_else(|| panic!("there is no report: {output:?}"));
    last["report"].clone()
}

/// A door with its compiled code under this folder.
fn door(cache: &Path) -> WasmDoor {
    let begun = Instant::now();
    let start_thread: StartThread = |_, run| std::thread::Builder::new().spawn(run).map(drop);
    WasmDoor::new(Some(cache.to_owned()), start_thread, Arc::new(move || Timestamp(0) + begun.elapsed()))
        .expect("this machine runs WASM")
}

/// Milliseconds until a plugin is loaded, its compiled code being on disk.
fn start(cache: &Path) -> Figure {
    let component = guest::guest("scale");
    let load = || {
        // A new door each time: nothing is left over but the files.
        let door = door(cache);
        let begun = Instant::now();
        black_box(door.load(&component).expect("it is a plugin"));
        begun.elapsed().as_secs_f64() * 1e3
    };
    let cold = load();
    let warm = median((0..21).map(|_| load()).collect());
    let measured = format!("{warm:.2} ms (the first time, compiling if need be: {cold:.0} ms)");
    Figure::new("loading a component with compiled code on disk", measured, "<= 5 ms", warm <= 5.0)
}

/// Resident memory of this process, in bytes.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux has it");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("it is a number");
    to_f64(kib * 1024)
}

/// Megabytes that an opened instance takes which has taken one batch.
fn memory(door: &WasmDoor) -> Figure {
    let factory = door.load(&guest::guest("scale")).expect("it is a plugin");
    let batch = batch(1, 10);
    let instance = || {
        let mut instance = open(&factory, 2.0, &batch);
        instance.process(0, batch.clone(), &mut Dropped).expect("it takes the batch");
        instance
    };
    // What all of them share is there before.
    let first = instance();
    let before = resident();
    let others: Vec<_> = (0..INSTANCES).map(|_| instance()).collect();
    let each = (resident() - before) / f64::from(INSTANCES) / 1e6;
    drop((first, others));
    Figure::new("an idle instance of a small component", format!("{each:.2} MB"), "<= 4 MB", each <= 4.0)
}

/// The figures.
pub(crate) fn measure() -> Vec<Figure> {
    let cache = folder();
    let start = start(cache.path());
    let door = door(cache.path());
    let memory = memory(&door);
    let sides = Sides::new(&door);
    let mut figures = Vec::new();
    for (rows, columns) in [(1, 10), (1, 1000), (60, 100), (4096, 10)] {
        for gain in [1.0, 2.0] {
            figures.extend(sides.figures(gain, rows, columns));
        }
    }
    figures.extend(chain(&sides));
    figures.extend([start, memory]);
    figures
}

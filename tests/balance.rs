//! Sessions that end badly, at random: killed, on a disk that fills up, with queues that drop, or all of that at once. After `recover` the
//! numbers balance, by a program that counts the rows itself with pyarrow and h5py. Each run is made from its number alone.
//!
//! `TAPEDECK_BALANCE_RUNS=0..100` in the environment has more of them than the suite.

use std::fmt::Write;
use std::ops::Range;
use std::path::Path;

use serde_json::Value;

use crate::disk::on_small_disk;
use crate::util::{Dir, python};

const RUNS: Range<u64> = 0..6;
/// Two at a time: the machine may be small.
const LANES: u64 = 2;
const FORMATS: [&str; 5] = ["hdf5", "parquet", "arrow", "csv", "jsonl"];
const POLICIES: [&str; 3] = ["block", "drop_newest", "drop_oldest"];
/// A disk that is not to fill up.
const LARGE_MIB: u64 = 1024;

/// Numbers that look like chance, the same in each run (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

/// How a session is made and ended.
#[derive(Debug)]
struct Plan {
    pipeline: String,
    disk_mib: u64,
    signal: &'static str,
    after_ms: u64,
}

impl Plan {
    /// One in three is killed on a good disk, one in three has a small disk, one in three drops; the rest is chance.
    fn of(run: u64) -> Self {
        let mut dice = Dice(run);
        let (small, drops) = (run % 3 == 1, run % 3 == 2);
        let mut pipeline = format!(
            "[session]\ndirectory = \"disk\"\nflush_interval = \"{}ms\"\ndisk_free_min = \"0B\"\n",
            dice.one_of(&[50, 100, 300])
        );
        let sources = 1 + dice.below(2);
        for source in 0..sources {
            let speed = match (drops, small) {
                // As fast as its sinks take it.
                (true, _) => "batch_rows = 16\ncolumns = 32".to_owned(),
                (_, true) => "rate = 500\nbatch_rows = 16\ncolumns = 32".to_owned(),
                _ => format!("rate = {}\ncolumns = 6", dice.one_of(&[50, 200, 1000])),
            };
            writeln!(pipeline, "[sources.s{source}]\nplugin = \"synthetic\"\n{speed}").unwrap();
        }
        for sink in 0..1 + dice.below(3) {
            let first = dice.below(sources);
            let last = first + dice.below(sources - first) + 1;
            let inputs: Vec<String> = (first..last)
                .map(|source| {
                    let policy = if drops { dice.one_of(&POLICIES[1..]) } else { dice.one_of(&POLICIES) };
                    let frames = if drops { 32 << dice.below(3) } else { 4096 };
                    format!("{{ from = \"s{source}\", queue = {{ frames = {frames}, when_full = \"{policy}\" }} }}")
                })
                .collect();
            let (plugin, inputs) = (dice.one_of(&FORMATS), inputs.join(", "));
            writeln!(pipeline, "[sinks.k{sink}]\nplugin = \"{plugin}\"\ninputs = [{inputs}]").unwrap();
        }
        let disk_mib = if small { 3 + dice.below(4) } else { LARGE_MIB };
        let signal = if small || drops { dice.one_of(&["KILL", "INT"]) } else { "KILL" };
        let after_ms = if small { 1500 + dice.below(1500) } else { 200 + dice.below(900) };
        Self { pipeline, disk_mib, signal, after_ms }
    }
}

/// Makes a session, ends it, recovers it, and has it counted.
fn counted(run: u64) -> Value {
    let (dir, plan) = (Dir::new(), Plan::of(run));
    dir.write("pipeline.toml", &plan.pipeline);
    let script = format!(
        "$TAPEDECK run pipeline.toml --session s --json > report & pid=$!\n\
         while kill -0 $pid && ! [ -e disk/s/session.json ]; do sleep 0.01; done\n\
         sleep {}e-3; kill -{} $pid || true; wait $pid || true\n\
         mount -o remount,size={LARGE_MIB}m disk; cp disk/s/session.json left.json\n\
         $TAPEDECK recover disk/s --json > recovered || true\n\
         cp disk/s/session.json once.json; $TAPEDECK recover disk/s > again || true\n\
         cmp once.json disk/s/session.json; cp -r disk/s kept",
        plan.after_ms, plan.signal
    );
    on_small_disk(&dir, &format!("{}m", plan.disk_mib), &script);
    let (session, report) = (dir.path("kept"), dir.path("report"));
    let (left, recovered) = (dir.path("left.json"), dir.path("recovered"));
    let [run_option, recovered_option] = ["--run", "--recovered"].map(Path::new);
    let arguments = [&session, run_option, &report, &left, recovered_option, &recovered];
    let counted = python("balance.py", &arguments);
    assert_eq!(counted["wrong"], serde_json::json!([]), "run {run}: {plan:?}");
    counted
}

fn runs() -> Range<u64> {
    let Ok(text) = std::env::var("TAPEDECK_BALANCE_RUNS") else { return RUNS };
    let (from, to) = text.split_once("..").expect("TAPEDECK_BALANCE_RUNS is like 0..100");
    from.parse().unwrap()..to.parse().unwrap()
}

#[test]
fn after_any_end_given_is_written_dropped_and_failed_in_manifest_report_and_files() {
    let runs = runs();
    let lane = |lane: u64| {
        let mine = runs.clone().filter(move |run| run % LANES == lane);
        mine.map(counted).collect::<Vec<_>>()
    };
    let all: Vec<Value> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|number| scope.spawn(move || lane(number))).collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    let sum = |key: &str| all.iter().map(|one| one[key].as_u64().unwrap()).sum::<u64>();
    let told = ["given", "written", "dropped", "failed", "late"].map(|key| format!("{key} {}", sum(key)));
    println!("{} sessions: {}", all.len(), told.join(", "));
    assert_eq!(all.len() as u64, runs.end - runs.start);
    // One of each kind is enough to have lost something in each way.
    if runs.end - runs.start >= RUNS.end {
        assert!(sum("written") > 0 && sum("dropped") > 0 && sum("failed") > 0, "{all:?}");
    }
}

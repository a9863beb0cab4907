//! How true a replay is to the recorded timing: against a bare loop when it is quiet, and beside busy processes with the priority that a
//! pipeline can ask for, where players in Python are the peers.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::thread::{ClockId, clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::Timespec;
use tapedeck_engine::report::Report;
use tapedeck_sdk::Timestamp;

use super::arrivals::{Arrival, Arrivals, steady};
use super::{Recorded, between, f64_of, pipeline, registry};
use crate::engine::{folder, run_with, to_f64};
use crate::{Figure, median};

/// Rate and frames: ten seconds, and five.
const RECORDINGS: [(i64, i64); 2] = [(60, 600), (1000, 5000)];
/// Bare loop and replay take turns so many times.
const ROUNDS: usize = 3;
/// Processes that never rest, beside the players.
const BUSY: usize = 2;
/// The most with realtime priority beside them, in microseconds.
const REALTIME_JITTER_US_MAX: f64 = 300.0;

/// What a player's timing was like, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Jitter {
    /// 99 % of the frames are no further from the median lateness.
    p99: f64,
    max: f64,
}

/// Of lateness against the first frame: a constant delay is no jitter.
fn jitter(frames: &[(Timestamp, Timestamp)]) -> Jitter {
    let [first, ..] = frames else { panic!("no frame came") };
    let late = |(recorded, at): &(Timestamp, Timestamp)| between(first.1, *at) - between(first.0, *recorded);
    let late: Vec<f64> = frames.iter().map(late).collect();
    let middle = median(late.clone());
    let mut away: Vec<f64> = late.iter().map(|late| (late - middle).abs() / 1e3).collect();
    away.sort_by(f64::total_cmp);
    Jitter { p99: away[(away.len() - 1) * 99 / 100], max: away[away.len() - 1] }
}

/// A loop that does nothing but sleep until the next frame is due.
fn bare(recorded: &Recorded) -> Jitter {
    set_current_timer_slack(std::num::NonZeroU64::new(1)).unwrap_or_default();
    let start = steady().0 - recorded.time(0);
    let frames = (0..recorded.frames).map(|frame| {
        let due = start + recorded.time(frame);
        let request = Timespec { tv_sec: due / 1_000_000_000, tv_nsec: due % 1_000_000_000 };
        while clock_nanosleep_absolute(ClockId::Monotonic, &request).is_err() {}
        (Timestamp(recorded.time(frame)), steady())
    });
    jitter(&frames.collect::<Vec<_>>())
}

/// One replay: what the schedule was like where frames leave the pacer, and where they reach a sink.
struct Played {
    source: Jitter,
    sink: Jitter,
    refused: bool,
}

fn play(path: &Path, frames: i64, realtime: bool) -> Played {
    let arrivals = Arrivals::with_room(usize::try_from(frames).unwrap_or(0));
    let session = if realtime { "priority = \"realtime\"" } else { "" };
    let report = run_with(&registry(&arrivals), &pipeline(path, session, "", "arrivals"));
    let arrived = arrivals.take();
    assert!(!report.loss.any() && arrived.len() as u64 == frames.unsigned_abs(), "{report:?}");
    let frames: Vec<_> = arrived.iter().map(|Arrival { recorded, at, .. }| (*recorded, *at)).collect();
    let refused =
        report.stages.iter().any(|stage| stage.remarks.iter().any(|said| said.contains("priority")));
    Played { source: at_the_source(&report), sink: jitter(&frames), refused }
}

/// The engine's own measurement, of frames that the pacer gives. None comes early there: what is furthest from the median is late.
fn at_the_source(report: &Report) -> Jitter {
    let late = report.streams[0].tick_lateness.expect("the replay keeps time");
    let away = |late_ns: u64| to_f64(late_ns.saturating_sub(late.p50)) / 1e3;
    Jitter { p99: away(late.p99), max: away(late.max) }
}

fn write(recorded: &Recorded, folder: &Path) -> PathBuf {
    recorded.write(&tapedeck_arrow::factory(), folder)
}

/// The figures without anything beside them that is ours.
pub(super) fn quiet() -> Vec<Figure> {
    RECORDINGS.into_iter().flat_map(|(hz, frames)| quiet_at(&Recorded::at(hz, frames))).collect()
}

fn quiet_at(recorded: &Recorded) -> [Figure; 2] {
    let folder = folder();
    let path = write(recorded, folder.path());
    let rounds: Vec<(Jitter, Played)> = (0..ROUNDS)
        // A thread of its own: its timer slack is nobody else's.
        .map(|_| std::thread::scope(|scope| scope.spawn(|| bare(recorded)).join().expect("it only sleeps")))
        .map(|bare| (bare, play(&path, recorded.frames, false)))
        .collect();
    [("where it leaves the pacer", true), ("at a sink behind an edge", false)].map(|(place, at_source)| {
        let pick = |played: &Played| if at_source { played.source.p99 } else { played.sink.p99 };
        let ratio = median(rounds.iter().map(|(bare, played)| pick(played) / bare.p99).collect());
        let ours = median(rounds.iter().map(|(_, played)| pick(played)).collect());
        let alone = median(rounds.iter().map(|(bare, _)| bare.p99).collect());
        let name = format!("replay at {} Hz, jitter p99 {place}, against a bare loop", recorded.hz);
        let measured = format!("{ratio:.2} x ({ours:.0} us against {alone:.0} us)");
        Figure::new(name, measured, "<= 1.2 x", ratio <= 1.2)
    })
}

/// Processes that never rest, ended with this.
struct Busy(Vec<Child>);

impl Busy {
    fn start() -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let start = |_| {
            let started = Command::new(&program).arg("spin").stdin(Stdio::null()).spawn();
            started.expect("this program can be started")
        };
        Self((0..BUSY).map(start).collect())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            drop(child.kill().and_then(|()| child.wait()));
        }
    }
}

/// Never rests, until it is ended.
pub(crate) fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

/// The figures with busy processes beside the players.
pub(super) fn busy() -> Vec<Figure> {
    RECORDINGS.into_iter().flat_map(|(hz, frames)| busy_at(&Recorded::at(hz, frames))).collect()
}

fn busy_at(recorded: &Recorded) -> Vec<Figure> {
    let folder = folder();
    let path = write(recorded, folder.path());
    let busy = Busy::start();
    let mut ours = Vec::new();
    let mut peers = Vec::new();
    for _ in 0..ROUNDS {
        ours.push(play(&path, recorded.frames, true));
        peers.push(PEERS.map(|peer| python(peer, recorded, folder.path())));
    }
    drop(busy);
    let p99 = median(ours.iter().map(|played| played.source.p99).collect());
    let at_sink = median(ours.iter().map(|played| played.sink.p99).collect());
    let longest = ours.iter().map(|played| played.source.max).fold(0.0, f64::max);
    let refused = if ours.iter().any(|played| played.refused) { "; the priority was refused" } else { "" };
    let name = format!("replay at {} Hz, realtime, {BUSY} busy processes, jitter p99", recorded.hz);
    let measured = format!(
        "{p99:.0} us where it leaves the pacer (at most {longest:.0} us), {at_sink:.0} us at a sink{refused}"
    );
    let reached = p99 <= REALTIME_JITTER_US_MAX;
    let mut figures = vec![Figure::new(name, measured, "<= 300 us where it leaves the pacer", reached)];
    for (index, peer) in PEERS.into_iter().enumerate() {
        let rounds: Result<Vec<f64>, String> = peers.iter().map(|round| round[index].clone()).collect();
        figures.push(against(peer, p99, rounds.map(median)));
    }
    figures
}

/// Our p99 against a peer's, in microseconds.
fn against(peer: Peer, ours: f64, theirs: Result<f64, String>) -> Figure {
    let (name, wanted) = (format!("  against {}", peer.name), "<= 0.1 x");
    match theirs {
        Ok(theirs) => {
            let ratio = ours / theirs;
            Figure::new(name, format!("{ratio:.3} x ({theirs:.0} us)"), wanted, ratio <= 0.1)
        }
        Err(why) => Figure::absent(name, &why, wanted),
    }
}

/// A player in Python.
#[derive(Clone, Copy)]
struct Peer {
    name: &'static str,
    mode: &'static str,
}

const PEERS: [Peer; 2] = [
    Peer { name: "Python, mcap and time.sleep", mode: "mcap" },
    Peer { name: "dimos 0.0.15 of PyPI", mode: "dimos" },
];

/// The variable that names the peers' Python, and where it is looked for without one.
const PYTHON: (&str, &str) = ("TAPEDECK_PEERS_PYTHON", ".tools/peers/bin/python");

/// What a peer says of its own timing, p99 in microseconds; else why it can't be measured.
fn python(peer: Peer, recorded: &Recorded, folder: &Path) -> Result<f64, String> {
    let (variable, usual) = PYTHON;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os(variable).map_or_else(|| root.join(usual), PathBuf::from);
    let seconds = f64_of(recorded.frames) / f64_of(recorded.hz);
    let mut command = Command::new(&python);
    command.arg(root.join("benches/replay_peers.py")).arg(peer.mode);
    // dimos takes settings from the environment, and this is one of its names.
    command.env_remove("REPLAY");
    command.args([recorded.hz.to_string(), seconds.to_string()]).arg(folder);
    let done =
        command.output().map_err(|_missing| format!("there is no {}, see {variable}", python.display()))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        return Err(said.lines().last().unwrap_or("it failed").to_owned());
    }
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    said.trim().parse().map_err(|_wrong| format!("it says {:?}", said.trim()))
}

//! The frame budget: 1,000 attributes of a live process at 60 Hz into HDF5 and Parquet at once, a bare sleeping loop beside it,
//! and the physical bound: the same reads as bare system calls.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::thread::{ClockId, clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::{Timespec, clock_gettime};

use crate::Figure;
use crate::engine::{folder, to_f64};

/// Types of the variables, and their bytes.
const KINDS: [(&str, usize); 4] = [("f64", 8), ("int", 4), ("float", 4), ("u64", 8)];

/// How long the bare reads are measured.
const BOUND_SECONDS: u64 = 10;

/// A running game with many scattered variables.
pub(crate) struct Game {
    child: Child,
    about: serde_json::Value,
}

impl Game {
    /// Starts it with so many extra variables, `stride` bytes apart.
    pub(crate) fn start(attributes: usize, stride: usize) -> Self {
        let program =
            std::path::Path::new(env!("CARGO_BIN_EXE_tapedeck")).with_file_name("examples").join("arcade");
        let mut child = Command::new(&program)
            .args(["--attributes", &attributes.to_string(), "--stride", &stride.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{error}: build it with `cargo build --release --examples`: {}", program.display())
            });
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("it was asked for");
        BufReader::new(stdout).read_line(&mut line).expect("the game tells about itself");
        let about = serde_json::from_str(&line).expect("the game tells about itself in JSON");
        Self { child, about }
    }

    /// Address and bytes of every extra variable.
    fn spans(&self) -> Vec<libc::iovec> {
        let number = |name: &str| {
            let number = self.about["extras"][name].as_u64().expect("the game tells numbers");
            usize::try_from(number).expect("addresses have 64 bits")
        };
        let (base, stride) = (number("address"), number("stride"));
        let span = |index: usize| libc::iovec {
            iov_base: (base + index * stride) as *mut libc::c_void,
            iov_len: KINDS[index % KINDS.len()].1,
        };
        (0..number("count")).map(span).collect()
    }

    /// A pipeline that records every extra variable into these sinks.
    pub(crate) fn pipeline(&self, rate_hz: f64, sinks: &[&str]) -> String {
        let number = |value: &serde_json::Value| value.as_u64().expect("the game tells numbers");
        let extras = &self.about["extras"];
        let mut text =
            format!("[sources.game]\nplugin = \"memory\"\nrate = {rate_hz}\npid = {}\n", self.about["pid"]);
        for index in 0..number(&extras["count"]) {
            let address = number(&extras["address"]) + index * number(&extras["stride"]);
            let kind = KINDS[usize::try_from(index).unwrap_or(0) % KINDS.len()].0;
            text.push_str(&format!(
                "[sources.game.attributes.v{index:04}]\naddress = {address}\ntype = \"{kind}\"\n"
            ));
        }
        for sink in sinks {
            text.push_str(&format!("[sinks.{sink}]\nplugin = \"{sink}\"\ninputs = [\"game\"]\n"));
        }
        text
    }

    pub(crate) fn stop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("the game is ours to end");
    }
}

/// Lateness of a loop that does nothing but sleep until its next tick, in ns, until told to stop.
fn bare_loop(stop: &AtomicBool) -> Vec<i64> {
    set_current_timer_slack(std::num::NonZeroU64::new(1)).unwrap_or_default();
    let now = || {
        let time = clock_gettime(ClockId::Monotonic);
        time.tv_sec * 1_000_000_000 + time.tv_nsec
    };
    let start = now();
    let mut lateness = Vec::new();
    let mut tick = 0;
    while !stop.load(Ordering::Relaxed) {
        tick += 1;
        let due = start + tick * 1_000_000_000 / 60;
        let request = Timespec { tv_sec: due / 1_000_000_000, tv_nsec: due % 1_000_000_000 };
        while clock_nanosleep_absolute(ClockId::Monotonic, &request).is_err() {}
        lateness.push(now() - due);
    }
    lateness
}

/// What the same reads take at 60 Hz with nothing around them, in % of a core: one `process_vm_readv` a tick with one span a variable,
/// in a loop that sleeps between. No recorder can take less.
#[expect(unsafe_code, reason = "the bare call that is the bound")]
fn bound(game: &Game, seconds: u64) -> f64 {
    let spans = game.spans();
    let mut values = vec![0_u8; spans.iter().map(|span| span.iov_len).sum()];
    let into = libc::iovec { iov_base: values.as_mut_ptr().cast(), iov_len: values.len() };
    let pid = i32::try_from(game.child.id()).expect("process numbers are small");
    let cpu = || clock_gettime(ClockId::ThreadCPUTime);
    let (begin, start) = (cpu(), clock_gettime(ClockId::Monotonic));
    let ticks = i64::try_from(seconds * 60).expect("a few seconds");
    for tick in 1..=ticks {
        let nanos = start.tv_nsec + tick * 1_000_000_000 / 60;
        let request =
            Timespec { tv_sec: start.tv_sec + nanos / 1_000_000_000, tv_nsec: nanos % 1_000_000_000 };
        while clock_nanosleep_absolute(ClockId::Monotonic, &request).is_err() {}
        // SAFETY: the kernel writes into `values` only, which is as long as the spans are together and is read by nobody meanwhile;
        // the spans are addresses in the game and are only read.
        let read = unsafe {
            libc::process_vm_readv(pid, &raw const into, 1, spans.as_ptr(), spans.len() as libc::c_ulong, 0)
        };
        assert_eq!(usize::try_from(read), Ok(into.iov_len), "the game is ours to read");
    }
    let end = cpu();
    let nanos = (end.tv_sec - begin.tv_sec) * 1_000_000_000 + (end.tv_nsec - begin.tv_nsec);
    100.0 * to_f64(u64::try_from(nanos).unwrap_or(0)) / 1e9 / to_f64(seconds.max(1))
}

/// Resident memory of a process, in bytes.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Sixteen variables a page, and one a page: what lies together is cheap to read, and what is scattered costs the kernel a
/// look-up of a page each.
pub(crate) const STRIDES: [usize; 2] = [256, 4160];
/// Bytes of a page.
const PAGE_BYTES: usize = 4096;

/// The figures.
pub(crate) fn measure() -> Vec<Figure> {
    STRIDES.into_iter().flat_map(measure_at).collect()
}

fn measure_at(stride: usize) -> Vec<Figure> {
    let seconds: u64 = std::env::var("BUDGET_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let folder = folder();
    let mut game = Game::start(1000, stride);
    std::fs::write(folder.path().join("p.toml"), game.pipeline(60.0, &["hdf5", "parquet"]))
        .expect("the folder can be written");
    let mut child = Command::new(env!("CARGO_BIN_EXE_tapedeck"))
        .args(["run", "p.toml", "--duration", &format!("{seconds}s"), "--session", "s", "--json"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let stop = AtomicBool::new(false);
    let mut memory = Vec::new();
    let (output, mut bare) = std::thread::scope(|scope| {
        let bare = scope.spawn(|| bare_loop(&stop));
        for _ in 0..seconds {
            std::thread::park_timeout(Duration::from_secs(1));
            memory.extend(resident(child.id()));
        }
        let stdout = child.stdout.take().expect("it was asked for");
        let last = BufReader::new(stdout).lines().map_while(Result::ok).last().expect("there is a report");
        child.wait().expect("the program ends");
        stop.store(true, Ordering::Relaxed);
        (last, bare.join().expect("the loop only sleeps"))
    });
    let bound = bound(&game, seconds.min(BOUND_SECONDS));
    game.stop();
    let report: serde_json::Value = serde_json::from_str(&output).expect("the report is JSON");
    bare.sort_unstable();
    let bare_p999 = bare[(bare.len() - 1) * 999 / 1000];
    let bare_p999 = u64::try_from(bare_p999).unwrap_or(1).max(1);
    figures(&report["report"], stride, seconds, &memory, &Beside { bare_p999, bound })
}

/// What was measured without Tapedeck.
struct Beside {
    /// Lateness of the bare loop, in ns.
    bare_p999: u64,
    /// Of the bare reads, in % of a core.
    bound: f64,
}

fn figures(
    report: &serde_json::Value,
    stride: usize,
    seconds: u64,
    memory: &[u64],
    beside: &Beside,
) -> Vec<Figure> {
    let &Beside { bare_p999, bound } = beside;
    let count = |name: &str| report["loss"][name].as_u64().unwrap_or(u64::MAX);
    let lost = [count("late"), count("dropped"), count("failed")];
    let frames = report["streams"][0]["frames"].as_u64().unwrap_or(0);
    let cpu = 100.0 * report["cpu_seconds"].as_f64().unwrap_or(f64::NAN)
        / report["duration_seconds"].as_f64().unwrap_or(1.0);
    let lateness = &report["streams"][0]["tick_lateness"];
    let p999 = lateness["p999"].as_u64().unwrap_or(u64::MAX);
    let ratio = to_f64(p999) / to_f64(bare_p999);
    let peak = to_f64(report["memory_peak_bytes"].as_u64().unwrap_or(u64::MAX)) / 1e6;
    let megabytes = |part: &[u64]| to_f64(part.iter().sum::<u64>()) / to_f64(part.len().max(1) as u64) / 1e6;
    let (wanted, limit) = if stride < PAGE_BYTES {
        ("<= 5 %", 5.0)
    } else {
        ("<= 6 %, or <= bound + 3 %", f64::max(6.0, bound + 3.0))
    };
    // After a third of the time each buffer has been full once.
    let third = memory.len() / 3;
    let (first, last) = (megabytes(&memory[third..2 * third]), megabytes(&memory[2 * third..]));
    vec![
        Figure::new(
            format!("1,000 attributes {stride} bytes apart, 60 Hz, HDF5 and Parquet, {seconds} s"),
            format!("{frames} frames, {} late, {} dropped, {} failed", lost[0], lost[1], lost[2]),
            "0 late, 0 dropped, 0 failed",
            lost == [0; 3],
        ),
        Figure::new(
            "  the whole process, and bare process_vm_readv of the same spans at 60 Hz",
            format!("{cpu:.2} % of a core, bound {bound:.2} %"),
            wanted,
            cpu <= limit,
        ),
        Figure::new("  peak memory", format!("{peak:.0} MB"), "<= 150 MB", peak <= 150.0),
        Figure::new(
            "  memory over time",
            format!("{first:.0} MB in the second third, {last:.0} MB in the last"),
            "flat (<= 1.1 x)",
            last <= first * 1.1,
        ),
        Figure::new(
            "  tick lateness p99.9 against a bare clock_nanosleep loop beside it",
            format!("{ratio:.2} x ({:.0} us against {:.0} us)", to_f64(p999) / 1e3, to_f64(bare_p999) / 1e3),
            "<= 2 x",
            ratio <= 2.0,
        ),
    ]
}

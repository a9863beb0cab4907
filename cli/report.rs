//! The final report, for people.

use tapedeck_engine::report::{Outcome, Percentiles, Report};
use tapedeck_engine::session::{EndedBy, Status};
use tapedeck_sdk::Loss;

use crate::output::{bytes, message, nanos, print_error, some_of, table, thousands, word};

/// Prints the report. Errors of stages are always told, whatever else is kept quiet.
pub(crate) fn print(report: &Report, quiet: bool) {
    for stage in &report.stages {
        if let Some(error) = &stage.error {
            let mut error = error.clone();
            let what = if stage.ended { "ended before its time" } else { "lost frames" };
            error.message = format!("\"{}\" {what}: {}", stage.id, error.message);
            print_error(&error, false);
        }
    }
    if !quiet {
        crate::output::print(&text(report));
    }
}

/// The report as text.
pub(crate) fn text(report: &Report) -> String {
    let mut text = format!(
        "{}: {} after {:.2} s ({})\n\n",
        report.session,
        match report.status {
            Status::Complete if report.loss.any() => "recorded with loss",
            Status::Complete => "complete",
            _ => "not every file is whole",
        },
        report.duration_seconds,
        ended_by(report.ended_by),
    );
    text.push_str(&streams(report));
    text.push('\n');
    text.push_str(&sinks(report));
    text.push('\n');
    for stage in &report.stages {
        stage
            .remarks
            .iter()
            .for_each(|remark| text.push_str(&format!("{}: {}\n", word(&stage.id), message(remark))));
    }
    let process = Process::now();
    let cpu = 100.0 * process.cpu_seconds / report.duration_seconds.max(1e-9);
    let memory =
        process.memory_peak_bytes.map_or(String::new(), |peak| format!(", memory at most {}", bytes(peak)));
    let lost = loss_text(report.loss) + &absent_text(report.streams.iter().map(|stream| stream.absent).sum());
    text.push_str(&format!("lost: {lost}; CPU {cpu:.1} % of a core{memory}\n"));
    text.push_str(&format!("files in {}\n", word(report.folder.display())));
    if report.status == Status::Interrupted {
        text.push_str(&format!("  hint: tapedeck recover {}\n", word(report.folder.display())));
    }
    text
}

/// What the whole process took.
#[derive(serde::Serialize)]
pub(crate) struct Process {
    /// CPU time in seconds.
    pub(crate) cpu_seconds: f64,
    /// The most memory that it had, in bytes; none where the system does not tell.
    memory_peak_bytes: Option<u64>,
}

impl Process {
    pub(crate) fn now() -> Self {
        let cpu_seconds = tapedeck_engine::clock::process_cpu().as_secs_f64();
        Self { cpu_seconds, memory_peak_bytes: memory_peak() }
    }
}

/// `VmHWM` of `/proc/self/status`.
fn memory_peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The report for programs, with what this process took and how it exits.
#[derive(serde::Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(flatten)]
    process: Process,
    exit_code: u8,
}

/// The report as JSON.
pub(crate) fn json(report: &Report) -> serde_json::Value {
    let whole = Whole { report, process: Process::now(), exit_code: exit_code(report) };
    serde_json::json!(whole)
}

/// The exit code of a session that ended so.
pub(crate) fn exit_code(report: &Report) -> u8 {
    match report.outcome() {
        Outcome::Complete => 0,
        Outcome::Failed => 1,
        Outcome::Partial => 3,
    }
}

/// `3 late, 0 dropped, 0 failed`, and how many frames are partial if any are.
pub(crate) fn loss_text(loss: Loss) -> String {
    let [late, dropped, failed] = [loss.late, loss.dropped, loss.failed].map(thousands);
    let text = format!("{late} late, {dropped} dropped, {failed} failed");
    if loss.partial > 0 { format!("{text}, {} partial", thousands(loss.partial)) } else { text }
}

/// Why ticks are among the late ones; empty if it was only time.
pub(crate) fn absent_text(ticks: u64) -> String {
    match ticks {
        0 => String::new(),
        ticks => format!(" (late because the source's target was absent: {})", thousands(ticks)),
    }
}

fn ended_by(by: EndedBy) -> &'static str {
    match by {
        EndedBy::Duration => "the duration was reached",
        EndedBy::Stop => "stopped",
        EndedBy::Sources => "every source has ended",
        EndedBy::DiskFree => "the disk has less free space than disk_free_min",
        EndedBy::Failure => "no sink was left",
    }
}

fn streams(report: &Report) -> String {
    let rows = report.streams.iter().map(|stream| {
        vec![
            stream.name.clone(),
            thousands(stream.frames),
            format!("{:.2}", stream.frames_per_second),
            stream.late.to_string(),
            stream.failed.to_string(),
            stream.partial.to_string(),
            bytes(stream.bytes),
            percentiles(stream.tick_lateness),
        ]
    });
    let header =
        ["stream", "frames", "frames/s", "late", "failed", "partial", "size", "tick lateness p50/p99/max"];
    table(&header, &[0, 7], rows.collect())
}

fn sinks(report: &Report) -> String {
    let rows = report.sinks.iter().map(|sink| {
        let files = some_of(sink.files.iter().map(|(path, size)| format!("{path} ({})", bytes(*size))));
        vec![
            format!("{} ({})", sink.id, sink.plugin),
            thousands(sink.frames),
            sink.loss.late.to_string(),
            sink.loss.dropped.to_string(),
            sink.loss.failed.to_string(),
            percentiles(sink.latency),
            if sink.error.is_some() { format!("FAILED {files}") } else { files },
        ]
    });
    let header = ["sink", "frames", "late", "dropped", "failed", "latency p50/p99/max", "files"];
    table(&header, &[0, 5, 6], rows.collect())
}

/// `0.1 ms / 0.2 ms / 3 ms`, or a dash.
pub(crate) fn percentiles(percentiles: Option<Percentiles>) -> String {
    percentiles.map_or("-".to_owned(), |p| format!("{} / {} / {}", nanos(p.p50), nanos(p.p99), nanos(p.max)))
}

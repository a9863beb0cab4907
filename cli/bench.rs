//! `bench`: runs a pipeline into a folder that is thrown away, and compares each stage with a budget for a frame.

use tapedeck_engine::RunOptions;
use tapedeck_engine::report::{Percentiles, Report};

use crate::arguments::BenchArguments;
use crate::output::{nanos, print, print_error, print_json, table, to_f64};
use crate::{builtins, report, run};

/// `tapedeck bench`.
pub(crate) fn bench(arguments: &BenchArguments, plugin_path: &[std::path::PathBuf]) -> u8 {
    let registry = builtins::with_files(plugin_path);
    let json = arguments.pipeline.json;
    let pipeline = match run::read(&arguments.pipeline.path, &arguments.pipeline.settings, json, &registry) {
        Ok(pipeline) => pipeline,
        Err(code) => return code,
    };
    // Beside the recordings, so that it is the same disk.
    let directory = pipeline.session.directory.clone();
    let options = RunOptions {
        directory: None,
        session: Some(format!("bench-{}", std::process::id())),
        name: run::stem(&arguments.pipeline.path),
        duration: Some(arguments.duration.0),
        ..RunOptions::default()
    };
    let session = match run::start(pipeline, &registry, &options, json) {
        Ok(session) => session,
        Err(code) => return code,
    };
    let folder = session.folder().to_owned();
    let ended = session.wait(arguments.duration.0, |_| {});
    drop(std::fs::remove_dir_all(&folder));
    // Fails when recordings are in it, as it should.
    drop(std::fs::remove_dir(directory));
    let report = match ended {
        Ok(report) => report,
        Err(error) => {
            print_error(&error, json);
            return 1;
        }
    };
    let budget = u64::try_from(arguments.budget.0.as_nanos()).unwrap_or(u64::MAX).max(1);
    let over = slowest(&report) > budget || report.loss.any();
    if json {
        print_json(
            &serde_json::json!({ "budget_ns": budget, "within_budget": !over, "report": report::json(&report) }),
        );
    } else {
        print(&text(&report, budget, over));
    }
    match report::exit_code(&report) {
        0 => u8::from(over),
        code => code,
    }
}

/// The time per call of each stage.
fn stages(report: &Report) -> Vec<(String, Percentiles)> {
    let streams =
        report.streams.iter().filter_map(|stream| Some((format!("{} (source)", stream.name), stream.call?)));
    let sinks =
        report.sinks.iter().filter_map(|sink| Some((format!("{} ({})", sink.id, sink.plugin), sink.call?)));
    streams.chain(sinks).collect()
}

/// The 99th percentile of the slowest stage.
fn slowest(report: &Report) -> u64 {
    stages(report).iter().map(|(_, call)| call.p99).max().unwrap_or(0)
}

fn text(report: &Report, budget: u64, over: bool) -> String {
    let rows = stages(report).into_iter().map(|(name, call)| {
        let share = 100.0 * to_f64(call.p99) / to_f64(budget);
        vec![
            name,
            nanos(call.p50),
            nanos(call.p99),
            nanos(call.p999),
            nanos(call.max),
            format!("{share:.2} %"),
        ]
    });
    let mut text = table(&["stage", "p50", "p99", "p99.9", "max", "p99 of budget"], &[0], rows.collect());
    let loss = report.loss;
    text.push_str(&format!(
        "\n{} for a budget of {} a frame: {} late, {} dropped, {} failed in {:.1} s; CPU {:.1} % of a core\n",
        if over { "OVER" } else { "within" },
        nanos(budget),
        loss.late,
        loss.dropped,
        loss.failed,
        report.duration_seconds,
        100.0 * report::Process::now().cpu_seconds / report.duration_seconds.max(1e-9),
    ));
    text
}

//! `run`, `check` and `graph`: what begins with a pipeline file.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tapedeck_engine::diagnostic::Diagnostics;
use tapedeck_engine::pipeline::{Pipeline, Variables, parse, read as read_file, read_from};
use tapedeck_engine::{OpenError, Registry, RunOptions, Session, StopHandle, begin, graph, threads};

use crate::arguments::{CheckArguments, GraphArguments, RunArguments};
use crate::exit::{FAILED, REFUSED};
use crate::live::Live;
use crate::{builtins, output, report, unexpected_exit};

/// The shortest time between two looks at a session.
const PROGRESS_MIN: Duration = Duration::from_millis(10);

/// How a session is told of.
#[derive(Clone, Copy)]
pub(crate) struct Telling {
    /// As JSON, for programs.
    pub(crate) json: bool,
    /// Errors only.
    pub(crate) quiet: bool,
    /// How often it is told how far it is; by default as the place where it is told suits.
    pub(crate) interval: Option<Duration>,
}

/// `tapedeck run`.
pub(crate) fn run(arguments: &RunArguments, plugin_path: &[PathBuf]) -> u8 {
    let registry = builtins::with_files(plugin_path);
    let interval = arguments.progress.map(|text| text.0.max(PROGRESS_MIN));
    let telling = Telling { json: arguments.pipeline.json, quiet: arguments.quiet, interval };
    let options = RunOptions {
        directory: arguments.directory.clone(),
        session: arguments.session.clone(),
        name: stem(&arguments.pipeline.path),
        duration: arguments.duration.map(|text| text.0),
        ..RunOptions::default()
    };
    match read(&arguments.pipeline.path, &arguments.pipeline.settings, telling.json, &registry) {
        Ok(pipeline) => record(pipeline, &registry, &options, telling),
        Err(code) => code,
    }
}

/// Records a session from its begin to its report. Returns the exit code.
pub(crate) fn record(pipeline: Pipeline, registry: &Registry, options: &RunOptions, telling: Telling) -> u8 {
    let Telling { json, quiet, .. } = telling;
    if !quiet && !json && !pipeline.warnings.is_empty() {
        output::print_diagnostics(&pipeline.warnings, false);
    }
    let session = match start(pipeline, registry, options, json) {
        Ok(session) => session,
        Err(code) => return code,
    };
    let mut live = Live::of(telling);
    live.begin(session.folder());
    let watch = session.watch();
    let mut heard = 0;
    let ended = session.wait(live.interval(), |progress| {
        let remarks = watch.remarks_since(heard);
        heard = remarks.last().map_or(heard, |remark| remark.number + 1);
        live.show(progress, &remarks);
    });
    live.end();
    match ended {
        Ok(ended) => {
            if json {
                output::print_json(&serde_json::json!({ "report": report::json(&ended) }));
            } else {
                report::print(&ended, quiet);
            }
            report::exit_code(&ended)
        }
        Err(error) => {
            output::print_error(&error, json);
            FAILED
        }
    }
}

/// Opens the pipeline and lets Ctrl-C stop it; prints why it can't be opened.
pub(crate) fn start(
    pipeline: Pipeline,
    registry: &Registry,
    options: &RunOptions,
    json: bool,
) -> Result<Session, u8> {
    open(pipeline, registry, options).map_err(|error| refuse(&error, json))
}

/// Opens the pipeline and lets Ctrl-C stop it.
pub(crate) fn open(
    pipeline: Pipeline,
    registry: &Registry,
    options: &RunOptions,
) -> Result<Session, OpenError> {
    let begun = Arc::new(Begun::default());
    // Before anything is made: from then on a signal that is not taken would leave it unfinished.
    let signals = [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP];
    let told = begun.clone();
    let started = signal_hook::iterator::Signals::new(signals).and_then(|mut signals| {
        threads::start("signals", move || {
            let mut signals = signals.forever();
            if signals.next().is_some() {
                told.stop();
            }
            if signals.next().is_some() {
                tapedeck_terminal::put_back();
                output::print_error_text("\nstopped by force: the files are not finished\n");
                if let Some((_, folder)) = told.session.get() {
                    output::print_error_text(&format!(
                        "  hint: tapedeck recover {}\n",
                        output::word(folder.display())
                    ));
                }
                unexpected_exit::expect();
                std::process::exit(i32::from(FAILED));
            }
        })
    });
    let session = begin(pipeline, registry, options)?;
    begun.has(&session);
    unexpected_exit::forbid(unexpected_exit_message(session.folder()));
    if let Err(error) = started {
        output::print_error_text(&format!(
            "warning: Ctrl-C will end this program without finishing the files: {error}\n"
        ));
    }
    Ok(session)
}

/// What is told when a plugin ends the process: written as it is, by no code of ours.
fn unexpected_exit_message(folder: &Path) -> String {
    let folder = output::word(folder.display());
    format!(
        "\nerror: a plugin has ended this program by calling `exit`: the files are not finished\n  \
         hint: tapedeck recover {folder}\n"
    )
}

/// A session that begins, and whether it is to end already.
#[derive(Default)]
struct Begun {
    session: OnceLock<(StopHandle, PathBuf)>,
    stops: AtomicBool,
}

impl Begun {
    fn has(&self, session: &Session) {
        drop(self.session.set((session.stop_handle(), session.folder().to_owned())));
        if self.stops.load(Ordering::SeqCst) {
            session.stop_handle().stop();
        }
    }

    fn stop(&self) {
        self.stops.store(true, Ordering::SeqCst);
        if let Some((handle, _)) = self.session.get() {
            handle.stop();
        }
    }
}

fn refuse(error: &OpenError, json: bool) -> u8 {
    match error {
        OpenError::Pipeline(diagnostics) => output::print_diagnostics(diagnostics, json),
        OpenError::Folder(error) => output::print_error(error, json),
        OpenError::Failed(error) => {
            output::print_error(error, json);
            return FAILED;
        }
    }
    REFUSED
}

/// Reads and checks a pipeline file; prints what is wrong with it.
pub(crate) fn read(
    path: &Path,
    settings: &[String],
    json: bool,
    registry: &Registry,
) -> Result<Pipeline, u8> {
    let variables = variables(settings)?;
    let parsed = read_text(path).and_then(|text| parse(&name(path), &text, &variables, registry));
    parsed.map_err(|diagnostics| refuse_pipeline(&diagnostics, json))
}

/// A pipeline's text: of a file, or of standard input for `-`.
pub(crate) fn read_text(path: &Path) -> Result<String, Diagnostics> {
    if path == Path::new("-") { read_from(&name(path), std::io::stdin().lock()) } else { read_file(path) }
}

/// What diagnostics call a pipeline.
pub(crate) fn name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// The variables that the environment has.
pub(crate) fn environment() -> Variables {
    Variables::new(|name| std::env::var(name).ok())
}

/// The variables of a pipeline: what the command line sets, else the environment.
pub(crate) fn variables(settings: &[String]) -> Result<Variables, u8> {
    let mut variables = environment();
    for setting in settings {
        variables = variables.with_setting(setting).map_err(|problem| {
            output::print_error(
                &tapedeck_sdk::Error::environment(format!("--set {setting}: {problem}")),
                false,
            );
            REFUSED
        })?;
    }
    Ok(variables)
}

/// Prints what is wrong with a pipeline.
pub(crate) fn refuse_pipeline(diagnostics: &Diagnostics, json: bool) -> u8 {
    output::print_diagnostics(diagnostics, json);
    REFUSED
}

/// `tapedeck check`.
pub(crate) fn check(arguments: &CheckArguments, plugin_path: &[PathBuf]) -> u8 {
    let registry = builtins::with_files(plugin_path);
    let json = arguments.pipeline.json;
    let pipeline = match read(&arguments.pipeline.path, &arguments.pipeline.settings, json, &registry) {
        Ok(pipeline) => pipeline,
        Err(code) => return code,
    };
    if json {
        output::print_json(&serde_json::json!({ "diagnostics": pipeline.warnings }));
    } else {
        if !pipeline.warnings.is_empty() {
            output::print_diagnostics(&pipeline.warnings, false);
        }
        let name = name(&arguments.pipeline.path);
        output::print(&format!("{}: {} stages, no errors\n", output::word(name), pipeline.nodes.len()));
    }
    if arguments.deny_warnings && !pipeline.warnings.is_empty() { REFUSED } else { 0 }
}

/// `tapedeck graph`.
pub(crate) fn graph(arguments: &GraphArguments, plugin_path: &[PathBuf]) -> u8 {
    match read(&arguments.path, &arguments.settings, false, &builtins::with_files(plugin_path)) {
        Ok(pipeline) => {
            output::print(&graph::render(&pipeline, arguments.format.into()));
            0
        }
        Err(code) => code,
    }
}

/// What sessions of this pipeline are called.
pub(crate) fn stem(path: &Path) -> String {
    let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    if stem == "-" { "stdin".to_owned() } else { stem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_in_the_message_of_an_unexpected_exit_does_nothing_to_a_terminal() {
        let text = unexpected_exit_message(Path::new("out/\x1b]0;title\x07\nerror: no"));
        assert!(text.ends_with("hint: tapedeck recover out/\\u{1b}]0;title\\u{7}\\nerror: no\n"), "{text}");
    }
}

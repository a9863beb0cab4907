//! `rec`: a terminal recording in one command, as with asciinema. It is a pipeline like any other, written here.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tapedeck_engine::diagnostic::Diagnostics;
use tapedeck_engine::pipeline::{Variables, parse};
use tapedeck_engine::report::Report;
use tapedeck_engine::session::{Status, look};
use tapedeck_engine::{OpenError, RunOptions, Session};
use tapedeck_sdk::Error;

use crate::arguments::RecArguments;
use crate::output::{print_error, print_error_text, print_warning, word};
use crate::{builtins, command, exit, report, run};

/// What a command that is recorded finds in its environment; the terminal source sets it.
const RECORDED_VARIABLE: &str = "TAPEDECK_REC";

/// Why nothing was recorded, and the exit code.
struct Refusal(Option<Error>, u8);

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let code = exit::of(&error);
        Self(Some(error), code)
    }
}

/// `tapedeck rec`. Returns the command's exit status.
pub(crate) fn rec(arguments: &RecArguments) -> u8 {
    match record(arguments) {
        Ok(code) => code,
        Err(Refusal(error, code)) => {
            error.iter().for_each(|error| print_error(error, false));
            code
        }
    }
}

/// Where a recording is made, and what it is called there.
struct Place {
    /// Holds what a kill leaves; the file comes to its place when it is whole.
    folder: PathBuf,
    /// The file in it.
    inside: String,
}

impl Place {
    /// Of the recording that comes to `path`.
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().into_owned();
        let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = above.join(format!(".{name}.recording"));
        let is_cast = path.extension().is_some_and(|extension| extension == "cast");
        Some(Self { folder, inside: if is_cast { name } else { format!("{name}.cast") } })
    }

    fn file(&self) -> PathBuf {
        self.folder.join(&self.inside)
    }
}

/// The folder of a recording into `path` that was interrupted, where there is one and nothing at the path itself.
pub(crate) fn interrupted(path: &Path) -> Option<PathBuf> {
    let place = Place::of(path).filter(|_| path.symlink_metadata().is_err())?;
    place.folder.is_dir().then_some(place.folder)
}

/// Brings the recording in a folder that `rec` has made to its place, and removes the folder. `None` for any other folder.
pub(crate) fn bring_to_place(folder: &Path) -> Result<Option<PathBuf>, Error> {
    let path = std::path::absolute(folder).map_err(|error| Error::io("find the folder", folder, &error))?;
    let name = path.file_name().and_then(|name| name.to_str());
    let Some(name) = name.and_then(|name| name.strip_prefix('.')?.strip_suffix(".recording")) else {
        return Ok(None);
    };
    let target = folder.parent().unwrap_or(Path::new(".")).join(name);
    let Some(place) = Place::of(&target) else { return Ok(None) };
    let file = folder.join(&place.inside);
    if !file.symlink_metadata().is_ok_and(|found| found.is_file()) {
        return Ok(None);
    }
    if target.symlink_metadata().is_ok() {
        let message =
            format!("can't bring the recording to its place, a file is there: {}", target.display());
        return Err(Error::environment(message).with_hint(format!("it stays as {}", file.display())));
    }
    put(&file, &target)?;
    drop(std::fs::remove_dir_all(folder));
    Ok(Some(target))
}

fn put(file: &Path, target: &Path) -> Result<(), Error> {
    std::fs::rename(file, target).map_err(|error| Error::io("put the recording in its place", target, &error))
}

/// Refuses a name that is taken: by a file, by a recording that runs, or by one that was interrupted.
fn refuse_taken(path: &Path, place: &Place) -> Result<(), Error> {
    if path.symlink_metadata().is_ok() {
        return Err(Error::environment(format!("the file is already there: {}", path.display()))
            .with_hint("give another name, or remove the file"));
    }
    if place.folder.symlink_metadata().is_err() {
        return Ok(());
    }
    let folder = place.folder.display();
    if look(&place.folder).status == Some(Status::Recording) {
        return Err(Error::environment(format!("\"{}\" is being recorded now: {folder}", path.display()))
            .with_hint("give another name, or end that recording"));
    }
    Err(Error::environment(format!("a recording of \"{}\" was interrupted: {folder}", path.display()))
        .with_hint(format!(
            "`tapedeck recover {folder}` brings it to {}; remove the folder to begin anew",
            path.display()
        )))
}

fn record(arguments: &RecArguments) -> Result<u8, Refusal> {
    let path = &arguments.path;
    let Some(place) = Place::of(path) else {
        return Err(Error::environment(format!("not a file name: \"{}\"", path.display())).into());
    };
    refuse_taken(path, &place)?;
    let program = arguments.command.first();
    if let Some(program) = program {
        command::check(program).map_err(|(error, code)| Refusal(Some(error), code))?;
    }
    if std::env::var_os(RECORDED_VARIABLE).is_some() {
        print_warning("this terminal is recorded already: the other recording will show this one", None);
    }
    let session = open(arguments, &place)?;
    let ended = wait(session)?;
    tell(&ended, arguments.quiet);
    if report::exit_code(&ended) != 0 {
        let lost = &ended.loss;
        let message = format!("the recording has loss: {} dropped, {} failed", lost.dropped, lost.failed);
        print_warning(&message, None);
        if !place.file().exists() {
            print_error_text(&format!("  hint: what there is is in {}\n", word(place.folder.display())));
            return Ok(exit::FAILED);
        }
    }
    let status = exit_status(&place.file());
    put(&place.file(), path)?;
    // Only the manifest is left in it.
    drop(std::fs::remove_dir_all(&place.folder));
    if !arguments.quiet {
        print_error_text(&format!("recorded {}\n", word(path.display())));
    }
    Ok(status)
}

/// Starts the command.
fn open(arguments: &RecArguments, place: &Place) -> Result<Session, Refusal> {
    let registry = builtins::registry();
    let parsed = parse("rec", &pipeline(arguments, &place.inside), &Variables::new(|_| None), &registry);
    let pipeline = parsed.map_err(|diagnostics| {
        print_plain(&diagnostics);
        Refusal(None, exit::REFUSED)
    })?;
    let options =
        RunOptions { folder: Some(place.folder.clone()), unmeasured: true, ..RunOptions::default() };
    if !arguments.quiet {
        let path = word(arguments.path.display());
        print_error_text(&format!("recording into {path}; {}\n", keys(arguments)));
    }
    run::open(pipeline, &registry, &options).map_err(|error| match error {
        OpenError::Pipeline(diagnostics) => {
            print_plain(&diagnostics);
            Refusal(None, if arguments.command.is_empty() { exit::FAILED } else { command::NOT_EXECUTABLE })
        }
        OpenError::Folder(error) | OpenError::Failed(error) => error.into(),
    })
}

/// Says what is wrong without the pipeline, which the user has not written.
fn print_plain(diagnostics: &Diagnostics) {
    for diagnostic in diagnostics.iter() {
        let message = diagnostic.message.trim_start_matches("source \"terminal\": ");
        let error = Error { hint: diagnostic.hint.clone(), ..Error::environment(message) };
        print_error(&error, false);
    }
}

/// Waits for the end. Where no terminal is shown, what stages say is told at once.
fn wait(session: Session) -> Result<Report, Error> {
    let is_seated = std::io::stdin().is_terminal();
    let watch = session.watch();
    let mut heard = 0;
    let interval = if is_seated { Duration::from_secs(3600) } else { Duration::from_secs(1) };
    let ended = session.wait(interval, |_| {
        for remark in watch.remarks_since(heard).iter().filter(|_| !is_seated) {
            print_warning(&format!("{}: {}", remark.stage, remark.text), None);
            heard = remark.number + 1;
        }
    });
    for remark in watch.remarks_since(heard) {
        print_warning(&format!("{}: {}", remark.stage, remark.text), None);
    }
    ended
}

/// What has gone wrong with a stage.
fn tell(ended: &Report, quiet: bool) {
    let errors = ended.stages.iter().filter_map(|stage| Some((stage, stage.error.clone()?)));
    for (stage, error) in errors.filter(|_| !quiet) {
        let message = format!("\"{}\": {}", stage.id, error.message);
        print_error(&Error { message, ..error }, false);
    }
}

/// What the user should know about keys.
fn keys(arguments: &RecArguments) -> String {
    let mut text = String::new();
    let is_seated = std::io::stdin().is_terminal();
    let keys = [(&arguments.mark_key, "sets a mark"), (&arguments.pause_key, "pauses or resumes")];
    for (key, does) in keys.into_iter().filter(|_| is_seated) {
        if !key.is_empty() && key != "none" {
            text.push_str(&format!("{key} {does}, "));
        }
    }
    let end =
        if arguments.command.is_empty() { "exit the shell to end it" } else { "it ends with the command" };
    text + end
}

/// The pipeline that records.
fn pipeline(arguments: &RecArguments, name: &str) -> String {
    // A TOML string is written as JSON is.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    // Nobody's shell ends because the disk is full.
    let mut text =
        String::from("[session]\ndisk_free_min = \"0B\"\n[sources.terminal]\nplugin = \"terminal\"\n");
    let (mark, pause) = (quoted(&arguments.mark_key), quoted(&arguments.pause_key));
    writeln!(text, "attach = true\nmark_key = {mark}\npause_key = {pause}")
        .expect("writing into a string never fails");
    if !arguments.command.is_empty() {
        let words: Vec<String> = arguments.command.iter().map(|word| quoted(word)).collect();
        writeln!(text, "command = [{}]", words.join(", ")).expect("writing into a string never fails");
    }
    if arguments.input {
        text.push_str("input = true\n");
    }
    write!(
        text,
        "[sinks.cast]\nplugin = \"asciicast\"\ninputs = [\"terminal\"]\npath = {}\nversion = {}\ninput = {}\nsidecar = true\n",
        quoted(name),
        arguments.format,
        arguments.input
    )
    .expect("writing into a string never fails");
    if let Some(title) = &arguments.title {
        writeln!(text, "title = {}", quoted(title)).expect("writing into a string never fails");
    }
    text
}

/// The exit status of the command, from the facts beside the recording: not every version of the format has a place for it.
fn exit_status(recording: &Path) -> u8 {
    let facts = std::fs::read(recording.with_extension("json")).unwrap_or_default();
    let facts: serde_json::Value = serde_json::from_slice(&facts).unwrap_or_default();
    facts["exit_status"].as_u64().and_then(|status| u8::try_from(status).ok()).unwrap_or(1)
}

//! `rec`: a terminal recording in one command, as with asciinema. It is a pipeline like any other, written here.

use std::fmt::Write as _;
use std::path::Path;

use tapedeck_engine::RunOptions;
use tapedeck_engine::pipeline::{Variables, parse};
use tapedeck_sdk::Error;

use crate::arguments::RecArguments;
use crate::output::{print_error, print_error_text};
use crate::{builtins, output, report, run};

/// `tapedeck rec`. Returns the command's exit status.
pub(crate) fn rec(arguments: &RecArguments) -> u8 {
    match record(arguments) {
        Ok(code) => code,
        Err(Some(error)) => {
            print_error(&error, false);
            2
        }
        Err(None) => 2,
    }
}

fn record(arguments: &RecArguments) -> Result<u8, Option<Error>> {
    let path = &arguments.path;
    if path.symlink_metadata().is_ok() {
        let error = Error::environment(format!("the file is already there: {}", path.display()))
            .with_hint("give another name, or remove the file");
        return Err(Some(error));
    }
    let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else {
        return Err(Some(Error::environment(format!("\"{}\" is no file name", path.display()))));
    };
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The file comes to its place when it is whole. What a kill leaves is in this folder, and `recover` takes it.
    let session = format!(".{name}.recording");
    let inside = if path.extension().is_some_and(|extension| extension == "cast") {
        name.clone()
    } else {
        format!("{name}.cast")
    };
    let text = pipeline(arguments, &inside);
    let registry = builtins::registry();
    let pipeline = parse("rec", &text, &Variables::new(|_| None), &registry).map_err(|diagnostics| {
        output::print_diagnostics(&diagnostics, false);
        None
    })?;
    let options =
        RunOptions { folder: Some(above.join(&session)), unmeasured: true, ..RunOptions::default() };
    if !arguments.quiet {
        print_error_text(&format!("recording into {}; {}\n", path.display(), keys(arguments)));
    }
    // `start` has told already.
    let started = run::start(pipeline, &registry, &options, false).or(Err(None))?;
    let ended = started.wait(std::time::Duration::from_secs(3600), |_| {}).map_err(Some)?;
    let folder = above.join(&session);
    if report::exit_code(&ended) != 0 {
        let lost = &ended.loss;
        print_error_text(&format!(
            "warning: the recording has loss: {} dropped, {} failed\n  hint: what there is is in {}\n",
            lost.dropped,
            lost.failed,
            folder.display()
        ));
        if !folder.join(&inside).exists() {
            return Ok(1);
        }
    }
    let status = exit_status(&folder.join(&inside));
    let placed = std::fs::rename(folder.join(&inside), path);
    placed.map_err(|error| Some(Error::io("put the recording in its place", path, &error)))?;
    // Only the manifest is left in it.
    drop(std::fs::remove_dir_all(&folder));
    if !arguments.quiet {
        print_error_text(&format!("recorded {}\n", path.display()));
    }
    Ok(status)
}

/// What the user should know about keys.
fn keys(arguments: &RecArguments) -> String {
    let mut text = String::new();
    for (key, does) in [(&arguments.mark_key, "sets a mark"), (&arguments.pause_key, "pauses and goes on")] {
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

//! `recover`: makes the files of a killed session whole, and says per stream what is lost.

use std::path::{Path, PathBuf};

use tapedeck_engine::recover::{RecoveredFile, RecoveredStream, Recovery, recover as mend};
use tapedeck_sdk::Error;

use crate::arguments::RecoverArguments;
use crate::output::{message, print, print_error, print_json, some_of, thousands, word};
use crate::run::environment;
use crate::{builtins, exit, rec};

/// What was recovered, and where a recording of `rec` was brought.
#[derive(serde::Serialize)]
struct Done {
    #[serde(flatten)]
    recovery: Recovery,
    #[serde(skip_serializing_if = "Option::is_none")]
    placed: Option<PathBuf>,
}

/// `tapedeck recover`.
pub(crate) fn recover(arguments: &RecoverArguments) -> u8 {
    match mend_and_place(&arguments.path) {
        Ok(done) => {
            if arguments.json {
                print_json(&done);
            } else {
                print(&text(&done.recovery));
                if let Some(placed) = &done.placed {
                    print(&format!("the recording is {}\n", word(placed.display())));
                }
            }
            done.recovery.exit_code
        }
        Err(error) => {
            print_error(&error, arguments.json);
            exit::of(&error)
        }
    }
}

/// Also takes the name that an interrupted `rec` was given.
fn mend_and_place(path: &Path) -> Result<Done, Error> {
    let interrupted = rec::interrupted(path);
    let recovery = mend(&builtins::registry(), &environment(), interrupted.as_deref().unwrap_or(path))?;
    let is_readable = recovery.exit_code != exit::FAILED;
    let placed = if is_readable { rec::bring_to_place(&recovery.folder)? } else { None };
    Ok(Done { recovery, placed })
}

fn text(recovery: &Recovery) -> String {
    if recovery.was_whole {
        let folder = word(recovery.folder.display());
        let lost = if recovery.exit_code == exit::COMPLETE {
            String::new()
        } else {
            format!("; `tapedeck inspect {folder}` says what it has lost")
        };
        return format!("{folder}: every file is whole, nothing to do{lost}\n");
    }
    let mut text = String::new();
    for (outcome, paths) in outcomes(&recovery.files) {
        text.push_str(&format!("{}: {}\n", some_of(paths.into_iter().map(str::to_owned)), message(outcome)));
    }
    recovery.streams.iter().for_each(|stream| text.push_str(&stream_line(stream)));
    text
}

/// How many files are told of one by one.
const FILES_MAX: usize = 10;

/// What became of which files: of each where there are few of them, or where one can't be read; else those of one outcome together.
fn outcomes(files: &[RecoveredFile]) -> Vec<(&str, Vec<&str>)> {
    let mut outcomes: Vec<(&str, Vec<&str>)> = Vec::new();
    for file in files {
        let together = file.readable && files.len() > FILES_MAX;
        match outcomes.iter_mut().find(|(outcome, _)| together && *outcome == file.outcome) {
            Some((_, paths)) => paths.push(&file.path),
            None => outcomes.push((&file.outcome, vec![&file.path])),
        }
    }
    outcomes
}

/// What a sink has of a stream, and what is missing.
pub(crate) fn stream_line(stream: &RecoveredStream) -> String {
    let known = |frames: Option<u64>| frames.filter(|&frames| frames > 0);
    let mut line = format!("{} in {}: ", word(&stream.stream), word(&stream.sink));
    line.push_str(&match stream.frames {
        Some(frames) => format!("{} frames", thousands(frames)),
        None => "how many frames there are is not known".to_owned(),
    });
    for (what, frames) in [("dropped", stream.dropped), ("failed", stream.failed)] {
        known(frames)
            .into_iter()
            .for_each(|frames| line.push_str(&format!(", {} {what}", thousands(frames))));
    }
    match (known(stream.lost), stream.lost) {
        (Some(lost), _) => {
            let seconds = stream.lost_seconds.unwrap_or(0.0);
            line.push_str(&format!(", the last {} lost ({seconds:.2} s)\n", thousands(lost)));
        }
        (None, Some(_)) => line.push_str(", none lost\n"),
        (None, None) => line.push_str(", how many are lost is not known\n"),
    }
    line
}

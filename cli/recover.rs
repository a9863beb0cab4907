//! `recover`: makes the files of a killed session whole, and says per stream what is lost.

use tapedeck_engine::recover::{RecoveredStream, Recovery, recover as mend};

use crate::arguments::RecoverArguments;
use crate::builtins;
use crate::output::{print, print_error, print_json, thousands};
use crate::run::environment;

/// `tapedeck recover`.
pub(crate) fn recover(arguments: &RecoverArguments) -> u8 {
    match mend(&builtins::registry(), &environment(), &arguments.path) {
        Ok(recovery) => {
            if arguments.json {
                print_json(&recovery);
            } else {
                print(&text(&recovery));
            }
            recovery.exit_code
        }
        Err(error) => {
            print_error(&error, arguments.json);
            2
        }
    }
}

fn text(recovery: &Recovery) -> String {
    if recovery.was_whole {
        return format!("{}: every file is whole, nothing to do\n", recovery.folder.display());
    }
    let mut text = String::new();
    for file in &recovery.files {
        text.push_str(&format!("{}: {}\n", file.path, file.outcome));
    }
    recovery.streams.iter().for_each(|stream| text.push_str(&stream_line(stream)));
    text
}

fn stream_line(stream: &RecoveredStream) -> String {
    let known = |frames: Option<u64>| frames.filter(|&frames| frames > 0);
    let mut line = format!("{} in {}: ", stream.stream, stream.sink);
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

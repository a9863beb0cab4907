//! `recover`: makes the files of a killed session whole, and says per stream what is lost.

use tapedeck_engine::recover::{Recovery, recover as mend};

use crate::arguments::RecoverArguments;
use crate::builtins;
use crate::output::{print, print_error, print_json, thousands};

/// `tapedeck recover`.
pub(crate) fn recover(arguments: &RecoverArguments) -> u8 {
    match mend(&builtins::registry(), &arguments.path) {
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
    for stream in &recovery.streams {
        text.push_str(&format!("{} in {}: {} frames", stream.stream, stream.sink, thousands(stream.frames)));
        if stream.lost > 0 {
            text.push_str(&format!(
                ", the last {} lost ({:.2} s)\n",
                thousands(stream.lost),
                stream.lost_seconds
            ));
        } else {
            text.push_str(", none lost\n");
        }
    }
    text
}

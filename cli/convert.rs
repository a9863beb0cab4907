//! `convert`: from one recorded file to another format.

use tapedeck_engine::convert::convert as make;

use crate::arguments::ConvertArguments;
use crate::builtins;
use crate::options::read_settings;
use crate::output::{print, print_error, print_json, thousands};

/// `tapedeck convert`.
pub(crate) fn convert(arguments: &ConvertArguments) -> u8 {
    let options = read_settings(&arguments.options);
    match options.and_then(|options| make(&builtins::registry(), &arguments.from, &arguments.to, &options)) {
        Ok(done) => {
            if arguments.json {
                print_json(&done);
            } else {
                let files: Vec<String> = done.files.iter().map(|file| file.display().to_string()).collect();
                print(&format!("{}: {} frames\n", files.join(", "), thousands(done.frames)));
            }
            0
        }
        Err(error) => {
            print_error(&error, arguments.json);
            2
        }
    }
}

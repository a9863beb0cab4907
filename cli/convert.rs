//! `convert`: from recordings to another format, whole or in part.

use tapedeck_engine::convert::{Conversion, Wish, convert as make};
use tapedeck_engine::replay::Window;
use tapedeck_sdk::Error;

use crate::arguments::ConvertArguments;
use crate::builtins;
use crate::options::read_settings;
use crate::output::{print, print_error, print_json, thousands};

/// `tapedeck convert`.
pub(crate) fn convert(arguments: &ConvertArguments) -> u8 {
    match wish(arguments).and_then(|wish| make(&builtins::registry(), &wish)) {
        Ok(done) => {
            if arguments.json {
                print_json(&done);
            } else {
                print(&text(&done));
            }
            if done.refused > 0 { 3 } else { 0 }
        }
        Err(error) => {
            print_error(&error, arguments.json);
            2
        }
    }
}

fn wish(arguments: &ConvertArguments) -> Result<Wish, Error> {
    let Some((to, from)) = arguments.paths.split_last() else {
        return Err(Error::environment("name the recordings, and the file to make"));
    };
    Ok(Wish {
        from: from.to_vec(),
        streams: arguments.stream.clone(),
        window: Window { start: arguments.start, duration: arguments.duration.map(|duration| duration.0) },
        shift_ns: arguments.shift.map_or(0, |shift| shift.0),
        to: to.clone(),
        options: read_settings(&arguments.options)?,
    })
}

fn text(done: &Conversion) -> String {
    let files: Vec<String> = done.files.iter().map(|file| file.display().to_string()).collect();
    let refused = match done.refused {
        0 => String::new(),
        refused => format!(", {} of them not written, or only in part", thousands(refused)),
    };
    format!("{}: {} frames{refused}\n", files.join(", "), thousands(done.frames))
}

//! `convert`: from recordings to another format, whole or in part.

use std::path::PathBuf;

use tapedeck_engine::Registry;
use tapedeck_engine::convert::{Conversion, Wish, convert as make, sink_of};
use tapedeck_engine::replay::Window;
use tapedeck_sdk::Error;

use crate::arguments::ConvertArguments;
use crate::options::read_settings;
use crate::output::{print, print_error, print_json, print_warning, some_of, thousands};
use crate::{builtins, exit};

/// `tapedeck convert`.
pub(crate) fn convert(arguments: &ConvertArguments) -> u8 {
    let registry = builtins::registry();
    match wish(arguments, &registry).and_then(|wish| make(&registry, &wish)) {
        Ok(done) => {
            if arguments.json {
                print_json(&done);
            } else {
                print(&text(&done));
                done.warnings.iter().for_each(|warning| print_warning(warning, None));
                done.damage.iter().for_each(|damage| print_warning(&damage.message, damage.hint.as_deref()));
            }
            if done.has_loss() { exit::WITH_LOSS } else { exit::COMPLETE }
        }
        Err(error) => {
            print_error(&error, arguments.json);
            exit::of(&error)
        }
    }
}

fn wish(arguments: &ConvertArguments, registry: &Registry) -> Result<Wish, Error> {
    let Some((to, from)) = arguments.paths.split_last() else {
        return Err(Error::environment("name the recordings, and the file to make"));
    };
    // A file that no sink makes is told of when it is to be made.
    let schema = sink_of(registry, to).ok().map(|sink| &sink.descriptor().options);
    Ok(Wish {
        from: from.to_vec(),
        streams: arguments.stream.clone(),
        window: Window { start: arguments.start, duration: arguments.duration.map(|duration| duration.0) },
        shift_ns: arguments.shift.map_or(0, |shift| shift.0),
        to: to.clone(),
        options: read_settings(&arguments.options, schema)?,
    })
}

/// `out.cast: 8 frames read, 5 written, 3 left out`.
fn text(done: &Conversion) -> String {
    let name = |file: &PathBuf| file.strip_prefix(".").unwrap_or(file).display().to_string();
    let files = some_of(done.files.iter().map(name));
    let mut text =
        format!("{files}: {} frames read, {} written", thousands(done.frames), thousands(done.written));
    let counts = [("only in part", done.partial), ("left out", done.left_out), ("refused", done.refused)];
    for (what, frames) in counts.into_iter().filter(|(_, frames)| *frames > 0) {
        text.push_str(&format!(", {} {what}", thousands(frames)));
    }
    text + "\n"
}

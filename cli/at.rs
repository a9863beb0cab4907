//! `at`: the frame of a recording at a moment or a checkpoint.

use tapedeck_engine::at::at as nearest;
use tapedeck_engine::replay::Reel;
use tapedeck_sdk::ErrorKind;

use crate::arguments::AtArguments;
use crate::output::{print_error, print_error_text, print_json};
use crate::{builtins, exit};

/// `tapedeck at`.
pub(crate) fn at(arguments: &AtArguments) -> u8 {
    let tolerance = arguments.tolerance.map(|tolerance| tolerance.0);
    let stream = arguments.stream.as_deref();
    match nearest(&builtins::registry(), &arguments.path, stream, &arguments.place, tolerance) {
        Ok(Some(frame)) => {
            print_json(&frame);
            0
        }
        Ok(None) => {
            print_error_text("no frame is near enough\n");
            exit::FAILED
        }
        Err(error) => {
            print_error(&error, false);
            // It is a recording, and damaged: not one that is refused.
            let opens =
                || Reel::open(&builtins::registry(), std::slice::from_ref(&arguments.path), &[]).is_ok();
            if error.kind == ErrorKind::Data && opens() { exit::FAILED } else { exit::of(&error) }
        }
    }
}
